"""Which backbones and runs the page offers: folders of one last name are different models."""

import shutil
from dataclasses import replace

import pytest

from app.shared.catalog import is_trained_on
from app.shared.context import AppContext
from core.runs.store import Store
from tests.support.tiny_models import make_run, make_tiny_backbone


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Two folders that are both called my-gpt2, with a run on each; the page opens on the first."""
    place = tmp_path_factory.mktemp("twins")
    first, second = (make_tiny_backbone(place / where / "my-gpt2", seed=seed) for seed, where in enumerate(("here", "there")))
    make_run(first, place / "runs", "first-prefix", updates=1)
    make_run(second, place / "runs", "second-prefix", updates=1, name="webnlg")
    return AppContext(str(first), "cpu", Store(place / "runs")), str(first), str(second)


def test_both_are_offered_by_their_whole_paths(twins):
    context, first, second = twins
    names = dict(context.catalog.backbone_names())
    assert names[first] == first and names[second] == second and "my-gpt2" not in names


def test_a_run_stands_on_its_own_folder_alone(twins):
    context, first, second = twins
    trained_on = {name: [run.id for run in context.catalog.trained_on(name)] for name in (first, second, "my-gpt2")}
    assert trained_on == {first: ["first-prefix"], second: ["second-prefix"], "my-gpt2": []}
    backbone = context.models.backbone(second)
    choices = {choice.run.id: choice.reason for choice in context.catalog.choices(("prefix",), backbone)}
    assert choices == {"second-prefix": "", "first-prefix": "trained on other weights of my-gpt2"}
    assert context.models.backbone(first).spec.fingerprint != backbone.spec.fingerprint


def test_a_run_of_an_older_version_goes_by_the_name(twins):
    context, first, _ = twins
    old = replace(context.store.get("first-prefix"), backbone_path="")
    assert is_trained_on(old, first) and is_trained_on(old, "my-gpt2") and not is_trained_on(old, "gpt2")


def test_a_folder_that_is_gone_is_not_offered(twins, tmp_path):
    gone = make_tiny_backbone(tmp_path / "gone-gpt2", seed=9)
    make_run(gone, tmp_path / "runs", "lost", updates=1)
    shutil.rmtree(gone)
    _, first, _ = twins
    catalog = AppContext(first, "cpu", Store(tmp_path / "runs")).catalog
    assert str(gone) not in dict(catalog.backbone_names()).values()
