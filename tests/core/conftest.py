"""Tiny models shared by the engine's tests."""

import pytest

from core.models.backbone import Backbone
from core.models.loading import load_backbone
from tests.support.tiny_models import lock_is_free, make_tiny_backbone, make_tiny_bart, make_tiny_llama

_shared: list[Backbone] = []  # the models below, each of which all tests of a session use


@pytest.fixture(autouse=True)
def _no_lock_is_left():
    """A test that keeps a shared model's lock makes a later one, which uses it from another thread, wait for ever."""
    yield
    for backbone in _shared:
        assert lock_is_free(backbone.model), f"this test still holds the lock of {backbone.spec.name!r}"


def _load(folder) -> Backbone:
    _shared.append(load_backbone(str(folder), "cpu"))
    return _shared[-1]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    return make_tiny_backbone(tmp_path_factory.mktemp("models") / "tiny-gpt2")


@pytest.fixture(scope="session")
def tiny(tiny_folder) -> Backbone:
    return _load(tiny_folder)


@pytest.fixture(scope="session")
def llama(tmp_path_factory) -> Backbone:
    return _load(make_tiny_llama(tmp_path_factory.mktemp("models") / "tiny-llama"))


@pytest.fixture(scope="session")
def bart_folder(tmp_path_factory):
    return make_tiny_bart(tmp_path_factory.mktemp("models") / "tiny-bart")


@pytest.fixture(scope="session")
def bart(bart_folder) -> Backbone:
    return _load(bart_folder)
