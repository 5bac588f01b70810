"""Generation: settings, seeds, limits, cancelling."""

import pytest
import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from core.config.decode import DecodeConfig
from core.errors import BadConfig, BadInput, TooLong
from core.generation.generate import generate, next_token_probs, stream
from core.generation.types import Request
from core.prefix.attention import attach
from tests.support.tiny_models import lock_is_free, random_prefix


def request(backbone, text="name : Alda", **kwargs):
    return Request(backbone.encode(text), **kwargs)


@pytest.mark.parametrize(("mode", "beams"), [("greedy", 1), ("beam", 5), ("beam", 6)])
def test_equals_transformers_own_generation_on_the_plain_model(tiny, tiny_folder, mode, beams):
    plain = AutoModelForCausalLM.from_pretrained(tiny_folder).eval()
    ids = tiny.encode("name : Alda")
    config = GenerationConfig(
        num_beams=beams, do_sample=False, max_new_tokens=15, min_new_tokens=4, length_penalty=0.8, eos_token_id=0, pad_token_id=0
    )
    expected = plain.generate(torch.tensor([ids]), generation_config=config)[0, len(ids) :].tolist()
    decode = DecodeConfig(mode=mode, beams=beams, max_new=15, min_new=4, length_penalty=0.8)
    own_ids = generate(tiny.model, tiny, [Request(ids)], decode)[0].ids
    assert own_ids == [token for place, token in enumerate(expected) if 0 not in expected[:place]]


def test_a_text_depends_on_its_seed_and_not_on_its_neighbours(tiny):
    decode = DecodeConfig(mode="sample", max_new=20, min_new=20)
    one = request(tiny, seed=1)
    alone = generate(tiny.model, tiny, [one], decode)[0].ids
    crowd = [request(tiny, "another, longer prompt", seed=5), one, request(tiny, seed=2)]
    generations = generate(tiny.model, tiny, crowd, decode)
    assert generations[1].ids == alone
    assert generations[2].ids != alone


def test_top_k_of_one_is_greedy(tiny):
    greedy = generate(tiny.model, tiny, [request(tiny)], DecodeConfig(max_new=10))[0].ids
    assert generate(tiny.model, tiny, [request(tiny, seed=3)], DecodeConfig(mode="sample", top_k=1, max_new=10))[0].ids == greedy


@pytest.mark.parametrize("mode", ["greedy", "sample", "beam"])
def test_no_repeat_writes_no_so_many_tokens_twice(tiny, mode):
    decode = DecodeConfig(mode=mode, max_new=40, min_new=40)
    plain = generate(tiny.model, tiny, [request(tiny)], decode)[0].ids
    assert len(set(plain)) < 40
    once = generate(tiny.model, tiny, [request(tiny)], decode.replace(no_repeat=1))[0].ids
    assert len(set(once)) == len(once) == 40
    first = decode.replace(max_new=1, min_new=1)
    message = Request([*tiny.encode("name : Alda"), *range(40, 240)])  # what stands before the text does not count
    assert (
        generate(tiny.model, tiny, [message], first.replace(no_repeat=1))[0].ids
        == generate(tiny.model, tiny, [message], first)[0].ids
    )


def test_stream_is_what_generate_returns(tiny):
    decode = DecodeConfig(max_new=12, min_new=12)
    steps = list(stream(tiny.model, tiny, [request(tiny)], decode))
    generation = generate(tiny.model, tiny, [request(tiny)], decode)[0]
    assert [step[0].id for step in steps] == generation.ids and steps[-1][0].text_so_far == generation.text
    assert generation.finish == "length" and len(generation.logprobs) == 12


@pytest.mark.slow
def test_ended_rows_say_nothing_more(tiny, monkeypatch):
    """The tiny model never says its own end: take a token that one prompt leads to, and the other does not, for it."""
    decode, prompts = DecodeConfig(max_new=20), [Request([token]) for token in range(30, 60)]
    ids = [generate(tiny.model, tiny, [prompt], decode)[0].ids for prompt in prompts]
    first, second = next((a, b) for a in range(30) for b in range(30) if ids[a][4] not in ids[b] and ids[a][4] not in ids[a][:4])
    monkeypatch.setattr(tiny, "eos", {ids[first][4]})
    steps = list(stream(tiny.model, tiny, [prompts[first], prompts[second]], decode))
    ended = [step[0] for step in steps]
    assert ended[4].ended and ended[5:] == [None] * 15
    assert [step[1].id for step in steps] == ids[second]
    assert [g.finish for g in generate(tiny.model, tiny, [prompts[first], prompts[second]], decode)] == ["eos", "length"]


