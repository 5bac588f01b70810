"""The figures hold the numbers they are given, for one run and for two side by side."""

import pytest
import torch

from analysis.attention.ablation import ablation_effect, iter_ablations
from analysis.attention.maps import attention_mass
from analysis.attention.shares import by_head, by_layer, by_step, by_virtual_token
from analysis.figures import attention as figures
from core.generation.types import Request
from core.models.loading import load_backbone
from tests.support.tiny_models import make_tiny_backbone, random_prefix

P = 3


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return load_backbone(str(make_tiny_backbone(tmp_path_factory.mktemp("models") / "tiny")), "cpu")


@pytest.fixture(scope="module")
def read(backbone):
    """(request, ids, mass with a prefix, mass without)."""
    ids = backbone.encode(" pub <b>x")
    requests = [Request(backbone.encode("name : Alda"), prefix) for prefix in (random_prefix(backbone, P), None)]
    return requests[0], ids, *(attention_mass(backbone.model, backbone, request, ids) for request in requests)


def cells(tiles):
    return torch.tensor([list(row) for row in tiles.z])


def test_bars_stack_to_a_hundred_and_are_the_masses(read):
    *_, mass, plain = read
    drawn = figures.mass_by_layer({"run": mass, "frozen": plain})
    bars = [bar.y for bar in drawn.data]
    assert len(bars) == 5  # what has no prefix has no bar for it
    assert [sum(layer) for layer in zip(*bars[:3], strict=True)] == pytest.approx([100, 100], abs=1e-3)
    assert list(bars[0]) == pytest.approx((100 * by_layer(mass)[:, 0]).tolist())
    steps = figures.mass_by_step({"run": mass}, 1, 2, weighted=True)
    assert list(steps.data[0].y) == pytest.approx((100 * by_step(mass, 1, 2, True)[:, 0]).tolist())
    assert "layer 2, head 3" in steps.layout.title.subtitle.text and "norm of the values" in steps.layout.title.subtitle.text


def test_tiles_are_the_heads_and_the_chosen_one_is_framed(read):
    *_, mass, plain = read
    drawn = figures.heads({"run": mass, "frozen": plain}, group=1, cell=(1, 3))
    torch.testing.assert_close(cells(drawn.data[1]), 100 * by_head(plain, group=1))
    assert [(shape.x0, shape.y0) for shape in drawn.layout.shapes] == [(2.5, 0.5), (2.5, 0.5)]


def test_the_map_of_influence_stands_beside_that_of_attention_and_says_how_far_it_is(backbone, read):
    request, ids, mass, _ = read
    effect, done, total = next(iter_ablations(backbone.model, backbone, request, ids))
    whole = ablation_effect(backbone.model, backbone, request, ids)
    begun, ended = figures.ablation_map(mass, effect, 1, total), figures.ablation_map(mass, whole, total, total)
    assert f"1 of {total} knock-outs" in begun.layout.title.subtitle.text
    assert "knock-outs done" not in ended.layout.title.subtitle.text and done <= total == P * 2
    torch.testing.assert_close(cells(ended.data[0]), 100 * by_virtual_token(mass).T)
    torch.testing.assert_close(cells(ended.data[1]), whole.mean.T)


def test_words_of_a_model_are_no_markup(read):
    *_, mass, _ = read
    assert "&lt;" in "".join(figures.mass_by_step({"<b>run": mass}).data[0].text)
    names = [note.text for note in figures.mass_by_layer({"<b>run": mass, "other": mass}).layout.annotations]
    assert "&lt;b&gt;run" in names and "<b>run" not in names
