"""Checks that every notation of tables and triples shares: how much is read, and which characters have no place in plain text."""

import re
import unicodedata

MAX_CHARS = 10_000
MAX_FIELDS = 64


def normalize_lines(text: str) -> str:
    """Text trimmed, with line breaks of one kind and blanks for tabs."""
    return re.sub(r"\r\n?|[\u2028\u2029]", "\n", text.lstrip("\ufeff")).replace("\t", " ").strip()


def odd_character(text: str) -> str | None:
    """The first character that has no place in a line of text (controls, line breaks, lone surrogates), named."""
    odd = next((char for char in text if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")), None)
    if odd is None:
        return None
    return "a line break or tab" if odd in "\n\r\t\u2028\u2029" else f"the control character U+{ord(odd):04X}"


def quoted(text: str, most: int = 40) -> str:
    """The text in quotes for a message: on one line, cut where long."""
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return f"'{text if len(text) <= most else text[: most - 1].rstrip() + '…'}'"
