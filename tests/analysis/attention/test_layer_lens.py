"""The lens against the model's own probabilities, and against one plain forward pass over its blocks."""

import math

import pytest
import torch

from analysis.attention.layer_lens import layer_lens, layer_logits
from core.config.decode import DecodeConfig
from core.generation.generate import generate, next_token_probs
from core.generation.types import Request
from core.models.loading import load_backbone
from core.prefix.attention import PrefixState, attach
from core.prefix.interventions import Intervention
from tests.support.tiny_models import make_tiny_backbone, make_tiny_bart, make_tiny_llama, random_prefix

P, LAYERS, WRITTEN = 3, 2, 4
MAKERS = [make_tiny_backbone, make_tiny_llama, make_tiny_bart]


@pytest.fixture(scope="module", params=MAKERS, ids=["gpt2", "llama", "bart"])
def backbone(request, tmp_path_factory):
    return load_backbone(str(request.param(tmp_path_factory.mktemp("models") / "tiny")), "cpu")


def written(backbone, **changes):
    request = Request(backbone.encode("name : Alda"), random_prefix(backbone, P, scale=0.7), **changes)
    return request, generate(backbone.model, backbone, [request], DecodeConfig(max_new=WRITTEN, min_new=WRITTEN))[0].ids


def hidden_after_each_block(backbone, request, ids):
    """(tokens, width) a layer of the decoder, caught at the blocks themselves."""
    base, caught = backbone.model.base_model, []
    blocks = base.decoder.layers if backbone.decoder_start_ids else getattr(base, "h", None) or base.layers
    hooks = [
        block.register_forward_hook(lambda _m, _i, out: caught.append(out[0] if isinstance(out, tuple) else out))
        for block in blocks
    ]
    state = PrefixState.of([request.prefix], backbone.device, backbone.dtype, [request.intervention])
    prompt = torch.tensor([request.prompt_ids])
    if backbone.decoder_start_ids:
        inputs = {"input_ids": prompt, "decoder_input_ids": torch.tensor([[*backbone.decoder_start_ids, *ids]])}
    else:
        text = torch.tensor([request.prompt_ids + ids])
        start = request.prefix.length if request.prefix else 0
        inputs = {"input_ids": text, "position_ids": torch.arange(text.shape[1])[None] + start}
    try:
        with torch.no_grad(), attach(backbone.model, state):
            logits = backbone.model(**inputs, use_cache=False).logits[0]
    finally:
        for hook in hooks:
            hook.remove()
    return [states[0] for states in caught], logits


def lens_by_hand(backbone, hidden):
    base, head = backbone.model.base_model, backbone.model.get_output_embeddings()
    if backbone.decoder_start_ids:
        return head(hidden) + backbone.model.final_logits_bias[0]
    return head((base.ln_f if hasattr(base, "ln_f") else base.norm)(hidden))


@pytest.mark.parametrize("own", [Intervention(), Intervention(0.5).without(1, 0)])
def test_each_layer_is_read_through_the_final_norm_and_the_unembedding(backbone, own):
    request, ids = written(backbone, intervention=own)
    first = len(backbone.decoder_start_ids or request.prompt_ids) - 1
    queries = range(first, first + WRITTEN)
    layers = list(layer_logits(backbone.model, backbone, request, ids, queries))
    hidden, logits = hidden_after_each_block(backbone, request, ids)
    assert len(layers) == len(hidden) == LAYERS
    for layer in range(LAYERS):
        with torch.no_grad():
            torch.testing.assert_close(layers[layer], lens_by_hand(backbone, hidden[layer][list(queries)]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layers[-1], logits[list(queries)], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(layers[0], layers[-1], atol=0.1)


def test_the_last_row_is_the_models_own_next_token_distribution(backbone):
    request, ids = written(backbone)
    lens = layer_lens(backbone.model, backbone, request, ids)
    alone = Request(request.prompt_ids)
    for rows, asked in ((lens.prefix, request), (lens.frozen, alone)):
        own = next_token_probs(backbone.model, backbone, asked, k=5)
        assert [word for word, _ in rows[-1][0]] == [word for word, _ in own]
        assert [share for _, share in rows[-1][0]] == pytest.approx([share for _, share in own], abs=1e-5)


def test_a_cell_is_the_divergence_of_the_two_distributions_in_plain_python(backbone):
    request, ids = written(backbone)
    lens = layer_lens(backbone.model, backbone, request, ids)
    pair = [hidden_after_each_block(backbone, asked, ids)[0] for asked in (request, Request(request.prompt_ids))]
    first = len(backbone.decoder_start_ids or request.prompt_ids) - 1
    assert lens.kl.shape == (LAYERS, WRITTEN) and len(lens.tokens) == WRITTEN
    for layer in range(LAYERS):
        for step in range(WRITTEN):
            with torch.no_grad():
                p, q = (lens_by_hand(backbone, states[layer][first + step]).double().softmax(-1).tolist() for states in pair)
            slow = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
            assert lens.kl[layer, step].item() == pytest.approx(slow, rel=1e-3, abs=1e-5)
    assert lens.kl.max() > 0.01
    assert "differ most after layer" in lens.describe()


def test_without_a_prefix_both_say_the_same_and_a_token_settles_where_its_top_word_stays(backbone):
    request, ids = written(backbone)
    lens = layer_lens(backbone.model, backbone, Request(request.prompt_ids), ids)
    assert not lens.kl.any() and lens.prefix == lens.frozen
    assert lens.describe() == "With and without the prefix, every layer predicts the same."
    for step, settled in enumerate(layer_lens(backbone.model, backbone, request, ids).settled):
        assert 0 <= settled < LAYERS and isinstance(step, int)


def test_a_chosen_query_and_the_next_token_that_is_not_there_yet(backbone):
    request, ids = written(backbone)
    last = len(backbone.decoder_start_ids or request.prompt_ids) + WRITTEN - 1
    lens = layer_lens(backbone.model, backbone, request, ids, queries=[last], k=3)
    assert lens.tokens == ("",) and lens.kl.shape == (LAYERS, 1) and len(lens.prefix[0][0]) == 3
