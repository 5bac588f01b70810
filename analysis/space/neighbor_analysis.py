"""The virtual tokens of one or several runs among words, in one space: the data of the table, the map and the page.

`open_space` (or `iter_open_space`, with progress) builds the space, `analyze` compares the runs with it. Both are computed
once and drawn in several ways (analysis/figures/space.py).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from safetensors.torch import load_file
from torch import Tensor

from analysis.space.logit_lens import LogitLensSpace, logit_lens_space
from analysis.space.neighbors import Control, Neighbor, describe_controls, initial_control, nearest, random_control, search
from analysis.space.projection import PlacedRun, PointCloud, build_cloud
from analysis.space.spaces import EMBEDDINGS, SITE_PHRASES, Space, embedding_space, vocabulary_space
from analysis.space.trajectory import embedding_trajectory, prefix_trajectory
from analysis.space.vocabulary_kv import KEYS, KINDS, SITE, VALUES, VocabularyKV, iter_vocabulary_kv
from analysis.tensor_cache import TensorCache
from core.config.methods import TEXT_PREFIX, method_info
from core.errors import BadInput
from core.methods.loading import TEXT_RUN, LoadedRun, end_line
from core.models.architectures import input_embeddings
from core.models.backbone import Backbone
from core.prefix.prefix import Prefix
from core.runs.run import Run

LOGIT_LENS = "writes"
SPACES = (KEYS, VALUES, LOGIT_LENS, EMBEDDINGS)
RANKS = 10  # words per virtual token, in the table and on the map
PATH_POINTS = 1200  # a map has room for
Z_THRESHOLD = 2.0  # a z-score above it is worth attention
SAME_RATIO = 0.005  # of their norm: vectors this close are the same, stored in fp16 and in fp32
AnySpace = Space | LogitLensSpace


@dataclass(frozen=True, eq=False)
class RunVectors:
    """A run to compare with words: its prefix, and its `path` [(update, prefix)] through training, if stored.

    `embeddings`: (P, width), the virtual tokens as vectors at the model's input, if they have such; `embedded`: their path.
    """

    run: str
    prefix: Prefix
    path: Sequence[tuple[int, Prefix]] = ()
    embeddings: Tensor | None = None
    embedded: Sequence[tuple[int, Tensor]] = ()


@dataclass(frozen=True, eq=False)
class NeighborAnalysis:
    """Runs in a space. `nearest`: the nearest words of each virtual token, by run; `pushed_down`: its last (logit lens only).

    `initial_nearest`: the nearest word of each token before training. `random` and `initial` (by run; only runs with a path)
    are the controls of the z-scores. `whole`: whether only whole words were ranked.
    """

    space: AnySpace
    runs: tuple[PlacedRun, ...]
    random: Control
    initial: dict[str, Control]
    nearest: list[Neighbor]
    pushed_down: list[Neighbor]
    initial_nearest: list[Neighbor]
    cloud: PointCloud
    whole: bool

    @property
    def title(self) -> str:
        """The name of the space."""
        if self.space.layer is None:
            return "Input embeddings"
        name = "What is written" if self.space.kind == LOGIT_LENS else self.space.kind.capitalize()
        head = "all heads" if self.space.head is None else f"head {self.space.head + 1}"
        return f"{name} at layer {self.space.layer + 1}{SITE_PHRASES[self.space.site]}, {head}"

    @property
    def recipe(self) -> str:
        """How the space and the controls were computed."""
        return describe_controls(self.space, self.random, next(iter(self.initial.values()), None))

    def search(self, word: str) -> list[Neighbor]:
        """The virtual tokens of all runs nearest to a word, best first. Raises BadInput if no token is the word."""
        neighbors = [
            one
            for each in self.runs
            for one in search(self.space, each.vectors, word, self.random, self.initial.get(each.run), each.run)
        ]
        return sorted(neighbors, key=lambda neighbour: -neighbour.score)

    def verdict(self, run: str) -> str:
        """Say in a sentence how much to believe of a run's nearest words."""
        first = [one for one in self.nearest if one.run == run and one.rank == 1]
        clear = sum((one.z_random or 0) > Z_THRESHOLD for one in first)
        lens, only = self.space.kind == LOGIT_LENS, len(first) == 1
        more = "further up" if lens else "nearer"
        if only:
            who, how = f"The only virtual token of {run}", more if clear else f"no {more}"
        else:
            who, how = f"{clear or 'None'} of {len(first)} virtual tokens of {run}", more
        if only or clear == 1:
            does = f"pushes its top word {how}" if lens else f"lies {how} to its nearest word"
        else:
            does = f"push their top word {how}" if lens else f"lie {how} to their nearest word"
        verdict = f"{who} {does} than random vectors do"
        initial = [one.z_initial for one in first if one.z_initial is not None]
        if not initial:
            return f"{verdict}."
        since = sum(z > Z_THRESHOLD for z in initial)
        compared = f"and {more if since else f'no {more}'}" if only else f"{since or 'none'} {more}"
        return f"{verdict}, {compared} than before training."


