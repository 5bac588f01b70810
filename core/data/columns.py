"""The user's own data: CSV (commas, semicolons or tabs) or JSON lines, with columns by name."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from core.data.csv_rows import csv_rows
from core.data.hub import hub_rows, is_hub
from core.data.rows import BadRow, Row, collect, ending_of, json_file_rows, split_file
from core.errors import BadInput
from core.task import Example
from core.text.tables import canonical, linearise, parse
from core.text.triples import SOURCES, parse_triples

_STEMS = {"train": ("train",), "dev": ("dev", "valid", "validation"), "test": ("test",)}
_ENDINGS = (".jsonl.gz", ".jsonl", ".json", ".csv", ".tsv", ".csv.gz", ".tsv.gz")


def read_columns(
    path: Path | str,
    source: Sequence[str],
    target: Sequence[str],
    split: str | None = None,
    form: str = "table",
    skipped: list[str] | None = None,
) -> list[Example]:
    """Read one Example from each row, in the file's order; `group_by_source` merges the rows of one source.

    `path`: a file, a folder with one file per split, or a data set of the hub (see `core.data.hub`). `source`: the input
    column, or several columns that become the fields of a table under their names (empty ones are left out). `target`: the
    columns of the references; all but the first may be empty, and in JSON lines a column may hold a list.

    `form`: what a single source column holds: "table" (any notation of `core.text.tables`, or a JSON object), "webnlg" or
    "dart" (triples in any form of `core.text.triples`, rewritten as in the paper's data), or "text" (kept as it is). Raises
    BadData with file, line and reason, or appends to `skipped`; BadInput if the columns and the form do not go together.
    """
    _check(source, target, form)
    hub = is_hub(str(path))
    file = split_file(Path(path), split, _STEMS, _ENDINGS) if not hub and Path(path).is_dir() else Path(path)
    needed = list(dict.fromkeys([*source, *target]))
    is_csv = ending_of(file) in (".csv", ".tsv")
    sample_line = json.dumps(dict.fromkeys(needed, "…"), ensure_ascii=False)
    make_source = _table(source) if len(source) > 1 else _one(source[0], form)
    stem = file.name.split(".")[0]

    def example(row: Row, number: int) -> Example:
        texts = tuple(text for column in target for text in _texts(row, column))
        if not texts:
            raise BadRow(f"there is no text under {' or '.join(target)}")
        return Example(make_source(row), texts, id=f"{stem}-{number}")

    if hub:
        rows = hub_rows(str(path), split or "train")
    else:
        rows = csv_rows(file, needed) if is_csv else json_file_rows(file, sample_line)
    return collect([(file, rows)], example, skipped)


def _check(source: Sequence[str], target: Sequence[str], form: str) -> None:
    if not source or not target:
        raise BadInput("Name the columns to read: at least one source and one target.")
    if twice := next((column for columns in (source, target) for column in columns if columns.count(column) > 1), None):
        raise BadInput(f"The column {twice!r} is named twice. Name it once.")
    if both := [column for column in source if column in target]:
        raise BadInput(
            f"The column {both[0]!r} is named as source and as target: a model would only learn to copy it. Name another."
        )
    if form not in ("table", "text", *SOURCES):
        raise BadInput(f"The source form is {form!r}: choose table, text, {' or '.join(SOURCES)}.")
    if len(source) > 1 and form != "table":
        raise BadInput(f"{len(source)} source columns make a table, not {form!r}: name one column, or leave the form out.")


def _table(columns: Sequence[str]) -> Callable[[Row], str]:
    def source(row: Row) -> str:
        fields = [(column, value) for column in columns if (value := _plain(row, column))]
        if not fields:
            raise BadRow(f"{', '.join(columns)} are all empty")
        return linearise(canonical(fields))

    return source


def _one(column: str, form: str) -> Callable[[Row], str]:
    def source(row: Row) -> str:
        value = row.get(column)
        if isinstance(value, dict | list) and form != "text":
            value = json.dumps(value, ensure_ascii=False)  # a table or triples written as JSON in JSON
        if not isinstance(value, str):
            raise BadRow(f'"{column}" is {"not a text" if column in row else "missing"}')
        if not value.strip():
            raise BadRow(f'"{column}" is empty')
        if form == "text":
            return " ".join(value.split())
        if form == "table" and not re.search(r"[:\[{|]", value):  # in none of the notations of a table
            raise BadRow(
                f'"{column}" has no colon: write key : value fields, or, if the column holds plain texts, read it as any text '
                "(--source-form text)"
            )
        return linearise(canonical(parse(value))) if form == "table" else SOURCES[form](parse_triples(value))

    return source


def _texts(row: Row, column: str) -> list[str]:
    value = row.get(column)
    texts: list[str] = []
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, bool) or not isinstance(text, str | int | float | None):
            raise BadRow(f'"{column}" is not a text or a list of texts')
        words = "" if text is None else " ".join(str(text).split())  # a number, such as a rating, as CSV has it
        texts += [words] if words else []
    return texts


def _plain(row: Row, column: str) -> str:
    value = row.get(column)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, str | int | float | None):
        raise BadRow(f'"{column}" is not a text or a number')
    return "" if value is None else " ".join(str(value).split())
