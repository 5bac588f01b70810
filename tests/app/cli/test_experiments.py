"""`experiments`: listed, run, killed, gone on with, shared by processes; and what is said where it cannot run."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.cli.main import main
from core.text.checks import duration
from tests.support.tiny_models import EXAMPLES, make_tiny_backbone

ROOT = Path(__file__).parents[3]


@pytest.fixture
def options(tmp_path, monkeypatch):
    """Options for a tiny model and a few rows, in a home of its own."""
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path / "home"))
    folder = make_tiny_backbone(tmp_path / "tiny-gpt2")
    data = tmp_path / "e2e"
    data.mkdir()
    for split, rows in (("train", EXAMPLES), ("dev", EXAMPLES[:2]), ("test", EXAMPLES[:3])):
        lines = [json.dumps({"table": one.source, "text": one.targets[0]}) for one in rows]
        (data / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    neutral = tmp_path / "neutral.txt"
    neutral.write_text("a table is a text\n" * 20)
    options = f"--data e2e={data} --backbone {folder} --tables 2 --lengths 2 3 --seeds 1 --neutral {neutral}"
    return ["experiments", "figure4", *options.split(), "--rates", "0.001", "0.03"]


def results(tmp_path):
    return {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("home/experiments/*/cells/*.json")}


def test_lists_and_exports_are_json_where_asked_for(options, tmp_path, capsys):
    assert main([*options, "--list", "--json"]) == 0
    cells = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(cells) == 2 and all(one["cell"] in one["command"] for one in cells)
    file = tmp_path / "results.json"
    assert main([*options, "--export", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(file), "results": 0, "cells": 2}
    assert main([*options, "--export", str(tmp_path / "none" / "a.json")]) == 1
    assert "No such file or directory. Give a file in a folder that can be written." in capsys.readouterr().err


def test_a_listed_command_line_has_the_numbers_and_the_device_as_they_were_given(options, capsys):
    command = [*options[:-3], "--rates", "0.00123456789", "--updates", "1000000", "--device", "cpu", "--list"]
    assert main(command) == 0
    (line, *_) = capsys.readouterr().out.splitlines()
    assert "--rates 0.00123456789" in line and "--updates 1000000" in line and "--device cpu" in line
    assert main([*shlex.split(line)[2:], "--list"]) == 0  # its cell is there
    assert capsys.readouterr().out == line + "\n"


@pytest.mark.slow
def test_a_listed_command_line_makes_its_cell_and_the_rest_follows(options, tmp_path, capsys):
    command = [*options, "--updates", "2"]
    assert main([*command, "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all(
        line.startswith("python launch.py experiments figure4 --cell e2e-prefix-length") for line in lines
    )
    assert main(shlex.split(lines[1])[2:]) == 0
    assert list(results(tmp_path)) == [shlex.split(lines[1])[5]]
    assert main(command) == 0
    captured = capsys.readouterr()
    assert (
        "1 cell to run: " in captured.err and "1 is done already" in captured.err and "[2/2] e2e-prefix-length2" in captured.err
    )
    assert "figure4: Prefix length (tiny-gpt2; mean ± standard error over seeds" in captured.out and "| BLEU" in captured.out
    first = next(one for one in results(tmp_path).values() if one["places"]["figure4"]["x"] == 2)
    assert first["places"]["figure4"] == {"label": "Prefix-tuning", "x": 2} and first["status"] == "done"
    assert (
        str(tmp_path) not in first["command"].replace(str(tmp_path / "tiny-gpt2"), "") and "e2e=path/to/e2e" in first["command"]
    )

    file = tmp_path / "mine.json"
    assert main([*command, "--export", str(file)]) == 0
    assert [one["id"] for one in json.loads(file.read_text())] == sorted(results(tmp_path), key=lambda name: "length3" in name)
    assert EXAMPLES[0].source not in file.read_text()


@pytest.mark.slow
def test_a_killed_experiment_goes_on_where_it_was(options, tmp_path):
    command = [*options, "--updates", "240", "--only", "length2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-m", "app.cli", *command], env=environment, stderr=subprocess.DEVNULL)
    began = time.monotonic()
    while not any(file.read_text().count("\n") > 60 for file in tmp_path.glob("home/experiments/*/runs/.trials/*/*/steps.csv")):
        assert process.poll() is None and time.monotonic() - began < 300
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert results(tmp_path) == {}
    (log,) = tmp_path.glob("home/experiments/*/runs/.trials/*/*/steps.csv")
    before = log.read_text().splitlines()[:50]
    assert main(command) == 0
    ((name, result),) = results(tmp_path).items()
    assert result["updates"] == 240 and set(result["rates"]) == {"0.001", "0.03"}
    (steps_csv,) = tmp_path.glob(f"home/experiments/*/runs/{name}/steps.csv")
    lines = steps_csv.read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [str(number) for number in range(1, 241)]
    if result["rate"] == 0.001:  # the one that was killed: what it had learned was not done again
        assert lines[:50] == before


@pytest.mark.slow
def test_processes_share_the_cells(options, tmp_path, capfd):
    assert main([*options, "--updates", "3", "--jobs", "2"]) == 0
    assert len(results(tmp_path)) == 2
    err = capfd.readouterr().err
    assert err.count("[1/2]") == err.count("[2/2]") == 1 and "in 2 processes" in err


@pytest.mark.parametrize(
    "words, message",
    [
        (["table9"], "There is no experiment 'table9': choose table1, "),
        (["table2"], "table2 needs a data set that is not given: add --data news=FOLDER"),
        (["figure4", "--scale", "huge"], "There is no scale 'huge'"),
        (["figure4", "--data", "e2e"], "--data e2e is not NAME=PATH"),
        (["figure4", "--data", "e2e=/nowhere"], "The data set e2e is missing: there is no file or folder /nowhere."),
        (["figure4", "--only", "nothing"], "No cell of figure4 has 'nothing' in its id"),
        (["figure4", "--jobs", "0"], "--jobs is 0: give 1 or more."),
        (["figure4", "--jobs", "2", "--cluster", "tcp://host:8786"], "--jobs and --cluster are two ways to share the work"),
        (["figure4", "--list", "--export", "x.json"], "--export counts only without --list, which only prints commands. Leave"),
        (["figure4", "--list", "--cluster", "tcp://h:1"], "--cluster counts only without --list, which only prints"),
        (
            ["figure4", "--export", "x.json", "--cluster", "tcp://h:1"],
            "--cluster counts only without --export, which runs nothing",
        ),
        (["figure4", "--cluster", "host"], "No Dask scheduler answers at host. Start one with `dask scheduler`"),
        (["figure4", "--neutral", "/nowhere.txt"], "There is no file /nowhere.txt"),
        (["figure4", "--backbone", "mini-bart", "--tables", "1"], "mini-bart is not a decoder-only model"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path))
    assert main(["experiments", *words]) == 1
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err


def test_durations_are_read_by_people():
    assert [duration(seconds) for seconds in (40, 700, 12_000)] == ["40 s", "12 min", "3 h 20 min"]
