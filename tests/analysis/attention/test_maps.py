"""The re-read attention against transformers' own, and its sums against plain loops."""

import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache

from analysis.attention import maps
from analysis.attention.maps import GENERATED, PREFIX, SOURCE, attention_map, attention_mass, token_texts
from analysis.attention.shares import by_head, by_layer, by_step, by_virtual_token, describe_mass, token_mass
from core.config.decode import DecodeConfig
from core.errors import BadInput, TooLong
from core.generation.generate import generate
from core.generation.types import Request
from core.models.loading import load_backbone
from core.prefix.attention import PrefixState, attach
from core.prefix.interventions import Intervention
from core.prefix.mix import Mix, mix_prefixes
from tests.support.tiny_models import make_tiny_backbone, make_tiny_llama, random_prefix

P, WRITTEN = 4, 6


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {"gpt2": make_tiny_backbone(folder / "tiny-gpt2"), "llama": make_tiny_llama(folder / "tiny-llama")}


@pytest.fixture(scope="module")
def backbones(folders):
    return {name: load_backbone(str(folder), "cpu") for name, folder in folders.items()}


@pytest.fixture
def tiny(backbones):
    return backbones["gpt2"]


@pytest.fixture(params=["gpt2", "llama"])
def backbone(request, backbones):
    return backbones[request.param]


def written(backbone, prefix=True, intervention=None, text="name : Alda"):
    """A request and what it generated."""
    request = Request(backbone.encode(text), random_prefix(backbone, P) if prefix else None, 0, intervention or Intervention())
    generation = generate(backbone.model, backbone, [request], DecodeConfig(max_new=WRITTEN, min_new=WRITTEN))[0]
    return request, generation.ids


def eager(folder, request, ids):
    """Weights of transformers' eager attention, the prefix as its own cache; and that cache, filled."""
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    pairs = [(kv[0][None], kv[1][None]) for kv in request.prefix.past["decoder"]] if request.prefix else None
    cache, start = DynamicCache(pairs), request.prefix.length if request.prefix else 0
    whole = torch.tensor([request.prompt_ids + ids])
    places = torch.arange(whole.shape[1])[None] + start
    with torch.no_grad():
        out = model(input_ids=whole, position_ids=places, past_key_values=cache, output_attentions=True)
    return torch.cat(out.attentions), out.past_key_values


