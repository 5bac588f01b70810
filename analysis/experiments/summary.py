"""Summarize the results of a grid: mean and standard error over seeds, and which line is better on the same rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev

import numpy as np
import pandas as pd

from analysis.evaluation.significance import Difference, compare
from analysis.evaluation.suites import entries, score_examples
from analysis.experiments.cell import Workplace, read_texts
from analysis.experiments.grid import SETS, Grid, Line
from analysis.experiments.result import Result
from analysis.metrics.base import Score
from core.errors import BadInput, PrefixLabError
from core.runs.run import ScoreRecord
from core.text.checks import percent

MAIN = ("BLEU", "ROUGE-L")  # the score that lines are compared by: the first that there is
COLUMNS = (
    "BLEU",
    "BLEU-seen",
    "BLEU-unseen",
    "NIST",
    "METEOR",
    "TER",
    "ROUGE-1",
    "ROUGE-2",
    "ROUGE-L",
    "CIDEr",
    "Coverage",
    "Forgetting",
)


@dataclass(frozen=True)
class Summary:
    """A score of one line. `error`: the standard error over seeds; None for a single seed, which has an interval over rows
    instead."""

    value: float
    error: float | None
    seeds: int
    n: int
    low: float | None = None
    high: float | None = None
    higher_is_better: bool = True

    def text(self, digits: int = 1) -> str:
        """The value with its standard error: "62.9 ± 0.4"."""
        return f"{self.value:.{digits}f}" + (f" ± {self.error:.{digits}f}" if self.error is not None else "")


def summarize(results: Sequence[Result]) -> dict[str, Summary]:
    """Average each score of results that differ only in seed and sample, with "Forgetting". A result that is a mean is kept
    as it is."""
    done = [_with_forgetting(result) for result in results if result.status == "done"]
    names = list(dict.fromkeys(name for result in done for name in result.scores))
    return {name: _summary([result for result in done if name in result.scores], name) for name in names}


def _with_forgetting(result: Result) -> Result:
    """Return the result with forgetting as one of its scores."""
    if result.forgotten is None:
        return result
    score: ScoreRecord = {"value": result.forgotten, "n": result.forgetting.get("tokens", 0), "higher_is_better": False}
    return replace(result, scores=result.scores | {"Forgetting": score})


def _summary(results: Sequence[Result], name: str) -> Summary:
    scores = [result.scores[name] for result in results]
    values, first = [float(score["value"]) for score in scores], scores[0]
    count, error = len(values), None
    if count > 1:
        error = stdev(values) / math.sqrt(count)
    elif "sd" in first and len(results[0].seeds) > 1:
        count = len(results[0].seeds)
        error = float(first["sd"]) / math.sqrt(count)
    interval = (first.get("low"), first.get("high")) if count == 1 else (None, None)
    return Summary(mean(values), error, count, int(first.get("n", 0)), *interval, bool(first.get("higher_is_better", True)))


def compare_lines(place: Workplace, first: Sequence[Result], second: Sequence[Result]) -> Difference:
    """Compare two lines on the same rows by a paired bootstrap over rows; their common seeds count as one corpus.

    A row is drawn with the texts of all seeds. Raises BadInput if they have no common seed, StoreError if texts are missing.
    """
    ours, theirs = _by_seed(first), _by_seed(second)
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        raise BadInput("The two lines have no finished seed in common.")
    pooled = [_pooled([_score(place, line[key]) for key in common]) for line in (ours, theirs)]
    return compare(pooled[0], pooled[1])


def _by_seed(results: Sequence[Result]) -> dict[tuple[int, int], Result]:
    return {(one.cell.seed, one.cell.sample): one for one in results if one.status == "done"}


def _score(place: Workplace, result: Result) -> Score:
    """Compute the main score again, from the texts."""
    examples = entries(SETS[result.cell.data], place.test_examples(result.cell))
    texts = [row["text"] for row in read_texts(place.texts_file(result.cell))]
    scores = {one.name: one for one in score_examples(SETS[result.cell.data], texts, examples) if isinstance(one, Score)}
    return next(scores[name] for name in MAIN if name in scores)


def _pooled(scores: Sequence[Score]) -> Score:
    """Pool the texts of all seeds as one corpus, whose rows are those of one seed."""
    first = scores[0]
    if first.sums is None or first.value_of is None:
        return first
    sums = np.mean(np.stack([score.sums for score in scores if score.sums is not None]), axis=0)
    return replace(first, sums=sums, value=first.value_of(sums.sum(axis=0)))


def results_of(line: Line, place: Workplace) -> list[Result]:
    """Return the results of a line so far."""
    return [result for cell in line.cells if (result := place.result(cell)) is not None]


def grid_frame(grid: Grid, place: Workplace) -> pd.DataFrame:
    """Return a grid as a table: a row for each line that has results, mean ± standard error over the seeds that did not fail."""
    rows = []
    for line in grid.lines:
        results = results_of(line, place)
        if not results:
            continue
        done = [result for result in results if result.status == "done"]
        summaries = summarize(done)
        row: dict[str, object] = {"data": line.data, "line": line.label}
        row |= {"x": line.x} if line.x is not None and line.x != line.label else {}
        row |= {"seeds": len(done), **(_of_first(done[0]) if done else dict.fromkeys(("n", "rate", "share"), "–"))}
        names = [name for name in COLUMNS if name in summaries]
        row |= {name: summaries[name].text(2 if name in ("NIST", "CIDEr", "TER", "Forgetting") else 1) for name in names}
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")


def _of_first(first: Result) -> dict[str, object]:
    return {"n": first.n, "rate": _rate(first), "share": percent(first.share)}


def _rate(result: Result) -> str:
    """Return the learning rate, marked if it is at an end of the grid, since a better one may lie outside."""
    if result.rate is None:
        return "–"
    return f"{result.rate:g}" + {"lowest": " ↓", "highest": " ↑"}.get(result.rate_at_end, "")


def comparisons(grid: Grid, place: Workplace) -> list[tuple[Line, Line, Difference]]:
    """Compare each line of a grid with its first line of a prefix on the same rows, if the texts of both are on this machine."""
    pairs = []
    for line in grid.lines:
        best = next((other for other in grid.lines if other.cells[0].method == "prefix" and _same_rows(other, line)), None)
        if best is None or best is line:
            continue
        try:
            pairs.append((best, line, compare_lines(place, results_of(best, place), results_of(line, place))))
        except PrefixLabError:  # not run yet, or its texts are elsewhere
            continue
    return pairs


def _same_rows(one: Line, other: Line) -> bool:
    first, second = one.cells[0], other.cells[0]
    return (first.data, first.topics, first.rows, first.tables) == (second.data, second.topics, second.rows, second.tables)
