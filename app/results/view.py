"""HTML of the Results tab: its controls, tables with a badge for each source, evidence, texts, and the list of runs."""

from collections.abc import Sequence
from functools import cache

import pandas as pd

from analysis.experiments.desk import AXES, Point
from analysis.experiments.evidence import HOLDS, claims
from analysis.experiments.papers import PRINTED_NAMES
from analysis.experiments.result import Result
from analysis.experiments.tables import DATA_NAMES, OURS, Number, ResultTable, Row, column_label, printed
from app.results.state import ALL, ResultsState
from app.results.texts import TextRow
from app.shared.html import button, copy_button, count, options, tag, text
from app.shared.spreadsheet import to_csv
from core.text.checks import counted

TITLES = PRINTED_NAMES | {"evidence": "Evidence", "scatter": "Scatter", "runs": "Runs"}
BADGES = {
    "paper": "Paper",
    "paper-large": "Paper",
    "reimplementation": "Re-implementation",
    "class": "Class project",
    OURS: "Ours",
}
FORMS = {"csv": "CSV", "latex": "LaTeX", "markdown": "Markdown"}


# ---- controls


def bar(state: ResultsState, data: Sequence[str], metrics: Sequence[str], selected: str = "", metric: str = "") -> str:
    """The views, data sets, metrics, and formats for saving."""
    parts = [_segment("view", TITLES, state.view, "Tables and figures of the paper, and more")]
    if len(data) > 1:
        parts.append(_segment("data", {name: DATA_NAMES[name] for name in data}, selected, "Data set"))
    if metrics:
        metric_labels = {ALL: "All metrics"} | {name: column_label(name, selected) for name in metrics}
        parts.append(_segment("metric", metric_labels, metric, "Metric"))
    if state.view == "scatter":
        axes = {name: title for name, (title, _) in AXES.items()}
        parts += [_select("x", "x axis", axes, state.x), _select("y", "y axis", axes, state.y)]
    return tag("div", "".join([*parts, _saves()]), cls="pl-results-bar")


def desk_bar(state: ResultsState) -> str:
    """The views, a filter, and the axis of the losses."""
    words = tag("input", "", type="search", value=state.words, placeholder="Filter: prefix e2e", data_text="words", cls="pl-text",
                aria_label="Filter the runs")  # fmt: skip
    by = _segment("by", {"update": "by update", "seconds": "by seconds"}, state.by, "Losses")
    views = _segment("view", TITLES, state.view, "Tables and figures of the paper, and more")
    return tag("div", views + words + by + _saves(), cls="pl-results-bar")


def _segment(name: str, choices: dict[str, str], selected: str, label: str) -> str:
    buttons = "".join(
        tag("button", text(title), type="button", data_set=name, data_value=value, aria_pressed=str(value == selected).lower())
        for value, title in choices.items()
    )
    return tag("div", buttons, cls="pl-segment", role="group", aria_label=label)


def _select(name: str, label: str, choices: dict[str, str], selected: str) -> str:
    items = options(choices.items(), selected)
    return tag("label", tag("span", label, cls="name") + tag("select", items, data_text=name, cls="pl-text"), cls="pl-control")


def _saves() -> str:
    buttons = "".join(
        tag(
            "button",
            title,
            type="button",
            data_set="save",
            data_value=form,
            cls="pl-btn pl-act",
            title=f"Save this table as {title}",
        )
        for form, title in FORMS.items()
    )
    return tag("div", buttons, cls="pl-saves", role="group", aria_label="Save this table")


# ---- tables


def table(table: ResultTable, metric: str, number: str) -> str:
    """A table of the paper with every source's numbers and findings."""
    name = DATA_NAMES[table.data]
    head = tag("h2", text(f"{TITLES[table.grid]}: {table.title}{'' if name == table.title else f', {name}'}"))
    body = _by_source(table, metric, number) if metric else _by_row(table, number)
    items = "".join(
        tag("li", _badge(one["source"]) + text(one["text"]) + tag("span", text(f" ({one['where']})"), cls="meta"))
        for one in table.findings
    )
    findings = tag("ul", items, cls="pl-findings") if items else ""
    return head + findings + tag("div", body, cls="pl-table") + _missing(table)


def _by_row(table: ResultTable, number: str) -> str:
    """All metrics: a row per line and source."""
    heads = ["Method", "From", *(column_label(name, table.data) for name in table.metrics)]
    rows, last = [], None
    for row in table.rows:
        if not row.numbers:
            continue
        name = _name(row)
        cells = tag("th", text(name) if name != last else "", scope="row")
        model = ", ".join(filter(None, [row.model, row.run, counted(row.updates, "update") if row.updates else ""]))
        cells += tag("td", _badge(row.source) + tag("span", text(model), cls="model"), cls="from", title=row.note or None)
        cells += "".join(tag("td", _number(row.numbers.get(metric), number)) for metric in table.metrics)
        rows.append(tag("tr", cells, cls=" ".join(filter(None, ["first" if name != last else "", row.source]))))
        last = name
    return (
        _html_table(heads, rows)
        if rows
        else tag("p", "No source prints numbers for this, and it has not been measured here yet.")
    )


