"""Tables of the words' keys and values, against a plain forward call a word; their cache; the spaces made of them."""

import pytest
import torch

from analysis.space import vocabulary_kv as module
from analysis.space.spaces import embedding_space, vocabulary_space
from analysis.space.vocabulary_kv import KINDS, iter_vocabulary_kv
from analysis.tensor_cache import TensorCache
from core.errors import BadInput, WrongBackbone
from core.models.activations import text_key_values
from core.models.loading import load_backbone
from core.prefix.prefix import Prefix
from tests.support.tiny_models import make_tiny_backbone, make_tiny_llama, random_prefix
from tests.support.vocabulary_tables import vocabulary_kv

LAYERS, WORDS, WORD = 2, 257, 77


@pytest.fixture(scope="module", params=[make_tiny_backbone, make_tiny_llama])
def backbone(request, tmp_path_factory):
    return load_backbone(str(request.param(tmp_path_factory.mktemp("models") / "tiny")), "cpu")


@pytest.fixture
def cache(tmp_path):
    return TensorCache(tmp_path / "cache")


def own(backbone, word):
    """A prefix of one virtual token: what the model computes for a word after <|endoftext|>."""
    past = {site: kv[:, :, :, 1:] for site, kv in text_key_values(backbone, [0, word]).items()}
    return Prefix(past, backbone.spec.name, backbone.spec.fingerprint)


def cosine(a, b):
    """In plain Python."""
    a, b = a.tolist(), b.tolist()
    return sum(x * y for x, y in zip(a, b, strict=True)) / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5


def counted(backbone, monkeypatch):
    """Forward calls of the model from here on."""
    calls, forward = [], backbone.model.base_model.forward
    monkeypatch.setattr(backbone.model.base_model, "forward", lambda *a, **k: (calls.append(1), forward(*a, **k))[1])
    return calls


