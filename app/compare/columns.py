"""The three columns as HTML: text, marks, coverage, and how it ended."""

import shlex
from dataclasses import dataclass, field

from analysis.metrics.coverage import Coverage, cover
from analysis.metrics.unsupported import LIMITS
from app.compare.comparison import KINDS, Column, Comparison
from app.shared.highlight import render, word_diff
from app.shared.html import tag, text
from app.shared.method_labels import COLUMN_METHODS, title
from core.text.detokenize import detokenise
from core.text.tables import Fields
from core.text.triples import SOURCES

ENDS = {
    "eos": "ended by itself",
    "length": "cut at the token limit",
    "cancelled": "stopped; this is what there is",
    "streaming": "writing…",
    "searching": "searching; beams show when done",
    "waiting": "waiting…",
}
WHY = (
    "Why it wanders: these weights only learned to continue text, and nothing tells them to retell the table, all of it "
    "and nothing else; the prefix tells them, and changes none of them."
)


WHY_ARTICLE = (
    "Why this is no summary: these weights mostly learned to restore damaged text, and nothing asks them for the gist; the "
    "prefix does, and changes none of them."
)


@dataclass
class Marked:
    """A column's text for people, with where it differs and which values it says."""

    shown: str
    coverage: Coverage | None = None
    different: list[tuple[int, int]] = field(default_factory=list)
    fields: Fields = field(default_factory=list)


def marked(seen: Comparison, fields: Fields) -> dict[str, Marked]:
    """Detokenised texts; coverage for all that ended, the word diff once prefix and fine-tuned both have."""
    shown = str.strip if seen.ask.form == "article" else detokenise  # summaries are written as people write
    found = {kind: Marked(shown(column.text)) for kind, column in seen.columns.items()}
    for kind, column in seen.columns.items():
        if fields and column.text and not column.is_open:
            found[kind].coverage, found[kind].fields = cover(fields, found[kind].shown), fields
    pair = [seen.columns[kind] for kind in ("prefix", "finetuned")]
    if all(column.text and not column.is_open for column in pair):
        left, right = found["prefix"], found["finetuned"]
        left.different, right.different = word_diff(left.shown, right.shown)
    return found


def columns(seen: Comparison, fields: Fields) -> list[str]:
    """The HTML of the three columns, in their order."""
    found = marked(seen, fields)
    return [column(seen.columns[kind], found[kind], seen) for kind in KINDS]


def column(data: Column, marks: Marked, seen: Comparison) -> str:
    """One column."""
    if data.state == "missing":
        return _frame(data, missing(data.kind, seen.ask.name, seen.ask.form))
    if data.state == "error":
        return _frame(data, tag("p", text(data.note), cls="pl-problem"))
    values = marks.coverage.spans if marks.coverage else []
    caret = tag("i", "", cls="caret") if data.is_open else ""
    parts = [
        tag("div", render(marks.shown, marks.different, values) + caret, cls="told", title=f"As the model wrote it: {data.text}"),
        tag("div", text(data.text) + caret, cls="told raw"),
        tag("p", "Not a word was written.", cls="meta") if not (data.text or data.is_open) else "",
        tag("p", _meta(data), cls="meta"),
        chips(marks.coverage, marks.fields) if marks.coverage else "",
        tag("p", WHY_ARTICLE if seen.ask.form == "article" else WHY, cls="why")
        if data.kind == "base" and not data.is_open
        else "",
    ]
    return _frame(data, "".join(parts))


def _frame(data: Column, content: str) -> str:
    return tag(
        "article", content, cls=f"pl-col {data.kind}", data_state=data.state, aria_label=f"{title(data.kind, data.run)}: output"
    )


def _meta(data: Column) -> str:
    end = tag("span", ENDS[data.state], cls=f"end {data.state}")
    if not data.tokens:
        return end
    rate = data.tokens / data.seconds if data.seconds else 0
    speed = f"{rate:.0f} tokens/s" if rate >= 10 else f"{rate:.1f} tokens/s"
    return tag("span", f"{data.tokens} tokens") + tag("span", speed, title="Within its own batch") + end


def missing(kind: str, backbone: str, form: str) -> str:
    """Why a column has no run for sources of a form, and what makes one."""
    method, data = COLUMN_METHODS[kind], f" --set {form} --data {form}-folder" if form in SOURCES else ""
    if form == "article":
        data = " --task summarization --data articles-folder"
    task = " for this task" if data else ""
    lacks = {"prefix": "prefix", "finetuned": "fine-tuned copy"}[kind]
    where = (
        "on articles with their summaries:"
        if form == "article"
        else "on the set's own files:"
        if data
        else "on E2E with --data and its folder, or on the bundled rows:"
    )
    command = f"python launch.py train{data} --run my-{method} --method {method} --backbone {shlex.quote(backbone)}"
    return tag(
        "div",
        tag("p", f"This backbone has no {lacks}{task} yet.")
        + tag("p", f"Train one from the command line, {where}", cls="meta")
        + tag("code", text(command))
        + tag("p", "Generate again when it is done: it appears above.", cls="meta"),
        cls="pl-missing",
    )


def chips(coverage: Coverage, fields: Fields) -> str:
    """Which values are said, which are not, and what the table does not support."""
    left_out = [f"{key}: {value}" for (key, value), covered in zip(fields, coverage.covered, strict=True) if not covered]
    total = len(coverage.present) + len(coverage.missing)
    rows = [
        _chips(f"covered, {len(coverage.present)} of {total}", "present", coverage.present),
        _chips("left out", "missing", left_out),
        _chips("unsupported", "beyond", coverage.unsupported),
    ]
    return tag("div", "".join(rows), cls="chips", title=LIMITS)


def _chips(label: str, name: str, items: list[str]) -> str:
    if not items:
        return ""
    return tag("p", tag("span", label, cls="lead") + "".join(tag("span", text(item), cls=f"chip {name}") for item in items))


def empty(kind: str) -> str:
    """A column before anything was asked."""
    return tag("article", tag("p", "Nothing written yet.", cls="meta"), cls=f"pl-col {kind}", data_state="idle")
