"""BART: prefixes at three sites, positions that stay where they are, and batches that equal one by one."""

import copy
import json

import pytest
import torch
from tokenizers import pre_tokenizers
from transformers import (
    AutoModelForSeq2SeqLM,
    BartConfig,
    BartForConditionalGeneration,
    DynamicCache,
    EncoderDecoderCache,
    GenerationConfig,
    T5Config,
)

from core.config.decode import DecodeConfig
from core.errors import NotSupported, TooLong, WrongBackbone
from core.generation.generate import generate, next_token_probs, stream
from core.generation.types import Request
from core.models.activations import initial_key_values, text_key_values
from core.models.inputs import encode_input, task_for_backbone
from core.models.loading import load_backbone
from core.models.padding import right_pad
from core.prefix.attention import PrefixState, attach
from core.prefix.interventions import Intervention
from core.prefix.prefix import Prefix, check_shape
from tests.support.tiny_models import make_tiny_bart, make_tokenizer, random_prefix

SOURCES = ["The harbour was closed on Monday.", "Rain.", "Two ferries were late"]
SITES = ("encoder", "decoder", "cross")


def ids_of(backbone, text):
    return backbone.encode(f"<s>{text}</s>")


def forward(backbone, sources, prefixes=None, interventions=None, model=None):
    """Logits for the same eight decoder tokens after each source: (rows, 8, vocabulary)."""
    model = model or backbone.model
    ids, mask = right_pad([ids_of(backbone, text) for text in sources], backbone.device)
    state = PrefixState.of(prefixes, backbone.device, backbone.dtype, interventions) if prefixes else None
    written = torch.tensor([[*backbone.decoder_start_ids, *backbone.encode("It did")]] * len(sources))
    with torch.no_grad(), attach(model, state):
        return model(input_ids=ids, attention_mask=mask, decoder_input_ids=written, use_cache=False).logits


def only(prefix, site):
    """A prefix that stands at one site; the same length at the others, where it is hidden."""
    others = [(other, None, None) for other in SITES if other != site]
    return prefix, Intervention(1.0, frozenset(others))


def test_spec_says_family_and_sites(bart):
    assert (bart.spec.family, bart.spec.sites, bart.spec.layers, bart.spec.is_encoder_decoder) == ("seq2seq", SITES, 2, True)
    assert [bart.spec.depth(site) for site in SITES] == [3, 2, 2]
    assert bart.decoder_start_ids == (258, 257)  # </s> <s>, as BART's decoder begins


def test_no_prefix_is_the_plain_model(bart, bart_folder):
    plain = AutoModelForSeq2SeqLM.from_pretrained(bart_folder, attn_implementation="sdpa").eval()
    plain.prefix_slot = bart.model.prefix_slot
    assert torch.equal(forward(bart, SOURCES), forward(bart, SOURCES, model=plain))


def test_attach_and_detach_leaves_outputs_and_weights_bit_identical(bart):
    before, weights = forward(bart, SOURCES), copy.deepcopy(bart.model.state_dict())
    assert not torch.allclose(before, forward(bart, SOURCES, [random_prefix(bart, 5)] * 3))
    assert torch.equal(before, forward(bart, SOURCES))
    assert all(torch.equal(weights[name], value) for name, value in bart.model.state_dict().items())


@pytest.mark.parametrize("site", SITES)
def test_each_site_has_a_say(bart, site):
    prefix, intervention = only(random_prefix(bart, 5), site)
    changed = forward(bart, SOURCES[:1], [prefix], [intervention])
    assert not torch.allclose(changed, forward(bart, SOURCES[:1]), atol=1e-2)


def test_a_hidden_prefix_is_the_plain_model_for_no_position_has_moved(bart):
    hidden = forward(bart, SOURCES, [random_prefix(bart, 5)] * 3, [Intervention(0.0)] * 3)
    torch.testing.assert_close(hidden, forward(bart, SOURCES), rtol=1e-4, atol=1e-5)


def test_alpha_can_be_one_sites_own(bart):
    prefix = random_prefix(bart, 5)
    quiet = forward(bart, SOURCES[:1], [prefix], [Intervention(site_alphas=frozenset({("cross", 0.0)}))])
    out = forward(bart, SOURCES[:1], [prefix], [Intervention(1.0, frozenset({("cross", None, None)}))])
    torch.testing.assert_close(quiet, out, rtol=1e-4, atol=1e-5)


