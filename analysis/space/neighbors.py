"""The words nearest to each virtual token, with controls that show how much to believe.

Every score is compared with two controls: random vectors (Gaussian, with the mean and variance of the words' vectors) and
the run's own tokens before training. Both are scored in the same way, rank for rank: the nearest of thousands of words is
always rather near, so a first-ranked word is compared with first-ranked words. A z-score near 0 means that a meaningless
vector does as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import torch
from torch import Tensor

from analysis.space.vocabulary import Vocabulary
from core.errors import BadInput

MIN_SPREAD = 1e-4  # a smaller spread of scores is rounding: vectors that are words themselves all score 1
RANDOM_VECTORS = 200  # random vectors
CHUNK = 64  # vectors scored at a time: (64, words) fp32
WARNING = (
    "Nearest words are not a translation: prefixes that work equally well can lie near arbitrary, even contradictory words "
    "(Khashabi et al. 2022). A score that meaningless vectors reach as well (z near 0, or below) says nothing."
)


class ScoredSpace(Protocol):
    """A space that gives every word a score: `Space` (cosines) or `LogitLensSpace` (logits)."""

    @property
    def vocabulary(self) -> Vocabulary: ...
    @property
    def mean(self) -> Tensor: ...
    @property
    def std(self) -> Tensor: ...
    @property
    def recipe(self) -> str: ...
    @property
    def measure(self) -> str: ...

    def scores(self, vectors: Tensor) -> Tensor:
        """(n, d) -> (n, words)."""
        ...


@dataclass(frozen=True)
class Neighbor:
    """A word near a virtual token. `token`: from 0; `rank`: 1 is the nearest (or the most pushed down).

    `z_random`, `z_initial`: how many standard deviations the score lies above the controls'; None if the control is
    absent or has fewer than 3 vectors. `before`: the score of the same word with the same virtual token before training.
    """

    run: str
    token: int
    rank: int
    word: str
    id: int
    whole: bool
    score: float
    z_random: float | None
    z_initial: float | None
    before: float | None

    @property
    def label(self) -> str:
        """P1 … Pn."""
        return f"P{self.token + 1}"


@dataclass(frozen=True, eq=False)
class Control:
    """Scores of n control vectors. Each of `top`, `bottom`: (2, ranks), `words`: (2, words); mean and std.

    `top` and `bottom` are of the first-ranked, second-ranked … word from the top and from the bottom; `whole`: whether only
    whole words were ranked. `vectors`: (n, d), the controls themselves.
    """

    n: int
    top: Tensor
    bottom: Tensor
    words: Tensor
    whole: bool
    vectors: Tensor
    recipe: str


def random_control(space: ScoredSpace, k: int, n: int = RANDOM_VECTORS, seed: int = 0, whole: bool = False) -> Control:
    """Random vectors for the first k ranks. Depends on the space alone, so it can be reused for all runs."""
    recipe = f"{n} random vectors, each number Gaussian with the mean and variance of the words' own (seed {seed})"
    return measure_control(space, random_vectors(space, n, seed), recipe, k, whole)


def random_vectors(space: ScoredSpace, n: int, seed: int) -> Tensor:
    """(n, d), Gaussian with the words' mean and variance in every dimension."""
    generator = torch.Generator().manual_seed(seed)
    return space.mean + space.std * torch.randn(n, len(space.mean), generator=generator)


def initial_control(space: ScoredSpace, vectors: Tensor, k: int, whole: bool = False) -> Control:
    """A run's virtual tokens before training (update 0), (P, d), for the first k ranks."""
    return measure_control(space, vectors, f"the run's {len(vectors)} virtual tokens before training", k, whole)


def measure_control(space: ScoredSpace, vectors: Tensor, recipe: str, k: int = 10, whole: bool = False) -> Control:
    """Score control vectors (n, d) for the first k ranks."""
    among, near, far = _ranked_ids(space, whole), [], []
    k, sums = min(k, len(among)), torch.zeros(2, len(space.vocabulary), dtype=torch.float64)
    for _, scores in _iter_scores(space, vectors):
        sums += torch.stack([scores.double().sum(0), scores.double().square().sum(0)])
        near.append(scores[:, among].topk(k).values)
        far.append(scores[:, among].topk(k, largest=False).values)
    mean, n = sums[0] / len(vectors), len(vectors)
    spread = ((sums[1] - n * mean.square()).clamp(min=0) / max(1, n - 1)).sqrt()
    return Control(n, _mean_and_std(near), _mean_and_std(far), torch.stack([mean, spread]).float(), whole, vectors, recipe)