@pytest.mark.parametrize("prefixed", [True, False])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_the_map_is_what_eager_attention_says_and_rows_sum_to_one(folders, backbones, name, prefixed):
    backbone = backbones[name]
    request, ids = written(backbone, prefixed)
    attention = attention_map(backbone.model, backbone, request, ids)
    expected, cache = eager(folders[name], request, ids)
    torch.testing.assert_close(attention.weights, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(attention.weights.sum(-1), torch.ones(attention.weights.shape[:-1]), rtol=0, atol=1e-5)
    heads = attention.weights.shape[1]
    for layer, layer_cache in enumerate(cache.layers):  # values of the virtual tokens and of the text
        norms = layer_cache.values[0].norm(dim=-1).repeat_interleave(heads // layer_cache.values.shape[1], 0)
        torch.testing.assert_close(attention.norms[layer], norms, rtol=1e-4, atol=1e-5)
    assert attention.weights.shape[-2:] == (len(attention.tokens), len(attention.key_tokens))


def test_tokens_are_named_and_virtual_ones_are_no_words(tiny):
    request, ids = written(tiny)
    attention = attention_map(tiny.model, tiny, request, ids)
    assert attention.key_tokens[:P] == ("P1", "P2", "P3", "P4") and attention.key_tokens[P:] == attention.tokens
    assert "".join(attention.tokens[: attention.source]) == "name : Alda" and len(attention.generated_tokens) == WRITTEN
    assert (attention.virtual, attention.source, attention.site, attention.layers) == (P, 11, "decoder", (0, 1))


def test_nothing_is_seen_before_it_is_read(tiny):
    request, ids = written(tiny)
    text = attention_map(tiny.model, tiny, request, ids).weights[..., P:]
    assert text.triu(1).max() == 0


def test_masses_equal_plain_loops_over_the_map(backbone):
    request, ids = written(backbone)
    attention, mass = (
        attention_map(backbone.model, backbone, request, ids),
        attention_mass(backbone.model, backbone, request, ids),
    )
    groups = [range(P), range(P, P + attention.source), range(P + attention.source, len(attention.key_tokens))]
    layers, heads, queries, _ = attention.weights.shape
    for layer in range(layers):
        for head in range(heads):
            for query in range(queries):
                row = attention.weights[layer, head, query].tolist()
                message = [weight * norm for weight, norm in zip(row, attention.norms[layer, head].tolist(), strict=True)]
                plain = [sum(row[key] for key in group) for group in groups]
                weighted = [sum(message[key] for key in group) / sum(message) for group in groups]
                assert mass.mass[layer, head, query].tolist() == pytest.approx(plain, abs=1e-5)
                assert mass.weighted[layer, head, query].tolist() == pytest.approx(weighted, abs=1e-5)
    again = attention.mass()
    torch.testing.assert_close(again.mass, mass.mass)
    torch.testing.assert_close(again.weighted, mass.weighted)
    for layer in range(layers):
        for token in range(P):
            plain = [
                attention.weights[layer, head, step, token].item() for head in range(heads) for step in attention.step_queries
            ]
            assert by_virtual_token(mass)[token, layer].item() == pytest.approx(sum(plain) / len(plain), abs=1e-6)
    torch.testing.assert_close(again.per_virtual_token, mass.per_virtual_token)


def test_each_step_is_the_attention_that_the_token_was_generated_with(backbone):
    """The reference: the text up to that token, its last query; the token read is the one before the token written."""
    request, ids = written(backbone)
    mass = attention_mass(backbone.model, backbone, request, ids)
    steps = by_step(mass)
    assert steps.shape == (WRITTEN, 3) and steps[0, GENERATED] == 0 and steps[1, GENERATED] > 0
    state = PrefixState.of([request.prefix], backbone.device, backbone.dtype)
    for step in range(WRITTEN):
        sofar, rows = request.prompt_ids + ids[:step], []
        with (
            torch.no_grad(),
            attach(backbone.model, state, lambda site, layer, weights, rows=rows: rows.append(weights[0, :, -1])),
        ):
            backbone.model(input_ids=torch.tensor([sofar]), position_ids=torch.arange(len(sofar))[None] + P)
        plain = torch.stack(rows)[..., :P].sum(-1).mean()
        assert steps[step, PREFIX].item() == pytest.approx(plain.item(), abs=1e-5)
    named = token_mass(mass)
    assert [share for _, share in named] == steps[:, PREFIX].tolist() and tuple(
        word for word, _ in named
    ) == mass.generated_tokens


def test_views_are_means_over_what_was_chosen(tiny):
    request, ids = written(tiny)
    mass = attention_mass(tiny.model, tiny, request, ids)
    steps = list(mass.step_queries)
    assert steps == list(range(mass.source - 1, mass.source - 1 + WRITTEN))
    torch.testing.assert_close(by_layer(mass), mass.mass[:, :, steps].mean((1, 2)))
    torch.testing.assert_close(by_layer(mass, [3, 5], head=2), mass.mass[:, 2, [3, 5]].mean(1))
    torch.testing.assert_close(by_head(mass), mass.mass[:, :, steps, PREFIX].mean(2))
    torch.testing.assert_close(by_head(mass, [0], SOURCE, weighted=True), mass.weighted[:, :, 0, SOURCE])
    torch.testing.assert_close(by_step(mass, layer=1, head=3), mass.mass[1, 3, steps])
    torch.testing.assert_close(by_layer(mass, weighted=True).sum(-1), torch.ones(2))


def test_a_map_of_some_layers_is_that_part_of_the_whole(tiny):
    request, ids = written(tiny)
    whole, part = (attention_map(tiny.model, tiny, request, ids, layers) for layers in (None, [1]))
    assert part.layers == (1,) and torch.equal(part.weights[0], whole.weights[1])
    torch.testing.assert_close(by_step(part.mass(), layer=1), by_step(whole.mass(), layer=1))
    assert "layer" not in describe_mass(part.mass())
    with pytest.raises(BadInput, match=r"no layer 2: .* layers 0 to 1"):
        attention_map(tiny.model, tiny, request, ids, [2])


def test_a_map_beyond_the_memory_limit_is_refused_and_its_parts_and_masses_are_not(tiny, monkeypatch):
    request, ids = written(tiny)
    one = attention_map(tiny.model, tiny, request, ids, [0])
    monkeypatch.setattr(maps, "MEMORY", one.weights.numel() * 4)
    with pytest.raises(TooLong, match=r"2 layers over 17 tokens .* fewer layers"):
        attention_map(tiny.model, tiny, request, ids)
    assert torch.equal(attention_map(tiny.model, tiny, request, ids, [0]).weights, one.weights)
    assert attention_mass(tiny.model, tiny, request, ids).mass.shape == (2, 4, 17, 3)


def test_the_map_shows_the_intervention(tiny):
    request, ids = written(tiny)
    turned = Request(request.prompt_ids, request.prefix, 0, Intervention(0.5).without(token=1, layer=1))
    before, after = (attention_map(tiny.model, tiny, one, ids) for one in (request, turned))
    mass = before.weights[0, ..., :P].sum(-1)
    torch.testing.assert_close(after.weights[0, ..., :P].sum(-1), 0.5 * mass / (0.5 * mass + 1 - mass), rtol=0, atol=1e-6)
    assert after.weights[1, ..., 1].max() == 0 and after.weights[1, ..., 0].min() > 0


def test_the_picture_is_read_out_in_one_sentence(tiny):
    request, ids = written(tiny)
    mass = attention_mass(tiny.model, tiny, request, ids)
    layers = by_layer(mass)
    shares = [f"{100 * share:.0f} %" for share in layers.mean(0)]
    most, least = int(layers[:, PREFIX].argmax()), int(layers[:, PREFIX].argmin())
    assert most != least
    assert describe_mass(mass, "the table") == (
        f"While these 6 tokens were written, the prefix drew {shares[0]} of the attention, the table {shares[1]} and the text "
        f"written so far {shares[2]}; it drew most in layer {most + 1} ({100 * layers[most, PREFIX]:.0f} %) and least in "
        f"layer {least + 1} ({100 * layers[least, PREFIX]:.0f} %)."
    )
    hidden = Request(request.prompt_ids, request.prefix, 0, Intervention(0))
    assert "the prefix is hidden" in describe_mass(attention_mass(tiny.model, tiny, hidden, ids))
    none = Request(request.prompt_ids)
    assert "there is no prefix here" in describe_mass(attention_mass(tiny.model, tiny, none, ids))


def test_before_anything_is_written_the_next_word_is_looked_at(tiny):
    request, _ = written(tiny)
    mass = attention_mass(tiny.model, tiny, request, [])
    assert list(mass.step_queries) == [10] and token_mass(mass) == [] and describe_mass(mass).startswith("For the next token")
    assert by_layer(mass)[:, GENERATED].tolist() == [0, 0]


@pytest.mark.parametrize("text", ["café – £20 🙂 end", "🙂", "a\ufffdb"])
def test_pieces_are_the_whole_text_when_put_together(tiny, text):
    """A byte-level tokenizer cuts characters into pieces that mean nothing alone."""
    ids = tiny.encode(text)
    texts = token_texts(tiny, ids)
    assert "".join(texts) == text and len(texts) == len(ids)
    assert token_texts(tiny, [0, *ids])[0] == "<|endoftext|>"


def test_nothing_to_read_and_too_much_to_read_are_refused(tiny):
    with pytest.raises(BadInput, match="empty"):
        attention_mass(tiny.model, tiny, Request([]), [5])
    with pytest.raises(TooLong, match="256 positions"):
        attention_map(tiny.model, tiny, Request([5] * 200, random_prefix(tiny, 10)), [6] * 50)


def test_reading_leaves_the_model_as_it_was(tiny):
    request, ids = written(tiny)
    attention_mass(tiny.model, tiny, request, ids)
    assert tiny.model.prefix_slot.state is None and tiny.model.prefix_slot.weights_hook is None
    assert written(tiny)[1] == ids


def test_what_a_fade_writes_at_the_last_positions_can_be_read_again(tiny):
    prefix, intervention = mix_prefixes(
        Mix("fade", ("a", "b"), (0.5, 0.5)), [random_prefix(tiny, 30), random_prefix(tiny, 20, seed=1)]
    )
    request = Request(tiny.encode("x" * (tiny.spec.positions - 30 - WRITTEN)), prefix, intervention=intervention)
    ids = generate(tiny.model, tiny, [request], DecodeConfig(max_new=WRITTEN, min_new=WRITTEN))[0].ids
    assert attention_mass(tiny.model, tiny, request, ids).virtual == 50
    with pytest.raises(TooLong, match="the prefix takes 30 of them"):
        attention_mass(tiny.model, tiny, request, [*ids, 5])
