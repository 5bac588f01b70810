"""Run many cells one after the other, and estimate how long they take."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from analysis.experiments.cell import Workplace
from analysis.experiments.grid import FROZEN, Cell
from analysis.experiments.result import Result
from core.config.decoding_defaults import paper_decoding
from core.config.methods import method_info
from core.generation.generate import generate
from core.generation.types import make_request
from core.runs.status import read_status
from core.training.batches import encode_rows
from core.training.estimate import Costs, measure_costs, total_seconds
from core.training.loop import total_updates

PAUSE = 1.0  # seconds between two looks at cells that other processes have in hand
FEW = 32  # examples that are encoded for an estimate
TEXTS = 4  # that are generated for an estimate
TRIALS = 4  # learning rates that a search usually tries

Place = Callable[[Cell], Workplace]  # the workplace of a cell: articles have a backbone of their own


def unfinished(cells: Sequence[Cell], place: Place) -> list[Cell]:
    """Return the cells that have no result yet."""
    return [cell for cell in cells if place(cell).result(cell) is None]


def run_cells(cells: Sequence[Cell], place: Place, wait: bool = True) -> Iterator[Result]:
    """Yield each cell's result, finished ones first, until all are done or the work is cancelled.

    Cells that another process is running are skipped, and tried again after `wait` seconds. Raises the errors of `try_run`.
    """
    remaining = list(cells)
    while remaining:
        before = len(remaining)
        for cell in list(remaining):
            result = place(cell).try_run(cell)
            if place(cell).cancelled:
                return
            if result is not None:
                remaining.remove(cell)
                yield result
        if len(remaining) == before:
            if not wait:
                return
            time.sleep(PAUSE)


@dataclass
class Estimate:
    """The estimated seconds of each cell on this machine, from a few measured updates and texts."""

    seconds: dict[str, float]
    jobs: int = 1  # that share the work
    began: float = field(default_factory=time.monotonic)
    done: float = 0.0

    @property
    def total(self) -> float:
        """The seconds until all cells are done, before any is."""
        return sum(self.seconds.values()) / self.jobs

    def remaining(self, cell: Cell | None = None) -> float:
        """Return the seconds left after a cell is finished; the estimate is corrected by the time that finished cells really
        took."""
        if cell is not None:
            self.done += self.seconds.pop(cell.id, 0.0)
        factor = (time.monotonic() - self.began) * self.jobs / self.done if self.done else 1.0
        return self.total * factor


def estimate_cells(cells: Sequence[Cell], place: Place, jobs: int = 1) -> Estimate:
    """Estimate cells before they start; each method is measured once per data set."""
    costs: dict[tuple[str, ...], tuple[Costs, float]] = {}
    seconds: dict[str, float] = {}
    for cell in cells:
        here, key = place(cell), (cell.data, cell.topics, cell.method, cell.preset)
        if key not in costs:
            costs[key] = _measure(cell, here)
        seconds[cell.id] = _seconds(cell, here, *costs[key])
    return Estimate(seconds, jobs)


def _measure(cell: Cell, place: Workplace) -> tuple[Costs, float]:
    """Measure the time of a batch, a validation row and a scored text."""
    config, task = cell.config() if cell.method != FROZEN else None, place.task(cell)
    test = place.test_examples(cell)[:TEXTS]
    requests = [make_request(place.backbone, task, example.source) for example in test]
    began = time.perf_counter()
    generate(place.backbone.model, place.backbone, requests, paper_decoding(task.name))
    text = (time.perf_counter() - began) / max(1, len(requests))
    if config is None or not method_info(cell.method).trained:
        return Costs(0.0, 0.0, 0.0), text
    length = config.length if method_info(cell.method).virtual_tokens else 0
    rows = encode_rows(place.backbone, task, place.rows(cell).examples[:FEW], length, cell.method == "infix")
    return measure_costs(place.backbone, config, rows), text


def _seconds(cell: Cell, place: Workplace, costs: Costs, text: float) -> float:
    texts = len({example.source for example in place.test_examples(cell)}) * text
    if cell.method == FROZEN:
        return texts
    rows, config = place.rows(cell), cell.config()
    pairs = sum(len(example.targets) for example in rows.examples)
    once = total_seconds(config, total_updates(config, pairs), len(rows.valid), costs)
    trained = read_status(place.store.folder / cell.id).state == "done"
    trainings = 0 if trained else max(1, min(TRIALS, len(cell.rates))) if cell == cell.first else 1
    return texts + trainings * once