def nearest(
    space: ScoredSpace,
    vectors: Tensor,
    k: int = 10,
    random: Control | None = None,
    initial: Control | None = None,
    down: bool = False,
    whole: bool = False,
    run: str = "",
) -> list[Neighbor]:
    """The k nearest words of every virtual token, (P, d), token by token.

    `down`: the k last words instead (those that a token pushes down); `whole`: rank whole words only. Raises BadInput if a
    control was measured with other settings, or if there is no whole word.
    """
    among = _ranked_ids(space, whole)
    k = min(k, len(among))
    for control in (random, initial):
        if control is not None and (control.whole != whole or control.top.shape[1] < k):
            raise BadInput(f"The control was not measured for {k} ranks{' of whole words' if whole else ''}: measure it again.")
    before, neighbors = _initial_scores(space, vectors, initial), []
    for start, scores in _iter_scores(space, vectors):
        best = scores[:, among].topk(k, largest=not down)
        for row, (values, places) in enumerate(zip(best.values, best.indices, strict=True)):
            z = [
                _z_scores(values, control, control.bottom if down else control.top) if control else [None] * k
                for control in (random, initial)
            ]
            for rank, (score, word) in enumerate(zip(values.tolist(), among[places].tolist(), strict=True)):
                old = before[start + row, word].item() if before is not None else None
                neighbors.append(_neighbor(space, run, start + row, rank + 1, word, score, z[0][rank], z[1][rank], old))
    return neighbors


def search(
    space: ScoredSpace, vectors: Tensor, word: str, random: Control | None = None, initial: Control | None = None, run: str = ""
) -> list[Neighbor]:
    """The virtual tokens, (P, d), nearest to a word, best first: a row for each of them and each token that is the word.

    Ranks are among all words; z-scores compare with the same word's scores for the control vectors. Raises BadInput if no
    token is the word.
    """
    ids, before, neighbors = space.vocabulary.find(word), _initial_scores(space, vectors, initial), []
    for start, scores in _iter_scores(space, vectors):
        for row, values in enumerate(scores):
            for one in ids:
                score, rank = values[one].item(), int((values > values[one]).sum()) + 1
                z = [
                    _z_scores(values[[one]], control, control.words[:, [one]])[0] if control else None
                    for control in (random, initial)
                ]
                old = before[start + row, one].item() if before is not None else None
                neighbors.append(_neighbor(space, run, start + row, rank, one, score, z[0], z[1], old))
    return sorted(neighbors, key=lambda neighbour: -neighbour.score)


def neighbor_rows(space: ScoredSpace, neighbors: Sequence[Neighbor]) -> list[dict[str, str | int | float | bool | None]]:
    """Rows for a table or a CSV file; the score's column is named "cosine" or "logit"."""
    table = []
    for neighbour in neighbors:
        values = asdict(neighbour) | {"token": neighbour.label}
        table.append({(space.measure if name == "score" else name): value for name, value in values.items()})
    return table


def describe_controls(space: ScoredSpace, random: Control | None = None, initial: Control | None = None) -> str:
    """Describe the space and the controls of `nearest`."""
    controls = [
        f"{name}: {control.recipe}" for name, control in (("z_random", random), ("z_initial", initial)) if control is not None
    ]
    if not controls:
        return space.recipe
    how = "standard deviations above the mean of a control's scores at the same rank"
    return f"{space.recipe} z-scores: {how} ({'; '.join(controls)})."


def _neighbor(
    space: ScoredSpace,
    run: str,
    token: int,
    rank: int,
    word: int,
    score: float,
    z_random: float | None,
    z_initial: float | None,
    before: float | None,
) -> Neighbor:
    words = space.vocabulary
    return Neighbor(run, token, rank, words.texts[word], word, words.whole(word), score, z_random, z_initial, before)


def _ranked_ids(space: ScoredSpace, whole: bool) -> Tensor:
    """Ids of the words that are ranked, ascending."""
    ids = space.vocabulary.whole_ids if whole else torch.arange(len(space.vocabulary))
    if not len(ids):
        raise BadInput(f"{space.vocabulary.owner or 'This model'} has no token that is a whole word. Rank all tokens instead.")
    return ids


def _iter_scores(space: ScoredSpace, vectors: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield (index of the first vector, scores (chunk, words)) for CHUNK vectors at a time."""
    for start in range(0, len(vectors), CHUNK):
        yield start, space.scores(vectors[start : start + CHUNK])


def _initial_scores(space: ScoredSpace, vectors: Tensor, initial: Control | None) -> Tensor | None:
    """Scores of the tokens before training, (P, words), or None unless they correspond one to one."""
    return space.scores(initial.vectors) if initial is not None and initial.vectors.shape == vectors.shape else None


def _mean_and_std(parts: list[Tensor]) -> Tensor:
    """Mean and standard deviation for each rank: (2, ranks). The latter is 0 for one vector."""
    whole = torch.cat(parts)
    return torch.stack([whole.mean(0), whole.std(0) if len(whole) > 1 else torch.zeros(whole.shape[1])])


def _z_scores(values: Tensor, control: Control, moments: Tensor) -> list[float | None]:
    """Standard deviations above a control for each value; None if the control's scores differ by rounding only."""
    spread = moments[1, : len(values)]
    z = (values - moments[0, : len(values)]) / spread
    return [one if control.n >= 3 and size > MIN_SPREAD else None for one, size in zip(z.tolist(), spread.tolist(), strict=True)]
