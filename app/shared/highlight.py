"""Marks in a text: the words two texts do not share, and the table's values. Spans are (start, end) in characters."""

import difflib
import re
from collections.abc import Iterable
from itertools import pairwise

from app.shared.html import tag, text

Span = tuple[int, int]
WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


def word_diff(left: str, right: str) -> tuple[list[Span], list[Span]]:
    """The words of each text that the other lacks at that place; letter case is ignored."""
    words = [[(match.group().casefold(), match.span()) for match in WORD.finditer(value)] for value in (left, right)]
    matcher = difflib.SequenceMatcher(None, [w for w, _ in words[0]], [w for w, _ in words[1]], autojunk=False)
    spans: tuple[list[Span], list[Span]] = ([], [])
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind != "equal":
            spans[0].extend(span for _, span in words[0][i1:i2])
            spans[1].extend(span for _, span in words[1][j1:j2])
    return _joined(spans[0], left), _joined(spans[1], right)


def _joined(spans: list[Span], value: str) -> list[Span]:
    """Neighbouring words as one mark, the space between them included."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and not value[joined[-1][1] : start].strip():
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def render(value: str, different: Iterable[Span] = (), values: Iterable[tuple[int, int, str]] = ()) -> str:
    """A text as HTML: `.d` where it differs, `.v` where it says a value of the table (its key as the title)."""
    different, values = list(different), list(values)
    edges = sorted({0, len(value), *(e for s in different for e in s), *(e for s in values for e in s[:2])})
    parts = []
    for start, end in pairwise(edges):
        piece = text(value[start:end])
        key = next((key for left, right, key in values if left <= start and end <= right), None)
        apart = any(left <= start and end <= right for left, right in different)
        classes = " ".join(name for name, on in (("d", apart), ("v", key is not None)) if on)
        parts.append(tag("span", piece, cls=classes, title=key) if classes else piece)
    return "".join(parts)
