"""The return types of all metrics."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

import numpy as np

from core.errors import BadInput

T = TypeVar("T")
Progress = Callable[[str, int, int], None]  # a score's name, how many texts it has counted, of how many


@dataclass(frozen=True)
class Score:
    """A corpus value with its recipe.

    `value` and `per_example` are in the metric's own unit (BLEU, ROUGE, METEOR, TER, coverage: 0 to 100; NIST and CIDEr from 0
    up). `n` counts the examples, and `per_example` follows their order. `sums` (n, k) and `value_of` define the corpus value,
    `value_of(sums.sum(axis=0)) == value`, so that it can be computed for any sample of the examples.
    """

    name: str
    value: float
    higher_is_better: bool
    signature: str
    n: int
    per_example: tuple[float, ...]
    sums: np.ndarray | None = field(default=None, repr=False, compare=False)
    value_of: Callable[[np.ndarray], float] | None = field(default=None, repr=False, compare=False)


class NotComputed(NamedTuple):
    """The reason why a score cannot be computed on this machine, in place of the Score."""

    name: str
    reason: str


def tracked(items: Sequence[T], name: str, progress: Progress | None) -> Iterator[T]:
    """Yield the items, calling `progress` after each."""
    for done, item in enumerate(items, 1):
        yield item
        if progress is not None:
            progress(name, done, len(items))


def ratio(sums: np.ndarray) -> float:
    """Return the first sum over the second: for means (value, 1) and error rates (errors, words). 0 / 0 is 0."""
    return float(sums[0] / sums[1]) if sums[1] else 0.0


def mean_score(name: str, each: Sequence[float], higher_is_better: bool, signature: str) -> Score:
    """Return the score that is the mean of its examples."""
    sums = np.column_stack([np.asarray(each, dtype=float), np.ones(len(each))])
    return Score(name, ratio(sums.sum(axis=0)), higher_is_better, signature, len(each), tuple(map(float, each)), sums, ratio)


def subset(score: Score, places: Sequence[int], name: str) -> Score:
    """Return the same score for some of its examples, under another name."""
    assert score.sums is not None and score.value_of is not None
    sums, each = score.sums[list(places)], tuple(score.per_example[place] for place in places)
    return replace(score, name=name, value=score.value_of(sums.sum(axis=0)), n=len(places), per_example=each, sums=sums)


def check(hyps: list[str], refs: list[list[str]]) -> None:
    """Raise BadInput if the lists do not match or are empty, or if an output has no reference."""
    if not hyps or len(hyps) != len(refs):
        raise BadInput(f"{len(hyps)} outputs and {len(refs)} lists of references: give one list per output.")
    bare = next((number for number, own in enumerate(refs, 1) if not own), None)
    if bare is not None:
        raise BadInput(f"Output {bare} of {len(hyps)} has no reference: leave it out, or add one.")
