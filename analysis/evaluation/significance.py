"""Is one system better than another on the same rows? Paired bootstrap (Koehn 2004).

Rows are resampled with replacement, the same ones for both systems, and both corpus values are computed. The quantiles of their
difference over many resamples are its interval.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from analysis.metrics.base import Score
from core.errors import BadInput

RESAMPLES = 1000


@dataclass(frozen=True)
class Difference:
    """`first - second` in the metric's unit with its 95 % interval; `better` names the better system, "" if 0 is in the
    interval."""

    metric: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    higher_is_better: bool
    n: int
    resamples: int
    seed: int

    @property
    def better(self) -> str:
        if self.low <= 0 <= self.high:
            return ""
        return "first" if (self.difference > 0) == self.higher_is_better else "second"

    def sentence(self, first: str, second: str) -> str:
        """Describe the difference: "prefix better by 1.20 BLEU (95 % interval 0.40 to 2.00, n = 630 …)"."""
        low, high = sorted((abs(self.low), abs(self.high))) if self.better else (self.low, self.high)
        recipe = f"(95 % interval {low:.2f} to {high:.2f}, n = {self.n}, {self.resamples:,} resamples, seed {self.seed})"
        if not self.better:
            return f"{self.metric}: no clear difference, {first} minus {second} is {self.difference:+.2f} {recipe}."
        return f"{self.metric}: {first if self.better == 'first' else second} better by {abs(self.difference):.2f} {recipe}."


def compare(first: Score, second: Score, resamples: int = RESAMPLES, seed: int = 0) -> Difference:
    """Compare two scores of one metric on the same rows. Raises BadInput if metric, recipe or rows differ."""
    if first.name != second.name or first.signature != second.signature:
        raise BadInput(f"{first.name} ({first.signature}) and {second.name} ({second.signature}) are not the same measure.")
    if first.n != second.n or first.n == 0:
        raise BadInput(f"{first.name} was taken over {first.n} rows and over {second.n}: compare systems on the same rows.")
    values = [_resampler(score) for score in (first, second)]
    differences = [values[0](times) - values[1](times) for times in _draws(first.n, resamples, seed)]
    low, high = np.percentile(differences, (2.5, 97.5))
    interval = (float(low), float(high))
    difference = first.value - second.value
    return Difference(
        first.name, first.value, second.value, difference, *interval, first.higher_is_better, first.n, resamples, seed
    )


def interval(score: Score, resamples: int = RESAMPLES) -> tuple[float, float]:
    """Return the 95 % interval of one score over resampled rows. Raises BadInput if the score cannot be resampled."""
    value = _resampler(score)
    low, high = np.percentile([value(times) for times in _draws(score.n, resamples, seed=0)], (2.5, 97.5))
    return float(low), float(high)


def _draws(n: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Return how often each of n rows is drawn, (n,), for every resample."""
    draws = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(draws.integers(0, n, n), minlength=n).astype(float)


def _resampler(score: Score) -> Callable[[np.ndarray], float]:
    """Return a function from how often each row is drawn, (n,), to the corpus value."""
    sums, value_of = score.sums, score.value_of
    if sums is None or value_of is None:
        raise BadInput(f"{score.name} does not say how its examples sum up, so it cannot be resampled.")
    return lambda times: value_of(times @ sums)
