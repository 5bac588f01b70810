"""Turning a prefix up and down, and knocking parts of it out: against references written plainly."""

import itertools
import math
from types import SimpleNamespace

import pytest
import torch

from core.config.decode import DecodeConfig
from core.errors import BadConfig, BadInput
from core.generation.decoding_batch import DecodingBatch
from core.generation.generate import generate, next_token_probs, stream
from core.generation.types import Request
from core.prefix.attention import PrefixSlot, PrefixState, attach
from core.prefix.attention_function import prefix_attention
from core.prefix.interventions import Intervention
from core.prefix.prefix import Prefix
from tests.support.tiny_models import random_prefix

ALPHAS = [0, 0.25, 0.5, 1, 2, 4]


@pytest.fixture(params=["gpt2", "llama"])
def backbone(request, tiny, llama):
    return {"gpt2": tiny, "llama": llama}[request.param]


def forward(backbone, ids, prefix, intervention=None, start=None):
    """Logits and the recorded weights by layer; positions from `start`, or P."""
    done = None if intervention is None else [intervention]
    state = PrefixState.of([prefix], backbone.device, backbone.dtype, done)
    first = start if start is not None else prefix.length if prefix else 0
    places, recorded = torch.arange(len(ids))[None] + first, {}
    with torch.no_grad(), attach(backbone.model, state, lambda site, layer, weights: recorded.update({layer: weights[0]})):
        logits = backbone.model(input_ids=torch.tensor([ids]), position_ids=places).logits[0]
    return logits, recorded


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_alpha_multiplies_the_odds_of_attending_to_the_prefix(backbone, alpha):
    """The first layer's queries do not depend on the prefix, so there the law is exact."""
    prefix, ids = random_prefix(backbone, 5, scale=0.5), backbone.encode("name : Alda | Type : pub")
    before = forward(backbone, ids, prefix)[1][0]
    after = forward(backbone, ids, prefix, Intervention(alpha))[1][0]
    mass, turned = before[..., :5].sum(-1), after[..., :5].sum(-1)  # (heads, query)
    assert mass.min() < 0.1 and mass.max() > 0.7  # many masses, so the law is tried all along
    torch.testing.assert_close(turned, alpha * mass / (alpha * mass + 1 - mass), rtol=0, atol=1e-6)
    torch.testing.assert_close(after.sum(-1), torch.ones_like(mass), rtol=0, atol=1e-6)
    inside = before[..., :5] * (turned / mass)[..., None]  # the virtual tokens keep their shares of the prefix
    torch.testing.assert_close(after[..., :5], inside, rtol=0, atol=1e-6)


def plain_attention(query, keys, values, visible, added):
    """One query of one head, in double precision and plain Python: visible keys only, `added` to their logits."""
    scores = [
        sum(q * k for q, k in zip(query, key, strict=True)) / math.sqrt(len(query)) + a
        for key, a in zip(keys, added, strict=True)
    ]
    sizes = [math.exp(score) if is_visible else 0.0 for score, is_visible in zip(scores, visible, strict=True)]
    return [sum(size * value[d] for size, value in zip(sizes, values, strict=True)) / sum(sizes) for d in range(len(query))]


@pytest.mark.parametrize("path", ["sdpa", "matmul"])
def test_attention_with_interventions_equals_a_plain_loop(tiny, path):
    """Rows of two prefix lengths and no prefix, each with an intervention of its own, in layer 1, both ways to compute it."""
    rows, heads, tokens, dim, layer = 4, 4, 3, 8, 1
    prefixes = [random_prefix(tiny, 3, seed=1), random_prefix(tiny, 2, seed=2), None, random_prefix(tiny, 3, seed=3)]
    done = [
        Intervention(0.5).without(token=1, layer=1),
        Intervention(0),
        Intervention(2),
        Intervention(4).without(token=0, layer=0),
    ]
    hidden = {(0, 1), (1, 0), (1, 1)}  # (row, virtual token) that layer 1 must not see
    generator = torch.Generator().manual_seed(5)
    query, key, value = (torch.randn(rows, heads, tokens, dim, generator=generator) for _ in range(3))
    module = SimpleNamespace(prefix_slot=PrefixSlot(), prefix_location=("decoder", layer), training=False, is_causal=True)
    module.prefix_slot.state = PrefixState.of(prefixes, tiny.device, tiny.dtype, done)
    module.prefix_slot.recorder = None if path == "sdpa" else lambda *column: None
    with torch.no_grad():
        output = prefix_attention(module, query, key, value, None)[0]  # (rows, tokens, heads, dim)
    for row, head, place in itertools.product(range(rows), range(heads), range(tokens)):
        prefix, alpha = prefixes[row], done[row].alpha
        virtual = prefix.length if prefix else 0
        keys, values = key[row, head], value[row, head]
        if prefix:
            keys = torch.cat([prefix.past["decoder"][layer, 0, head], keys])
            values = torch.cat([prefix.past["decoder"][layer, 1, head], values])
        visible = [(row, token) not in hidden for token in range(virtual)] + [column <= place for column in range(tokens)]
        added = [math.log(alpha) if alpha else 0.0] * virtual + [0.0] * tokens
        slow = plain_attention(query[row, head, place].tolist(), keys.tolist(), values.tolist(), visible, added)
        assert output[row, place, head].tolist() == pytest.approx(slow, abs=1e-5)


