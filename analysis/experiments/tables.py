"""The paper's tables with the numbers of every source side by side: the paper, two student replications, and our results.

A number belongs to one source and one model, and names where it is from. Results never replace another source's number.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import pandas as pd

from analysis.experiments.grid import Cell, Line
from analysis.experiments.papers import FINETUNED, NAMES, PREFIX, TOP2, paper_grids, scale
from analysis.experiments.result import BUNDLED, Result, families, own_files, read_results
from analysis.experiments.summary import Summary, summarize
from core.config.methods import method_info
from core.runs.layout import JsonObject
from core.runs.run import Run
from core.text.checks import percent

E2E = ("BLEU", "NIST", "METEOR", "ROUGE-L", "CIDEr")
THREE = [f"{name}{part}" for name in ("BLEU", "METEOR", "TER") for part in ("-seen", "-unseen", "")]
LOWER_IS_BETTER = ("TER", "Unsupported", "Forgetting")
METRICS: dict[str, tuple[str, ...]] = {
    "e2e": E2E,
    "webnlg": tuple(THREE),
    "dart": ("BLEU", "METEOR", "TER", "MoverScore", "BERTScore", "BLEURT"),
    "records": ("BLEU", "BLEU-seen", "BLEU-unseen", "ROUGE-L", "Coverage"),
    "tables": ("BLEU", "BLEU-seen", "BLEU-unseen", "Coverage", "Coverage-unseen", "Unsupported"),
    "news": ("ROUGE-1", "ROUGE-2", "ROUGE-L"),
    "topics": ("ROUGE-1", "ROUGE-2", "ROUGE-L"),
}
DATA_NAMES = {
    "e2e": "E2E",
    "webnlg": "WebNLG",
    "dart": "DART",
    "records": "Bundled tables",
    "tables": "Tables of many topics",
    "news": "News summaries",
    "topics": "Summaries of unseen topics",
}
SHORT = {"seen": "S", "unseen": "U"}  # as in the paper's Table 1
OURS = "ours"
RUN = "run:"  # before a run's name, the id of the result that its scores are
NOT_RESULTS = ("paper.json", "evidence.json")  # of the files in assets/results
# The paper prints these from 0 to 1, ours are from 0 to 100.
FRACTIONS = {(data, name) for data in ("webnlg", "dart") for name in ("METEOR", "TER")}


@dataclass(frozen=True)
class Number:
    """A printed number. `where`: table and page, or n, seeds and interval; `results`: the ids of the results that it averages;
    `error`: their standard error over seeds."""

    text: str
    value: float
    where: str
    results: tuple[str, ...] = ()
    error: float | None = None


@dataclass(frozen=True)
class Row:
    """The numbers of one line from one source. `command`: how to reproduce them; `note`: how they were computed; `run`: the run
    that they are of, if it has a name."""

    label: str
    source: str
    model: str
    numbers: dict[str, Number] = field(default_factory=dict)
    command: str = ""
    note: str = ""
    x: str | float | None = None
    updates: int = 0
    run: str = ""


@dataclass(frozen=True)
class ResultTable:
    """A table or figure on one data set. `findings`: what sources state in words, without printing a number."""

    grid: str
    data: str
    title: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    findings: tuple[JsonObject, ...] = ()

    def frame(self, metric: str = "") -> pd.DataFrame:
        """Return a data frame: a row per line and source or, for one metric, a row per line and a column per source."""
        rows = [row for row in self.rows if row.numbers]
        if metric:
            cells = [(self._name(row), source_name(row), row.numbers[metric].text) for row in rows if metric in row.numbers]
            long = pd.DataFrame(cells, columns=["method", "source", metric])
            if long.empty:
                return long
            wide = long.pivot_table(index="method", columns="source", values=metric, aggfunc=" / ".join, sort=False)
            return wide.fillna("–").reset_index().rename_axis(columns=None)
        names = {name: column_label(name, self.data) for name in self.metrics}
        values = [
            {"method": self._name(row), "source": source_name(row)}
            | {label: row.numbers[name].text if name in row.numbers else "–" for name, label in names.items()}
            for row in rows
        ]
        return pd.DataFrame(values, columns=["method", "source", *names.values()])

    @staticmethod
    def _name(row: Row) -> str:
        return row.label if row.x in (None, row.label) else f"{row.label}, {row.x}"


@cache
def printed() -> JsonObject:
    """Return the sources' printed numbers and findings: assets/results/paper.json."""
    return json.loads((BUNDLED / "paper.json").read_text(encoding="utf-8"))


