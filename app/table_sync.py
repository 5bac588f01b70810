"""The grid and the linearised text as two views of one table, checked both ways.

They share one component, whose value is {"rows": [[key, value], …], "text": …, "newer": "rows" or "text", "bad": the
offending row or 0, "version": counted up with every edit in the page and handed back, so that an answer to an older
edit does not overwrite a newer one}.
"""

import re
from typing import Any

from app.html import tag, text
from core.errors import BadTable
from core.tables import Fields, canonical, clean, linearise, parse

Table = dict[str, Any]


def table_of(fields: Fields) -> Table:
    """The component's value for fields."""
    return {"rows": [list(field) for field in fields], "text": linearise(fields), "newer": "text", "bad": 0, "version": 0}


def table_of_text(source: str) -> tuple[Table, str]:
    """(value, note) for a text from elsewhere, which may be unreadable."""
    return read({"rows": [], "text": source, "newer": "text", "bad": 0, "version": 0})


def current(table: Table) -> Fields:
    """The fields of whichever view was edited last, as a model is to read them. BadTable names the offending field."""
    fields = canonical(clean(table["rows"]) if table["newer"] == "rows" else parse(table["text"]))
    linearise(fields)  # what cannot be written cannot be told to a model
    return fields


def read(table: Table) -> tuple[Table, str]:
    """(value, note) after an edit: the other view follows; where the table cannot be read it stays, and the row is marked."""
    try:
        fields = current(table)
    except BadTable as error:
        named = re.match(r"Field (\d+)", str(error)) if table["newer"] == "rows" else None
        return table | {"bad": int(named[1]) if named else 0}, problem(error)
    if table["newer"] == "rows":
        return table | {"text": linearise(fields), "bad": 0}, ""
    return table | {"rows": [list(field) for field in fields], "bad": 0}, _as_read(table["text"], fields)


def settled(table: Table) -> Table:
    """After the text was left: the paper's form where it can be read, else as it is."""
    try:
        return table | {"text": linearise(current(table))}
    except BadTable:
        return table


def problem(error: Exception) -> str:
    """An error as the note under the table."""
    return tag("p", text(error), cls="pl-problem", role="alert")


def _as_read(source: str, fields: Fields) -> str:
    written = linearise(fields)
    if written == source.strip():
        return ""
    return tag("p", "The model reads it as " + tag("code", text(written)), cls="meta")
