"""A file of the user's own, before training on it: its columns, its first rows, and its rows as training and validation files."""

import csv
import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.data.csv_rows import csv_rows, file_header, header_names, plain_problem
from core.data.rows import BadRow, ending_of, json_file_rows
from core.errors import BadData, BadInput, StoreError
from core.task import Example

LIMIT = 100_000_000  # bytes of an uploaded file
SHARE, MOST = 10, 500  # one source in SHARE is held out for validation, MOST of them at most
PREVIEW_ROWS = 4
JSON_ENDINGS = (".jsonl", ".json")
SOURCE, TARGET = "source", "text"  # columns of the files that are written


@dataclass(frozen=True)
class FilePreview:
    """The columns of a file and its first rows, as text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def preview_file(file: Path) -> FilePreview:
    """Columns and first rows of a CSV (commas, semicolons, tabs) or JSON file. Raises BadData."""
    if file.stat().st_size > LIMIT:
        raise BadData(f"{file.name} has {file.stat().st_size:,} bytes; at most {LIMIT:,} are allowed. Give a part of it.")
    if ending_of(file) not in (".csv", ".tsv", *JSON_ENDINGS):
        raise BadData(f"{file.name} is not a file type that can be read. Give .csv, .tsv, .jsonl or .json, gzipped (.gz) or not.")
    preview = _preview_json(file) if is_json(file) else _preview_csv(file)
    if not preview.columns or not preview.rows:
        raise BadData(f"{file.name} has no rows that can be read. Give CSV with a header, or one JSON object per line.")
    return preview


def is_json(file: Path) -> bool:
    """Whether the file is read as JSON lines, or as a JSON list; by its name."""
    return ending_of(file) in JSON_ENDINGS


def write_pasted(text: str, folder: Path) -> Path:
    """Pasted rows as a file: JSON lines where they are objects of JSON, line by line or in a list, else CSV with a header.

    Raises BadInput where there are none.
    """
    if len(text) > LIMIT // 4:
        raise BadInput(f"{len(text):,} characters were pasted; at most {LIMIT // 4:,} are allowed. Give them as a file.")
    text = text.strip()
    is_list = re.match(r"\[\s*\{", text) is not None
    if len(text.splitlines()) < 2 and not is_list and not text.startswith("{"):
        raise BadInput("Nothing to train on was pasted. Paste a header and rows (CSV), or one JSON object per line.")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ("pasted.json" if is_list else "pasted.jsonl" if text.startswith("{") else "pasted.csv")
    file.write_text(text + "\n", encoding="utf-8")
    return file


def save_split(examples: list[Example], name: str, place: Path) -> Path:
    """Write examples to a folder in `place` with files train and dev, no source in both; the same examples give the same folder.

    Fewer than four sources are too few to keep any back: then it is a file. Raises StoreError where it cannot be written.
    """
    digest = hashlib.sha256("\n".join(map(_row, examples)).encode()).hexdigest()[:8]
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:40] or "data"
    folder = place / f"{stem}-{digest}"
    train, valid = train_and_valid(examples)
    target = folder if valid else folder / "train.jsonl"
    if not target.exists():
        write_splits(folder, {"train": train, "dev": valid})
    return target


def train_and_valid(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Hold out one source in SHARE for validation, MOST of them at most; none of fewer than four sources."""
    sources = list(dict.fromkeys(one.source for one in examples))
    random.Random(0).shuffle(sources)
    validation = set(sources[: min(MOST, max(1, len(sources) // SHARE))]) if len(sources) > 3 else set()
    train, valid = ([one for one in examples if (one.source in validation) is held_out] for held_out in (False, True))
    return train, valid


def write_splits(folder: Path, splits: Mapping[str, Sequence[Example]], columns: tuple[str, str] = (SOURCE, TARGET)) -> None:
    """Write examples to a new folder: a JSON lines file for each split that has some. `columns`: of the input and the text.

    Raises StoreError where it cannot be written; then there is no folder.
    """
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")  # nobody's own folder
    try:
        temporary.mkdir(parents=True)
        for split, examples in splits.items():
            if examples:
                rows = (_row(example, columns) for example in examples)
                (temporary / f"{split}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
        temporary.rename(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise _cannot_write(folder, error) from error


def check_new_folder(folder: Path) -> None:
    """Raise StoreError where a new folder cannot be written."""
    try:
        folder.mkdir(parents=True)
        folder.rmdir()
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _cannot_write(folder: Path, error: OSError) -> StoreError:
    return StoreError(f"Cannot write {folder}: {error.strerror or error}. Free some space, or give a folder that can be written.")


def _row(example: Example, columns: tuple[str, str] = (SOURCE, TARGET)) -> str:
    texts = example.targets[0] if len(example.targets) == 1 else list(example.targets)
    return json.dumps(dict(zip(columns, (example.source, texts), strict=True)), ensure_ascii=False)


def _preview_json(file: Path) -> FilePreview:
    rows = []
    for _, row in json_file_rows(file):
        if not isinstance(row, BadRow):
            rows.append(row)
        if len(rows) >= 50:  # later rows may have columns that the first lack
            break
    columns = tuple(dict.fromkeys(str(name) for row in rows for name in row))[:100]
    return FilePreview(columns, tuple(tuple(_cell(row.get(name)) for name in columns) for row in rows[:PREVIEW_ROWS]))


def _preview_csv(file: Path) -> FilePreview:
    number, first = file_header(file)
    try:
        headers = [header_names(first, mark) for mark in ",;\t"]
    except csv.Error as error:
        raise BadData(f"{file.name}, line {number}: not CSV ({plain_problem(str(error))}). Give a file with a header.") from error
    names = max(headers, key=len)
    if not all(name.isprintable() for name in names) or len(names) > 100:
        raise BadData(
            f"{file.name}, line {number} is not the header of a table. Give CSV with a header, or one JSON object per line."
        )
    columns, rows, problem = tuple(dict.fromkeys(filter(None, names))), [], ""
    for number, row in csv_rows(file, columns) if columns else ():
        if isinstance(row, BadRow):
            problem = problem or f"{file.name}, line {number}: {row}."
        else:
            rows.append(tuple(_cell(row.get(name)) for name in columns))
        if len(rows) >= PREVIEW_ROWS:
            break
    if problem and not rows:
        raise BadData(f"{problem} No other row can be read, either.")
    return FilePreview(columns, tuple(rows))


def _cell(value: object) -> str:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:199] + "…"