def source_name(row: Row) -> str:
    """Return a source with its model and the name of the run, for exports: "Paper (GPT-2-medium)"."""
    title = "Ours" if row.source == OURS else printed()["sources"][row.source]["title"]
    return f"{title} ({', '.join(filter(None, [row.model, row.run]))})"


def split_part(metric: str) -> tuple[str, str]:
    """Split a metric into its name and the part of the test set: "BLEU-unseen" is "BLEU" of "unseen", "ROUGE-L" of ""."""
    name, _, part = metric.rpartition("-")
    return (name, part) if part in SHORT else (metric, "")


def column_label(metric: str, data: str = "") -> str:
    """Return the column header of a metric: "BLEU S" for the seen categories, with an arrow if lower is better."""
    name, part = split_part(metric)
    return f"{name}{f' {SHORT[part]}' if part else ''}{' ↓' if name in LOWER_IS_BETTER else ''}"


def all_results(runs: Sequence[Run], faults: list[str] | None = None) -> list[Result]:
    """Return our results: the bundled ones, those computed on this machine, and the scores of runs."""
    files = sorted(path for path in BUNDLED.glob("*.json") if path.name not in NOT_RESULTS)
    return read_results([*files, *own_files()], faults) + [result for run in runs for result in results_of_run(run)]


def result_table(grid: str, data: str, results: Sequence[Result]) -> ResultTable:
    """Return a table or figure on a data set: the sources' printed rows, then ours, in the order of the grid's lines."""
    spec = next(one for one in paper_grids(scale("small"), [data]) if one.name == grid)
    lines = [line for line in spec.lines if line.data == data]
    finished = [result for result in results if grid in result.places and result.cell.data == data and result.status == "done"]
    rows = _printed_rows(grid, data) + _own_rows(grid, data, finished) + _missing_rows(grid, data, lines, finished)
    order = [*dict.fromkeys(line.label for line in lines)]
    rank = {label: place for place, label in enumerate(order)}
    sources = [*printed()["sources"], OURS]
    rows.sort(key=lambda row: (rank.get(row.label, len(rank)), _number(row.x), sources.index(row.source)))
    findings = tuple(one for one in printed()["findings"] if one["grid"] == grid)
    names = METRICS[data] + (("Coverage",) if data in ("e2e", "webnlg") else ())
    names += ("Forgetting",) if any("Forgetting" in row.numbers for row in rows) else ()
    return ResultTable(grid, data, spec.title, names, tuple(rows), findings)


def data_of(grid: str, results: Sequence[Result]) -> list[str]:
    """Return the data sets for which a table or figure has numbers, the paper's own first; those possible for our results."""
    known = [row["data"] for row in printed()["rows"] if row["grid"] == grid]
    own = [result.cell.data for result in results if grid in result.places]
    first = {"table2": ["news"], "table3": ["topics"]}.get(grid, ["e2e"])
    names = [*dict.fromkeys([*known, *first, *own, *(["records"] if grid not in ("table2", "table3") else [])])]
    return [name for name in METRICS if name in names]


def _number(x: object) -> float:
    return float(x) if isinstance(x, int | float) else -1.0


def _printed_rows(grid: str, data: str) -> list[Row]:
    rows = []
    for one in printed()["rows"]:
        if (one["grid"], one["data"]) == (grid, data):
            source = printed()["sources"][one["source"]]
            model = source["model"].split(", ")[-1 if data in ("news", "topics") else 0]
            where = f"{source['title']}: {source['detail']}. {one['where']}, row {one['printed']}."
            numbers = {name: Number(text, float(text), where) for name, text in one["values"].items()}
            rows.append(Row(one["label"], one["source"], model, numbers))
    return rows


def _own_rows(grid: str, data: str, results: Sequence[Result]) -> list[Row]:
    """Return a row for every line of each backbone, averaged over its seeds."""
    rows = []
    for family in families(results):
        first, place = family[0], family[0].places[grid]
        summaries = summarize(family)
        ids = tuple(one.id for one in family)
        numbers = {name: own_number(name, one, data, ids) for name, one in summaries.items()}
        note, x = recipe(family), place.get("x")
        run = first.id.removeprefix(RUN) if first.id.startswith(RUN) else ""
        rows.append(Row(place["label"], OURS, first.backbone, numbers, first.command, note, x, first.updates, run))
    return rows


