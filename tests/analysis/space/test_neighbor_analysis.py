"""Runs set into a space: words, controls, path and points that belong together."""

from dataclasses import replace

import pytest
import torch

from analysis.space.neighbor_analysis import (
    EMBEDDINGS,
    KEYS,
    LOGIT_LENS,
    PATH_POINTS,
    SPACES,
    RunVectors,
    analyze,
    open_space,
    run_vectors,
)
from analysis.space.projection import NEAR, PATH, PREFIX
from analysis.tensor_cache import TensorCache
from core.errors import BadInput
from core.methods.loading import load_run
from core.models.activations import text_key_values, text_prefix
from core.models.loading import load_backbone
from core.prefix.prefix import Prefix
from tests.support.tiny_models import make_run, make_tiny_backbone, random_prefix


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("scene")


@pytest.fixture(scope="module")
def backbone(place):
    return load_backbone(str(make_tiny_backbone(place / "tiny")), "cpu")


@pytest.fixture(scope="module")
def run(place, backbone):
    return load_run(make_run(place / "tiny", place / "runs", "mine", updates=6, rate=0.05, length=5), backbone)


def opened(backbone, place, kind, layer=1, head=None):
    return open_space(backbone, kind, layer, head, TensorCache(place / "cache"))


@pytest.mark.parametrize("kind", [kind for kind in SPACES if kind != EMBEDDINGS])
def test_words_controls_and_points_of_two_runs(backbone, place, run, kind):
    text = RunVectors("text", text_prefix(backbone, "tell it "))
    analysis = analyze(opened(backbone, place, kind), [run_vectors(run, backbone), text], k=3, sample=50)
    assert {(one.run, one.token) for one in analysis.nearest} == {("mine", i) for i in range(5)} | {("text", i) for i in range(8)}
    assert len(analysis.nearest) == 3 * 13 and len(analysis.pushed_down) == (3 * 13 if kind == LOGIT_LENS else 0)
    for one in analysis.nearest:  # a text was never trained, so it has no beginning to be held against
        assert one.z_random is not None and (one.z_initial is None) == (one.run == "text")
    assert analysis.cloud.count(PREFIX) == 13
    words = {point.number for point in analysis.cloud.points if point.kind == NEAR}
    assert {one.id for one in analysis.nearest} <= words
    assert "of 5 virtual tokens of mine" in analysis.verdict("mine") and "before training" in analysis.verdict("mine")
    assert "before training" not in analysis.verdict("text") and "random" in analysis.recipe


def test_the_verdict_on_one_token_is_a_sentence(backbone, place, run):
    """It was "1 of 1 virtual tokens of mine lie nearer to their nearest word"."""
    for kind, says in ((KEYS, "lies {} to its nearest word"), (LOGIT_LENS, "pushes its top word {}")):
        analysis = analyze(opened(backbone, place, kind), [run_vectors(run, backbone)], k=1, sample=20)
        one, other = (next(near for near in analysis.nearest if near.token == token) for token in (0, 1))
        far, close = replace(one, z_random=0.0, z_initial=0.0), replace(one, z_random=99.0, z_initial=0.0)
        more = "further up" if kind == LOGIT_LENS else "nearer"
        verdicts = [
            replace(analysis, nearest=nearest).verdict("mine")
            for nearest in ([far], [close], [close, replace(other, z_random=0.0, z_initial=99.0)])
        ]
        end = f"and no {more} than before training."
        assert verdicts == [
            f"The only virtual token of mine {says.format('no ' + more)} than random vectors do, {end}",
            f"The only virtual token of mine {says.format(more)} than random vectors do, {end}",
            f"1 of 2 virtual tokens of mine {says.format(more)} than random vectors do, 1 {more} than before training.",
        ]


def test_whole_words_alone_in_the_table_and_on_the_map(backbone, place, run):
    space = opened(backbone, place, KEYS)
    with pytest.raises(BadInput, match="whole word"):  # the tiny model's tokens are bytes
        analyze(space, [run_vectors(run, backbone)], whole=True)
    words = space.vocabulary
    object.__setattr__(words, "texts", tuple(f" w{chr(97 + i % 26)}" if i % 3 else text for i, text in enumerate(words.texts)))
    analysis = analyze(space, [run_vectors(run, backbone)], k=4, whole=True)
    assert all(one.whole and one.id % 3 for one in analysis.nearest)
    assert all(point.number % 3 for point in analysis.cloud.points if point.kind == NEAR)