def test_cross_prefix_equals_a_cache_with_the_same_keys_and_values(bart):
    """The reference: transformers' own cache of what the decoder reads, with the virtual tokens put before it."""
    prefix, intervention = only(random_prefix(bart, 5), "cross")
    ids = torch.tensor([ids_of(bart, SOURCES[0])])
    written = torch.tensor([[*bart.decoder_start_ids, *bart.encode("It did")]])
    with torch.no_grad():
        encoded = bart.model.get_encoder()(input_ids=ids).last_hidden_state
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        for layer, module in enumerate(bart.model.model.decoder.layers):
            attention, own = module.encoder_attn, prefix.past["cross"][layer]
            pair = [p(encoded).view(1, -1, 4, 8).transpose(1, 2) for p in (attention.k_proj, attention.v_proj)]
            cache.cross_attention_cache.update(*(torch.cat([kv[None], x], 2) for kv, x in zip(own, pair, strict=True)), layer)
            cache.is_updated[layer] = True
        expected = bart.model(encoder_outputs=(encoded,), decoder_input_ids=written, past_key_values=cache).logits
    torch.testing.assert_close(forward(bart, SOURCES[:1], [prefix], [intervention]), expected, rtol=1e-4, atol=1e-5)


def test_encoder_prefix_equals_attention_written_out(bart):
    """The reference: the encoder's first layer by hand, softmax(q [k_prefix; k]ᵀ) [v_prefix; v]."""
    prefix, ids = random_prefix(bart, 5), torch.tensor([ids_of(bart, SOURCES[0])])
    calls = []
    layer = bart.model.model.encoder.layers[0].self_attn
    hook = layer.register_forward_hook(lambda _module, inputs, outputs: calls.append((inputs[0], outputs[0])))
    with torch.no_grad(), attach(bart.model, PrefixState.of([prefix], bart.device, bart.dtype)):
        bart.model.get_encoder()(input_ids=ids)
        hook.remove()
        q, k, v = (p(calls[0][0]).view(-1, 4, 8).transpose(0, 1) for p in (layer.q_proj, layer.k_proj, layer.v_proj))
        keys, values = (torch.cat([own, x], 1) for own, x in zip(prefix.past["encoder"][0], (k, v), strict=True))
        mixed = (q @ keys.transpose(1, 2) / 8**0.5).softmax(-1) @ values
        expected = layer.out_proj(mixed.transpose(0, 1).flatten(1))
    torch.testing.assert_close(calls[0][1][0], expected, rtol=1e-4, atol=1e-5)


def mixed_requests(backbone):
    prefixes = [random_prefix(backbone, length, seed=length) if length else None for length in (5, 0, 2)]
    return [Request(ids_of(backbone, text), prefix, seed=7) for text, prefix in zip(SOURCES, prefixes, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "beams"), [("greedy", 1), ("sample", 1), ("beam", 1), ("beam", 5), ("beam", 6)])