def test_alpha_one_is_the_run_itself(backbone):
    prefix, ids = random_prefix(backbone, 4), backbone.encode("name : Alda")
    assert torch.equal(forward(backbone, ids, prefix)[0], forward(backbone, ids, prefix, Intervention(1))[0])
    assert PrefixState.of([prefix], backbone.device, backbone.dtype, [Intervention(1)]).bias is None  # and costs nothing


def test_alpha_zero_is_the_frozen_model_with_positions_from_p(backbone):
    prefix, ids = random_prefix(backbone, 6), backbone.encode("name : Alda | Type : pub")
    base_shifted = forward(backbone, ids, None, start=6)[0]
    close(forward(backbone, ids, prefix, Intervention(0))[0], base_shifted)


def test_alpha_zero_is_not_the_plain_model_of_a_gpt2(tiny):
    prefix, ids = random_prefix(tiny, 6), tiny.encode("name : Alda")
    assert not torch.allclose(forward(tiny, ids, prefix, Intervention(0))[0], forward(tiny, ids, None)[0], atol=1e-3)


@pytest.mark.parametrize("token", [0, 2, 4])
def test_knocking_a_token_out_is_a_prefix_without_it_and_positions_kept(backbone, token):
    prefix, ids = random_prefix(backbone, 5), backbone.encode("name : Alda | Type : pub")
    rest = [place for place in range(5) if place != token]
    shorter = Prefix({site: kv[:, :, :, rest] for site, kv in prefix.past.items()})
    expected = forward(backbone, ids, shorter, start=5)[0]
    close(forward(backbone, ids, prefix, Intervention().without(token))[0], expected)


def test_all_tokens_or_all_layers_out_is_alpha_zero(backbone):
    prefix, ids = random_prefix(backbone, 3), backbone.encode("name : Alda")
    zero = forward(backbone, ids, prefix, Intervention(0))[0]
    tokens = Intervention(2).without(0).without(1).without(2)
    layers = Intervention().without(layer=0).without(layer=1)
    for intervention in (tokens, layers, Intervention().without()):
        close(forward(backbone, ids, prefix, intervention)[0], zero)


def test_a_knocked_out_layer_sees_no_virtual_token_and_the_others_do(backbone):
    prefix, ids = random_prefix(backbone, 4), backbone.encode("name : Alda")
    recorded = forward(backbone, ids, prefix, Intervention().without(layer=1))[1]
    assert recorded[1][..., :4].max() == 0 and recorded[0][..., :4].min() > 0
    one = forward(backbone, ids, prefix, Intervention().without(token=2, layer=0))[1]
    assert one[0][..., 2].max() == 0 and one[0][..., [0, 1, 3]].min() > 0 and one[1][..., 2].min() > 0


def mixed(backbone):
    """Rows of one batch: prompts and prefixes of unlike lengths, and something else done to each."""
    long, short = random_prefix(backbone, 5, seed=1), random_prefix(backbone, 2, seed=2)
    rows = [
        ("name : Alda", long, Intervention(0)),
        ("Type : pub | area : north", short, Intervention(0.25).without(1)),
        ("x", long, Intervention()),
        ("name", None, Intervention(0)),
        ("near", long, Intervention(4).without(2, 1).without(layer=0)),
    ]
    return [Request(backbone.encode(text), prefix, 7, intervention) for text, prefix, intervention in rows]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["greedy", "sample", "beam"])
