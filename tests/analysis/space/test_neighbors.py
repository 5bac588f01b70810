"""Nearest words, their ranks and z-scores, against plain loops over a small space."""

import csv
import io
import statistics

import pytest
import torch
from torch.nn import functional as F

from analysis.space.neighbors import (
    CHUNK,
    describe_controls,
    initial_control,
    measure_control,
    nearest,
    neighbor_rows,
    random_control,
    random_vectors,
    search,
)
from analysis.space.spaces import Space, vocabulary_space
from analysis.space.vocabulary import Vocabulary
from analysis.space.vocabulary_kv import KINDS
from analysis.tensor_cache import TensorCache
from core.errors import BadInput
from core.models.loading import load_backbone
from tests.support.tiny_models import make_tiny_backbone
from tests.support.vocabulary_tables import vocabulary_kv

TEXTS = (" pub", "pub", " inn", "ing", " bar", " 20", " cafe", "s", ".", " north")


def small(d=6, texts=TEXTS, seed=0):
    words = torch.randn(len(texts), d, generator=torch.Generator().manual_seed(seed)) + 2
    unit = F.normalize(words - words.mean(0), dim=-1)
    return Space("keys", 0, None, unit, words.mean(0), words.std(0), Vocabulary(texts), "f", "Keys of layer 1.")


def some(n=4, d=6, seed=9):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + 2


def cosines(space, vector):
    """Every word's cosine with one vector, in plain Python."""
    x = (vector - space.mean).tolist()
    long = sum(a * a for a in x) ** 0.5
    return [sum(a * b for a, b in zip(x, word, strict=True)) / long for word in space.unit.tolist()]


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("down", [False, True])
def test_ranks_scores_and_z_against_loops(down, whole):
    space, vectors, before, k = small(), some(), some(seed=5), 3
    random, initial = random_control(space, k, 20, whole=whole), initial_control(space, before, k, whole)
    neighbors = nearest(space, vectors, k, random, initial, down, whole, "mine")
    ids = [word for word in range(len(TEXTS)) if not whole or space.vocabulary.whole(word)]

    def ranked(vector):
        scores = cosines(space, vector)
        return sorted(((scores[word], word) for word in ids), reverse=not down)[:k]

    randoms, befores = ([ranked(vector) for vector in some] for some in (random.vectors, before))
    place = 0
    for token, vector in enumerate(vectors):
        for rank, (score, word) in enumerate(ranked(vector)):
            row, place = neighbors[place], place + 1
            assert (row.run, row.token, row.rank, row.id, row.word) == ("mine", token, rank + 1, word, TEXTS[word])
            assert row.whole == space.vocabulary.whole(word) and row.score == pytest.approx(score, abs=1e-5)
            for z, held in ((row.z_random, randoms), (row.z_initial, befores)):
                scores = [one[rank][0] for one in held]
                slow = (score - statistics.mean(scores)) / statistics.stdev(scores)
                assert z == pytest.approx(slow, rel=1e-3, abs=1e-3)
            assert row.before == pytest.approx(cosines(space, before[token])[word], abs=1e-5)
    assert place == len(neighbors)


def test_a_search_ranks_virtual_tokens_by_their_nearness_to_a_word():
    space, vectors, before = small(), some(), some(seed=5)
    random, initial = random_control(space, 1, 20), initial_control(space, before, 1)
    matches = search(space, vectors, "Pub", random, initial)
    assert len(matches) == 2 * len(vectors) and {row.word for row in matches} == {" pub", "pub"}
    assert [row.score for row in matches] == sorted((row.score for row in matches), reverse=True)
    for row in matches:
        scores = cosines(space, vectors[row.token])
        assert row.score == pytest.approx(scores[row.id], abs=1e-5)
        assert row.rank == 1 + sum(score > scores[row.id] for score in scores)
        held = [cosines(space, vector)[row.id] for vector in random.vectors]
        slow = (row.score - statistics.mean(held)) / statistics.stdev(held)
        assert row.z_random == pytest.approx(slow, rel=1e-3, abs=1e-3) and row.z_initial is not None
    with pytest.raises(BadInput, match="bistro"):
        search(space, vectors, "bistro")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head", [None, 1])
