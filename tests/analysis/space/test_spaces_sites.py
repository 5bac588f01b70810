"""Spaces of an encoder-decoder model: each site's own words, and the lens where there is one."""

import pytest
import torch

from analysis.space.neighbor_analysis import open_space
from analysis.space.spaces import vocabulary_space
from analysis.space.vocabulary_kv import KINDS
from analysis.tensor_cache import TensorCache
from core.errors import BadInput, NotSupported
from core.models.activations import read_key_values
from core.models.loading import load_backbone
from core.prefix.prefix import Prefix
from tests.support.tiny_models import make_tiny_bart, random_prefix
from tests.support.vocabulary_tables import vocabulary_kv

WORD, LAYER = 77, 1
SITES = {"encoder": 1, "decoder": 2, "cross": 1}  # and the place of the word in its context


@pytest.fixture(scope="module")
def bart(tmp_path_factory):
    return load_backbone(str(make_tiny_bart(tmp_path_factory.mktemp("models") / "tiny-bart")), "cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return TensorCache(tmp_path_factory.mktemp("cache"))


def own(bart, site):
    """A prefix of one virtual token: what the model computes for WORD, read alone in the context that is stated."""
    begin, end = 257, 258
    source = [begin, end] if site == "decoder" else [begin, WORD, end]
    text = [*bart.decoder_start_ids, WORD] if site == "decoder" else list(bart.decoder_start_ids)
    with torch.no_grad():
        past = read_key_values(bart, input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([text]))
    at, spec = SITES[site], bart.spec
    return Prefix({name: kv[..., at : at + 1, :] for name, kv in past.items()}, spec.name, spec.fingerprint)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("site", SITES)
def test_a_words_own_activations_are_nearest_to_the_word(bart, cache, site, kind):
    space = vocabulary_space(vocabulary_kv(bart, kind, LAYER, cache, site=site))
    scores = space.scores(space.vectors_of(own(bart, site)))[0]
    assert int(scores.argmax()) == WORD and scores[WORD].item() == pytest.approx(1, abs=1e-3)
    assert space.site == site and len(scores) == 261


def test_the_context_is_stated_for_each_site(bart, cache):
    recipes = {site: vocabulary_space(vocabulary_kv(bart, "keys", LAYER, cache, site=site)).recipe for site in SITES}
    assert (
        "of the encoder (all" in recipes["encoder"] and "its encoder reading “<s> w </s>”, w at position 1" in recipes["encoder"]
    )
    assert "its decoder reading “</s> <s> w” of an empty article, w at position 2" in recipes["decoder"]
    assert "of the cross-attention (all" in recipes["cross"] and "where its decoder reads the encoder" in recipes["cross"]


def test_tables_of_different_sites_are_kept_apart(bart, cache):
    table = [vocabulary_kv(bart, "values", LAYER, cache, site=site).vectors for site in (*SITES, *SITES)]
    assert all(torch.equal(table[at], table[at + 3]) for at in range(3))
    assert not torch.allclose(table[0], table[1]) and not torch.allclose(table[0], table[2])


@pytest.mark.parametrize("site", ["decoder", "cross"])
def test_the_lens_is_the_value_through_projection_and_unembedding(bart, cache, site):
    prefix = random_prefix(bart, 3)
    space = open_space(bart, "writes", LAYER, None, cache, site=site)
    layer = bart.model.model.decoder.layers[LAYER]
    module = layer.self_attn if site == "decoder" else layer.encoder_attn
    values = prefix.past[site][LAYER, 1].transpose(0, 1).flatten(1)  # (P, heads * head_dim)
    with torch.no_grad():
        expected = values @ module.out_proj.weight.T @ bart.model.lm_head.weight.T
    expected -= expected.mean(-1, keepdim=True)
    torch.testing.assert_close(space.scores(space.vectors_of(prefix)), expected, rtol=1e-3, atol=1e-3)
    assert "no final norm" in space.recipe


def test_an_encoder_has_no_lens_and_says_why(bart, cache):
    with pytest.raises(NotSupported, match="feeds no unembedding"):
        open_space(bart, "writes", LAYER, None, cache, site="encoder")


def test_a_site_that_is_not_there(bart, cache):
    with pytest.raises(BadInput, match="no site 'middle'"):
        vocabulary_kv(bart, "keys", 0, cache, site="middle")