def test_different_interventions_in_one_batch_equal_one_by_one(backbone, mode):
    decode, requests = DecodeConfig(mode=mode, beams=4, max_new=10, min_new=3), mixed(backbone)
    together = generate(backbone.model, backbone, requests, decode)
    alone = [generate(backbone.model, backbone, [request], decode)[0] for request in requests]
    assert [generation.ids for generation in together] == [generation.ids for generation in alone]


def test_different_interventions_in_one_batch_have_the_logits_of_one_by_one(backbone):
    requests = mixed(backbone)
    together = DecodingBatch(backbone.model, backbone, requests).logits()
    assert torch.isfinite(together).all()
    for row, request in enumerate(requests):
        close(together[row], DecodingBatch(backbone.model, backbone, [request]).logits()[0])


def test_one_prefix_shared_by_rows_with_different_interventions(backbone):
    """The form the knock-out map takes: the prefix is kept once, the biases a row each."""
    prefix, ids = random_prefix(backbone, 4), backbone.encode("name : Alda")
    done = [Intervention().without(token, layer) for token in range(4) for layer in range(2)]
    state = PrefixState.of([prefix] * 8, backbone.device, backbone.dtype, done)
    assert state.past["decoder"].shape[0] == 1
    places = torch.arange(len(ids))[None] + 4
    with torch.no_grad(), attach(backbone.model, state):
        together = backbone.model(input_ids=torch.tensor([ids] * 8), position_ids=places).logits
    for row, intervention in enumerate(done):
        close(together[row], forward(backbone, ids, prefix, intervention)[0])


def test_cached_decoding_equals_uncached(backbone):
    prefix, ids = random_prefix(backbone, 5), backbone.encode("name : Alda")
    intervention = Intervention(0.5).without(3).without(0, 1)
    request = Request(ids, prefix, intervention=intervention)
    generated = generate(backbone.model, backbone, [request], DecodeConfig(max_new=8))[0].ids
    for step in range(len(generated)):
        assert generated[step] == int(forward(backbone, ids + generated[:step], prefix, intervention)[0][-1].argmax())


def test_nothing_visible_at_all_gives_no_nan(tiny):
    """Padding on the left sees no real token; with the prefix hidden too, its rows see nothing."""
    hidden = Intervention().without()
    requests = [Request([5], random_prefix(tiny, 3), intervention=hidden), Request(tiny.encode("a longer prompt"), None)]
    decoder, recorded = DecodingBatch(tiny.model, tiny, requests), []
    with torch.no_grad(), attach(tiny.model, decoder.state, lambda site, layer, weights: recorded.append(weights)):
        logits = tiny.model(input_ids=decoder.ids, attention_mask=decoder.mask, position_ids=decoder.positions).logits
    assert torch.isfinite(logits).all() and all(torch.isfinite(weights).all() for weights in recorded)
    assert torch.isfinite(decoder.logits()).all()
    assert all(
        math.isfinite(token.logprob) for step in stream(tiny.model, tiny, requests, DecodeConfig(max_new=4)) for token in step
    )


def test_next_words_follow_the_intervention_and_a_row_without_a_prefix_has_none(tiny):
    ids, prefix = tiny.encode("name : Alda"), random_prefix(tiny, 4)
    run, half, none = (
        dict(next_token_probs(tiny.model, tiny, Request(ids, prefix, 0, Intervention(a)), 257)) for a in (1, 0.5, 0)
    )
    assert run != half != none
    plain = next_token_probs(tiny.model, tiny, Request(ids))
    assert next_token_probs(tiny.model, tiny, Request(ids, intervention=Intervention(0).without(99))) == plain


@pytest.mark.parametrize("alpha", [-1, math.nan, math.inf])
def test_a_bad_alpha_is_refused(alpha):
    with pytest.raises(BadConfig, match="alpha"):
        Intervention(alpha)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"token": 4}, "no virtual token 4 .* 0 to 3"),
        ({"layer": 2}, "no layer 2 .* 0 to 1"),
        ({"site": "cross"}, "no site 'cross'"),
    ],
)
def test_a_place_the_prefix_does_not_have_is_named(tiny, place, message):
    request = Request(tiny.encode("x"), random_prefix(tiny, 4), intervention=Intervention().without(**place))
    with pytest.raises(BadInput, match=message):
        generate(tiny.model, tiny, [request], DecodeConfig(max_new=2))


def test_interventions_are_compared_by_what_they_do():
    assert Intervention(2).without(1).without(0) == Intervention(2, [(None, None, 0), (None, None, 1)])
    assert len({Intervention(), Intervention(1.0), Intervention(1, frozenset())}) == 1 and Intervention().is_identity