def test_a_words_own_activations_are_found_again_on_the_map_and_by_a_search(backbone, place):
    text = RunVectors("text", text_prefix(backbone, "pq"))  # read after nothing, so not the word's own
    own = Prefix(
        {"decoder": text_key_values(backbone, [0, 77])["decoder"][:, :, :, 1:]}, backbone.spec.name, backbone.spec.fingerprint
    )
    for kind in ("keys", "values"):
        analysis = analyze(opened(backbone, place, kind), [text, RunVectors("own", own)], k=2)
        best = next(one for one in analysis.nearest if one.run == "own")
        assert (best.id, best.rank) == (77, 1) and best.score == pytest.approx(1, abs=1e-5)
        matches = analysis.search(analysis.space.vocabulary.texts[77])[0]
        assert (matches.run, matches.id, matches.rank) == ("own", 77, 1)
        place_of = {(point.kind, point.run or point.number): at for at, point in enumerate(analysis.cloud.points)}
        here, word = analysis.cloud.vectors[place_of[PREFIX, "own"]], analysis.cloud.vectors[place_of[NEAR, 77]]
        torch.testing.assert_close(here, word, atol=1e-3, rtol=0)


def test_the_path_begins_at_the_start_and_its_end_is_there_once(backbone, place, run):
    mine = run_vectors(run, backbone)
    assert mine.path[0][0] == 0 and len(mine.path) >= 2
    analysis = analyze(opened(backbone, place, KEYS), [mine])
    updates = sorted({point.update for point in analysis.cloud.points if point.kind == PATH})
    assert updates == [update for update, _ in mine.path][:-1]
    start = next(prefix for update, prefix in mine.path if update == 0)
    torch.testing.assert_close(analysis.runs[0].path[0][1], analysis.space.vectors_of(start))


def test_a_long_path_is_thinned_and_keeps_its_beginning(backbone, place):
    prefix, steps = random_prefix(backbone, 100), 60
    path = [(update, random_prefix(backbone, 100, update)) for update in range(1, steps + 1)]
    analysis = analyze(opened(backbone, place, KEYS), [RunVectors("long", prefix, path)], sample=10)
    updates = [update for update, _ in analysis.runs[0].path]
    assert updates[0] == 1 and updates[-1] == steps and len(updates) == PATH_POINTS // 100
    assert analysis.cloud.count(PATH) == len(updates) * 100


def test_embeddings_take_what_has_embeddings(backbone, place, run):
    space = opened(backbone, place, EMBEDDINGS)
    weight = backbone.model.get_input_embeddings().weight.detach()
    analysis = analyze(space, [RunVectors("prompt", random_prefix(backbone, 2), (), weight[[7, 9]])], k=1)
    assert [(one.id, round(one.score, 4)) for one in analysis.nearest] == [(7, 1.0), (9, 1.0)]
    with pytest.raises(BadInput, match="mine holds keys and values"):
        analyze(space, [run_vectors(run, backbone)])


@pytest.mark.parametrize("kind", [EMBEDDINGS, KEYS])
def test_a_run_of_input_vectors_is_held_against_the_words_it_began_with(backbone, place, kind):
    run = make_run(
        place / "tiny", place / "runs", f"inputs-{kind}", "embedding", rate=0.05, mlp=0, init="words", init_words="pub"
    )
    analysis = analyze(opened(backbone, place, kind), [run_vectors(load_run(run, backbone), backbone)], k=2)
    assert any(one.z_initial is not None for one in analysis.nearest)
    assert [update for update, _ in analysis.runs[0].path] == [0, 1, 2]
    if kind == EMBEDDINGS:  # what it began with are words themselves, all at cosine 1: nothing to be so many deviations from
        assert all(one.z_initial is None for one in analysis.nearest if one.rank == 1)
        assert [one.id for one in analysis.initial_nearest] == backbone.encode("pubp")


def test_a_fine_tuned_run_is_explained(backbone, place):
    tuned = load_run(make_run(place / "tiny", place / "runs", "tuned", method="finetune", updates=1), backbone)
    with pytest.raises(BadInput, match="tuned has no virtual tokens"):
        run_vectors(tuned, backbone)


def test_a_space_that_is_not_there_is_refused(backbone, place):
    with pytest.raises(BadInput, match=r"no space of 'queries'\. Choose one of: keys, values, writes, embeddings"):
        open_space(backbone, "queries")
    with pytest.raises(BadInput, match="no head 9"):
        opened(backbone, place, "keys", 0, 9)