def test_cancel_keeps_what_came(tiny):
    calls = []

    def cancel():
        calls.append(1)
        return len(calls) > 4

    generation = generate(tiny.model, tiny, [request(tiny)], DecodeConfig(max_new=30, min_new=30), cancel)[0]
    assert generation.finish == "cancelled" and len(generation.ids) == 4


def test_a_beam_search_can_be_cancelled(tiny):
    generation = generate(tiny.model, tiny, [request(tiny)], DecodeConfig(mode="beam", max_new=30, min_new=30), lambda: True)[0]
    assert generation.finish == "cancelled" and len(generation.ids) < 30


def test_reranking_returns_the_beam_with_the_fewest_errors_and_the_most_likely_of_several(tiny):
    decode, prefix = DecodeConfig(mode="rerank", beams=4, max_new=12, min_new=12), random_prefix(tiny, 3)
    texts: dict[str, list[str]] = {"one": [], "two": []}

    def counted(name, errors):
        def count(text):
            texts[name].append(text)
            return errors(text)

        return request(tiny, f"name : {name}", prefix=prefix, errors=count)

    equal = [counted(name, lambda text: 1) for name in texts]
    likely = [one.text for one in generate(tiny.model, tiny, equal, decode.replace(mode="beam"))]
    assert not texts["one"], "without reranking nothing is counted"
    assert [one.text for one in generate(tiny.model, tiny, equal, decode)] == likely
    assert all(len(own) == 4 for own in texts.values())
    last = {name: own[-1] for name, own in texts.items()}
    assert all(last[name] != first for name, first in zip(texts, likely, strict=True))
    reranked = [counted(name, lambda text, name=name: text != last[name]) for name in texts]
    assert [one.text for one in generate(tiny.model, tiny, reranked, decode)] == list(last.values())


def test_reranking_needs_a_count_of_errors(tiny):
    with pytest.raises(BadInput, match="Reranking needs a count of errors"):
        generate(tiny.model, tiny, [request(tiny)], DecodeConfig(mode="rerank", beams=2, max_new=4))


def test_closing_a_stream_early_frees_the_model(tiny):
    tokens = stream(tiny.model, tiny, [request(tiny, prefix=random_prefix(tiny, 3))], DecodeConfig(max_new=30, min_new=30))
    next(tokens)
    assert lock_is_free(tiny.model), "between two steps other threads may use the model"
    tokens.close()
    assert tiny.model.prefix_slot.state is None
    assert lock_is_free(tiny.model)
    with attach(tiny.model, None):
        assert not lock_is_free(tiny.model), "seen from another thread: the lock is re-entrant"


def test_too_long_says_how_many_tokens_there_are_and_how_many_fit(tiny):
    long = request(tiny, "x" * 240, prefix=random_prefix(tiny, 10))
    kept = "tiny-gpt2 has 256 positions, the prefix takes 10 of them, and 20 are kept for the output"
    with pytest.raises(TooLong, match=f"has 240 tokens, and at most 226 fit: {kept}"):
        generate(tiny.model, tiny, [long], DecodeConfig(max_new=20))


def test_the_longest_that_fits_works(tiny):
    full = request(tiny, "x" * 226, prefix=random_prefix(tiny, 10))
    assert len(generate(tiny.model, tiny, [full], DecodeConfig(max_new=20, min_new=20))[0].ids) == 20


def test_empty_prompt_and_streamed_beams_are_refused(tiny):
    with pytest.raises(BadInput, match="empty"):
        generate(tiny.model, tiny, [Request([])], DecodeConfig())
    with pytest.raises(BadInput, match="does not stream"):
        next(stream(tiny.model, tiny, [request(tiny)], DecodeConfig(mode="beam")))
    with pytest.raises(BadInput, match="does not stream"):
        next(stream(tiny.model, tiny, [request(tiny, errors=len)], DecodeConfig(mode="rerank")))


def test_next_word_is_a_distribution_that_a_prefix_changes(tiny):
    plain = next_token_probs(tiny.model, tiny, request(tiny), k=257)
    assert sum(p for _, p in plain) == pytest.approx(1, abs=1e-4)
    assert plain == sorted(plain, key=lambda pair: -pair[1])
    assert next_token_probs(tiny.model, tiny, request(tiny, prefix=random_prefix(tiny, 3)), k=257) != plain


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mode", "fast"),
        ("beams", 0),
        ("max_new", 0),
        ("min_new", 99),
        ("temperature", 0),
        ("top_p", 2),
        ("seed", -1),
        ("no_repeat", -1),
    ],
)
def test_bad_settings_are_named(field, value):
    with pytest.raises(BadConfig, match=field):
        DecodeConfig.from_dict({field: value})


def test_an_unknown_setting_is_refused_with_the_nearest_known():
    with pytest.raises(BadConfig, match=r"'temprature'.*Did you mean 'temperature'"):
        DecodeConfig.from_dict({"temprature": 1})
