"""Read files row by row, with line numbers: JSON lines, JSON lists and CSV, gzipped or not.

One unreadable row is no reason to reject a file: readers yield a BadRow in its place, and `collect` either raises an error for
it or, if the caller asked for that, skips it and keeps the message.
"""

import csv
import gzip
import json
import logging
import re
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from itertools import chain, islice
from pathlib import Path
from typing import IO, TypeVar

from core.errors import BadData, BadTable
from core.text.checks import counted, listing

T = TypeVar("T")
Row = dict[str, object]
Rows = Iterator[tuple[int, "Row | BadRow"]]

ENDINGS = (".jsonl.gz", ".jsonl", ".csv")
UNREADABLE = re.compile("[\udc80-\udcff\0]")  # NUL, and what a byte that is not UTF-8 decodes to under "surrogateescape"
_DELIMITERS = ",;\t"
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # as JSON writes it
_MOST_LINES = 2000  # of one cell
_MOST_CHARACTERS = 2_000_000  # of one cell: an article's
csv.field_size_limit(_MOST_CHARACTERS)
_SEPARATOR_LINE = re.compile(r"sep=.")  # what Excel may write above the header
# What "£", "é" and "’" become where their bytes in UTF-8 are taken for Latin-1 or Windows-1252.
_MOJIBAKE = re.compile("Â[\u00a0-¿]|Ã[\u0080-¿\u0152-\u0192\u2013-\u2122]|â€[\u0080-¿\u0152-\u0192\u02dc\u2013-\u2122]?")

log = logging.getLogger(__name__)


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


def json_rows(file: Path, example: str = '{"table": "…", "text": "…"}') -> Rows:
    """Yield the objects of a JSON lines file. `example` is quoted in error messages."""
    for number, line in lines(file):
        if line.strip():
            yield number, _json_row(line, example)


def json_file_rows(file: Path, example: str) -> Rows:
    """Yield the objects of a JSON lines file, or of one with a JSON list (`.json`)."""
    first = next((line.strip() for _, line in lines(file) if line.strip()), "")
    return json_list_rows(file) if ending_of(file) == ".json" and first.startswith("[") else json_rows(file, example)


def _json_row(line: str, example: str) -> Row | BadRow:
    if UNREADABLE.search(line):
        return BadRow("not UTF-8 text: save the file as UTF-8")
    if _NUL.search(line):
        return BadRow("it holds the character U+0000, which is no text: leave it out")
    try:
        row = _DECODER.decode(line.strip())
    except BadRow as error:
        return error
    except (ValueError, RecursionError) as error:  # ValueError also for numbers of thousands of digits
        return BadRow(f"not a JSON object ({getattr(error, 'msg', 'too deep or too large')})")
    return row if isinstance(row, dict) else BadRow(f"not a JSON object: write {example}, one per line")


def _object(pairs: list[tuple[str, object]]) -> Row:
    row = dict(pairs)
    if len(row) < len(pairs):
        twice = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise BadRow(f"{twice!r} appears twice in an object: give each a name of its own")
    return row


def _constant(name: str) -> object:
    raise BadRow(f"{name} is not a value in JSON: give a number, a text in quotes or null")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def json_list_rows(file: Path) -> Rows:
    """Yield the objects of a file with one JSON list, each with its line. A truncated list yields the rows that are complete.

    The list may be the first value of an object, under "entries", as in WebNLG's releases.
    """
    text = "".join(line for _, line in lines(file))
    blank = re.compile(r"[\s,]*")
    start = re.match(r'\s*(?:\{\s*"entries"\s*:\s*)?\[', text)
    if start is None:
        yield 1, BadRow("not a JSON list: the file is to begin with [")
        return
    line, counted, at = 1, 0, start.end()
    while True:
        at = blank.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing at least
        line, counted = line + text.count("\n", counted, at), at
        if text[at : at + 1] == "]":
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
        else:
            yield line, row if isinstance(row, dict) else BadRow("not a JSON object")


# --- CSV ---------------------------------------------------------------------------------------------------------------------


def csv_rows(file: Path, needed: Sequence[str]) -> Rows:
    """Yield the rows of a CSV file by column name; of comma, semicolon and tab, the delimiter that gives the needed columns.

    A column that is not present as written is matched without regard to case, and returned under the requested name. A
    quotation mark that opens a cell and is never closed, or is followed by more text, is an ordinary character; how many rows
    have one, and how many span several lines, is logged. Raises BadData if the header lacks a needed column or has it twice.
    """
    header, delimiter = _header(file, needed)
    for line, cells in islice(csv_records(file, delimiter, len(header)), 1, None):
        yield line, cells if isinstance(cells, BadRow) else _csv_row(header, cells)


