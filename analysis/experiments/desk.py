"""All runs as one table, and pairs of numbers of results for the scatter plot."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import mean
from typing import Any

import pandas as pd

from analysis.experiments.grid import FROZEN
from analysis.experiments.papers import PRINTED_NAMES
from analysis.experiments.result import Result, families, home
from analysis.experiments.tables import DATA_NAMES
from core.config.methods import METHODS, method_info
from core.runs.run import Run
from core.runs.store import Store
from core.text.checks import counted

# Axes of the scatter: name -> (title, whether more is better).
AXES: dict[str, tuple[str, bool]] = {
    "stored": ("stored parameters", False),
    "BLEU": ("BLEU", True),
    "BLEU-unseen": ("BLEU, unseen categories", True),
    "Coverage": ("coverage, %", True),
    "forgetting": ("forgetting, nats per token", False),
    "seconds": ("seconds of training", False),
}
RUN_COLUMNS = ("run", "method", "task", "backbone", "status", "updates", "rate", "validation loss", "BLEU", "ROUGE-L", "stored",
               "seconds", "created")  # fmt: skip


_store = cache(Store)  # a store reads a run again only if it has changed


def desk_runs(runs: Store) -> list[Run]:
    """The runs of a store, and the trainings of experiments."""
    folders = sorted(home().glob("*/runs")) if home().is_dir() else []
    return [*runs.runs(), *(run for folder in folders for run in _store(folder).runs())]


def runs_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """Return a row for each run, with RUN_COLUMNS; scores are those of the test split."""
    rows = []
    for run in runs:
        scores = run.scores.get("test", {})
        bleu, rouge = (scores[name]["value"] if name in scores else None for name in ("BLEU", "ROUGE-L"))
        title = method_info(run.method).short_title
        rate = run.config.get("rate") if method_info(run.method).trained else None
        values = [run.id, title, run.task.name, run.backbone, run.status, run.updates, rate, run.valid_loss]
        values += [bleu, rouge, run.stored, run.seconds, run.created[:10]]
        rows.append(dict(zip(RUN_COLUMNS, values, strict=True)))
    return pd.DataFrame(rows, columns=list(RUN_COLUMNS))


def select_rows(frame: pd.DataFrame, words: str = "", sort: str = "") -> pd.DataFrame:
    """Return the rows that contain every word in some column, sorted by a column; descending if its name starts with "-"."""
    if words.strip():
        texts = [" ".join(map(str, row)).lower() for row in frame.to_numpy().tolist()]
        frame = frame[[all(word in text for word in words.lower().split()) for text in texts]]
    column = sort.removeprefix("-")
    if column in frame.columns:
        frame = frame.sort_values(column, ascending=not sort.startswith("-"), na_position="last", kind="stable")
    return frame


def differing_settings(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the settings in which runs differ: one row per setting that their methods have, one column per run."""
    strange = {name for info in METHODS.values() for name in info.settings}
    strange -= {name for run in runs for name in method_info(run.method).settings}
    configs = {}
    for run in runs:
        values: dict[str, object] = {"method": run.method, "task": run.task.name, "backbone": run.backbone, "rows": run.rows}
        configs[run.id] = values | {name: value for name, value in run.config.items() if name not in strange and name != "method"}
    frame = pd.DataFrame(configs).astype(object).fillna("–")
    if frame.empty:
        return frame
    differ = frame.map(str).nunique(axis=1) > 1
    return frame[differ].rename_axis("setting").reset_index()


# What varies along a line of these grids.
VARIED: dict[str, Callable[[Any], str]] = {
    "figure3": lambda rows: f"{rows:,} examples",
    "figure4": lambda length: counted(length, "virtual token"),
    "near-text": lambda weight: f"weight {weight:g}",
}


@dataclass(frozen=True)
class Point:
    """A line of results in the scatter plot. `best`: whether it is on the Pareto front."""

    label: str
    x: float
    y: float
    method: str
    results: tuple[str, ...]
    best: bool = False


def value_of(result: Result, axis: str) -> float | None:
    """Return the number of a result on an axis of AXES, or None."""
    if axis == "stored":  # 0 where it was not recorded, except for methods that store nothing
        is_unknown = not result.stored and result.cell.method != FROZEN and method_info(result.cell.method).trained
        return None if is_unknown else float(result.stored)
    if axis == "seconds":
        return result.seconds.get("training") if result.cell.method != FROZEN else 0.0
    if axis == "forgetting":
        return result.forgotten
    score = result.scores.get(axis)
    return float(score["value"]) if score else None


def scatter_points(results: Sequence[Result], x: str, y: str) -> list[Point]:
    """Return a point for each line that has both numbers, averaged over its seeds; those on the Pareto front are marked.

    Lines of one label, such as a method in two of the paper's tables, have their table's name after it.
    """
    measured = (result for result in results if result.status == "done")
    points, grids = [], []
    for family in families(one for one in measured if value_of(one, x) is not None and value_of(one, y) is not None):
        grid, place = next(iter(family[0].places.items()), ("", {"label": family[0].cell.method}))
        xs, ys = ([float(value_of(one, axis) or 0.0) for one in family] for axis in (x, y))
        varied = "" if place.get("x") in (None, place["label"]) else f", {VARIED.get(grid, str)(place['x'])}"
        points.append(
            Point(f"{place['label']}{varied}", mean(xs), mean(ys), family[0].cell.method, tuple(one.id for one in family))
        )
        grids.append(grid)
    count = Counter(point.label for point in points)
    return [
        replace(
            point,
            label=f"{point.label} ({PRINTED_NAMES.get(grid, grid)})" if count[point.label] > 1 and grid else point.label,
            best=not any(_beats(other, point, x, y) for other in points),
        )
        for point, grid in zip(points, grids, strict=True)
    ]


def points_frame(results: Sequence[Result], x: str, y: str) -> pd.DataFrame:
    """The points of all data sets, a row each; counts are whole numbers."""
    rows = []
    for data in dict.fromkeys(result.cell.data for result in results):
        for one in scatter_points([result for result in results if result.cell.data == data], x, y):
            rows.append({"data": DATA_NAMES[data], "line": one.label, AXES[x][0]: one.x, AXES[y][0]: one.y, "front": one.best})
    return pd.DataFrame(rows).convert_dtypes()


def _beats(one: Point, other: Point, x: str, y: str) -> bool:
    """Whether a point is at least as good in both numbers, and better in one."""
    signs = [1 if AXES[axis][1] else -1 for axis in (x, y)]
    gains = [sign * (mine - theirs) for sign, mine, theirs in zip(signs, (one.x, one.y), (other.x, other.y), strict=True)]
    return min(gains) >= 0 and max(gains) > 0