@pytest.mark.parametrize("layer", range(LAYERS))
def test_a_table_holds_what_the_model_computes_word_by_word(backbone, cache, layer):
    slow = {word: own(backbone, word).past["decoder"][layer, :, :, 0] for word in (0, WORD, WORDS - 1)}
    for place, kind in enumerate(KINDS):
        table = vocabulary_kv(backbone, kind, layer, cache)
        assert table.vectors.shape == (WORDS, backbone.spec.kv_heads, backbone.spec.head_dim)
        for word, vectors in slow.items():
            torch.testing.assert_close(table.vectors[word].float(), vectors[place], rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("head", [None, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_a_words_own_activations_lie_at_the_word_itself(backbone, cache, kind, head):
    space = vocabulary_space(vocabulary_kv(backbone, kind, 1, cache), head)
    vectors = space.vectors_of(own(backbone, WORD))
    scores = space.scores(vectors)[0]
    assert scores.argmax() == WORD and scores[WORD].item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("head", [None, 0])
def test_cosines_are_taken_after_centring_on_the_vocabularys_mean(backbone, cache, head):
    table = vocabulary_kv(backbone, "keys", 1, cache)
    space, prefix = vocabulary_space(table, head), random_prefix(backbone, 3)
    vectors = space.vectors_of(prefix)
    heads = range(backbone.spec.kv_heads) if head is None else [head]
    words = torch.cat([table.vectors[:, one].float() for one in heads], -1)
    mean = words.mean(0)
    for token in range(3):
        virtual = torch.cat([prefix.past["decoder"][1, 0, one, token] for one in heads])
        torch.testing.assert_close(vectors[token], virtual)
        for word in (0, WORD):
            slow = cosine(virtual - mean, words[word] - mean)
            assert space.scores(vectors)[token, word].item() == pytest.approx(slow, abs=1e-5)
    torch.testing.assert_close(space.std, words.std(0))


def test_embeddings_are_a_space_for_vectors_of_the_models_width(backbone):
    space, weight = embedding_space(backbone), backbone.model.get_input_embeddings().weight
    scores = space.scores(weight[[WORD]])[0]
    assert scores.argmax() == WORD and "embedding" in space.recipe
    assert scores[3].item() == pytest.approx(cosine(weight[WORD] - weight.mean(0), weight[3] - weight.mean(0)), abs=1e-5)
    with pytest.raises(BadInput, match="no embeddings"):
        space.vectors_of(random_prefix(backbone, 3))


def test_recipes_say_layer_heads_context_and_position(backbone, cache):
    keys, values = (vocabulary_space(vocabulary_kv(backbone, kind, 1, cache)) for kind in KINDS)
    heads = backbone.spec.kv_heads
    for phrase in (
        f"Keys of layer 2 (all {heads} heads, ",
        "257 tokens",
        "after <|endoftext|>, at position 1",
        "centered",
        "cosine",
    ):
        assert phrase in keys.recipe
    assert f"head 2 of {heads}" in vocabulary_space(vocabulary_kv(backbone, "keys", 1, cache), 1).recipe
    turned = "turned to position 1" in keys.recipe
    assert turned == (backbone.model.config.model_type == "llama") and "turned" not in values.recipe


def test_one_pass_makes_both_tables_and_the_second_time_the_model_rests(backbone, cache, monkeypatch):
    calls = counted(backbone, monkeypatch)
    first = vocabulary_kv(backbone, "keys", 0, cache)
    passes = len(calls)
    again = vocabulary_kv(backbone, "keys", 0, cache)
    vocabulary_kv(backbone, "values", 0, cache)
    assert passes > 0 and len(calls) == passes and torch.equal(first.vectors, again.vectors)


def test_progress_counts_the_words(backbone, cache, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 100)
    steps = list(iter_vocabulary_kv(backbone, "values", 1, cache))
    assert [counts for _, *counts in steps] == [[100, WORDS], [200, WORDS], [WORDS, WORDS], [WORDS, WORDS]]
    monkeypatch.setattr(module, "BATCH", 512)
    torch.testing.assert_close(
        vocabulary_kv(backbone, "values", 1, TensorCache(cache.folder / "2")).vectors, steps[-1][0].vectors
    )


def test_stopping_halfway_keeps_nothing_and_leaves_the_model_as_it_was(backbone, cache, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 100)
    parts = iter_vocabulary_kv(backbone, "keys", 0, cache)
    next(parts)
    parts.close()
    assert not cache.folder.exists() and backbone.model.prefix_slot.state is None


def test_a_damaged_table_is_computed_again(backbone, cache, monkeypatch):
    first = vocabulary_kv(backbone, "keys", 0, cache)
    for path in cache.folder.iterdir():
        path.write_bytes(path.read_bytes()[:-50])
    calls = counted(backbone, monkeypatch)
    assert torch.equal(vocabulary_kv(backbone, "keys", 0, cache).vectors, first.vectors) and calls


def test_a_table_is_never_given_to_another_backbone(tmp_path, cache, monkeypatch):
    one, two = (load_backbone(str(make_tiny_backbone(tmp_path / str(seed), seed)), "cpu") for seed in (0, 1))
    first = vocabulary_kv(one, "keys", 0, cache)
    for path in cache.folder.iterdir():  # not even under the other's name
        path.rename(path.with_name(path.name.replace(one.spec.fingerprint, two.spec.fingerprint)))
    calls = counted(two, monkeypatch)
    second = vocabulary_kv(two, "keys", 0, cache)
    assert calls and second.fingerprint == two.spec.fingerprint and not torch.allclose(first.vectors, second.vectors)


def test_without_a_cache_to_write_to_the_table_still_comes(backbone, tmp_path):
    assert len(vocabulary_kv(backbone, "keys", 0, TensorCache(tmp_path, limit=10)).vectors) == WORDS
    assert list(tmp_path.iterdir()) == []


def test_numbers_beyond_half_precision_are_kept_whole(backbone):
    assert module._to_half(torch.tensor([1.0, 70000.0])).tolist() == [1.0, 70000.0]
    assert module._to_half(torch.tensor([1.0])).dtype == torch.float16


def test_what_is_not_there_is_refused(backbone, cache):
    with pytest.raises(BadInput, match=r"no layer 2: tiny has layers 0 to 1"):
        vocabulary_kv(backbone, "keys", 2, cache)
    with pytest.raises(BadInput, match="queries"):
        vocabulary_kv(backbone, "queries", 0, cache)
    table = vocabulary_kv(backbone, "keys", 0, cache)
    with pytest.raises(BadInput, match="no head 9"):
        vocabulary_space(table, 9)
    with pytest.raises(WrongBackbone, match="belongs to other"):
        vocabulary_space(table).vectors_of(Prefix(random_prefix(backbone, 2).past, "other", "0" * 16))
