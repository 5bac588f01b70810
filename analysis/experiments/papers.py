"""The tables and figures of the paper (Li and Liang, 2021) as grids of cells, in two sizes."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from analysis.experiments.grid import FROZEN, SETS, Cell, Grid, Line, Setting, expand
from core.config.presets import preset
from core.errors import BadInput

OF_TABLES = ("e2e", "webnlg", "records")  # the sets of figures 3 to 5 and Table 4: the first that is available
NAMES = ("table1", "table2", "table3", "figure3", "figure4", "figure5", "table4")
PRINTED_NAMES = {  # as the paper prints them
    "table1": "Table 1",
    "table2": "Table 2",
    "table3": "Table 3",
    "table4": "Table 4",
    "figure3": "Figure 3",
    "figure4": "Figure 4",
    "figure5": "Figure 5",
}
TASK_WORDS, OTHER_WORDS = "table to text", ("elephant", "divide")
PREFIX, FINETUNED, TOP2 = "Prefix-tuning", "Fine-tuning", "Top 2 layers"
ADAPTER, LARGE_ADAPTER = "Adapter, as large as the prefix", "Adapter, 3 %"
LARGE_PREFIX, SMALL_PREFIX = "Prefix-tuning, 2 %", "Prefix-tuning, 0.1 %"
FROZEN_MODEL = "Frozen model"


@dataclass(frozen=True)
class Scale:
    """The size of the experiments. 0 means all, or the preset's value.

    `rates`: the candidates for every method; if empty, the rates of the preset and of Table 5. `sizes`: of Figure 3's training
    sets. `summary_lengths`: the lengths of prefixes of 2 % and 0.1 % of the backbone for articles.
    """

    name: str
    preset: str
    updates: int
    low_updates: int
    article_updates: int
    rows: int
    tables: int
    seeds: int
    samples: int
    rates: tuple[float, ...]
    lengths: tuple[int, ...]
    sizes: tuple[int, ...] = (50, 100, 200, 500)
    summary_lengths: tuple[int, int] = (43, 2)
    only_updates: int = 0  # in place of all three numbers of updates

    def updates_of(self, kind: str) -> int:
        """Return the updates of a training; `kind` is "", "low" or "article"."""
        return self.only_updates or {"": self.updates, "low": self.low_updates, "article": self.article_updates}[kind]


# `small`: the 144 cells on E2E, WebNLG, news and topics take under six hours on two cores with the bundled backbones, by their
# estimate.
SCALES = {
    "small": Scale(
        "small", "fast", 300, 200, 150, 2000, 100, 3, 2, (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1), (1, 2, 5, 10, 20, 40)
    ),
    "paper": Scale("paper", "paper", 0, 400, 0, 0, 0, 2, 5, (), (1, 2, 5, 10, 20, 40), summary_lengths=(200, 10)),
}
# Table 5 of the paper, where it differs from the preset "paper" (its row E2E).
TABLE5: dict[tuple[str, str], dict[str, Setting]] = {
    ("webnlg", "prefix"): dict(rate=5e-5, epochs=5.0, batch=5, length=5),
    ("dart", "prefix"): dict(rate=5e-5, epochs=10.0, batch=5, length=10),
    ("news", "prefix"): dict(rate=5e-5, epochs=30.0, batch=14, length=100),
    ("topics", "prefix"): dict(rate=5e-5, epochs=30.0, batch=14, length=100),
    ("e2e", LARGE_ADAPTER): dict(rate=5e-5, epochs=5.0, batch=5),
    ("webnlg", LARGE_ADAPTER): dict(rate=5e-5, epochs=5.0, batch=5),
    ("dart", LARGE_ADAPTER): dict(rate=5e-5, epochs=5.0, batch=5),
    ("webnlg", "adapter"): dict(rate=5e-5, epochs=10.0, batch=5),
    ("dart", "adapter"): dict(rate=8e-5, epochs=5.0, batch=5),
    ("webnlg", "finetune"): dict(rate=1e-5, epochs=10.0, batch=6),
    ("dart", "finetune"): dict(rate=1e-5, epochs=10.0, batch=6),
    ("webnlg", "top_layers"): dict(rate=5e-5, epochs=10.0, batch=9),
    ("dart", "top_layers"): dict(rate=5e-5, epochs=5.0, batch=5),
}


def scale(name: str, **changes: Any) -> Scale:
    """Return a scale by name, with some of its numbers changed (None keeps one). Raises BadInput."""
    if name not in SCALES:
        raise BadInput(f"There is no scale {name!r}: choose {' or '.join(SCALES)}.")
    return replace(SCALES[name], **{key: value for key, value in changes.items() if value is not None})


def paper_grids(size: Scale, data: Collection[str]) -> list[Grid]:
    """Return every table and figure, for the available data sets (names in `grid.SETS`).

    Figures 3 to 5 and Table 4 are of E2E, of WebNLG if only that is available, or of the bundled tables ("records"), which
    always are and are a part of Table 1.
    """
    table = next(name for name in OF_TABLES if name in (*data, "records"))
    of_set = {"table1": [name for name in ("e2e", "webnlg", "dart") if name in data] + ["records"]}
    news, topics = [name for name in ("news",) if name in data], [name for name in ("topics",) if name in data]
    every = [
        Grid("table1", "Table-to-text: all methods", _table1(size, of_set["table1"]), ("e2e", "webnlg", "dart", "records")),
        Grid("table2", "Summarization", tuple(line for name in news for line in _table2(size, name)), ("news",)),
        Grid("table3", "Summaries of unseen topics", tuple(line for name in topics for line in _table3(size, name)), ("topics",)),
        Grid("figure3", "Little data", _figure3(size, table), OF_TABLES),
        Grid("figure4", "Prefix length", _figure4(size, table), OF_TABLES),
        Grid("figure5", "Initialization", _figure5(size, table), OF_TABLES),
        Grid("table4", "Embedding-only, infix and prefix", _table4(size, table), OF_TABLES),
    ]
    assert tuple(grid.name for grid in every) == NAMES
    return every


def named_grids(name: str, size: Scale, data: Collection[str] = ()) -> list[Grid]:
    """Return the grid of a name, or all that have cells. Raises BadInput for an unknown name, or if its data set is missing."""
    every = paper_grids(size, data)
    if name == "all":
        return [grid for grid in every if grid.lines]
    if name not in NAMES:
        raise BadInput(f"There is no experiment {name!r}: choose {', '.join(NAMES)} or all.")
    grid = next(grid for grid in every if grid.name == name)
    if not grid.lines:
        options = " or ".join(f"--data {need}=FOLDER" for need in grid.needs)
        raise BadInput(
            f"{name} needs a data set that is not given: add {options} (docs/data-formats.md says what belongs in it)."
        )
    return [grid]


def _cell(size: Scale, data: str, method: str, label: str = "", kind: str = "", **settings: Any) -> Cell:
    """Make a cell with the scale's settings, then Table 5's if the scale has no rates of its own, then `settings`."""
    article = data in ("news", "topics")
    updates = size.updates_of("article" if article else kind)
    changes: dict[str, Setting] = {"updates": updates} if updates else {}
    if updates:
        step = max(1, updates // 3)
        changes |= {"validate_every": step, "save_every": min(step, 50), "valid_rows": 100}
    if not size.rates:
        changes |= TABLE5.get((data, label)) or TABLE5.get((data, method), {})
    if kind == "low" and size.preset == "paper":
        changes |= {"init": "words", "warmup": 100}
    elif kind == "low":
        changes |= {"warmup": updates // 4}
    rows = 0 if data == "records" else size.rows
    name = "low" if kind == "low" and size.preset != "paper" else size.preset
    rates = size.rates if method not in (FROZEN, "in_context") else ()
    if method == FROZEN:
        return Cell(data, FROZEN, name, tables=size.tables)
    valid = 100 if rows else 0
    plain = preset(name, method, SETS[data])  # what is said twice would make two cells of one
    differences = tuple(sorted((key, value) for key, value in (changes | settings).items() if getattr(plain, key) != value))
    return Cell(data, method, name, differences, rows=rows, valid=valid, tables=size.tables, rates=rates)


def _lines(size: Scale, cells: dict[str, Cell]) -> tuple[Line, ...]:
    return tuple(Line(label, expand(cell, 1 if cell.method == FROZEN else size.seeds)) for label, cell in cells.items())


def _table1(size: Scale, sets: list[str]) -> tuple[Line, ...]:
    small: dict[str, Any] = {} if size.rates else {"share": 0.001}
    lines: list[Line] = []
    for data in sets:
        lines += _lines(
            size,
            {
                FROZEN_MODEL: _cell(size, data, FROZEN),
                FINETUNED: _cell(size, data, "finetune"),
                TOP2: _cell(size, data, "top_layers", layers=2),
                LARGE_ADAPTER: _cell(size, data, "adapter", LARGE_ADAPTER, share=0.03),
                ADAPTER: _cell(size, data, "adapter", **small),
                PREFIX: _cell(size, data, "prefix"),
            },
        )
    return tuple(lines)


def _table2(size: Scale, data: str) -> tuple[Line, ...]:
    large, small = size.summary_lengths
    return _lines(
        size,
        {
            FROZEN_MODEL: _cell(size, data, FROZEN),
            FINETUNED: _cell(size, data, "finetune"),
            LARGE_PREFIX: _cell(size, data, "prefix", length=large),
            SMALL_PREFIX: _cell(size, data, "prefix", length=small),
        },
    )


def _table3(size: Scale, data: str) -> tuple[Line, ...]:
    lines: list[Line] = []
    for topics in ("news-to-sports", "within-news"):
        for label, method in ((FROZEN_MODEL, FROZEN), (FINETUNED, "finetune"), (PREFIX, "prefix")):
            cell = replace(_cell(size, data, method), topics=topics)
            lines.append(Line(f"{label}, {topics}", expand(cell, 1 if method == FROZEN else size.seeds)))
    return tuple(lines)


def _low(size: Scale, data: str, method: str, rows: int, **settings: Any) -> tuple[Cell, ...]:
    """Make cells with so many training examples, of several samples, with one or two seeds each."""
    cell = replace(_cell(size, data, method, kind="low", **settings), rows=rows, valid=0)
    return expand(cell, min(2, size.seeds), size.samples)


def _figure3(size: Scale, data: str) -> tuple[Line, ...]:
    """§6.3: training sets of 50 to 500 examples, several samples of each with several seeds."""
    return tuple(
        Line(label, _low(size, data, method, rows), rows)
        for rows in size.sizes
        for label, method in ((PREFIX, "prefix"), (FINETUNED, "finetune"))
        if data != "records" or rows <= 50  # the bundled tables have 86 training examples
    )


def _figure4(size: Scale, data: str) -> tuple[Line, ...]:
    """§7.1: the prefix's length."""
    cells = {length: _cell(size, data, "prefix", length=length) for length in size.lengths}
    return tuple(Line(PREFIX, expand(cell, min(2, size.seeds)), length) for length, cell in cells.items())


def _figure5(size: Scale, data: str) -> tuple[Line, ...]:
    """§7.4: what the prefix is initialized with, on 100 examples (50 of the bundled tables, which have 86)."""
    rows = 50 if data == "records" else 100
    lines = [Line("random", _low(size, data, "prefix", rows, init="random"), "random")]
    for words in (TASK_WORDS, *OTHER_WORDS):
        lines.append(Line(f"“{words}”", _low(size, data, "prefix", rows, init="words", init_words=words), f"“{words}”"))
    return tuple(lines)


def _table4(size: Scale, data: str) -> tuple[Line, ...]:
    """§7.2 and §7.3: where the trained vectors are."""
    cells = {PREFIX: _cell(size, data, "prefix")}
    cells |= {f"Embedding-only, {length}": _cell(size, data, "embedding", length=length, mlp=0) for length in (1, 10, 20)}
    cells |= {f"Infix-tuning, {length}": _cell(size, data, "infix", length=length) for length in (1, 10, 20)}
    return _lines(size, cells)