def _by_source(table: ResultTable, metric: str, number: str) -> str:
    """One metric: a row per line, a column per source and model."""
    rows = [row for row in table.rows if metric in row.numbers]
    if not rows:
        return tag("p", f"No source has {text(column_label(metric))} here.")
    sources = list(dict.fromkeys((row.source, row.model) for row in rows))
    sources.sort(key=lambda one: [*printed()["sources"], OURS].index(one[0]))
    heads = ["Method", *(_badge(source) + tag("span", text(model), cls="model") for source, model in sources)]
    lines = []
    for name in dict.fromkeys(map(_name, rows)):
        own = [row for row in rows if _name(row) == name]
        cells = [
            "<br>".join(_named_number(row, metric, number) for row in own if (row.source, row.model) == source)
            or tag("span", "–", cls="none")
            for source in sources
        ]
        lines.append(tag("tr", tag("th", text(name), scope="row") + "".join(tag("td", cell) for cell in cells), cls="first"))
    return _html_table(heads, lines, ready=True)


def _html_table(heads: Sequence[str], rows: Sequence[str], ready: bool = False) -> str:
    head = tag("thead", tag("tr", "".join(_head(one if ready else text(one)) for one in heads)))
    return tag("table", head + tag("tbody", "".join(rows)))


def _head(label: str) -> str:
    return tag("th", label, scope="col", cls="from" if label == "From" else None)


def _name(row: Row) -> str:
    return row.label if row.x in (None, row.label) else f"{row.label}, {row.x}"


def _badge(source: str) -> str:
    detail = printed()["sources"].get(source, {}).get("detail", "Measured with this project")
    return tag("span", text(BADGES[source]), cls=f"pl-badge {source}", title=detail)


def _named_number(row: Row, metric: str, opened: str) -> str:
    """A number of a row, after the name of its run."""
    return (tag("span", text(row.run), cls="model") + " " if row.run else "") + _number(row.numbers[metric], opened)


def _number(number: Number | None, opened: str) -> str:
    """A number with its origin; one of ours opens its texts."""
    if number is None:
        return tag("span", "–", cls="none")
    if not number.results:
        return tag("span", text(number.text), title=number.where)
    pressed = str(opened in number.results).lower()
    title = f"{number.where} Click for the texts."
    return tag(
        "button",
        text(number.text),
        type="button",
        data_set="number",
        data_value=number.results[0],
        aria_pressed=pressed,
        title=title,
    )


def _missing(table: ResultTable) -> str:
    """The cells without results, each with the command that runs it."""
    rows = [row for row in table.rows if row.command and not row.numbers]
    if not rows:
        return ""
    items = "".join(tag("li", tag("span", text(_name(row)), cls="line") + command(row.command)) for row in rows)
    lines = "One row has" if len(rows) == 1 else f"{len(rows)} rows have"
    summary = tag("summary", f"{lines} not been measured here yet: how to measure")
    return tag("details", summary + tag("ul", items), cls="pl-missing", open="" if len(rows) < 4 else None)


def command(words: str) -> str:
    """A command line with a button that copies it."""
    return tag("code", text(words)) + copy_button(words)


# ---- evidence


@cache
def evidence() -> str:
    """The evidence as a table, with links to the views that have the numbers."""
    heads = ["The abstract's claim", "The paper found", "Measured here", "Seeds", "Does it hold here?", "Why, or why not"]
    rows = []
    for one in claims():
        mark = tag("span", HOLDS[one["holds"]], cls=f"pl-holds {one['holds']}")
        link = button(TITLES[one["view"]], data_set="view", data_value=one["view"])
        cells = [
            text(one["claim"]),
            text(one["paper"]),
            text(one["here"]) + " " + link,
            text(one["seeds"]),
            mark,
            text(one["why"]),
        ]
        rows.append(tag("tr", tag("th", cells[0], scope="row") + "".join(tag("td", cell) for cell in cells[1:]), cls="first"))
    lead = (
        "The bundled backbones have 14 and 16 million parameters, the paper's 345 to 774 million. “Here” means the bundled ones."
    )
    return tag("h2", "Evidence") + tag("p", lead, cls="meta") + tag("div", _html_table(heads, rows), cls="pl-table words")


# ---- scatter


def points_table(points: Sequence[Point], x: str, y: str, data: str) -> str:
    """The numbers of the scatter plot."""
    if not points:
        return tag(
            "p",
            text(f"No result on {DATA_NAMES[data]} has both {AXES[x][0]} and {AXES[y][0]}. Choose others, or run an experiment."),
        )
    rows = [
        tag(
            "tr",
            tag("th", text(one.label), scope="row")
            + "".join(tag("td", _value(value, axis)) for value, axis in ((one.x, x), (one.y, y)))
            + tag("td", "on the Pareto front" if one.best else ""),
            cls="first",
        )
        for one in points
    ]
    return tag("div", _html_table(["Line", AXES[x][0], AXES[y][0], ""], rows), cls="pl-table")


