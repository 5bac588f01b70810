"""The command line through its public face."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.main import main
from core.data.source import DataSource
from core.runs.store import store
from core.training.spec import TrainSpec
from core.training.trainer import new_training
from tests.support.tiny_models import EXAMPLES, make_tiny_backbone

ROOT = Path(__file__).parents[3]
TABLE = "name[Alda] eatType[pub] area[north]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(make_tiny_backbone(tmp_path_factory.mktemp("cli") / "tiny-gpt2"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """E2E-like files in the project's JSON-lines form."""
    place = tmp_path_factory.mktemp("data")
    for split, rows in (("train", EXAMPLES), ("dev", EXAMPLES[:3]), ("test", EXAMPLES[:4])):
        lines = [
            json.dumps({"table": example.source, "text": example.targets[0], "text_orig": example.targets[0].replace(" .", ".")})
            for example in rows
        ]
        (place / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return str(place)


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """A store of its own, and no bundled run in sight of the listing."""
    place = tmp_path_factory.mktemp("home")
    before = os.environ.get("PREFIX_LAB_HOME")
    os.environ["PREFIX_LAB_HOME"] = str(place)
    yield place
    del os.environ["PREFIX_LAB_HOME"]
    if before is not None:
        os.environ["PREFIX_LAB_HOME"] = before


@pytest.fixture(scope="module")
def trained(folder, data, home):
    options = ["--updates", "12", "--validate-every", "6", "--length", "4", "--mlp", "8", "--batch", "5"]
    assert main(["train", "--data", data, "--run", "mine", "--backbone", folder, *options]) == 0
    return "mine"


def test_train_keeps_a_run_with_its_command_and_says_what_it_cost(trained, home):
    run = json.loads((home / "runs" / "mine" / "run.json").read_text())
    assert (run["status"], run["updates"], run["stored"]) == ("done", 12, 2 * 2 * 4 * 4 * 8)
    assert run["command"].startswith("python launch.py ") and run["config"]["mlp"] == 8
    assert run["task"]["separator"] == "\n"


def test_generate_prints_the_text_and_json_says_more(trained, folder, capsys):
    arguments = ["generate", "--run", trained, "--backbone", folder, "--max-new", "12", TABLE]
    assert main(arguments) == 0
    text = capsys.readouterr().out.strip()
    assert main([*arguments, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["text"] == text
    assert record["source"] == "name : Alda | Type : pub | area : north"
    assert record["finish"] in ("eos", "length") and record["tokens"] <= 12


def test_generate_counts_the_positions_that_a_prefix_takes(trained, folder, monkeypatch, capsys):
    """A kept fade has more virtual tokens than positions."""
    from app.cli import generate

    load, spec = generate.load_backbone_and_run, []

    def fade(args, form):
        backbone, loaded = load(args, form)
        spec.append(backbone.spec)
        return backbone, replace(loaded, prefix=replace(loaded.prefix, positions=2))

    monkeypatch.setattr(generate, "load_backbone_and_run", fade)
    arguments = ["generate", "--run", trained, "--backbone", folder, "--mode", "greedy", "--json", TABLE, "--max-new"]
    assert main([*arguments, "256"]) == 1
    said = capsys.readouterr()
    prompt = int(re.findall("has ([0-9]+) tokens", said.out + said.err)[0])
    assert main([*arguments, str(spec[0].positions - prompt - 2)]) == 0
    assert main([*arguments, str(spec[0].positions - prompt - 1)]) == 1


def test_a_growing_text_is_printed_as_the_whole_text_reads():
    from app.cli.generate import printable_parts
    from core.text.detokenize import detokenise

    text = "The Eagle 's price is £ 20 - 25 , and it is family - friendly , in the city centre ."
    words = text.split(" ")
    parts = list(printable_parts((" ".join(words[:n]) for n in range(1, len(words) + 1)), detokenise))
    assert "".join(parts) == detokenise(text)
    assert len([part for part in parts if part]) > 8


def test_raw_text_streams_to_the_same_words(trained, folder, capsys):
    arguments = ["generate", "--run", trained, "--backbone", folder, "--max-new", "12", "--raw", TABLE]
    main(arguments)
    streamed = capsys.readouterr().out.strip()
    main([*arguments, "--json"])
    assert json.loads(capsys.readouterr().out)["raw"] == streamed


def test_evaluate_scores_writes_hyps_and_notes_the_scores(trained, folder, data, home, tmp_path, capsys):
    hyps = tmp_path / "out.txt"
    arguments = ["evaluate", "--run", trained, "--backbone", folder, "--data", data, "--beams", "2", "--max-new", "10"]
    assert main([*arguments, "--hyps", str(hyps), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert {"BLEU", "NIST", "ROUGE-L", "CIDEr", "BLEU-original", "Coverage"} <= set(result["scores"])
    assert result["scores"]["BLEU"]["n"] == 4
    assert len(hyps.read_text().splitlines()) == 4
    noted = json.loads((home / "runs" / "mine" / "run.json").read_text())["scores"]["test"]["BLEU"]
    assert noted["signature"] and noted["decoding"]["beams"] == 2 and noted["value"] == result["scores"]["BLEU"]["value"]


def test_a_run_on_the_bundled_tables_is_scored_on_them_without_naming_them(trained, folder, home, capsys):
    arguments = ["evaluate", "--run", trained, "--backbone", folder, "--tables", "3", "--max-new", "8", "--json"]
    assert main(arguments) == 1 and "--set tables" in capsys.readouterr().out
    assert main([*arguments, "--set", "records"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["set"], result["scores"]["BLEU"]["n"]) == ("records", 3)
    file = home / "runs" / trained / "run.json"
    values = json.loads(file.read_text())
    values["task"]["name"] = "tables"
    file.write_text(json.dumps(values))
    assert main(arguments) == 0 and json.loads(capsys.readouterr().out)["set"] == "tables"


def test_runs_lists_it(trained, capsys):
    assert main(["runs", "--json"]) == 0
    assert "mine" in [run["id"] for run in json.loads(capsys.readouterr().out)]
    main(["runs"])
    assert "mine" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "code", "message"), [("runs >&-", 0, ""), ("generate - <&-", 1, "The table is empty")])
def test_a_verb_does_without_a_stream_that_is_closed(words, code, message):
    """A program without a console has none: there was a traceback."""
    done = subprocess.run(["sh", "-c", f"'{sys.executable}' launch.py {words}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code and message in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "--run", "nobody", TABLE], "no run 'nobody'"),
        (["generate", "--run", "../etc", TABLE], "cannot be the name of a run"),
        (["generate", ""], "empty"),
        (["generate", "--backbone", "/no/such/folder", TABLE], "no folder"),
        (["generate", "--temperature", "0", "--mode", "sample", TABLE], "Error: --temperature must be"),
        (["generate", "--mode", "greedy", "--beams", "3", TABLE], "--beams counts only with --mode beam or --mode rerank"),
        (["generate", "--mode", "beam", "--top-p", "0.9", TABLE], "and the mode is beam. Leave it out, or give --mode sample."),
        (["train", "--run", "x", "--data", "/no/such/file.jsonl"], "/no/such/file.jsonl"),
        (["train", "--run", "bad/name"], "cannot be the name of a run"),
        (["train", "--run", "con"], "Windows allows no such file name"),
        (["train", "--run", "x", "--rate", "-1"], "Error: --rate must be"),
        (["generate", "--max-new", "0", TABLE], "Error: --max-new must be"),
        (["methods", "--run", "x", "--rates", "1e-3", "0"], "Error: --rates must be"),
        (["experiments", "table1", "--rates", "0"], "Error: --rates must be"),
        (["pretrain", "--out", "OUT", "--tokens", "nan"], "--tokens is nan: give a number above 0."),
        (["bench", "load", "--repeats", "3"], "--repeats counts only for the rows. Leave it out."),
        (["bench", "decoding", "--clients", "5"], "--clients counts only for bench load. Leave it out."),
        (["bench", "faults", "--device", "cpu"], "--device counts only for the rows and bench load. Leave it out."),
        (["pretrain", "--out", "OUT", "--gap-share", "0.5"], "--gap-share counts only with --preset mini-bart"),
        (
            ["pretrain", "--preset", "mini-bart", "--out", "OUT", "--gap-share", "2"],
            "--gap-share is 2: give a share from 0 to 1.",
        ),
        (
            ["pretrain", "--preset", "mini-bart", "--out", "OUT", "--summary-every", "0"],
            "--summary-every is 0: give a number above 0.",
        ),
        (["pretrain", "--out", "OUT", "--workers", "-1"], "--workers is -1: give 0 or more."),
        (["pretrain", "--out", "OUT", "--packed", "x.tar", "--corpus", "texts"], "--corpus counts only without --packed"),
        (["train", "--run", "x", "--data", ""], "--data is empty: give it a value, or leave it out."),
        (["train", "--run", "x", "--set", "columns", "--source", "a", "--source", ""], "--source is empty"),
        (["evaluate", "--hyps-in", "x", "--refs", "y", "--beams", "3"], "--beams counts only without --hyps-in"),
        (["evaluate", "--hyps-in", "x", "--refs", "y", "--backbone", "gpt2"], "--backbone counts only without --hyps-in"),
        (["import", "--zip", "x.zip", "--task", "e2e"], "--task counts only with --from"),
        (["import", "--zip", "x.zip", "--backbone", "gpt2"], "--backbone counts only with --from"),
        (["export", "--run", "x", "--zip", "x.zip", "--base", "gpt2"], "--base counts only with --to"),
        (["runs", "--delete", ""], "--delete is empty"),
        (["evaluate", "--data", __file__, "--split", "tset"], "--split is 'tset': choose train, dev or test"),
        (["train", "--run", "x", "--task", "two\nlines"], "cannot be the name of a task. Give one line of up to 80 characters."),
        (["runs", "--delete", "e2e-prefix"], "comes with Prefix Lab and stays as it is. You"),
        (["runs", "--restore="], "--restore is empty"),
        (["export", "--run", "x", "--zip", ""], "--zip is empty"),
        (["evaluate", "--hyps-in", "x", "--refs", ""], "--refs is empty"),
        (["generate", "--raw", ""], "The table is empty"),
        (["pretrain", "--corpus", "/no/such/corpus", "--out", "OUT"], "no folder /no/such/corpus"),
    ],
)
def test_an_error_is_one_sentence_and_exit_code_1(arguments, message, capsys, tmp_path):
    assert main([str(tmp_path) if word == "OUT" else word for word in arguments]) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].startswith("Error: ") and message in captured.err and "Traceback" not in captured.err


def test_an_output_that_cannot_hold_a_letter_gets_it_escaped(tmp_path, monkeypatch, capsys):
    """Windows writes a file or a pipe in its code page: the work was done, and its last lines were a traceback."""
    (tmp_path / "a.txt").write_text("a café\n", encoding="utf-8")
    monkeypatch.setenv("PREFIX_LAB_METEOR_JAR", "none")  # a score that is not computed has a dash in its line
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    assert main(["evaluate", "--hyps-in", str(tmp_path / "a.txt"), "--refs", str(tmp_path / "a.txt")]) == 0
    assert rb"METEOR                     \u2013   not computed" in output.buffer.getvalue()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("words", [["runs"], ["generate", "--json"]])
def test_a_full_disk_under_the_output_is_named(words, monkeypatch, capsys):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(words) == 1
        monkeypatch.undo()
        with contextlib.suppress(OSError):  # what is left of it is written when the file is closed
            full.close()
    assert capsys.readouterr().err.startswith("Error: The output cannot be written: No space left on device.")


def test_an_error_as_json(capsys):
    assert main(["generate", "--run", "nobody", "--json", TABLE]) == 1
    assert json.loads(capsys.readouterr().out)["kind"] == "RunNotFound"


def test_a_wrong_command_line_as_json(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["runs", "--json", "--sorted"])
    out, err = capsys.readouterr()
    assert exit.value.code == 2 and err.startswith("usage: launch.py")
    assert json.loads(out) == {"error": "unrecognized arguments: --sorted", "kind": "WrongUsage"}


@pytest.mark.parametrize("verb", ["train", "generate", "evaluate", "methods", "runs", "import", "export", "pretrain"])
def test_every_verb_explains_itself_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as left:
        main([verb, "--help"])
    assert left.value.code == 0 and f"python launch.py {verb}" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_stops_and_keeps(folder, data, home):
    command = [sys.executable, "-c", "import sys; from app.cli.main import main; sys.exit(main(sys.argv[1:]))"]
    options = ["train", "--data", data, "--run", "stopped", "--backbone", folder, "--updates", "100000", "--batch", "2"]
    process = subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    state = home / "runs" / "stopped" / "state.json"
    while not state.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 0 and "stopped: cancelled after" in out
    run = json.loads((state.parent / "run.json").read_text())
    assert run["status"] == "cancelled" and (state.parent / "weights.safetensors").exists()


def test_a_resume_takes_the_new_places_of_data_and_backbone_and_no_settings(folder, data, home, tmp_path, capsys):
    """--data and --backbone were not read, so that moved ones could not be told; nor were --updates and --method."""
    old, new = [tmp_path / name for name in ("old", "new")]
    shutil.copytree(data, old / "data")
    shutil.copytree(folder, old / "tiny-gpt2")
    changes = {"updates": 4, "length": 2, "mlp": 0, "init": "random"}
    spec = TrainSpec("moved", backbone=str(old / "tiny-gpt2"), source=DataSource(data=str(old / "data")), changes=changes)
    training, stops = new_training(spec, store(), "cpu"), iter([False, True])
    assert len(list(training.steps(*spec.source.load_train_valid([]), lambda: next(stops)))) == 1
    old.rename(new)
    command = ["train", "--resume", "--run", "moved"]
    assert main([*command, "--updates", "9"]) == 1
    assert "Error: --updates is for a new run, and --resume goes on with the run's own settings." in capsys.readouterr().err
    assert main([*command, "--backbone", str(new / "tiny-gpt2"), "--method", "lora", "--preset", "mini"]) == 1
    assert (
        "Error: --method is for a new run, and --resume goes on with the run's own settings, prefix." in capsys.readouterr().err
    )
    assert main([*command, "--backbone", str(new / "tiny-gpt2"), "--method", "prefix"]) == 1
    assert "data cannot be read" in capsys.readouterr().err
    assert main([*command, "--backbone", str(new / "tiny-gpt2"), "--data", str(new / "data")]) == 0
    run = store().get("moved")
    assert (run.status, run.updates, run.backbone_path) == ("done", 4, str(new / "tiny-gpt2"))


def test_pretrain_goes_on_where_it_stopped_and_makes_a_loadable_model(tmp_path, capsys, monkeypatch):
    from core.pretraining import config

    small = config.PretrainConfig(
        tokens=400, layers=1, width=16, heads=2, positions=32, vocabulary=300, batch_tokens=64, validate_every=3, save_every=1
    )
    monkeypatch.setitem(config.PRESETS, "mini-gpt2", small)
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    corpus.mkdir()
    documents = [f"Document {n}\nIt tells of the number {n} and of nothing else.\n<|endoftext|>\n" for n in range(300)]
    (corpus / "a.txt").write_text("".join(documents))
    assert main(["pretrain", "--corpus", str(corpus), "--out", str(out), "--device", "cpu", "--json"]) == 0
    first = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    arguments = ["pretrain", "--corpus", str(corpus), "--out", str(out), "--device", "cpu", "--json", "--tokens", "800"]
    assert main([*arguments, "--continue-from", str(tmp_path / "gone")]) == 0  # begun long ago, and not with that
    second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "random numbers" in (Path(second[-1]["model"]) / "README.md").read_text()
    assert second[0]["update"] > first[-2]["update"] and second[-2]["valid"]["mix"] < first[0]["valid"]["mix"]
    assert main(["generate", "--backbone", second[-1]["model"], "--max-new", "3", "a : b", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tokens"] <= 3


def test_pretrain_names_a_start_that_is_no_model(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("A text.\n<|endoftext|>\n")
    arguments = ["pretrain", "--corpus", str(tmp_path), "--out", str(tmp_path / "out"), "--start", str(tmp_path / "nowhere")]
    assert main([*arguments, "--preset", "mini-bart"]) == 1
    assert "nowhere has none" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_pretrain_takes_a_start_for_mini_bart_only(tmp_path, capsys):
    assert main(["pretrain", "--corpus", str(tmp_path), "--out", str(tmp_path / "out"), "--start", "mini-gpt2"]) == 1
    assert "--start is for mini-bart" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("port", [0, 99_999, -1])
def test_a_port_that_there_is_not_is_refused_in_a_sentence(port, capsys):
    """It was a traceback, after everything had been loaded."""
    assert main([f"--port={port}", "--no-browser"]) == 1
    assert f"Error: --port is {port}: give a number from 1 to 65535." in capsys.readouterr().err
