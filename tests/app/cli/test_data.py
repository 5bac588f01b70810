"""The command line on every kind of data: WebNLG and DART triples, columns of one's own, bad rows left out."""

import json
import os

import pytest

from app.cli.main import main
from core.task import Task
from tests.support.tiny_models import make_tiny_backbone

PLACES = [("Alda", "Oslo"), ("Brio", "Rome"), ("Cato", "Bonn"), ("Dune", "Kyiv"), ("Elba", "Lima"), ("Fern", "Bern")]
FEW = ["--updates", "2", "--length", "3", "--mlp", "0", "--init", "random", "--batch", "4", "--device", "cpu"]
SHORT = ["--beams", "2", "--max-new", "8", "--device", "cpu"]


def entry(name: str, city: str, category: str, **more) -> dict:
    texts = [f"{name} is in {city}.", f"{city} has {name}."]
    return {"category": category, "triples": [[f"{name}_Hall", "locatedIn", city]], "texts": texts} | more


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(make_tiny_backbone(tmp_path_factory.mktemp("cli") / "tiny-gpt2"))


@pytest.fixture(scope="module")
def webnlg(tmp_path_factory):
    """WebNLG in small: a reference that is to be mended, a dev split, and a test split of seen and unseen categories."""
    place = tmp_path_factory.mktemp("webnlg")
    train = [entry(*one, "Building", lex_comments=["good", "toFix"]) for one in PLACES]
    test = [entry(*one, "Building" if n % 2 else "Artist") for n, one in enumerate(PLACES)]
    for split, rows in (("train", train), ("dev", train[:2]), ("test", test)):
        (place / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(place)


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    place = tmp_path_factory.getbasetemp() / "data-home"
    monkeypatch.setenv("PREFIX_LAB_HOME", str(place))
    return place


@pytest.fixture(scope="module")
def trained(folder, webnlg, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFIX_LAB_HOME", str(tmp_path_factory.getbasetemp() / "data-home"))
        assert main(["train", "--set", "webnlg", "--data", webnlg, "--run", "w", "--backbone", folder, *FEW]) == 0
    return "w"


def test_webnlg_trains_on_good_references_and_validates_on_dev(trained, home):
    run = json.loads((home / "runs" / trained / "run.json").read_text())
    assert run["rows"] == len(PLACES) and run["valid_loss"] is not None
    assert run["task"] == Task("webnlg", "webnlg").to_dict()


@pytest.mark.parametrize("batch", ["0", "-1"])
def test_a_batch_of_none_is_refused(trained, webnlg, folder, home, capsys, batch):
    """With -1 nothing was generated: empty texts were scored, and the run kept those scores."""
    words = ["evaluate", "--run", trained, "--data", webnlg, "--backbone", folder, *SHORT]
    assert main([*words, "--split", "dev", "--batch", batch]) == 1
    assert f"--batch must be at least 1; given: {batch}." in capsys.readouterr().err


def test_a_webnlg_run_is_scored_as_its_set_is_seen_and_unseen(trained, webnlg, folder, home, capsys):
    words = ["evaluate", "--run", trained, "--data", webnlg, "--backbone", folder, *SHORT]
    assert main([*words, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    for name in ("BLEU", "TER", "Coverage", "Unsupported"):
        counted = [scores["scores"][name + part]["n"] for part in ("", "-seen", "-unseen")]
        assert counted == [6, 3, 3]
    assert scores["set"] == "webnlg" and "webnlg" in scores["scores"]["BLEU"]["signature"]
    assert "METEOR" in scores["scores"] or "METEOR" in scores["not_computed"]
    assert "BLEU-unseen" in json.loads((home / "runs" / trained / "run.json").read_text())["scores"]["test"]
    assert main([*words, "--tables", "2"]) == 0
    message = capsys.readouterr().out
    assert "BLEU-seen" in message and "BLEU-unseen" in message and "n=2" in message


def test_a_webnlg_run_is_given_triples_in_any_form(trained, folder, capsys):
    words = ["generate", "--run", trained, "--backbone", folder, "--max-new", "4", "--json"]
    for values in ("[Alda_Hall | locatedIn | Oslo]", "(Alda_Hall, locatedIn, Oslo)", " | Alda_Hall : locatedIn : Oslo"):
        assert main([*words, values]) == 0
        assert json.loads(capsys.readouterr().out)["source"] == " | Alda_Hall : locatedIn : Oslo"


def test_dart_is_scored_cased_and_with_coverage(folder, tmp_path, capsys):
    rows = [{"tripleset": [[name, "IN", city]], "annotations": [{"source": "mine", "text": f"{name} is in {city}."}]}
            for name, city in PLACES[:3]]  # fmt: skip
    (tmp_path / "test.json").write_text(json.dumps(rows))
    assert main(["evaluate", "--set", "dart", "--data", str(tmp_path), "--backbone", folder, *SHORT, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert {"BLEU", "TER", "Coverage", "Unsupported"} <= set(scores["scores"])
    assert "text:dart" in scores["scores"]["BLEU"]["signature"] and "case:mixed" in scores["scores"]["BLEU"]["signature"]


def test_columns_of_ones_own_with_bad_rows_left_out_and_taken_up_again(folder, tmp_path, home, capsys):
    lines = ["place,town,told,also", *(f"{name},{city},{name} is in {city}.," for name, city in PLACES), "Gala,Nice,,"]
    mine = tmp_path / "mine.csv"
    mine.write_text("\n".join(lines) + "\n")
    named = ["--set", "columns", "--data", str(mine), "--source", "place", "--source", "town", "--target", "told"]
    words = ["train", *named, "--target", "also", "--run", "own", "--task", "towns", "--backbone", folder, *FEW]
    assert main(words) == 1
    assert "mine.csv, line 8" in capsys.readouterr().err
    assert main([*words, "--skip-bad"]) == 0
    assert "1 row was left out; the first: mine.csv, line 8" in capsys.readouterr().err
    run = json.loads((home / "runs" / "own" / "run.json").read_text())
    assert (run["rows"], run["task"]["name"], run["task"]["form"]) == (len(PLACES), "towns", "table")
    assert main(["evaluate", "--run", "own", *named, "--skip-bad", "--backbone", folder, *SHORT, "--json"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert printed[0]["skipped"] == 1 and printed[1]["scores"]["ROUGE-L"]["n"] == len(PLACES)
    named = ["--data", str(mine)]  # with --task the set was no longer known
    assert main(["evaluate", "--run", "own", *named, "--skip-bad", "--backbone", folder, *SHORT, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[1])["scores"] == printed[1]["scores"]


def test_scores_on_columns_of_ones_own_are_kept_apart_from_a_runs_own_set(trained, folder, tmp_path, home):
    path = home / "runs" / trained / "run.json"
    before = json.loads(path.read_text())["scores"]
    (tmp_path / "quiz.csv").write_text("asked,told\nAlda,A hall.\nBrio,An inn.\n")
    named = ["--set", "columns", "--data", str(tmp_path / "quiz.csv"), "--source", "asked", "--target", "told"]
    assert main(["evaluate", "--run", trained, *named, "--source-form", "text", "--backbone", folder, *SHORT]) == 0
    after = json.loads(path.read_text())["scores"]
    assert after.pop("columns test")["BLEU"]["n"] == 2 and after == before


def test_a_run_on_columns_is_scored_on_columns(folder, tmp_path, home, capsys):
    """It was scored as on E2E, whose columns the file lacks: "mr and ref are needed". Its columns are those of its training."""
    file = tmp_path / "towns.csv"
    file.write_text("".join(["place,town,told\n", *(f"{name},{city},{name} is in {city}.\n" for name, city in PLACES)]))
    named = ["--data", str(file), "--source", "place", "--source", "town", "--target", "told"]
    assert main(["train", "--set", "columns", *named, "--run", "of-columns", "--backbone", folder, *FEW]) == 0
    words = ["evaluate", "--run", "of-columns", "--backbone", folder, *SHORT]
    assert main([*words, "--data", str(file), "--source", "place"]) == 1
    assert "Name the columns of your data: --source COLUMN and --target COLUMN" in capsys.readouterr().err
    assert main([*words, "--data", str(file)]) == 0
    assert main([*words, *named]) == 0


def test_a_text_stands_in_for_a_prefix_and_alpha_turns_a_prefix_down(trained, folder, capsys):
    def generated(*options: str) -> dict:
        assert main(["generate", *options, "--backbone", folder, "--max-new", "12", "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    text, table = "Tell this table.", "name : Alda | Type : pub"
    plain, led = generated(table), generated("--text-prefix", text, table)
    assert led["raw"] == generated("--text-prefix", text + "\n", table)["raw"] != plain["raw"]
    triple = "[Alda_Hall | locatedIn | Oslo]"
    whole, same, hidden = (generated("--run", trained, *more, triple) for more in ([], ["--alpha", "1"], ["--alpha", "0"]))
    assert whole["raw"] == same["raw"] and (whole["alpha"], hidden["alpha"]) == (1, 0)
    assert hidden["raw"] != whole["raw"]


@pytest.mark.parametrize("name", ["loop.csv", "~no-such-user/mine.csv", "x" * 300])
def test_a_path_that_leads_nowhere_is_named(name, tmp_path, monkeypatch, capsys):
    """A link to itself, another user's home and a name that is too long ended in a traceback."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    assert main(["train", "--set", "columns", "--source", "a", "--target", "b", "--data", name, "--run", "x"]) == 1
    assert name in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are Unix's")
def test_a_pipe_is_refused_before_it_is_read(tmp_path, capsys):
    os.mkfifo(tmp_path / "rows.jsonl")
    assert main(["train", "--run", "piped", "--data", str(tmp_path / "rows.jsonl")]) == 1
    assert "rows.jsonl is a pipe, which can be read only once: write its content into a file" in capsys.readouterr().err
