"""The grid and the linearised text as two views of one table, kept in step.

They share one component, whose value is {"form": the task's input format (see `core.task.Task`), "rows": [[key, value], …] or
[[subject, relation, object], …], "text": …, "newer": "rows" or "text", "bad": the offending row or 0, "version": counted up
with every edit in the page and returned, so that an answer to an older edit does not overwrite a newer one}.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from app.shared.html import problem, tag, text
from core.data.registry import parse_input, table_of_source
from core.errors import BadInput, BadTable
from core.models.backbone import Backbone
from core.models.unknown_words import describe_unknown
from core.text.tables import Fields, canonical, clean, linearise, parse
from core.text.triples import SOURCES, clean_triples, is_triples, parse_triples

Rows = Sequence[Sequence[str]]


class EditorValue(TypedDict):
    """The component's value, see above."""

    form: str
    rows: list[list[str]]
    text: str
    newer: Literal["rows", "text"]
    bad: int
    version: int


@dataclass(frozen=True)
class ParsedInput:
    """A valid input. `rows`: as in the grid, empty for a text; `source`: what a model reads; `fields`: for coverage."""

    form: str
    rows: list[list[str]]
    source: str
    fields: Fields


def editor_value(rows: Rows, form: str = "table") -> EditorValue:
    """Return the component's value for valid rows."""
    return _value(form, parse_rows(form, rows).source.strip(), rows)


def editor_value_of_text(source: str, form: str = "table") -> tuple[EditorValue, str]:
    """Return (value, note) for a text from elsewhere, which may be invalid."""
    return read(_value(form, source))


def _value(form: str, source: str, rows: Rows = ()) -> EditorValue:
    return {"form": form, "rows": [list(row) for row in rows], "text": source, "newer": "text", "bad": 0, "version": 0}


def parse_value(table: EditorValue) -> ParsedInput:
    """Parse the view that was edited last. Raises BadTable, naming the field or triple, or BadInput for what cannot be an
    article."""
    return parse_rows(table["form"], table["rows"]) if table["newer"] == "rows" else parse_text(table["form"], table["text"])


def parse_text(form: str, source: str) -> ParsedInput:
    """Parse a text in any notation of a form. Raises BadTable, or BadInput for what cannot be an article."""
    if form in SOURCES:
        return parse_rows(form, parse_triples(source))
    if form == "table":
        return parse_rows(form, parse(source))
    if form != "article" and not source.strip():
        raise BadTable("There is no text: write or paste one.")
    return ParsedInput(form, [], parse_input(form, source), [])


def parse_article(text: str) -> tuple[ParsedInput, EditorValue]:
    """Return an article, and the component's value for it. Raises BadInput."""
    parsed = parse_text("article", text)
    return parsed, _value("article", parsed.source)


def parse_rows(form: str, rows: Rows) -> ParsedInput:
    """Parse the rows of the grid. Raises BadTable."""
    if form in SOURCES:
        triples = clean_triples(rows)
        source = SOURCES[form](triples)
        return ParsedInput(form, [list(triple) for triple in parse_triples(source)], source, table_of_source(form, source))
    fields = canonical(clean(rows))
    return ParsedInput(form, [list(field) for field in fields], linearise(fields), fields)


def read(table: EditorValue) -> tuple[EditorValue, str]:
    """Return (value, note) after an edit: the other view follows; an invalid table stays, with its row marked."""
    try:
        parsed = parse_value(table)
    except BadInput as error:
        named = re.match(r"(?:Field|Triple) (\d+)", str(error)) if table["newer"] == "rows" else None
        answer: EditorValue = {**table, "bad": int(named[1]) if named else 0}
        if table["newer"] == "text" and not table["text"].strip():
            answer["rows"] = []  # both views are empty
        return answer, problem(str(error), role="alert") + _other_form(table)
    if table["newer"] == "rows":
        return {**table, "text": parsed.source.strip(), "bad": 0}, ""
    return {**table, "rows": parsed.rows, "bad": 0}, "" if table["form"] == "article" else _as_read(table["text"], parsed.source)


def normalize_text(table: EditorValue) -> EditorValue:
    """Rewrite a text in the paper's form if it can be parsed. The grid follows: its rows may still be those of an older text."""
    try:
        parsed = parse_value(table)
    except BadInput:
        return table
    return {**table, "rows": parsed.rows, "text": parsed.source.strip()}


def unknown_note(backbone: Backbone, source: str) -> str:
    """Name the words of an input that the backbone's tokenizer does not know; empty without any."""
    sentence = describe_unknown(backbone, source)
    return tag("p", text(sentence), cls="meta", role="status") if sentence else ""


def _other_form(table: EditorValue) -> str:
    """Return advice if the text belongs to the other kind of task."""
    if table["newer"] == "text" and table["form"] == "table" and is_triples(table["text"]):
        return tag("p", "These are triples: choose a task on triples, such as webnlg, in the head of the page.", cls="meta")
    if table["newer"] == "text" and table["form"] in SOURCES and _is_table(table["text"]):
        return tag("p", "This is a table of fields: choose a task on tables, such as e2e, in the head of the page.", cls="meta")
    return ""


def _is_table(source: str) -> bool:
    try:
        return bool(parse(source))
    except BadTable:
        return False


def _as_read(typed: str, source: str) -> str:
    if source.strip() == typed.strip():
        return ""
    return tag("p", "The model reads it as " + tag("code", text(source.strip())), cls="meta")
