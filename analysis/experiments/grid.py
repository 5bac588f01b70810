"""Grids of experiments as data: a grid has lines, a line has cells, a cell is one training with its scores."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Self

from core.config.methods import METHODS
from core.config.presets import preset
from core.config.train import TrainConfig
from core.errors import BadInput
from core.runs.layout import JsonObject

FROZEN = "frozen"  # the method of a cell that trains nothing
SETS = {
    "records": "records",
    "tables": "tables",
    "e2e": "e2e",
    "webnlg": "webnlg",
    "dart": "dart",
    "news": "summarization",
    "topics": "summarization",
}


Setting = str | int | float  # a value of TrainConfig


@dataclass(frozen=True)
class Cell:
    """One training and its scores.

    `data`: a name of SETS; `topics`: a split by topic (paper §6.4). `rows` > 0: so many training examples are drawn with the
    random seed `sample`, and a validation set of 30 % of that size (footnote 11) unless `valid` gives a number. `tables` > 0:
    so many test inputs, evenly spaced, are scored. `settings`: differences from the preset. `rates`: candidate learning rates,
    chosen by validation loss with the line's first seed and sample; if empty, the preset's rate is used.
    """

    data: str
    method: str = "prefix"
    preset: str = "fast"
    settings: tuple[tuple[str, Setting], ...] = ()
    seed: int = 0
    sample: int = 0
    rows: int = 0
    valid: int = 0
    tables: int = 0
    topics: str = ""
    rates: tuple[float, ...] = ()

    @property
    def id(self) -> str:
        """A readable unique name, which ends with a hash of all fields."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]
        varied = [f"{name}{_short(value)}" for name, value in self.settings if name in VARIED]
        rows = [f"rows{self.rows}"] if self.preset in ("low",) else []
        sample = [f"d{self.sample}"] if self.sample else []
        return "-".join([self.data, *filter(None, [self.topics]), self.method, *varied, *rows, *sample, f"s{self.seed}", digest])

    @property
    def first(self) -> Self:
        """The cell of the same line whose validation losses choose the learning rate."""
        return replace(self, seed=0, sample=0)

    @property
    def is_article(self) -> bool:
        """Whether its inputs are articles, which need another backbone."""
        return SETS[self.data] == "summarization"

    def config(self, rate: float | None = None) -> TrainConfig:
        """Return the settings of its training. Raises BadConfig."""
        changes = dict(self.settings) | ({} if rate is None else {"rate": rate})
        return preset(self.preset, self.method, SETS[self.data], seed=self.seed, **changes)

    def to_json(self) -> JsonObject:
        """Return plain values."""
        return asdict(self) | {"settings": dict(self.settings)}

    @classmethod
    def from_json(cls, values: JsonObject) -> Self:
        """Build a cell from its plain values. Raises BadInput for anything else."""
        try:
            known = {one.name: values[one.name] for one in fields(cls) if one.name in values}
            known["settings"] = tuple(sorted(dict(values.get("settings", {})).items()))
            known["rates"] = tuple(map(float, values.get("rates", ())))
            cell = cls(**known)
        except (TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"This is not a cell of an experiment: {error}.") from error
        if cell.data not in SETS or cell.method not in (FROZEN, *METHODS):
            raise BadInput(f"This is not a cell of an experiment: its data is {cell.data!r} and its method {cell.method!r}.")
        return cell


VARIED = ("length", "init", "init_words", "share")  # settings that a grid varies, named in a cell's id


def _short(value: Setting) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "".join(letter if letter.isalnum() or letter == "." else "_" for letter in text)[:16]


@dataclass(frozen=True)
class Line:
    """A line of a table or a point of a curve: its cells differ in seed and sample. `x`: its position on a curve's axis."""

    label: str
    cells: tuple[Cell, ...]
    x: float | str | None = None

    @property
    def data(self) -> str:
        """The data set of its cells."""
        return self.cells[0].data


@dataclass(frozen=True)
class Grid:
    """A table or figure of the paper. `needs`: the data sets that it can use."""

    name: str
    title: str
    lines: tuple[Line, ...] = ()
    needs: tuple[str, ...] = field(default=())

    @property
    def cells(self) -> list[Cell]:
        """Its cells in the order of its lines, each once."""
        return list(dict.fromkeys(cell for line in self.lines for cell in line.cells))

    def line_of(self, cell: Cell) -> Line | None:
        """Return the line of a cell."""
        return next((line for line in self.lines if cell in line.cells), None)


def expand(cell: Cell, seeds: int, samples: int = 1) -> tuple[Cell, ...]:
    """Return the cell with every sample and seed, from 0 on."""
    return tuple(replace(cell, seed=seed, sample=sample) for sample in range(samples) for seed in range(seeds))


def unique_cells(grids: Sequence[Grid]) -> list[Cell]:
    """Return the cells of several grids, each once, since tables and figures share some."""
    return list(dict.fromkeys(cell for grid in grids for cell in grid.cells))


def places_of(cell: Cell, grids: Sequence[Grid]) -> Iterator[tuple[str, Line]]:
    """Return (grid name, line) for every line that has a cell."""
    for grid in grids:
        if line := grid.line_of(cell):
            yield grid.name, line
