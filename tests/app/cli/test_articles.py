"""The command line on articles: train, sum up, score, on a tiny BART."""

import io
import json

import pytest

from app.cli.main import main
from core.config.methods import METHODS
from core.models import loading
from tests.support.tiny_models import ARTICLES, make_tiny_bart

FEW = ["--updates", "2", "--length", "3", "--mlp", "0", "--init", "words", "--batch", "4", "--device", "cpu"]
SHORT = ["--beams", "2", "--min-new", "2", "--max-new", "8", "--device", "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(make_tiny_bart(tmp_path_factory.mktemp("cli") / "tiny-bart"))


@pytest.fixture(scope="module")
def news(tmp_path_factory):
    place = tmp_path_factory.mktemp("news")
    for split in ("train", "valid", "test"):
        rows = [{"article": one.source, "summary": one.targets[0], "topic": one.group} for one in ARTICLES]
        (place / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(place)


@pytest.fixture(scope="module")
def trained(folder, news, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFIX_LAB_HOME", str(home))
        words = ["train", "--task", "summarization", "--data", news, "--topics", "news-to-sports", "--run", "n"]
        assert main([*words, "--backbone", folder, *FEW]) == 0
        yield home


def run_json(home):
    return json.loads((home / "runs" / "n" / "run.json").read_text())


def output_of(capsys, words):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_trains_on_the_topics_of_the_split_in_the_models_own_form(trained):
    run = run_json(trained)
    assert run["rows"] == 3 and run["valid_loss"] is not None
    assert run["task"] == {
        "name": "summarization", "form": "article", "lead": "<s>", "separator": "</s>", "target_lead": "", "end": "</s>",
        "cut": 512,
    }  # fmt: skip
    assert run["stored"] == (3 + 2 + 2) * 2 * 4 * 3 * 8


def test_an_article_is_summed_up_and_its_cut_reported(trained, folder, tmp_path, capsys):
    file = tmp_path / "a.txt"
    file.write_text(ARTICLES[0].source * 3)
    words = ["generate", "--run", "n", "--backbone", folder, "--max-new", "6", "--device", "cpu", "--article", str(file)]
    values = output_of(capsys, words)
    assert values["source"] == ARTICLES[0].source * 3 and values["tokens"] <= 6
    assert "and the first 126 are read, up to" in values["notes"][0]
    assert main(words) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == values["text"] and "the rest is left out" in captured.err


def test_an_article_on_standard_input_and_the_frozen_model(folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("Das Wetter bleibt am Wochenende kalt und nass, sagte der Dienst den Leuten."))
    values = output_of(capsys, ["generate", "--backbone", folder, "--article", "-", "--mode", "beam", *SHORT])
    assert "does not look like English" in values["notes"][0] and values["run"] is None


def test_standard_input_in_another_encoding_is_one_sentence(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("caf\udce9 : nice"))  # as Python reads Latin-1
    assert main(["generate", "--input-format", "text", "-"]) == 1
    assert "Standard input is not UTF-8 text." in capsys.readouterr().err


def test_scores_are_rouge_and_are_kept_under_the_split(trained, folder, news, capsys):
    words = ["evaluate", "--run", "n", "--data", news, "--topics", "news-to-sports", "--backbone", folder, *SHORT]
    values = output_of(capsys, words)
    assert set(values["scores"]) == {"ROUGE-1", "ROUGE-2", "ROUGE-L", "Unsupported"}
    assert values["scores"]["ROUGE-1"]["n"] == 9  # the sport rows of all three splits
    assert values["scores"]["ROUGE-1"]["decoding"]["length_penalty"] == 0.8
    assert run_json(trained)["scores"]["test news-to-sports"]["ROUGE-L"] == values["scores"]["ROUGE-L"]


def test_the_lead_is_a_baseline_without_a_model(news, capsys):
    values = output_of(capsys, ["evaluate", "--data", news, "--lead", "1"])
    assert values["scores"]["ROUGE-1"]["value"] > 0 and "decoding" not in values["scores"]["ROUGE-1"]
    assert main(["evaluate", "--data", news, "--lead", "1", "--run", "n"]) == 1
    assert "no --run" in capsys.readouterr().err


@pytest.mark.slow
def test_a_hundred_thousand_words_are_cut_and_nothing_else_happens(folder, tmp_path, capsys):
    file = tmp_path / "long.txt"
    file.write_text("The harbour of Aldby was closed to ferries on Monday. " * 10_000)
    values = output_of(capsys, ["generate", "--backbone", folder, "--article", str(file), "--max-new", "3", "--device", "cpu"])
    assert values["tokens"] == 3 and "has 539,999 tokens, and the first 126 are read" in values["notes"][0]


def test_methods_are_compared_on_articles(news, folder, tmp_path, monkeypatch, capsys):
    """It took the bundled GPT-2, and with BART it stopped, after it had trained, at a method that BART cannot have."""
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path))
    bundled = []
    monkeypatch.setattr(
        loading, "load_backbone", lambda name, device, load=loading.load_backbone: bundled.append(name) or load(folder, device)
    )
    words = [
        "methods",
        "--set",
        "summarization",
        "--data",
        news,
        "--run",
        "c",
        "--updates",
        "1",
        "--length",
        "2",
        "--tables",
        "1",
    ]
    assert main([*words, *SHORT, "--batch", "2", "--json"]) == 0
    *notes, frozen, prefix, finetune, adapter, lora = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert bundled == ["mini-bart"] and frozen["run"] is None
    left_out = [note["note"].split()[0] for note in notes]
    assert sorted([*left_out, *(one["method"] for one in (prefix, finetune, adapter, lora))]) == sorted(METHODS)
    assert main([*words, *SHORT, "--method", "prefix", "--method", "infix", "--run", "d"]) == 1
    assert "Infix-tuning does not fit" in capsys.readouterr().err and not (tmp_path / "runs" / "d-prefix").exists()