def run_vectors(loaded: LoadedRun, backbone: Backbone) -> RunVectors:
    """A loaded run's vectors and path. Raises BadInput if the run has no virtual tokens, and says what it has instead."""
    if loaded.prefix is None:
        raise BadInput(
            f"{loaded.run.id} has no virtual tokens: its method ({loaded.run.method}) changes or adds weights, so there is "
            "nothing to compare with words. Choose a run with a prefix, or type a text prefix."
        )
    run = loaded.run
    path, embedded = prefix_trajectory(run, backbone), embedding_trajectory(run, backbone)
    return RunVectors(run.id, loaded.prefix, path, _embeddings_of(run, backbone), embedded)


def _embeddings_of(run: Run, backbone: Backbone) -> Tensor | None:
    """A run's virtual tokens as input embeddings; None if it has keys and values only."""
    info = method_info(run.method)
    if not info.at_input:
        return None
    if info.trained:
        return load_file(run.weights)["embeddings"].float()  # checked when the run was loaded
    text = end_line(run.id.removeprefix(TEXT_RUN)) if info is TEXT_PREFIX else str(run.config["context"])
    return input_embeddings(backbone.model, [*backbone.bos_ids, *backbone.encode(text)]).cpu()


def open_space(
    backbone: Backbone,
    kind: str,
    layer: int = 0,
    head: int | None = None,
    cache: TensorCache | None = None,
    progress: Callable[[int, int], None] | None = None,
    site: str = SITE,
) -> AnySpace:
    """Build a space by name ("keys", "values", "writes" or "embeddings"); layer and head from 0, head None for all."""
    space: AnySpace | None = None
    for space, done, total in iter_open_space(backbone, kind, layer, head, cache, site):  # noqa: B007 (the last one counts)
        if progress is not None:
            progress(done, total)
    assert space is not None
    return space


def iter_open_space(
    backbone: Backbone,
    kind: str,
    layer: int,
    head: int | None,
    cache: TensorCache | None = None,
    site: str = SITE,
) -> Iterator[tuple[AnySpace | None, int, int]]:
    """Yield (None, words done, words in total) while the words are computed, then (space, total, total).

    Raises BadInput for an unknown space, layer or head, and NotSupported for a model that has no such space.
    """
    if kind not in SPACES:
        raise BadInput(f"There is no space of {kind!r}. Choose one of: {', '.join(SPACES)}.")
    if kind == EMBEDDINGS:
        embeddings = embedding_space(backbone)
        yield embeddings, len(embeddings.vocabulary), len(embeddings.vocabulary)
        return
    for words, done, total in iter_vocabulary_kv(backbone, kind if kind in KINDS else VALUES, layer, cache, site):
        yield None if words is None else _build_space(backbone, kind, words, head), done, total


def _build_space(backbone: Backbone, kind: str, words: VocabularyKV, head: int | None) -> AnySpace:
    return logit_lens_space(backbone, words, head) if kind == LOGIT_LENS else vocabulary_space(words, head)


def analyze(
    space: AnySpace,
    runs: Sequence[RunVectors],
    k: int = RANKS,
    whole: bool = False,
    sample: int = 2000,
    seed: int = 0,
    random: Control | None = None,
) -> NeighborAnalysis:
    """Compare runs with the words of a space: their k nearest words with controls, and the points of a map.

    `whole`: whole words only; `random`: an earlier control of this space, to reuse. Raises BadInput if a run has no vectors
    in the space, WrongBackbone if it belongs to another model.
    """
    placed = tuple(_place_run(space, one, len(runs)) for one in runs)
    random = random or random_control(space, k, seed=seed, whole=whole)
    initial = {one.run: initial_control(space, one.path[0][1], k, whole) for one in placed if one.path}
    near, far, initial_words = [], [], []
    for one in placed:
        controls = (random, initial.get(one.run))
        near += nearest(space, one.vectors, k, *controls, whole=whole, run=one.run)
        if one.path:
            initial_words += nearest(space, one.path[0][1], 1, whole=whole, run=one.run)
        if space.kind == LOGIT_LENS:
            far += nearest(space, one.vectors, k, *controls, down=True, whole=whole, run=one.run)
    cloud = build_cloud(space, placed, k, sample, seed, whole)
    return NeighborAnalysis(space, placed, random, initial, near, far, initial_words, cloud, whole)


def _place_run(space: AnySpace, one: RunVectors, runs: int) -> PlacedRun:
    """A run's vectors in a space, and its path, thinned to what a map has room for and without a second copy of its end."""
    if space.kind == EMBEDDINGS:
        vectors, path = _input_vectors(one), list(one.embedded)
    else:
        vectors = space.vectors_of(one.prefix)
        path = [(update, space.vectors_of(prefix)) for update, prefix in one.path]
    if path and (path[-1][1] - vectors).norm() < SAME_RATIO * vectors.norm():
        path.pop()
    room = max(1, PATH_POINTS // (runs * len(vectors)))
    indices = (
        {round(place * (len(path) - 1) / max(1, room - 1)) for place in range(room)} if len(path) > room else range(len(path))
    )
    return PlacedRun(one.run, vectors, tuple(path[place] for place in sorted(indices)))


def _input_vectors(one: RunVectors) -> Tensor:
    if one.embeddings is None:
        raise BadInput(
            f"{one.run} holds keys and values, no input embeddings: nothing of it lies in this space. Choose a run of the "
            "method embedding, a text, or the space of keys or values."
        )
    return one.embeddings.float().cpu()
