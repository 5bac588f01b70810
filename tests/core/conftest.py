"""Tiny models shared by the engine's tests."""

import pytest

from core.models.backbone import Backbone
from core.models.loading import load_backbone
from tests.support.tiny_models import lock_is_free, make_tiny_backbone, make_tiny_bart, make_tiny_llama

SHARED = ("tiny", "llama", "bart")  # fixtures below: one model for all tests of a session


@pytest.fixture(autouse=True)
def _no_lock_is_left(request):
    """A test that keeps a shared model's lock makes a later one, which uses it from another thread, wait for ever."""
    yield
    for name in set(SHARED) & set(request.fixturenames):
        assert lock_is_free(request.getfixturevalue(name).model), f"this test still holds the lock of {name!r}"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    return make_tiny_backbone(tmp_path_factory.mktemp("models") / "tiny-gpt2")


@pytest.fixture(scope="session")
def tiny(tiny_folder) -> Backbone:
    return load_backbone(str(tiny_folder), "cpu")


@pytest.fixture(scope="session")
def llama(tmp_path_factory) -> Backbone:
    return load_backbone(str(make_tiny_llama(tmp_path_factory.mktemp("models") / "tiny-llama")), "cpu")


@pytest.fixture(scope="session")
def bart_folder(tmp_path_factory):
    return make_tiny_bart(tmp_path_factory.mktemp("models") / "tiny-bart")


@pytest.fixture(scope="session")
def bart(bart_folder) -> Backbone:
    return load_backbone(str(bart_folder), "cpu")
