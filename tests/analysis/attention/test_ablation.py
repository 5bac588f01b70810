"""The knock-out map against one forward call a knock-out."""

import math

import pytest
import torch

from analysis.attention import ablation as module
from analysis.attention.ablation import ablation_effect, iter_ablations, kl_divergence
from analysis.attention.maps import token_texts
from core.config.decode import DecodeConfig
from core.errors import BadInput
from core.generation.generate import generate
from core.generation.types import Request
from core.models.loading import load_backbone
from core.prefix.attention import PrefixState, attach
from core.prefix.interventions import Intervention
from tests.support.tiny_models import make_tiny_backbone, make_tiny_llama, random_prefix

P, LAYERS, WRITTEN = 3, 2, 4


@pytest.fixture(scope="module", params=[make_tiny_backbone, make_tiny_llama])
def backbone(request, tmp_path_factory):
    return load_backbone(str(request.param(tmp_path_factory.mktemp("models") / "tiny")), "cpu")


def written(backbone, intervention=None):
    prompt = backbone.encode("name : Alda")
    request = Request(prompt, random_prefix(backbone, P, scale=0.7), 0, intervention or Intervention())
    return request, generate(backbone.model, backbone, [request], DecodeConfig(max_new=WRITTEN, min_new=WRITTEN))[0].ids


def next_word(backbone, request, text, intervention):
    """Probabilities of the next word after `text`, in plain Python."""
    state = PrefixState.of([request.prefix], backbone.device, backbone.dtype, [intervention])
    with torch.no_grad(), attach(backbone.model, state):
        places = torch.arange(len(text))[None] + P
        return backbone.model(input_ids=torch.tensor([text]), position_ids=places).logits[0, -1].double().softmax(-1).tolist()


@pytest.mark.parametrize("own", [Intervention(), Intervention(0.5).without(1, 0)])
def test_the_map_is_the_divergence_of_one_knock_out_at_a_time(backbone, own):
    request, ids = written(backbone, own)
    effect = ablation_effect(backbone.model, backbone, request, ids)
    assert effect.kl.shape == (P, LAYERS, WRITTEN) and effect.tokens == token_texts(backbone, request.prompt_ids + ids)[-WRITTEN:]
    for step in range(WRITTEN):
        text = request.prompt_ids + ids[:step]
        plain = next_word(backbone, request, text, own)
        for token in range(P):
            for layer in range(LAYERS):
                changed = next_word(backbone, request, text, own.without(token, layer))
                slow = sum(p * math.log(p / q) for p, q in zip(plain, changed, strict=True))
                assert effect.kl[token, layer, step].item() == pytest.approx(slow, rel=1e-3, abs=1e-5)
    assert effect.kl.max() > 0.01
    torch.testing.assert_close(effect.mean, effect.kl.mean(-1))


def test_what_is_out_already_changes_nothing(backbone):
    request, ids = written(backbone, Intervention().without(token=2))
    effect = ablation_effect(backbone.model, backbone, request, ids).kl
    assert effect[2].max() < 1e-6 and effect[:2].mean(-1).min() > 1e-5


def test_chunks_give_the_map_of_one_batch_and_say_how_far_they_are(backbone, monkeypatch):
    request, ids = written(backbone)
    ((whole, done, total),) = iter_ablations(backbone.model, backbone, request, ids)  # fits: one batch
    assert (done, total) == (P * LAYERS, P * LAYERS)
    monkeypatch.setattr(module, "MEMORY", 1)
    parts = list(iter_ablations(backbone.model, backbone, request, ids))
    assert [part[1:] for part in parts] == [(count + 1, total) for count in range(total)]
    assert int(parts[1][0].kl.isnan().all(-1).sum()) == total - 2 and not parts[-1][0].kl.isnan().any()
    torch.testing.assert_close(parts[-1][0].kl, whole.kl, rtol=1e-3, atol=1e-5)


def test_chosen_queries_and_a_text_with_nothing_written_yet(backbone):
    request, ids = written(backbone)
    whole = ablation_effect(backbone.model, backbone, request, ids)
    one = ablation_effect(backbone.model, backbone, request, ids, [whole.queries[2]])
    torch.testing.assert_close(one.kl[..., 0], whole.kl[..., 2], rtol=1e-3, atol=1e-5)
    ahead = ablation_effect(backbone.model, backbone, request, [])
    torch.testing.assert_close(ahead.kl[..., 0], whole.kl[..., 0], rtol=1e-3, atol=1e-5)
    assert ahead.tokens == ("",)


def test_a_request_without_a_prefix_says_what_to_choose(backbone):
    with pytest.raises(BadInput, match="no prefix to knock out"):
        ablation_effect(backbone.model, backbone, Request([5]), [6])


def test_divergence_is_that_of_the_definition():
    p, q = torch.tensor([0.5, 0.25, 0.25]), torch.tensor([0.25, 0.25, 0.5])
    assert kl_divergence(p.log(), q.log()).item() == pytest.approx(0.5 * math.log(2) - 0.25 * math.log(2))
    assert kl_divergence(p.log() + 3, p.log()).item() == 0  # logits, up to a constant