def csv_records(file: Path, delimiter: str, width: int) -> Iterator[tuple[int, list[str] | BadRow]]:
    """Yield the header's and each row's cells, with the number of the first line; blank lines are left out (see `csv_rows`).

    `width`: the number of columns.
    """
    numbered = lines(file)
    records = _Records(delimiter, width, chain([header_line(numbered)], numbered))
    for line, cells in records:
        if isinstance(cells, BadRow) or len(cells) > 1 or (cells and cells[0].strip()):
            yield line, cells
    records.log(file)


class _Records:
    """Splits the lines of a CSV file into records: (number of the first line, cells)."""

    def __init__(self, delimiter: str, width: int, numbered: Iterator[tuple[int, str]]) -> None:
        self.delimiter, self.width, self.lines = delimiter, width, numbered
        self.back: deque[tuple[int, str]] = deque()  # lines read ahead in vain
        self.stray = self.inner = self.long = self.quoted = 0  # see `log`; records with a quoted cell

    def __iter__(self) -> Iterator[tuple[int, list[str] | BadRow]]:
        while (numbered := self._next()) is not None:
            number, line = numbered
            yield number, self._record(line)

    def _next(self) -> tuple[int, str] | None:
        return self.back.popleft() if self.back else next(self.lines, None)

    def _record(self, line: str) -> list[str] | BadRow:
        ahead: list[tuple[int, str]] = []

        def more() -> Iterator[str]:
            yield line
            while len(ahead) < _MOST_LINES and (numbered := self._next()) is not None:
                ahead.append(numbered)
                yield numbered[1]

        try:
            cells, problem = next(_reader(more(), self.delimiter)), ""
        except (csv.Error, StopIteration) as error:
            cells, problem = [], str(error) or "no cells"
        never_closed = bool(ahead) or problem.startswith("unexpected end")
        if never_closed and self._is_row(line) and (problem or self._stands_alone(ahead)):
            self.back.extendleft(reversed(ahead))
            self.stray += 1
            return line.rstrip("\r\n").split(self.delimiter)
        if "expected after" in problem and not ahead:
            return self._with_text_after_quotes(line, problem)
        if problem:
            return _no_csv(problem)
        self.long += bool(ahead)
        self.quoted += line.count('"') > 1
        return cells

    def _with_text_after_quotes(self, line: str, problem: str) -> list[str] | BadRow:
        """Read a line in which a quoted cell is followed by blanks (`"a" ,b`), or by text (`"A" is b`)."""
        with suppress(csv.Error):
            return next(_reader([re.sub(rf'" +(?={self.delimiter}|\s*$)', '"', line)], self.delimiter))
        cells = line.rstrip("\r\n").split(self.delimiter)
        paired = not any(cell.startswith('"') and cell.count('"') % 2 for cell in cells)  # no quote goes around a delimiter
        if paired and self._is_row(line) and (self.delimiter == "\t" or f"{self.delimiter} " not in line):
            self.inner += 1
            return cells
        return _no_csv(problem)

    def _is_row(self, line: str) -> bool:
        return line.count(self.delimiter) == self.width - 1

    def _stands_alone(self, ahead: list[tuple[int, str]]) -> bool:
        """Whether lines that seem to continue a quoted cell are rows of their own. Commas in prose are followed by a space."""
        if self.delimiter == "\t":
            return any(self._is_row(line) for _, line in ahead)
        return not self.quoted and all(self._is_row(line) and f"{self.delimiter} " not in line for _, line in ahead)

    def log(self, file: Path) -> None:
        """Report what is odd about the file."""
        if self.inner:
            _warn(
                f"{file.name}: {counted(self.inner, 'row')} with text after a closing quote; the quotes were read as characters."
            )
        if self.stray:
            _warn(f"{file.name}: {counted(self.stray, 'row')} with a quote that is never closed; it was read as a character.")
        if self.long:
            _warn(f"{file.name}: {counted(self.long, 'row')} with a quoted cell over several lines.")


def _no_csv(problem: str) -> BadRow:
    """Put what `csv` says into plain words."""
    if problem.startswith("field larger"):
        return BadRow(f"a cell of more than {_MOST_CHARACTERS:,} characters: shorten it, or check the quotes")
    problem = "a line break inside a cell" if problem.startswith("new-line") else problem
    return BadRow(f"not CSV ({problem}): check the quotes")


