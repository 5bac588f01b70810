"""Kept tensors: never another's, never damaged ones, never more than the limit."""

import os

import pytest
import torch

from analysis.tensor_cache import HEADER_BYTES, TensorCache

ABOUT = {"fingerprint": "abc", "layer": "1"}


@pytest.fixture
def cache(tmp_path):
    return TensorCache(tmp_path / "cache")


def some(seed=0, size=1000):
    return {"vectors": torch.randn(size, generator=torch.Generator().manual_seed(seed)), "ids": torch.tensor(3)}


def test_what_was_kept_comes_back(cache):
    assert cache.load("one", ABOUT) is None
    assert cache.save("one", some(), ABOUT)
    tensors = cache.load("one", ABOUT)
    assert tensors.keys() == some().keys() and all(torch.equal(tensors[name], tensor) for name, tensor in some().items())


@pytest.mark.parametrize("other", [{"fingerprint": "abd", "layer": "1"}, {"fingerprint": "abc"}, {}])
def test_it_is_not_given_to_another(cache, other):
    cache.save("one", some(), ABOUT)
    assert cache.load("one", other) is None and cache.load("one", ABOUT) is not None


@pytest.mark.parametrize("damage", ["cut", "emptied", "a changed byte"])
def test_a_damaged_file_counts_as_absent_and_is_replaced(cache, damage):
    cache.save("one", some(), ABOUT)
    path = cache.folder / "one.safetensors"
    whole = path.read_bytes()
    changed = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]
    path.write_bytes({"cut": whole[:-100], "emptied": b"", "a changed byte": changed}[damage])
    assert cache.load("one", ABOUT) is None
    assert cache.save("one", some(), ABOUT) and cache.load("one", ABOUT) is not None


def test_the_longest_unused_go_first_and_the_limit_holds(cache):
    cache.limit = 3 * 40_300 + HEADER_BYTES  # three files
    for age, name in enumerate(["a", "b", "c"]):
        cache.save(name, some(size=10_000), ABOUT)
        os.utime(cache.folder / f"{name}.safetensors", (age, age))
    cache.load("a", ABOUT)  # used just now
    for name, left in (("d", "acd"), ("e", "ade"), ("d", "ade")):  # the last one replaces its own file
        cache.save(name, some(size=10_000), ABOUT)
        assert {path.stem for path in cache.folder.iterdir()} == set(left)
    assert sum(path.stat().st_size for path in cache.folder.iterdir()) <= cache.limit


def test_what_is_larger_than_the_limit_is_not_kept_and_pushes_nothing_out(cache):
    cache.save("small", some(), ABOUT)
    cache.limit = 20_000
    assert not cache.save("large", some(size=10_000), ABOUT)
    assert [path.name for path in cache.folder.iterdir()] == ["small.safetensors"]


def test_a_place_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = TensorCache(tmp_path / "file")
    assert not cache.save("one", some(), ABOUT) and cache.load("one", ABOUT) is None


def test_half_written_files_of_a_killed_process_go(cache):
    cache.save("one", some(), ABOUT)
    (cache.folder / "x.safetensors.1-1.tmp").write_bytes(b"half")
    os.utime(cache.folder / "x.safetensors.1-1.tmp", (0, 0))
    cache.save("two", some(), ABOUT)
    assert not list(cache.folder.glob("*.tmp"))


def test_it_stands_in_the_users_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path))
    assert TensorCache().folder == tmp_path / "cache"
