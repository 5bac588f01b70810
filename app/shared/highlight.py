"""Marks in a text: the words that differ between two texts, covered values, and unsupported pieces.

Spans are (start, end) in characters.
"""

import difflib
import re
from collections.abc import Iterable
from itertools import pairwise

from app.shared.html import tag, text

Span = tuple[int, int]
WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


def word_diff(left: str, right: str) -> tuple[list[Span], list[Span]]:
    """Return the words of each text that the other does not have at that place; case is ignored."""
    words = [[(match.group().casefold(), match.span()) for match in WORD.finditer(value)] for value in (left, right)]
    matcher = difflib.SequenceMatcher(None, [w for w, _ in words[0]], [w for w, _ in words[1]], autojunk=False)
    spans: tuple[list[Span], list[Span]] = ([], [])
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind != "equal":
            spans[0].extend(span for _, span in words[0][i1:i2])
            spans[1].extend(span for _, span in words[1][j1:j2])
    return _joined(spans[0], left), _joined(spans[1], right)


def _joined(spans: list[Span], value: str) -> list[Span]:
    """Merge neighbouring words into one mark, including the space between them."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and not value[joined[-1][1] : start].strip():
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def render(
    value: str,
    different: Iterable[Span] = (),
    values: Iterable[tuple[int, int, str]] = (),
    unsupported: Iterable[Span] = (),
) -> str:
    """Return a text as HTML: `.d` where it differs, `.v` for a covered value (its key as the title), `.u` for unsupported
    pieces (the reason as the title)."""
    titled = [("v", start, end, key) for start, end, key in values]
    titled += [("u", start, end, unsupported_reason(value[start:end])) for start, end in unsupported]
    marks = [("d", start, end, "") for start, end in different] + titled
    edges = sorted({0, len(value), *(edge for _, start, end, _ in marks for edge in (start, end))})
    parts = []
    for start, end in pairwise(edges):
        piece = text(value[start:end])
        here = {name: title for name, left, right, title in reversed(marks) if left <= start and end <= right}
        title = here.get("u") or here.get("v")
        parts.append(tag("span", piece, cls=" ".join(sorted(here)), title=title) if here else piece)
    return "".join(parts)


def unsupported_reason(piece: str) -> str:
    """Say in a few words why a piece of a text counts as unsupported."""
    kind = "number" if re.search(r"\d", piece) else "name" if piece[:1].isupper() else "word"
    return f"Unsupported: no such {kind} in the input"
