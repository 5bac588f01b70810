"""`methods`: every method trained alike, scored alike, listed in one table."""

import json

import pytest

from app.cli.main import main
from core.runs.store import store
from core.training import loop
from tests.support.tiny_models import EXAMPLES, make_tiny_backbone


@pytest.fixture
def options(tmp_path, monkeypatch):
    """A tiny model, a few rows and a store of its own."""
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path / "home"))
    folder = make_tiny_backbone(tmp_path / "tiny-gpt2")
    for split, rows in (("train", EXAMPLES), ("dev", EXAMPLES[:2]), ("test", EXAMPLES[:3])):
        lines = [json.dumps({"table": one.source, "text": one.targets[0]}) for one in rows]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return [
        "--data",
        str(tmp_path),
        "--backbone",
        str(folder),
        "--updates",
        "2",
        "--length",
        "3",
        "--beams",
        "2",
        "--max-new",
        "8",
    ]


@pytest.mark.slow
def test_methods_are_compared_on_the_same_tables_and_their_runs_stay(options, capsys):
    command = ["methods", "--run", "trial", *options]
    assert main([*command, "--method", "prefix", "--method", "in_context", "--method", "lora", "--shots", "1"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in rows]
    assert [line[0] for line in lines[2:]] == ["frozen model", "Prefix-tuning", "In-context", "LoRA"]
    assert len({len(line) for line in lines}) == 1 and "BLEU" in lines[0]
    runs = {run.id: run for run in store().runs() if not run.bundled}
    assert set(runs) == {"trial-prefix", "trial-in_context", "trial-lora"}
    assert lines[3][1:4] == ["384", "384", "0.92 %"]  # 2 layers x 2 x 32 x 3, of 41,888
    assert runs["trial-lora"].updates == 2 and runs["trial-in_context"].updates == 0

    assert main([*command, "--method", "prefix", "--method", "finetune", "--json"]) == 0
    again = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["run"] for one in again] == [None, "trial-prefix", "trial-finetune"]
    assert store().get("trial-prefix").created == runs["trial-prefix"].created  # scored as it was, not trained again
    assert main([*command, "--method", "finetune"]) == 0
    assert "| 41,888 | 41,888 | 100 % |" in capsys.readouterr().out
    assert again[1]["scores"]["BLEU"]["n"] == 3 and again[1]["share"] == pytest.approx(384 / 41_888)


def test_rates_are_chosen_and_seeds_summed_up(options, capsys):
    command = ["methods", "--run", "grid", *options, "--method", "embedding", "--init", "random", "--rates", "0.001", "0.05"]
    command += ["--seeds", "2"]
    assert main(command) == 0
    output = capsys.readouterr().out
    runs = {run.id: run for run in store().runs() if not run.bundled}
    assert set(runs) == {"grid-embedding", "grid-embedding-seed1"} and [run.seed for run in runs.values()].count(1) == 1
    rate = runs["grid-embedding"].config["rate"]
    assert runs["grid-embedding-seed1"].config["rate"] == rate and "0.001: " in runs["grid-embedding"].notes
    line = next(line for line in output.splitlines() if line.startswith("| Embedding-only"))
    assert f"| {rate:g}, the {'highest' if rate == 0.05 else 'lowest'} tried |" in line and " ± " in line
    assert "3 tables; seeds 0, 1 (mean ± standard deviation). Rates to choose from: 0.001, 0.05;" in output

    assert main([*command, "--json"]) == 0
    *each, frozen, embedding = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["run"] for one in each] == [None, "grid-embedding", "grid-embedding-seed1"] and frozen["seeds"] == []
    losses = [one["valid_loss"] for one in each[1:]]
    assert embedding["mean"]["valid_loss"] == pytest.approx(sum(losses) / 2, abs=1e-4) and embedding["sd"]["valid_loss"] > 0
    assert main([*command, "--updates", "3"]) == 1
    assert "--updates is 2 in the run 'grid-embedding'" in capsys.readouterr().err


def test_a_run_that_is_there_is_scored_in_its_own_layout(options, capsys):
    """It was scored in the layout of the comparison, in which it had never read a table."""
    data, backbone, train = options[:2], options[2:4], options[4:8]
    source = [*train, "--preset", "fast", "--layout", "paper"]
    assert main(["train", "--run", "old-prefix", *data, *backbone, *source]) == 0
    assert main(["methods", "--run", "old", "--method", "prefix", "--json", *options]) == 0
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])["scores"]
    assert main(["evaluate", "--run", "old-prefix", *data, *options[8:], "--json"]) == 0
    own = json.loads(capsys.readouterr().out)["scores"]
    assert {name: score["value"] for name, score in scores.items()} == {name: score["value"] for name, score in own.items()}


def test_the_papers_preset_has_the_papers_layout(options):
    assert main(["methods", "--run", "paper", "--preset", "paper", "--mlp", "8", "--method", "prefix", *options]) == 0
    assert store().get("paper-prefix").task.separator == " <|endoftext|>"


def test_a_method_that_diverged_is_named_and_rates_need_validation_rows(options, capsys, monkeypatch):
    command = ["methods", "--run", "wild", *options, "--method", "finetune"]
    loss = loop.batch_loss
    with monkeypatch.context() as patch:
        patch.setattr(loop, "batch_loss", lambda *of: loss(*of) * float("nan"))
        assert main([*command, "--seeds", "2"]) == 0
    assert "finetune: the training of 2 runs diverged, which is left out." in capsys.readouterr().err
    assert main([*command, "--run", "calm", "--rates", "0.1", "--valid-rows", "0"]) == 1
    assert "--valid-rows is 0, and a rate is chosen by validation loss" in capsys.readouterr().err
