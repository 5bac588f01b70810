"""Checks shared by all notations of tables and triples: maximal size, and characters that do not belong in plain text; and
parts of messages."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

MAX_CHARS = 10_000
MAX_FIELDS = 64


def normalize_lines(text: str) -> str:
    """Trim a text, unify its line breaks, and replace tabs by spaces."""
    return re.sub(r"\r\n?|[\u2028\u2029]", "\n", text.lstrip("\ufeff")).replace("\t", " ").strip()


def odd_character(text: str) -> str | None:
    """Name the first character that does not belong in a line of text (controls, line breaks, lone surrogates)."""
    odd = next((char for char in text if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")), None)
    if odd is None:
        return None
    return "a line break or tab" if odd in "\n\r\t\u2028\u2029" else f"the control character U+{ord(odd):04X}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun for a message: "1 row", "2,000 rows". `plural`: where an s is not enough."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listing(names: Iterable[str], word: str = "and") -> str:
    """Join names for a message: "a, b and c"."""
    *most, last = [*names] or [""]
    return f"{', '.join(most)} {word} {last}" if most else last


def duration(seconds: float) -> str:
    """Format a time for a message: "40 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def percent(share: float) -> str:
    """Format a share with its significant digits: 0.0033 as "0.33 %", 1.0 as "100 %"."""
    value = share * 100
    if value >= 9.95:  # which two digits round to 10
        return f"{value:.0f} %"
    return f"{value:.2g} %" if value else "0 %"


def whole_percents(shares: Sequence[float]) -> list[int]:
    """Round shares to whole percent so that these add up (largest remainders): 0.004, 0.357, 0.639 as 0, 36, 64."""
    floors = [int(100 * share) for share in shares]
    left = round(100 * sum(shares)) - sum(floors)
    up = sorted(range(len(shares)), key=lambda at: floors[at] - 100 * shares[at])[:left]
    return [floor + (at in up) for at, floor in enumerate(floors)]


def quoted(text: str) -> str:
    """Quote a text for a message: on one line of at most 40 characters."""
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return f"'{text if len(text) <= 40 else text[:39].rstrip() + '…'}'"
