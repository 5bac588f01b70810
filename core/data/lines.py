"""Read the lines of a file, gzipped or not, and collect what is odd about it."""

import gzip
import logging
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO

from core.errors import BadData

UNREADABLE = re.compile("[\udc80-\udcff\0]")  # NUL, and what a byte that is not UTF-8 decodes to under "surrogateescape"
# What "£", "é" and "’" become where their bytes in UTF-8 are taken for Latin-1 or Windows-1252.
_MOJIBAKE = re.compile("Â[\u00a0-¿]|Ã[\u0080-¿\u0152-\u0192\u2013-\u2122]|â€[\u0080-¿\u0152-\u0192\u02dc\u2013-\u2122]?")

log = logging.getLogger(__name__)

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

    Raises BadData for files that cannot be read or are in UTF-16 or UTF-32. Text that looks like UTF-8 decoded as Latin-1 is
    logged.
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
                        kind = "UTF-32" if b"\0\0\0" in line else "UTF-16"
                        raise BadData(f"{file.name} is {kind} text, which cannot be read: save it as UTF-8.")
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
        warn(
            f"{file.name}: {subject} text such as {sign!r} (line {number}), which is UTF-8 once read in another encoding: "
            "export the file again."
        )


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


def warn(sentence: str) -> None:
    """Log a sentence, and add it to those that a caller collects."""
    log.warning("%s", sentence)
    sentences = _collected.get()
    if sentences is not None and sentence not in sentences:
        sentences.append(sentence)
