"""Read files row by row, with line numbers: JSON lines and JSON lists, gzipped or not; for CSV see csv_rows.py.

One unreadable row is no reason to reject a file: readers yield a BadRow in its place, and `collect` either raises an error for
it or, if the caller asked for that, skips it and keeps the message.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from core.data.lines import UNREADABLE, lines
from core.errors import BadData, BadTable
from core.text.checks import listing

T = TypeVar("T")
Row = dict[str, object]
Rows = Iterator[tuple[int, "Row | BadRow"]]

ENDINGS = (".jsonl.gz", ".jsonl", ".csv")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # as JSON writes it: two of them are one character, such as an emoji
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # as JSON writes it


def ending_of(file: Path) -> str:
    """Return how a file's name ends, in lower case and without ".gz": ".csv"."""
    return Path(file.name.lower().removesuffix(".gz")).suffix


class BadRow(Exception):
    """The reason why a row cannot be used; file and line are added by `collect`."""


def collect(files: Iterable[tuple[Path, Rows]], make: Callable[[Row, int], T], skipped: list[str] | None = None) -> list[T]:
    """Return `make(row, number)` for every row of the files, numbered from 1 across them.

    `skipped`: None raises BadData (file, line, reason) for the first row that cannot be used; a list receives a message for
    each such row. Files without any usable row raise BadData in either case.
    """
    results: list[T] = []
    bad: list[str] = []
    number = 0
    file = Path()
    for file, rows in files:
        for line, row in rows:
            number += 1
            try:
                if isinstance(row, BadRow):
                    raise row
                results.append(make(row, number))
            except (BadRow, BadTable) as error:
                refused = bad_data(file, line, str(error))
                if skipped is None:
                    raise BadData(f"{refused} Fix that line, or delete it.") from error
                bad.append(str(refused))
    if skipped is not None:
        skipped += bad
    if not results:
        if bad:
            which = "The only row cannot be used" if number == 1 else f"None of {number:,} rows can be used; the first"
            raise BadData(f"{which}: {bad[0]} Fix the file.")
        raise BadData(f"{file.name} has no rows: give a file that has some.")
    return results


def bad_data(file: Path, line: int, reason: str) -> BadData:
    """Return a BadData error that names the file, the line and the reason."""
    return BadData(f"{file.name}, line {line}: {reason.rstrip('.')}.")


def text_in(row: Row, key: str) -> str:
    """Return the non-empty text under a key, without surrounding spaces. Raises BadRow."""
    value = row.get(key)
    if not isinstance(value, str | None):
        raise BadRow(f'"{key}" is not a text')
    if not value or not value.strip():
        raise BadRow(f'"{key}" is {"empty" if key in row else "missing"}')
    return value.strip()


def split_name(split: str | None) -> str:
    """Return the name under which readers know a split: "dev" for "valid" and "validation", "" for none."""
    return {"valid": "dev", "validation": "dev"}.get(split or "", split or "")


def split_file(folder: Path, split: str | None, stems: Mapping[str, tuple[str, ...]], endings: Sequence[str] = ENDINGS) -> Path:
    """Return the file of a split in a folder: the first of `stems[split]` that exists with one of the endings. Raises BadData."""
    names = stems.get(split_name(split))
    if names is None:
        raise BadData(f"{folder} is a folder and the split is {split!r}: choose {listing(stems, 'or')}, or give a file.")
    candidates = [folder / (name + ending) for name in names for ending in endings]
    path = next((file for file in candidates if file.is_file()), None)
    if path is None:
        tried = f"{listing(names, 'or')}, ending in {listing(endings, 'or')}"
        raise BadData(f"No {split} file in {folder}: looked for {tried}. Put one there, or give a file.")
    return path


# --- JSON --------------------------------------------------------------------------------------------------------------------

_EXAMPLE = '{"table": "…", "text": "…"}'


def json_rows(file: Path, example: str = _EXAMPLE) -> Rows:
    """Yield the objects of a JSON lines file. `example` is quoted in error messages.

    Raises BadData for a file that neither begins with an object nor is named as JSON.
    """
    is_named_so = ending_of(file) in (".jsonl", ".json")
    for number, line in lines(file):
        if line.strip():
            row = _json_row(line, example)
            if isinstance(row, BadRow) and not is_named_so:
                raise BadData(
                    f"{file.name} is a table of columns, and this data set comes as JSON or XML. Give its own files, or name the "
                    "columns: --set columns --source COLUMN --target COLUMN."
                    if ending_of(file) in (".csv", ".tsv")
                    else f"{file.name} does not begin with a JSON object, and its name does not say what it holds: "
                    "end the name in .jsonl, .json, .csv, .tsv or .xml."
                )
            is_named_so = True
            yield number, row


