"""Read CSV files row by row: separated by commas, semicolons or tabs, with the quotation marks of real files."""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path

from core.data.lines import UNREADABLE, lines, warn
from core.data.rows import BadRow, Row, Rows, bad_data
from core.errors import BadData
from core.text.checks import counted

_DELIMITERS = ",;\t"
_MOST_LINES = 2000  # of one cell
_MOST_CHARACTERS = 2_000_000  # of one cell: an article's
csv.field_size_limit(_MOST_CHARACTERS)
_SEPARATOR_LINE = re.compile(r"sep=.")  # what Excel may write above the header
_OR_NAME = "fix the header, or name columns that it has with --source and --target"


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
        if never_closed and self._is_row(line) and (problem or self._stand_alone(ahead, cells)):
            self.back.extendleft(reversed(ahead))
            self.stray += 1
            return line.rstrip("\r\n").split(self.delimiter)
        if "expected after" in problem and not ahead:
            return self._with_text_after_quotes(line, problem)
        if ahead and (problem or len(cells) != self.width):
            self.back.extendleft(reversed(ahead))  # they may be sound rows
            return _no_csv(problem or "a quotation mark is never closed")
        if problem:
            return _no_csv(problem)
        self.long += bool(ahead)
        self.quoted += bool(ahead) or line.count('"') > 1
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

    def _stand_alone(self, ahead: list[tuple[int, str]], cells: list[str]) -> bool:
        """Whether lines that seem to continue a quoted cell are rows of their own.

        Commas in prose are followed by a space or the line's end, or separate thousands. `cells`: the record with these lines in
        it, which is right if other cells of the file are in quotes, too.
        """
        if self.delimiter == "\t":
            return any(self._is_row(line) for _, line in ahead)
        in_prose = re.compile(rf"{self.delimiter}\s|\d{self.delimiter}\d{{3}}(?!\d)")
        if self.quoted or not all(self._is_row(line) and not in_prose.search(line) for _, line in ahead):
            return False
        return len(cells) != self.width or not self._quotes_follow()

    def _quotes_follow(self) -> bool:
        """Whether a later line opens a quoted cell; the lines up to it are kept."""
        opening = re.compile(rf'(?:^|{self.delimiter}) *"')
        if any(opening.search(line) for _, line in self.back):
            return True
        for numbered in self.lines:
            self.back.append(numbered)
            if opening.search(numbered[1]):
                return True
        return False

    def log(self, file: Path) -> None:
        """Report what is odd about the file."""
        if self.inner:
            warn(
                f"{file.name}: {counted(self.inner, 'row')} with text after a closing quote; the quotes were read as characters."
            )
        if self.stray:
            warn(f"{file.name}: {counted(self.stray, 'row')} with a quote that is never closed; it was read as a character.")
        if self.long:
            warn(f"{file.name}: {counted(self.long, 'row')} with a quoted cell over several lines.")


def _no_csv(problem: str) -> BadRow:
    if problem.startswith("field larger"):
        return BadRow(f"{plain_problem(problem)}: shorten it, or check the quotes")
    return BadRow(f"not CSV ({plain_problem(problem)}): check the quotes")


def plain_problem(problem: str) -> str:
    """Put what `csv` says into plain words."""
    if problem.startswith("field larger"):
        return f"a cell of more than {_MOST_CHARACTERS:,} characters"
    return "a line break inside a cell" if problem.startswith("new-line") else problem


def _reader(source: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """A CSV reader that ignores spaces after a delimiter, so that a quotation mark after them opens a cell (`a, "b, c"`)."""
    return csv.reader(source, delimiter=delimiter, strict=True, skipinitialspace=True)


def header_names(line: str, delimiter: str) -> list[str]:
    """Return the column names of a header line. Raises csv.Error."""
    return [name.strip() for name in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]


def header_line(numbered: Iterator[tuple[int, str]]) -> tuple[int, str]:
    """Return the header of a CSV file with its number: the first line that is neither blank nor Excel's `sep=;`."""
    return next(((n, line) for n, line in numbered if line.strip() and not _SEPARATOR_LINE.fullmatch(line.strip())), (1, ""))


def file_header(file: Path) -> tuple[int, str]:
    """Return the header of a CSV file with its number (see `header_line`). Raises BadData for an empty file."""
    number, first = header_line(lines(file))
    if not first:
        raise BadData(f"{file.name} is empty: give a file with a header and rows.")
    return number, first


def _header(file: Path, needed: Sequence[str]) -> tuple[list[str], str]:
    number, first = file_header(file)
    longest: list[str] = []
    for delimiter in _DELIMITERS:
        try:
            names = header_names(first, delimiter)
        except csv.Error as error:  # a header longer than any field may be
            raise bad_data(file, number, f"not CSV ({plain_problem(str(error))}): give a file with a header") from error
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


def _csv_row(header: list[str], cells: list[str]) -> Row | BadRow:
    if len(cells) != len(header):
        return BadRow(f"{counted(len(cells), 'cell')} under {len(header)} columns: check the quotes")
    if any("\0" in cell for cell in cells):
        return BadRow("it contains the NUL character U+0000: remove it")
    if any(UNREADABLE.search(cell) for cell in cells):
        return BadRow("not UTF-8 text: save the file as UTF-8")
    return dict(zip(header, cells, strict=True))
