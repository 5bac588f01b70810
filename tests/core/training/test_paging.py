"""Weights that are mapped from a file can leave memory and come back with the same values, whatever was written to them."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.training.paging import page_out

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems are not asked")


def file_bytes() -> int:
    """Bytes of mapped files that are in this process's memory."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))


def test_weights_leave_memory_and_are_read_again_from_their_file(tmp_path):
    weights = torch.arange(4_000_000, dtype=torch.float32)
    save_file({"w": weights}, tmp_path / "w.safetensors")
    mapped = load_file(tmp_path / "w.safetensors")["w"]
    assert torch.equal(mapped, weights)
    before = file_bytes()
    assert page_out([mapped]) > 15_000_000
    assert before - file_bytes() > 12_000_000
    assert torch.equal(mapped, weights)


def test_what_was_written_to_weights_stays(tmp_path):
    save_file({"w": torch.zeros(1_000_000)}, tmp_path / "w.safetensors")
    mapped = load_file(tmp_path / "w.safetensors")["w"]
    mapped[500_000:] = 1
    page_out([mapped])
    assert mapped.sum() == 500_000


def test_other_tensors_and_small_ones_are_left_alone(tmp_path):
    save_file({"w": torch.ones(3)}, tmp_path / "w.safetensors")
    small = load_file(tmp_path / "w.safetensors")["w"]
    assert page_out([torch.ones(1_000_000), small, torch.empty(0), torch.empty(5, device="meta")]) == 0
    assert small.sum() == 3