def json_file_rows(file: Path, example: str = _EXAMPLE) -> Rows:
    """Yield the objects of a JSON lines file, or of one with a JSON list (`.json`)."""
    first = next((line.strip() for _, line in lines(file) if line.strip()), "")
    return json_list_rows(file) if ending_of(file) == ".json" and first.startswith("[") else json_rows(file, example)


def _json_row(line: str, example: str) -> Row | BadRow:
    if UNREADABLE.search(line):
        return BadRow("not UTF-8 text: save the file as UTF-8")
    if _NUL.search(line):
        return BadRow("it contains the NUL character U+0000: remove it")
    try:
        row = _DECODER.decode(line.strip())
    except BadRow as error:
        return error
    except (ValueError, RecursionError) as error:  # ValueError also for numbers of thousands of digits
        return BadRow(f"not a JSON object ({getattr(error, 'msg', 'too deep or too large')})")
    if half := _half_character(row, line):
        return half
    return row if isinstance(row, dict) else BadRow(f"not a JSON object: write {example}, one per line")


def _half_character(row: object, text: str) -> BadRow | None:
    """Return what is wrong with a row that holds half a character, as where a program cut a text inside an emoji; else None."""
    half = re.search("[\ud800-\udfff]", json.dumps(row, ensure_ascii=False)) if _SURROGATE.search(text) else None
    return (
        BadRow(f"it contains an unpaired surrogate (\\u{ord(half[0]):04x}), as when a text is cut inside an emoji: remove it")
        if half
        else None
    )


def _object(pairs: list[tuple[str, object]]) -> Row:
    row = dict(pairs)
    if len(row) < len(pairs):
        twice = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise BadRow(f"{twice!r} appears twice in an object: give each a name of its own")
    return row


def _constant(name: str) -> object:
    raise BadRow(f"{name} is not a value in JSON: give a number, a text in quotes or null")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=str, parse_constant=_constant)  # 1.50 stays 1.50


def json_list_rows(file: Path) -> Rows:
    """Yield the objects of a file with one JSON list, each with its line. A truncated list yields the rows that are complete.

    The list may be the first value of an object, under "entries", as in WebNLG's releases, also inside "benchmark". Anything
    after the list or that object is a BadRow.
    """
    text = "".join(line for _, line in lines(file))
    blank = re.compile(r"[\s,]*")
    start = re.match(r'\s*(?:\{\s*"benchmark"\s*:\s*)?(?:\{\s*"entries"\s*:\s*)?\[', text)
    if start is None:
        yield 1, BadRow('not a JSON list: the file is to begin with [, or with {"entries": [')
        return
    line, counted, at = 1, 0, start.end()
    while True:
        at = blank.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing at least
        line, counted = line + text.count("\n", counted, at), at
        if text[at : at + 1] == "]":
            yield from _after_list(text[: start.end()].lstrip(), text[at:].rstrip(), line)
            return
        if at == len(text):
            yield line, BadRow("the JSON list is not closed")
            return
        try:
            row, at = _DECODER.raw_decode(text, at)
        except BadRow as error:
            yield line, error
            return
        except (ValueError, RecursionError) as error:
            yield line, BadRow(f"not JSON from here on ({getattr(error, 'msg', 'too deep or too large')})")
            return
        if UNREADABLE.search(text, counted, at):
            yield line, BadRow("not UTF-8 text: save the file as UTF-8")
        elif half := _half_character(row, text[counted:at]):
            yield line, half
        else:
            yield line, row if isinstance(row, dict) else BadRow("not a JSON object")


def _after_list(before: str, after: str, line: int) -> Rows:
    """Yield a BadRow if a file has something besides the value with the list. `after`: from the list's end, on that line."""
    try:
        _DECODER.decode(before + after)  # with an empty list
    except BadRow as error:
        yield line, error
    except json.JSONDecodeError as error:
        line += after.count("\n", 0, error.pos - len(before))
        if error.msg == "Extra data":
            yield line, BadRow("there is more after the JSON list: put all rows into one list, or one object on each line")
        else:
            yield line, BadRow(f"not JSON after the list ({error.msg})")
    except (ValueError, RecursionError):
        yield line, BadRow("not JSON after the list (too deep or too large)")


def whole_text(file: Path) -> str:
    """Return the text of a file that is one row of a set. Raises BadRow if it cannot be read."""
    try:
        text = "".join(line for _, line in lines(file))
    except BadData as error:
        raise BadRow(str(error)) from error
    if UNREADABLE.search(text):
        raise BadRow("not UTF-8 text: save the file as UTF-8")
    return text
