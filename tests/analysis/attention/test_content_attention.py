"""Setting the prefix aside: at the first layer nothing of it is left in the maps (Petrov et al. 2024)."""

from dataclasses import replace

import pytest

from analysis.attention.content_attention import content_differences
from analysis.attention.maps import attention_map
from core.config.decode import DecodeConfig
from core.errors import BadInput
from core.generation.generate import generate
from core.generation.types import Request
from core.models.loading import load_backbone
from core.prefix.interventions import Intervention
from tests.support.tiny_models import make_tiny_backbone, make_tiny_bart, make_tiny_llama, random_prefix

P, WRITTEN = 3, 5


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder, makers = tmp_path_factory.mktemp("models"), (make_tiny_backbone, make_tiny_llama, make_tiny_bart)
    return {make.__name__: load_backbone(str(make(folder / make.__name__)), "cpu") for make in makers}


def written(backbone, own=None):
    request = Request(backbone.encode("name : Alda"), random_prefix(backbone, P), intervention=own or Intervention())
    return request, generate(backbone.model, backbone, [request], DecodeConfig(max_new=WRITTEN, min_new=WRITTEN))[0].ids


@pytest.mark.parametrize("own", [Intervention(), Intervention(0.3).without(1)])
@pytest.mark.parametrize("name", ["make_tiny_backbone", "make_tiny_llama"])
def test_the_first_layers_maps_coincide_and_later_ones_do_not(models, name, own):
    backbone = models[name]
    request, ids = written(backbone, own)
    differences = content_differences(backbone.model, backbone, request, ids)
    assert differences.shape == (backbone.spec.layers,)
    assert differences[0] < 1e-6 and differences[1] > 1e-3


@pytest.mark.parametrize("site", ["encoder", "decoder", "cross"])
def test_the_differences_are_those_of_the_two_maps(models, site):
    """Read one by one, with plain loops; the cross-attention reads an encoder that has a prefix of its own."""
    bart = models["make_tiny_bart"]
    request, ids = written(bart)
    differences = content_differences(bart.model, bart, request, ids, site)
    ours = attention_map(bart.model, bart, request, ids, site=site).weights[..., P:]
    ours /= ours.sum(-1, keepdim=True)
    hidden = replace(request, intervention=Intervention(0.0))
    theirs = attention_map(bart.model, bart, hidden, ids, site=site).weights[..., P:]
    assert ours.shape == theirs.shape == (bart.spec.depth(site), 4, *theirs.shape[2:])
    for layer in range(bart.spec.depth(site)):
        slow = max(abs(a - b) for a, b in zip(ours[layer].flatten().tolist(), theirs[layer].flatten().tolist(), strict=True))
        assert differences[layer].item() == pytest.approx(slow, abs=1e-6)
    assert (differences[0] < 1e-6) == (site != "cross")


def test_without_a_prefix_there_is_nothing_to_set_aside(models):
    backbone = models["make_tiny_backbone"]
    with pytest.raises(BadInput, match="no prefix to set aside"):
        content_differences(backbone.model, backbone, Request(backbone.encode("name")), [])