def own_number(name: str, summary: Summary, data: str, ids: tuple[str, ...]) -> Number:
    """Return one of our scores in the unit of the paper's table."""
    plain = name.split("-")[0]
    factor = 0.01 if (data, plain) in FRACTIONS else 1.0
    digits = 2 if plain in ("NIST", "CIDEr", "TER", "Forgetting") or factor != 1.0 else 1
    value, error = summary.value * factor, None if summary.error is None else summary.error * factor
    text = f"{value:.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None else "")
    seeds = f"mean ± standard error of {summary.seeds} seeds" if summary.seeds > 1 else "one seed"
    between = ""
    if summary.low is not None and summary.high is not None:
        between = f"; 95 % interval over rows {summary.low * factor:.{digits}f} to {summary.high * factor:.{digits}f}"
    rows = f"n = {summary.n}{' tokens' if plain == 'Forgetting' else ''}, " if summary.n else ""
    return Number(text, value, f"Ours: {rows}{seeds}{between}.", ids, error)


def recipe(family: Sequence[Result]) -> str:
    """Describe in a line how one of our rows was computed."""
    first = family[0]
    seeds = sorted({seed for one in family for seed in one.seeds})
    parts = [f"n = {first.n}", f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"]
    parts += [f"{first.updates:,} updates"] if first.updates else []
    if first.rate is not None and method_info(first.cell.method).trained:
        ends = {"lowest": " (the lowest tried)", "highest": " (the highest tried)"}
        parts.append(f"rate {first.rate:g}{ends.get(first.rate_at_end, '')}")
    parts += [f"{percent(first.share)} stored"] if first.share else []
    return ", ".join([*parts, first.device, *([first.notes.rstrip(".")] if len(first.notes) < 60 or not first.trained else [])])


def _missing_rows(grid: str, data: str, lines: Sequence[Line], results: Sequence[Result]) -> list[Row]:
    """Return the lines without results, with the commands that run them."""
    there = {(result.places[grid]["label"], result.places[grid].get("x")) for result in results}
    option = "" if data == "records" else f" --data {data}=path/to/{data}"
    return [
        Row(
            line.label,
            OURS,
            "",
            command=f"python launch.py experiments {grid} --only {_only(line)}{option}",
            x=line.x,
        )
        for line in lines
        if (line.label, line.x) not in there and (line.label, str(line.x)) not in there
    ]


def _only(line: Line) -> str:
    """Return the text that the ids of a line's cells have in common, and that no other line has."""
    name = line.cells[0].id.rpartition("-s")[0]
    return f"{name}-" if any(cell.sample for cell in line.cells) else f"{name}-s"


# ---- scores of runs


def results_of_run(run: Run) -> list[Result]:
    """Return the scores in a run's run.json as results; [] for runs on other data."""
    data = {"e2e": "e2e", "webnlg": "webnlg", "dart": "dart", "summarization": "news"}.get(run.task.name)
    scores = run.scores.get("test")
    if data is None or not scores or not any(name in scores for name in ("BLEU", "ROUGE-L")):
        return []
    labels = {"prefix": PREFIX, "finetune": FINETUNED, "top_layers": TOP2}
    label = labels.get(run.method, method_info(run.method).title)
    first, rate = next(iter(scores.values())), run.config.get("rate")
    return [
        Result(
            f"{RUN}{run.id}",
            Cell(data, run.method, str(run.config.get("preset", "fast")), seed=run.seed),
            run.backbone,
            run.fingerprint,
            "done",
            {"table2" if data == "news" else "table1": {"label": label, "x": None}},
            scores,
            (run.seed,),
            int(first.get("n", 0)),
            rate if isinstance(rate, float) else None,
            valid_loss=run.valid_loss,
            updates=run.updates,
            rows=run.rows,
            trained=run.trained,
            stored=run.stored,
            seconds={"training": run.seconds},
            device=run.device,
            versions=run.versions,
            command=run.command,
            notes=f"the run {run.id}",
        )
    ]


def grid_names() -> tuple[str, ...]:
    """Return the names of the paper's tables and figures, in its order."""
    return tuple(sorted(NAMES, key=["table1", "table2", "table3", "figure3", "figure4", "table4", "figure5"].index))
