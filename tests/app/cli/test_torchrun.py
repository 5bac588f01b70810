"""One training in two processes, with the environment that torchrun gives them: the losses of one, and one of them writes."""

import csv
import os
import socket
import subprocess
import sys
from itertools import chain, repeat
from pathlib import Path

import pytest
from safetensors.torch import load_file

from app.cli.main import main
from core.errors import BadConfig
from core.training.process_group import _own_device
from tests.support.tiny_models import EXAMPLES, make_tiny_backbone

ROOT = Path(__file__).parents[3]
# A higher rate enlarges what two ways of adding differ by.
OPTIONS = "--rate 2e-3 --updates 6 --batch 3 --accumulate 2 --length 3 --mlp 8 --validate-every 2 --save-every 2"
OPTIONS += " --autocast off --device cpu"


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """Options for a tiny model, and ten rows in a file of columns: the last batch of three has one row, and a process none."""
    folder = tmp_path_factory.mktemp("torchrun")
    backbone = make_tiny_backbone(folder / "tiny-gpt2")
    for split, rows in (("train", EXAMPLES), ("dev", EXAMPLES[:3])):
        lines = ["table,text", *(f'"{one.source}","{one.targets[0]}"' for one in rows)]
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
    columns = f"--set columns --source table --target text --data {folder} --backbone {backbone}"
    return ["train", "--run", "r", *columns.split(), *OPTIONS.split()]


def train_in_two_processes(arguments, homes):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"PYTHONPATH": str(ROOT), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "app.cli", *arguments],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank), "PREFIX_LAB_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, home in enumerate(homes)
    ]
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    return [out for out, _ in outputs]


def log(home):
    """(loss, validation loss or "", rows) of each update."""
    with open(home / "runs" / "r" / "steps.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["update"] for line in lines] == ["1", "2", "3", "4", "5", "6"]
    return [(float(line["loss"]), float(line["valid_loss"] or 0), int(line["rows"])) for line in lines]


@pytest.mark.slow
def test_two_processes_train_as_one_and_the_first_alone_writes(options, tmp_path, monkeypatch):
    alone, first, second = (tmp_path / name for name in ("alone", "first", "second"))
    monkeypatch.setenv("PREFIX_LAB_HOME", str(alone))
    assert main(options) == 0
    outputs = train_in_two_processes(options, [first, second])
    assert outputs[0].startswith("r: done after 6 updates") and outputs[1] == "" and not second.exists()
    for ours, expected in zip(log(first), log(alone), strict=True):
        assert ours == pytest.approx(expected, abs=2e-5)
    weights, expected = (load_file(home / "runs" / "r" / "weights.safetensors") for home in (first, alone))
    for name, tensor in expected.items():
        assert (weights[name] - tensor).abs().max() < 1e-5 < tensor.abs().max()


@pytest.mark.slow
def test_two_processes_go_on_with_what_one_began(options, tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("PREFIX_LAB_HOME", str(home))
    with monkeypatch.context() as patch:
        stops = chain([False] * 3, repeat(True))  # Ctrl-C during the third update
        patch.setattr("app.cli.train.stop_on_ctrl_c", lambda stop, args: setattr(stop, "is_set", lambda: next(stops)))
        assert main(options) == 0
    train_in_two_processes(["train", "--resume", "--run", "r", "--device", "cpu"], [home, home])
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path / "alone"))
    assert main(options) == 0
    for ours, expected in zip(log(home), log(tmp_path / "alone"), strict=True):
        assert ours == pytest.approx(expected, abs=2e-5)


def test_each_process_has_a_gpu_of_its_own_or_one_sentence(monkeypatch):
    chosen = []
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.set_device", chosen.append)
    assert [_own_device("auto", rank) for rank in (0, 1)] == ["cuda:0", "cuda:1"] and chosen == [0, 1]
    assert _own_device("cpu", 1) == "cpu"
    with pytest.raises(BadConfig, match="more processes than this machine has GPUs"):
        _own_device("cuda", 2)
    with pytest.raises(BadConfig, match="cannot be shared by the processes of torchrun"):
        _own_device("mps", 0)
