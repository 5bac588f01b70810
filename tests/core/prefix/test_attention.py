"""The injection: what a prefix changes, and what it must not."""

import copy

import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache

from core.config.decode import DecodeConfig
from core.generation.generate import generate, stream
from core.generation.types import Request
from core.models.activations import text_key_values
from core.prefix.attention import PrefixState, attach
from core.prefix.prefix import Prefix
from tests.support.tiny_models import random_prefix

PROMPTS = ["name : Alda", "Type : pub | area : north", "x"]


@pytest.fixture(params=["gpt2", "llama"])
def backbone(request, tiny, llama):
    return {"gpt2": tiny, "llama": llama}[request.param]


def forward(backbone, ids, prefix=None, **kwargs):
    state = PrefixState.of([prefix] * len(ids), backbone.device, backbone.dtype)
    start = prefix.length if prefix else 0
    places = torch.arange(ids.shape[1])[None] + start
    with torch.no_grad(), attach(backbone.model, state):
        return backbone.model(input_ids=ids, position_ids=places, **kwargs).logits


def test_no_prefix_is_the_plain_model(tiny, tiny_folder):
    plain = AutoModelForCausalLM.from_pretrained(tiny_folder, attn_implementation="sdpa").eval()
    ids = torch.tensor([tiny.encode("name : Alda | Type : pub")])
    with torch.no_grad():
        assert torch.equal(tiny.model(input_ids=ids).logits, plain(input_ids=ids).logits)


def test_attach_and_detach_leaves_outputs_and_weights_bit_identical(backbone):
    ids = torch.tensor([backbone.encode("name : Alda")])
    before, weights = forward(backbone, ids), copy.deepcopy(backbone.model.state_dict())
    assert not torch.allclose(before, forward(backbone, ids, random_prefix(backbone, 5)))
    assert torch.equal(before, forward(backbone, ids))
    assert all(torch.equal(weights[name], value) for name, value in backbone.model.state_dict().items())


def test_detached_even_when_the_forward_call_fails(tiny):
    state = PrefixState.of([random_prefix(tiny, 3)], tiny.device, tiny.dtype)
    with pytest.raises(ZeroDivisionError), attach(tiny.model, state):
        raise ZeroDivisionError
    assert tiny.model.prefix_slot.state is None


def test_prefix_equals_the_cache_it_stands_for(backbone):
    """The reference: transformers' own cache, filled with the same keys and values."""
    prefix = random_prefix(backbone, 6)
    ids = torch.tensor([backbone.encode("name : Alda | Type : pub")])
    pairs = [(kv[0][None], kv[1][None]) for kv in prefix.past["decoder"]]
    with torch.no_grad():
        cached = backbone.model(
            input_ids=ids, past_key_values=DynamicCache(pairs), position_ids=torch.arange(ids.shape[1])[None] + 6
        )
    torch.testing.assert_close(forward(backbone, ids, prefix), cached.logits, rtol=1e-4, atol=1e-5)


def test_text_run_through_the_model_is_a_prefix(backbone):

    whole = backbone.encode("a short text before the input")
    past = text_key_values(backbone, whole[:12])
    typed = forward(backbone, torch.tensor([whole]))[:, 12:]
    torch.testing.assert_close(forward(backbone, torch.tensor([whole[12:]]), Prefix(past)), typed, rtol=1e-4, atol=1e-5)


def test_matmul_path_equals_sdpa_path(backbone):
    ids = torch.tensor([backbone.encode("name : Alda | Type : pub")])
    prefix = random_prefix(backbone, 4)
    state = PrefixState.of([prefix], backbone.device, backbone.dtype)
    with torch.enable_grad(), attach(backbone.model, state):
        trained = backbone.model(input_ids=ids, position_ids=torch.arange(ids.shape[1])[None] + 4).logits
    torch.testing.assert_close(trained, forward(backbone, ids, prefix), rtol=1e-4, atol=1e-5)


def test_recorded_weights_sum_to_one_and_count_the_virtual_tokens(tiny):
    recorded = {}
    ids = torch.tensor([tiny.encode("name")])
    state = PrefixState.of([random_prefix(tiny, 4)], tiny.device, tiny.dtype)
    with torch.no_grad(), attach(tiny.model, state, lambda site, layer, weights: recorded.update({(site, layer): weights})):
        tiny.model(input_ids=ids)
    assert set(recorded) == {("decoder", 0), ("decoder", 1)}
    assert recorded["decoder", 0].shape == (1, 4, 4, 8)
    torch.testing.assert_close(recorded["decoder", 1].sum(-1), torch.ones(1, 4, 4))


MIXED = [5, 0, 2]  # prefix lengths; 0 is none


def mixed_requests(backbone):
    prefixes = [random_prefix(backbone, length, seed=length) if length else None for length in MIXED]
    return [Request(backbone.encode(text), prefix, seed=7) for text, prefix in zip(PROMPTS, prefixes, strict=True)]


@pytest.mark.parametrize("mode", ["greedy", "sample", "beam"])
def test_different_prefixes_in_one_batch_equal_one_by_one(backbone, mode):
    decode = DecodeConfig(mode=mode, beams=5, max_new=12, min_new=3)
    requests = mixed_requests(backbone)
    together = generate(backbone.model, backbone, requests, decode)
    alone = [generate(backbone.model, backbone, [request], decode)[0] for request in requests]
    assert [g.ids for g in together] == [g.ids for g in alone]
    for one, other in zip(together, alone, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_different_prefixes_in_one_batch_have_the_logits_of_one_by_one(backbone):
    from core.generation.decoding_batch import DecodingBatch

    requests = mixed_requests(backbone)
    together = DecodingBatch(backbone.model, backbone, requests).logits()
    for row, request in enumerate(requests):
        alone = DecodingBatch(backbone.model, backbone, [request]).logits()[0]
        torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=2e-5)


def test_cached_decoding_equals_uncached(backbone):
    prefix = random_prefix(backbone, 5)
    ids = backbone.encode("name : Alda")
    generated = generate(backbone.model, backbone, [Request(ids, prefix)], DecodeConfig(max_new=10, min_new=10))[0].ids
    slow = []
    for _ in range(10):
        logits = forward(backbone, torch.tensor([ids + slow]), prefix, use_cache=False)[0, -1].clone()
        logits[0] = -torch.inf if len(slow) < 10 else logits[0]
        slow.append(int(logits.argmax()))
    assert generated == slow


def test_interleaved_streams_do_not_mix(tiny):
    decode = DecodeConfig(max_new=10, min_new=10)
    requests = [Request(tiny.encode("name : Alda"), random_prefix(tiny, 5, seed)) for seed in (1, 2)]
    alone = [generate(tiny.model, tiny, [request], decode)[0].ids for request in requests]
    assert alone[0] != alone[1]
    streams = [stream(tiny.model, tiny, [request], decode) for request in requests]
    mixed = [[], []]
    for steps in zip(*streams, strict=True):
        for ids, step in zip(mixed, steps, strict=True):
            assert tiny.model.prefix_slot.state is None  # nothing is held across the yield
            ids.append(step[0].id)
    assert mixed == alone
