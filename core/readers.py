"""Data files as lists of examples.

E2E comes in two forms: JSON lines (rows with "table" or "mr", "text", and where known "text_orig"; gzipped or not) and the
official CSV (columns mr, ref), whose references are tokenised here as the training text is. A row that cannot be used is
refused by file, line and reason; nothing is skipped.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from core.errors import BadData, BadTable
from core.tables import canonical, linearise, parse
from core.tasks import Example
from core.text import tokenise_like_e2e

T = TypeVar("T")
Row = dict[str, object]

# What a split's file may be called, without its ending; the official names come last.
_STEMS = {"train": ("train", "trainset"), "dev": ("dev", "valid", "devset"), "test": ("test", "testset_w_refs")}
_SPLIT_NAMES = {"valid": "dev", "validation": "dev"}
_ENDINGS = (".jsonl.gz", ".jsonl", ".csv")


def read_e2e(path: Path, split: str | None = None) -> list[Example]:
    """One Example per row, in the file's order; `grouped` gathers the references of one table.

    path: a file, or a folder that holds one file a split (then `split` is "train", "dev" or "test").
    Raises BadData naming file, line and reason.
    """
    file = _split_file(Path(path), split) if Path(path).is_dir() else Path(path)
    stem = file.name.split(".")[0]
    return _examples(file, lambda row, number: _e2e_example(row, f"{stem}-{number}"))


def read_bundled(path: Path, split: str | None = None) -> list[Example]:
    """The rows of `records.jsonl` (all, or those of one split): group is the topic, `seen` is false for held-out topics.

    The references are natural text, so they stand in `targets` and `originals` alike. Raises BadData.
    """
    rows = _examples(Path(path), lambda row, number: (row.get("split"), _bundled_example(row)))
    return [example for name, example in rows if split in (None, name)]


def grouped(examples: list[Example]) -> list[Example]:
    """One Example for each source, in order of first appearance, with the references of all its rows."""
    merged: dict[str, Example] = {}
    for example in examples:
        first = merged.get(example.source)
        if first is not None:
            example = replace(first, targets=first.targets + example.targets, originals=first.originals + example.originals)
        merged[example.source] = example
    return list(merged.values())


class _BadRow(Exception):
    """Why a row cannot be used; file and line are added where they are known."""


# --- rows to examples --------------------------------------------------------------------------------------------------------


def _e2e_example(row: Row, name: str) -> Example:
    source = _text(row, "table") if "table" in row else linearise(canonical(parse(_text(row, "mr"))))
    if "ref" in row:
        original = _text(row, "ref")
        return Example(source, (tokenise_like_e2e(original),), id=name, originals=(original,))
    originals = (_text(row, "text_orig"),) if row.get("text_orig") else ()
    return Example(source, (_text(row, "text"),), id=name, originals=originals)


def _bundled_example(row: Row) -> Example:
    fields, targets = row.get("fields"), row.get("targets")
    if not isinstance(fields, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in fields):
        raise _BadRow('"fields" is not a list of [key, value] pairs')
    if not isinstance(targets, list) or not targets or not all(isinstance(text, str) and text.strip() for text in targets):
        raise _BadRow('"targets" is not a list of sentences')
    source = linearise([(str(key), str(value)) for key, value in fields])
    texts = tuple(targets)
    return Example(source, texts, _text(row, "topic"), not row.get("held_out", False), _text(row, "id"), texts)


def _text(row: Row, key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str | None):
        raise _BadRow(f'"{key}" is not a text')
    if not value or not value.strip():
        raise _BadRow(f'"{key}" is {"empty" if key in row else "missing"}')
    return value.strip()


# --- files to rows -----------------------------------------------------------------------------------------------------------


def _split_file(folder: Path, split: str | None) -> Path:
    names = _STEMS.get(_SPLIT_NAMES.get(split or "", split or ""))
    if names is None:
        raise BadData(f"{folder} is a folder and the split is {split!r}: say train, dev or test, or give a file.")
    candidates = [folder / (name + ending) for name in names for ending in _ENDINGS]
    found = next((file for file in candidates if file.is_file()), None)
    if found is None:
        raise BadData(f"No {split} file in {folder}: looked for {', '.join(file.name for file in candidates)}.")
    return found


def _examples(file: Path, make: Callable[[Row, int], T]) -> list[T]:
    """`make(row, its number)` for every row; whatever is wrong with one becomes a BadData with its line."""
    made: list[T] = []
    for line, row in _csv_rows(file) if file.suffix == ".csv" else _json_rows(file):
        try:
            made.append(make(row, len(made) + 1))
        except (_BadRow, BadTable) as error:
            raise _bad(file, line, str(error)) from error
    if not made:
        raise BadData(f"{file.name} has no rows.")
    return made


def _json_rows(file: Path) -> Iterator[tuple[int, Row]]:
    for number, line in _lines(file):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise _bad(file, number, f"not a JSON object ({getattr(error, 'msg', 'nested too deep')})") from error
        if not isinstance(row, dict):
            raise _bad(file, number, 'not a JSON object: write {"table": "…", "text": "…"}')
        yield number, row


def _csv_rows(file: Path) -> Iterator[tuple[int, Row]]:
    reader = csv.reader(line for _, line in _lines(file))
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if not {"mr", "ref"} <= set(header):
            raise _bad(file, 1, f"the columns are {', '.join(header) or 'none'}, and mr and ref are needed")
        for cells in reader:
            if cells and len(cells) != len(header):
                raise _bad(file, reader.line_num, f"{len(cells)} cells under {len(header)} columns: check the quotes")
            if cells:
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise _bad(file, reader.line_num, f"not CSV ({error})") from error


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """The lines with their numbers from 1, decoded one by one so that a bad byte is reported where it stands."""
    try:
        with gzip.open(file) if file.suffix == ".gz" else open(file, "rb") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise _bad(file, number, "not UTF-8 text") from error
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def _bad(file: Path, line: int, reason: str) -> BadData:
    return BadData(f"{file.name}, line {line}: {reason.rstrip('.')}.")
