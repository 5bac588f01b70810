"""The lens on what a virtual token writes, against its formula written out from the weights."""

import pytest
import torch

from analysis.space.logit_lens import logit_lens_space
from analysis.space.neighbors import nearest, random_control
from analysis.tensor_cache import TensorCache
from core.errors import BadInput, NotSupported
from core.models.loading import load_backbone
from tests.support.tiny_models import make_tiny_backbone, make_tiny_llama, random_prefix
from tests.support.vocabulary_tables import vocabulary_kv

LAYER = 1


def give_biases(backbone):
    """Biases that are not 0, as trained models have."""
    with torch.no_grad():
        for name, parameter in backbone.model.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-1, 1)
    return backbone


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return give_biases(load_backbone(str(make_tiny_backbone(tmp_path_factory.mktemp("models") / "gpt2")), "cpu"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return load_backbone(str(make_tiny_llama(tmp_path_factory.mktemp("models") / "llama")), "cpu")


def lens(backbone, cache, head=None):
    return logit_lens_space(backbone, vocabulary_kv(backbone, "values", LAYER, TensorCache(cache)), head)


@pytest.mark.parametrize("head", [None, 2])
def test_gpt2_value_projection_norm_unembedding_without_biases(gpt2, tmp_path, head):
    space, prefix = lens(gpt2, tmp_path, head), random_prefix(gpt2, 3)
    model, values = gpt2.model.transformer, prefix.past["decoder"][LAYER, 1]  # (heads, P, head_dim)
    scores = space.scores(space.vectors_of(prefix))
    for token in range(3):
        read = torch.zeros(4, 8)
        read[slice(None) if head is None else head] = values[:, token] if head is None else values[head, token]
        written = read.flatten() @ model.h[LAYER].attn.c_proj.weight
        normed = (written - written.mean()) / (written.var(correction=0) + 1e-5).sqrt() * model.ln_f.weight
        logits = model.wte.weight @ normed
        torch.testing.assert_close(scores[token], logits - logits.mean(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("head", [None, 1])
def test_llama_one_head_of_values_serves_a_group(llama, tmp_path, head):
    space, prefix = lens(llama, tmp_path, head), random_prefix(llama, 3)
    model, values = llama.model.model, prefix.past["decoder"][LAYER, 1]  # (2, P, head_dim)
    scores = space.scores(space.vectors_of(prefix))
    for token in range(3):
        written = torch.zeros(32)
        for query in range(4):  # heads 0 and 1 read the first head of values, 2 and 3 the second
            if head is None or query // 2 == head:
                written += model.layers[LAYER].self_attn.o_proj.weight[:, 8 * query : 8 * query + 8] @ values[query // 2, token]
        normed = written / (written.square().mean() + llama.model.config.rms_norm_eps).sqrt() * model.norm.weight
        logits = llama.model.lm_head.weight @ normed
        torch.testing.assert_close(scores[token], logits - logits.mean(), rtol=1e-4, atol=1e-4)


def test_pushed_up_and_down_are_the_two_ends(gpt2, tmp_path):
    space = lens(gpt2, tmp_path)
    vectors = space.vectors_of(random_prefix(gpt2, 2))
    held = random_control(space, k=3, n=50)
    up, down = nearest(space, vectors, 3, held), nearest(space, vectors, 3, held, down=True)
    scores = space.scores(vectors)
    assert [word.id for word in up[:3]] == scores[0].argsort(descending=True)[:3].tolist()
    assert [word.id for word in down[:3]] == scores[0].argsort()[:3].tolist()


def test_on_the_map_directions_stand_beside_the_unembedding(gpt2, tmp_path):
    space, prefix = lens(gpt2, tmp_path), random_prefix(gpt2, 3)
    vectors, rows = space.vectors_of(prefix), gpt2.model.transformer.wte.weight.detach()
    spread = rows - rows.mean(0)
    torch.testing.assert_close(space.unit, spread / spread.norm(dim=-1, keepdim=True))
    cosine, logits = space.normalize(vectors) @ space.unit.T, space.scores(vectors)
    for token in range(3):  # the logit is the product of the lengths and the cosine
        ratio = logits[token] / (cosine[token] * spread.norm(dim=-1))
        torch.testing.assert_close(ratio, ratio[:1].expand(len(ratio)), rtol=1e-2, atol=0)


def test_the_recipe_says_what_is_left_out(gpt2, llama, tmp_path):
    assert "without their biases" in lens(gpt2, tmp_path).recipe and "layer 2" in lens(gpt2, tmp_path).recipe
    assert "head 1 of 2 (kept once for 2 heads)" in lens(llama, tmp_path, 0).recipe


def test_a_model_that_does_not_fit_is_named(llama, tmp_path, monkeypatch):
    values = vocabulary_kv(llama, "values", LAYER, TensorCache(tmp_path))
    with monkeypatch.context() as patch:
        patch.delattr(llama.model.model, "norm")
        with pytest.raises(NotSupported, match="final norm of LlamaForCausalLM"):
            logit_lens_space(llama, values)
    with monkeypatch.context() as patch:
        patch.delattr(llama.model.model.layers[LAYER].self_attn, "o_proj")
        with pytest.raises(NotSupported, match="output projection of LlamaForCausalLM's layer 1"):
            logit_lens_space(llama, values)
    with monkeypatch.context() as patch:  # Gemma's kind of block
        patch.setattr(llama.model.model.layers[LAYER], "post_feedforward_layernorm", torch.nn.Identity(), raising=False)
        with pytest.raises(NotSupported, match="does not fit"):
            logit_lens_space(llama, values)


def test_it_needs_this_models_values(gpt2, llama, tmp_path):
    for values in (
        vocabulary_kv(gpt2, "keys", LAYER, TensorCache(tmp_path)),
        vocabulary_kv(llama, "values", LAYER, TensorCache(tmp_path)),
    ):
        with pytest.raises(BadInput, match="table of values of gpt2"):
            logit_lens_space(gpt2, values)