def _value(value: float, axis: str) -> str:
    return f"{value:,.0f}" if axis in ("stored", "seconds") else f"{value:.2f}"


# ---- texts


def texts(result: Result, rows: Sequence[TextRow]) -> str:
    """The texts behind a number, the worst first."""
    order = ""
    if rows:
        worst = f"most {rows[0].metric.lower()} pieces" if rows[0].metric == "Unsupported" else f"lowest {rows[0].metric}"
        which = f"{len(rows)} {rows[0].part} ones" if rows[0].part else f"{len(rows)}"
        order = f"; the {which} with the {worst} first"
    where = f"{result.id}: {counted(result.n, 'text')}, seed {', '.join(map(str, result.seeds))}{order}."
    close = tag("button", "Close", type="button", data_set="number", data_value=result.id, cls="pl-btn pl-act")
    return tag("header", tag("h3", "Texts") + tag("span", text(where), cls="meta") + close) + tag("ol", "".join(map(_text, rows)))


def _text(row: TextRow) -> str:
    score = tag("span", f"{row.metric} {row.score:.1f}", cls="score") if row.score is not None else ""
    facts = [("missing", row.missing), ("unsupported", row.unsupported)]
    chips = "".join(tag("span", text(f"{name}: {', '.join(values)}"), cls=f"pl-fact {name}") for name, values in facts if values)
    references = "".join(tag("li", text(one)) for one in row.references[:5])
    others = "".join(tag("dt", text(label)) + tag("dd", text(other)) for label, other in row.others)
    more = tag("summary", "Source, references" + (f", {len(row.others)} other lines" if row.others else ""))
    inside = tag("p", text(row.source), cls="source") + tag("ul", references) + (tag("dl", others) if others else "")
    return tag(
        "li",
        tag("p", score + tag("span", text(row.text) or "(nothing)", cls="generated"), cls="text")
        + chips
        + tag("details", more + inside),
    )


def texts_missing(sentence: str, words: str) -> str:
    """Why there are no texts, with the command that generates them."""
    return tag("p", text(sentence)) + (tag("p", command(words)) if words else "")


# ---- runs


def desk(frame: pd.DataFrame, state: ResultsState) -> str:
    """The runs: headings sort, boxes overlay losses."""
    heads = [""] + [_heading(column, state.sort) for column in frame.columns]
    rows = []
    for values in frame.to_dict("records"):
        run = str(values["run"])
        box = tag("button", "☑" if run in state.runs else "☐", type="button", data_set="tick", data_value=run, role="checkbox",
                  aria_checked=str(run in state.runs).lower(), aria_label=f"Losses of {run}")  # fmt: skip
        cells = [tag("td", _desk_value(column, values[column])) for column in frame.columns]
        rows.append(tag("tr", tag("td", box) + "".join(cells), cls="first"))
    empty = tag("p", "No run has these words." if state.words else "There are no runs yet.") if not rows else ""
    hint = tag("p", "Tick runs to see their losses together and the settings that differ.", cls="meta") if not state.runs else ""
    return hint + tag("div", _html_table(heads, rows, ready=True), cls="pl-table desk") + empty


def _heading(column: str, sort: str) -> str:
    arrow = {column: " ▲", f"-{column}": " ▼"}.get(sort, "")
    value = sort if arrow else column
    return tag("button", text(column) + arrow, type="button", data_set="sort", data_value=value)


def _desk_value(column: str, value: object) -> str:
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return tag("span", "–", cls="none")
    if isinstance(value, int | float) and column == "stored":
        return text(count(value))
    if isinstance(value, float):
        return f"{value:g}" if column == "rate" else f"{value:,.0f}" if column == "seconds" else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else text(value)


def settings(frame: pd.DataFrame) -> str:
    """The settings in which the selected runs differ."""
    if frame.shape[0] == 0 or frame.shape[1] < 3:
        return ""
    rows = [
        tag("tr", tag("th", text(values[0]), scope="row") + "".join(tag("td", text(value)) for value in values[1:]), cls="first")
        for values in frame.astype(str).to_numpy().tolist()
    ]
    return tag("h3", "Settings that differ") + tag("div", _html_table(list(map(str, frame.columns)), rows), cls="pl-table")


# ---- taking away


def format_table(frame: pd.DataFrame, form: str) -> str:
    """Return a table as CSV, with all digits, or rounded as LaTeX or Markdown."""
    if form == "latex":
        written = frame.to_latex(index=False, escape=True, float_format=_rounded, na_rep="–")
        return written.replace("↓", r"$\downarrow$").replace("↑", r"$\uparrow$")  # pdflatex knows no arrows in a text
    if form == "markdown":
        cells = frame.astype(object).fillna("–").map(_markdown_cell)
        return cells.to_markdown(index=False, disable_numparse=True) + "\n"
    return to_csv(frame)


def _markdown_cell(value: object) -> object:
    if isinstance(value, float):
        return _rounded(value)
    return " ".join(value.replace("|", r"\|").splitlines()) if isinstance(value, str) else value


def _rounded(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