def _reader(source: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """A CSV reader that ignores spaces after a delimiter, so that a quotation mark after them opens a cell (`a, "b, c"`)."""
    return csv.reader(source, delimiter=delimiter, strict=True, skipinitialspace=True)


def header_names(line: str, delimiter: str) -> list[str]:
    """Return the column names of a header line. Raises csv.Error."""
    return [name.strip() for name in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]


def header_line(numbered: Iterator[tuple[int, str]]) -> tuple[int, str]:
    """Return the header of a CSV file with its number: the first line that is neither blank nor Excel's `sep=;`."""
    return next(((n, line) for n, line in numbered if line.strip() and not _SEPARATOR_LINE.fullmatch(line.strip())), (1, ""))


def _header(file: Path, needed: Sequence[str]) -> tuple[list[str], str]:
    number, first = header_line(lines(file))
    longest: list[str] = []
    for delimiter in _DELIMITERS:
        try:
            names = header_names(first, delimiter)
        except csv.Error as error:  # a header longer than any field may be
            raise bad_data(file, number, f"not CSV ({error}): give a file with a header") from error
        renamed = {name.lower(): name for name in needed if name not in names}
        names = [renamed.get(name.lower(), name) for name in names]
        if twice := next((name for name in needed if names.count(name) > 1), None):
            raise bad_data(file, number, f"{names.count(twice)} columns are called {twice!r}: give each a name of its own")
        if set(needed) <= set(names):
            return names, delimiter
        longest = names if len(names) > len(longest) else longest
    printable = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in ", ".join(longest)[:200])
    need = f"{' and '.join(needed)} {'is' if len(needed) == 1 else 'are'} needed"
    raise bad_data(file, number, f"the columns are {printable if any(longest) else 'none'}, and {need}: {_OR_NAME}")


_OR_NAME = "fix the header, or name columns that it has with --source and --target"


def _csv_row(header: list[str], cells: list[str]) -> Row | BadRow:
    if len(cells) != len(header):
        return BadRow(f"{counted(len(cells), 'cell')} under {len(header)} columns: check the quotes")
    if any(UNREADABLE.search(cell) for cell in cells):
        return BadRow("not UTF-8 text: save the file as UTF-8")
    return dict(zip(header, cells, strict=True))


# --- lines -------------------------------------------------------------------------------------------------------------------


# The first bytes of files of other kinds -> what they are, and what to do.
_BINARY = {
    b"\x1f\x8b": "compressed with gzip: let its name end in .gz, or unpack it",
    b"PK\x03\x04": "a zip file, as Excel's are: export the rows as CSV, or unpack it",
    b"PAR1": "a Parquet file: export its rows as CSV or JSON lines",
    b"\xd0\xcf\x11\xe0": "a file of an old Excel: export its rows as CSV",
}


_MARKS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16


def _byte_lines(stream: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    """Yield the lines of a file; a file without line feeds is split at its carriage returns, as old Macs wrote them."""
    first = stream.readline()
    if b"\n" in first or b"\r" not in first.rstrip(b"\r"):
        yield from (first, *stream) if first else ()
    else:
        yield from (line + b"\n" for line in first.rstrip(b"\r").split(b"\r"))


def lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines with their numbers from 1. A byte that is not UTF-8 becomes a lone surrogate, which the row readers refuse.

    Raises BadData for files that cannot be read or are in UTF-16. Text that looks like UTF-8 decoded as Latin-1 is logged.
    """
    garbled: list[tuple[int, str]] = []
    try:
        with gzip.open(file) if file.suffix.lower() == ".gz" else open(file, "rb") as stream:
            for number, line in enumerate(_byte_lines(stream), 1):
                if number == 1:
                    for magic, kind in _BINARY.items():  # before UTF-16: binary files hold NUL bytes, too
                        if line.startswith(magic):
                            raise BadData(f"{file.name} is {kind}.")
                    if 3 * line.count(b"\0") > len(line) or (line.startswith(_MARKS) and b"\0" in line):
                        raise BadData(f"{file.name} is UTF-16 text, which cannot be read: save it as UTF-8.")
                text = line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape")
                if not text.isascii() and (match := _MOJIBAKE.search(text)):
                    garbled.append((number, match[0]))
                yield number, text
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadData(f"{file} cannot be read: {reason}. Give a file that exists and is complete.") from error
    if garbled:
        number, sign = garbled[0]
        subject = "1 line holds" if len(garbled) == 1 else f"{len(garbled):,} lines hold"
        _warn(
            f"{file.name}: {subject} text such as {sign!r} (line {number}), which is UTF-8 once read in another encoding: "
            "export the file again."
        )


def whole_text(file: Path) -> str:
    """Return the text of a file that is one row of a set. Raises BadRow if it cannot be read."""
    try:
        text = "".join(line for _, line in lines(file))
    except BadData as error:
        raise BadRow(str(error)) from error
    if UNREADABLE.search(text):
        raise BadRow("not UTF-8 text: save the file as UTF-8")
    return text


# --- what is odd about a file ------------------------------------------------------------------------------------------------

_collected: ContextVar[list[str] | None] = ContextVar("collected", default=None)


@contextmanager
def collect_warnings() -> Iterator[list[str]]:
    """Collect warnings about the files that are read inside the `with` block, each once; they are logged as well."""
    sentences: list[str] = []
    token = _collected.set(sentences)
    try:
        yield sentences
    finally:
        _collected.reset(token)


def _warn(sentence: str) -> None:
    log.warning("%s", sentence)
    sentences = _collected.get()
    if sentences is not None and sentence not in sentences:
        sentences.append(sentence)
