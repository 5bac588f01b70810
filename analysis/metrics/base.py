"""What every metric returns."""

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
    up); `n` counts the examples, and `per_example` follows their order. `sums` (n, k) and `value_of` say how the corpus value
    comes about, `value_of(sums.sum(axis=0)) == value`: with these it can be had for any sample of the examples.
    """

    name: str
    value: float
    higher_is_better: bool
    signature: str
    n: int
    per_example: tuple[float, ...]
    sums: np.ndarray | None = field(default=None, repr=False, compare=False)
    value_of: Callable[[np.ndarray], float] | None = field(default=None, repr=False, compare=False)


# Keys of run.json whose names a person reads differently.
_LABELS = {"Told": "Coverage", "Beyond": "Unsupported"}


def metric_label(name: str) -> str:
    """A score's key in run.json as it is printed: "Told-seen" is "Coverage-seen"."""
    metric, dash, subset_name = name.partition("-")
    return _LABELS.get(metric, metric) + dash + subset_name


class NotComputed(NamedTuple):
    """A score that cannot be had on this machine, and why; it stands where the Score would."""

    name: str
    reason: str


def tracked(items: Sequence[T], name: str, progress: Progress | None) -> Iterator[T]:
    """The items, with `progress` called after each."""
    for done, item in enumerate(items, 1):
        yield item
        if progress is not None:
            progress(name, done, len(items))


def ratio(sums: np.ndarray) -> float:
    """First sum over second: for means (value, 1) and for error rates (errors, words). Nothing over nothing is 0."""
    return float(sums[0] / sums[1]) if sums[1] else 0.0


def mean_score(name: str, each: Sequence[float], higher_is_better: bool, signature: str) -> Score:
    """The score that is the mean of its examples."""
    sums = np.column_stack([np.asarray(each, dtype=float), np.ones(len(each))])
    return Score(name, ratio(sums.sum(axis=0)), higher_is_better, signature, len(each), tuple(map(float, each)), sums, ratio)


def subset(score: Score, places: Sequence[int], name: str) -> Score:
    """The same score of some of its examples, under another name."""
    assert score.sums is not None and score.value_of is not None
    sums, each = score.sums[list(places)], tuple(score.per_example[place] for place in places)
    return replace(score, name=name, value=score.value_of(sums.sum(axis=0)), n=len(places), per_example=each, sums=sums)


def check(hyps: list[str], refs: list[list[str]]) -> None:
    """Raises BadInput where the lists do not match, are empty, or an output has no reference."""
    if not hyps or len(hyps) != len(refs):
        raise BadInput(f"{len(hyps)} outputs and {len(refs)} lists of references: give one list an output.")
    bare = next((number for number, own in enumerate(refs, 1) if not own), None)
    if bare is not None:
        raise BadInput(f"Output {bare} of {len(hyps)} has no reference: leave it out, or add one.")