def test_different_prefixes_in_one_batch_equal_one_by_one(bart, mode, beams):
    decode = DecodeConfig(mode=mode, beams=beams, max_new=14, min_new=4, length_penalty=0.8)
    requests = mixed_requests(bart)
    together = generate(bart.model, bart, requests, decode)
    alone = [generate(bart.model, bart, [request], decode)[0] for request in requests]
    assert [g.ids for g in together] == [g.ids for g in alone]
    for one, other in zip(together, alone, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_different_prefixes_in_one_batch_have_the_logits_of_one_by_one(bart):
    prefixes = [random_prefix(bart, 5), None, random_prefix(bart, 2, 1)]
    together = forward(bart, SOURCES, prefixes)
    for row, (text, prefix) in enumerate(zip(SOURCES, prefixes, strict=True)):
        alone = forward(bart, [text], [prefix])
        torch.testing.assert_close(together[row], alone[0], rtol=1e-4, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("no_repeat", [0, 2])
@pytest.mark.parametrize(("mode", "beams"), [("greedy", 1), ("beam", 5), ("beam", 6)])
def test_equals_transformers_own_generation_on_the_plain_model(bart, bart_folder, mode, beams, no_repeat):
    plain = AutoModelForSeq2SeqLM.from_pretrained(bart_folder).eval()
    ids = ids_of(bart, SOURCES[0])
    config = GenerationConfig(
        num_beams=beams, do_sample=False, max_new_tokens=15, min_new_tokens=4, length_penalty=0.8, eos_token_id=258,
        pad_token_id=259, decoder_start_token_id=258, no_repeat_ngram_size=no_repeat,
    )  # fmt: skip
    start = torch.tensor([bart.decoder_start_ids])
    expected = plain.generate(torch.tensor([ids]), decoder_input_ids=start, generation_config=config)[0, 2:].tolist()
    decode = DecodeConfig(mode=mode, beams=beams, max_new=15, min_new=4, length_penalty=0.8, no_repeat=no_repeat)
    generated = generate(bart.model, bart, [Request(ids)], decode)[0].ids
    assert generated == [token for place, token in enumerate(expected) if 258 not in expected[:place]]


def test_cached_decoding_equals_uncached(bart):
    prefix, ids = random_prefix(bart, 5), ids_of(bart, SOURCES[0])
    generated = generate(bart.model, bart, [Request(ids, prefix)], DecodeConfig(max_new=10, min_new=10))[0].ids
    slow: list[int] = []
    for _ in range(10):
        with torch.no_grad(), attach(bart.model, PrefixState.of([prefix], bart.device, bart.dtype)):
            written = torch.tensor([[*bart.decoder_start_ids, *slow]])
            logits = bart.model(input_ids=torch.tensor([ids]), decoder_input_ids=written, use_cache=False).logits[0, -1]
        logits[258] = -torch.inf
        slow.append(int(logits.argmax()))
    assert generated == slow


def test_interleaved_streams_do_not_mix(bart):
    decode = DecodeConfig(max_new=8, min_new=8)
    requests = [Request(ids_of(bart, SOURCES[0]), random_prefix(bart, 5, seed)) for seed in (1, 2)]
    alone = [generate(bart.model, bart, [request], decode)[0].ids for request in requests]
    assert alone[0] != alone[1]
    mixed: list[list[int]] = [[], []]
    for steps in zip(*(stream(bart.model, bart, [request], decode) for request in requests), strict=True):
        for ids, step in zip(mixed, steps, strict=True):
            assert bart.model.prefix_slot.state is None  # nothing is held across the yield
            ids.append(step[0].id)
    assert mixed == alone


def test_next_word_is_a_distribution_that_a_prefix_changes(bart):
    plain = next_token_probs(bart.model, bart, Request(ids_of(bart, SOURCES[0])), k=261)
    assert sum(p for _, p in plain) == pytest.approx(1, abs=1e-4)
    assert next_token_probs(bart.model, bart, Request(ids_of(bart, SOURCES[0]), random_prefix(bart, 3)), k=261) != plain


def test_words_begin_the_prefix_at_each_sites_own_activations(bart):
    past = initial_key_values(bart, "words", 4, "ab")
    ids = bart.encode("abab")
    assert {site: tuple(kv.shape) for site, kv in past.items()} == {
        "encoder": (3, 2, 4, 4, 8),
        "decoder": (2, 2, 4, 4, 8),
        "cross": (2, 2, 4, 4, 8),
    }
    with torch.no_grad():
        out = bart.model(input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([ids]), use_cache=True)
        first = bart.model.model.encoder
        embedded = first.layernorm_embedding(first.embed_tokens(torch.tensor([ids])) + first.embed_positions(torch.tensor([ids])))
        keys = first.layers[0].self_attn.k_proj(embedded).view(4, 4, 8).transpose(0, 1)
    for site, cache in (("decoder", "self_attention_cache"), ("cross", "cross_attention_cache")):
        for layer, layer_cache in enumerate(getattr(out.past_key_values, cache).layers):
            torch.testing.assert_close(past[site][layer, 0], layer_cache.keys[0])
            torch.testing.assert_close(past[site][layer, 1], layer_cache.values[0])
    torch.testing.assert_close(past["encoder"][0, 0], keys)
    assert torch.equal(past["encoder"], text_key_values(bart, ids)["encoder"])


@pytest.mark.slow
def test_too_long_separates_the_inputs_limit_from_the_outputs(bart):
    with pytest.raises(TooLong, match="has 129 tokens, and tiny-bart has only 128 positions"):
        generate(bart.model, bart, [Request([5] * 129, random_prefix(bart, 40))], DecodeConfig(max_new=20))
    with pytest.raises(TooLong, match="128 new tokens are requested, and at most 127 fit"):
        generate(bart.model, bart, [Request([5] * 9)], DecodeConfig(max_new=128))
    full = generate(bart.model, bart, [Request([5] * 128, random_prefix(bart, 40))], DecodeConfig(max_new=127, min_new=127))
    assert len(full[0].ids) == 127


def test_a_prefix_of_the_wrong_family_or_without_a_site_is_refused(bart, tiny):
    with pytest.raises(WrongBackbone, match="tiny-bart takes"):
        check_shape(random_prefix(tiny, 3), bart.spec, "This prefix")
    whole = random_prefix(bart, 3)
    part = Prefix({site: kv for site, kv in whole.past.items() if site != "cross"})
    with pytest.raises(WrongBackbone, match=r"tiny-bart takes .*cross \(2, 2, 4, 3, 8\)"):
        check_shape(part, bart.spec, "This prefix")
    with pytest.raises(WrongBackbone, match=r"takes encoder \(3, 2, 4, 3, 8\); decoder \(2, 2, 4, 3, 8\); cross"):
        generate(bart.model, bart, [Request([5], random_prefix(tiny, 3))], DecodeConfig(max_new=2))


def test_an_encoder_decoder_of_another_kind_is_refused_by_name(tmp_path):
    T5Config(vocab_size=257, d_model=16, num_layers=1, num_heads=2, d_ff=16).save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(NotSupported, match=r"'t5'.*facebook/bart-base"):
        load_backbone(str(tmp_path), "cpu")


def test_a_bart_whose_halves_have_other_heads_is_refused(tmp_path):
    config = BartConfig(
        vocab_size=261, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=4
    )
    BartForConditionalGeneration(config).save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(NotSupported, match="2 heads in its encoder and 4 in its decoder"):
        load_backbone(str(tmp_path), "cpu")


def test_dropout_is_off_in_train_mode_too(tmp_path):
    folder = make_tiny_bart(tmp_path / "b")
    config = BartConfig.from_pretrained(folder)
    config.dropout = config.attention_dropout = config.activation_dropout = config.encoder_layerdrop = 0.5
    config.save_pretrained(folder)
    backbone = load_backbone(str(folder), "cpu")
    before = forward(backbone, SOURCES)
    backbone.model.train()
    torch.testing.assert_close(forward(backbone, SOURCES), before)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A random model in the files of facebook/bart-base: its tokenizer's, and decoding defaults of its own in config.json."""
    folder = tmp_path_factory.mktemp("hub") / "bart-base"
    words = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "<mask>"]
    config = BartConfig(
        vocab_size=len(words), max_position_embeddings=128, d_model=32, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, init_std=0.3,
    )  # fmt: skip
    torch.manual_seed(3)
    BartForConditionalGeneration(config).save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    path = folder / "config.json"
    own = {"no_repeat_ngram_size": 1, "num_beams": 4, "early_stopping": True, "forced_bos_token_id": 0, "min_length": 9}
    path.write_text(json.dumps(json.loads(path.read_text()) | own | {"forced_eos_token_id": 2}))
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BartTokenizer"}))
    return load_backbone(str(folder), "cpu")


def test_a_model_in_the_published_form_opens_as_bart_does(published):
    assert published.decoder_start_ids == (2, 0) and published.eos == {2}
    task = task_for_backbone(published, "summarization")
    assert (task.lead, task.separator, task.end) == ("<s>", "</s>", "</s>")
    ids = encode_input(published, task, "a </s> b").ids
    assert ids[0] == 0 and ids[-1] == 2 and not {0, 1, 2, 3} & set(ids[1:-1])


def test_a_published_models_own_decoding_does_not_leak_in(published):
    """One beam is greedy: no repetition is barred, no end forced, no length kept."""
    request = Request(encode_input(published, task_for_backbone(published, "summarization"), "Hi you there").ids)
    beam, greedy = (
        generate(published.model, published, [request], DecodeConfig(mode=mode, beams=1, max_new=20))[0].ids
        for mode in ("beam", "greedy")
    )
    assert beam == greedy and len(set(beam)) < len(beam)