def test_random_prefixes_lie_at_z_0(tmp_path, kind, head):
    backbone = load_backbone(str(make_tiny_backbone(tmp_path / "tiny")), "cpu")
    space = vocabulary_space(vocabulary_kv(backbone, kind, 1, TensorCache(tmp_path)), head)
    meaningless = random_vectors(space, 200, seed=77)
    random = random_control(space, 5)
    neighbors = nearest(space, meaningless, 5, random)
    for rank in range(1, 6):  # the nearest of 257 words is no surprise
        assert abs(statistics.mean(row.z_random for row in neighbors if row.rank == rank)) < 0.3
    assert 0.8 < statistics.stdev(row.z_random for row in neighbors if row.rank == 1) < 1.2
    one = search(space, meaningless, "q", random)
    assert abs(statistics.mean(row.z_random for row in one)) < 0.3
    word = space.mean + space.unit[[42]] * 3  # where a word stands, it is a surprise
    assert nearest(space, word, 1, random)[0].z_random > 2


def test_random_vectors_have_the_tables_mean_and_variance_and_their_seed():
    space = small()
    drawn = random_vectors(space, 20_000, seed=3)
    torch.testing.assert_close(drawn.mean(0), space.mean, atol=0.05, rtol=0)
    torch.testing.assert_close(drawn.std(0), space.std, atol=0.05, rtol=0)
    assert torch.equal(drawn, random_vectors(space, 20_000, seed=3)) and not torch.equal(drawn, random_vectors(space, 20_000, 4))


def test_many_vectors_go_in_chunks():
    space, vectors = small(), some(CHUNK + 6)
    neighbors = nearest(space, vectors, 2)
    assert [(row.token, row.rank) for row in neighbors] == [(token, rank) for token in range(CHUNK + 6) for rank in (1, 2)]
    assert neighbors[-2].id == nearest(space, vectors[-1:], 2)[0].id
    whole, parts = (
        measure_control(space, vectors, ""),
        [measure_control(space, part, "").words[0] for part in vectors.split(CHUNK)],
    )
    mean = (parts[0] * CHUNK + parts[1] * 6) / (CHUNK + 6)
    torch.testing.assert_close(whole.words[0], mean)


def test_no_z_score_without_a_control_or_from_fewer_than_three_vectors_or_from_like_ones():
    space, vectors = small(), some(2)
    plain = nearest(space, vectors, 2)[0]
    assert (plain.z_random, plain.z_initial, plain.before) == (None, None, None)
    assert nearest(space, vectors, 2, initial=initial_control(space, vectors, 2))[0].z_initial is None
    alike = some(1).repeat(4, 1)
    neighbors = nearest(space, some(4), 2, initial=initial_control(space, alike, 2))[0]
    assert neighbors.z_initial is None and neighbors.before is not None
    assert nearest(space, vectors, 2, initial=initial_control(space, some(5), 2))[0].before is None  # another length


def test_a_control_measured_otherwise_is_refused():
    space, vectors = small(), some()
    with pytest.raises(BadInput, match="4 ranks"):
        nearest(space, vectors, 4, random_control(space, 3, 5))
    with pytest.raises(BadInput, match="whole words"):
        nearest(space, vectors, 3, random_control(space, 3, 5), whole=True)
    with pytest.raises(BadInput, match="no token that is a whole word"):
        nearest(small(texts=("a", "b", "c")), vectors, 1, whole=True)


def test_more_ranks_than_words_are_all_the_words():
    space = small()
    assert len(nearest(space, some(1), 50, random_control(space, 50, 5))) == len(TEXTS)


def test_rows_are_ready_for_csv_and_the_recipe_names_the_controls():
    space, vectors = small(), some()
    random, initial = random_control(space, 2, 7, seed=4), initial_control(space, vectors, 2)
    neighbors = neighbor_rows(space, nearest(space, vectors, 2, random, initial, run="mine"))
    assert list(neighbors[0]) == ["run", "token", "rank", "word", "id", "whole", "cosine", "z_random", "z_initial", "before"]
    text = io.StringIO()
    writer = csv.DictWriter(text, neighbors[0])
    writer.writeheader()
    writer.writerows(neighbors)
    back = list(csv.DictReader(io.StringIO(text.getvalue())))
    assert back[2]["token"] == "P2" and back[2]["word"] == neighbors[2]["word"]
    recipe = describe_controls(space, random, initial)
    for part in ("Keys of layer 1.", "7 random vectors", "seed 4", "mean and variance", "4 virtual tokens before training"):
        assert part in recipe
    assert describe_controls(space) == "Keys of layer 1."
