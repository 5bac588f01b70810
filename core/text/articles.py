"""Articles as people paste them: checked, cleaned up, and split into sentences."""

import re

from core.errors import BadInput, TooLong

CHARACTERS = 2_000_000  # a long novel; reading its tokens takes seconds
_CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_TAG = re.compile(
    r"</?(?:html|head|body|script|style|meta|link|div|span|p|br|a|img|ul|ol|li|table|tr|td|h[1-6]|section|article|nav)\b[^<>]*>",
    re.IGNORECASE,
)
_TAGS = 3  # so many tags are no accident
# The commonest words of English; of news text they make up a third, of other languages' hardly anything.
# fmt: off
_ENGLISH = frozenset({
    "the", "of", "and", "to", "a", "in", "is", "was", "for", "on", "that", "with", "it", "as", "by", "at", "from", "be",
    "are", "were", "has", "have", "had", "he", "she", "they", "his", "her", "its", "their", "an", "this", "which",
    "not", "but", "or", "been", "will", "would", "said", "who", "after", "than",
})
# fmt: on
_ENGLISH_SHARE, _ENOUGH_WORDS = 0.15, 12
# A sentence ends at . ! ? … with its closing quotes or brackets, before a space and a capital, digit, quote or bracket.
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s+[\"'“‘(\[]?[A-Z0-9À-ÖØ-Þ])")
_NO_END = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sir|Gen|Col|Sgt|Lt|Capt|Gov|Sen|Rep|Rev|vs|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)"
    r"|\b[A-Z](?:\.[A-Z])*)$"
)


def plain(text: str, what: str = "article") -> str:
    """Clean up a text: one line per paragraph, single spaces; empty if there is no text.

    Raises BadInput, naming `what`, for control characters (a binary file), the source of a web page, or more text than a book
    has.
    """
    control = _CONTROL.search(text.replace("\r", "\n"))
    if control:
        raise BadInput(
            f"The {what} is not plain text: it holds the control character U+{ord(control[0]):04X}. "
            "Paste text, not a file's bytes."
        )
    if len(text) > CHARACTERS:
        raise TooLong(f"The {what} has {len(text):,} characters; at most {CHARACTERS:,} are allowed. Give a part of it.")
    if (tags := len(_TAG.findall(text))) >= _TAGS:
        raise BadInput(
            f"The {what} is the source of a web page ({tags} tags such as <p>). Open the page and paste the text that it shows."
        )
    paragraphs = (" ".join(line.split()) for line in text.replace("\r", "\n").split("\n"))
    return "\n".join(line for line in paragraphs if line)


def article(text: str) -> str:
    """Clean up an article (see `plain`). Raises BadInput if it is empty or a single word."""
    tidy = plain(text)
    words = re.findall(r"\w+", tidy)
    if not words:
        raise BadInput("The article is empty. Paste one, of a few sentences at least.")
    if len(words) == 1:
        raise BadInput(f"The article is one word, {words[0][:40]!r}: there is nothing to sum up. Give a few sentences at least.")
    return tidy


def looks_english(text: str) -> bool:
    """Whether a text may be English, judged by common words; very short texts always may."""
    words = re.findall(r"[^\W\d_]+", text[:20_000].lower())
    if len(words) < _ENOUGH_WORDS:
        letters = [char for char in text if char.isalpha()]
        return sum(char.isascii() for char in letters) * 2 >= len(letters)
    return sum(word in _ENGLISH for word in words) >= _ENGLISH_SHARE * len(words)


def sentences(text: str) -> list[tuple[int, int]]:
    """Return the character offsets (start, end) of each sentence; sentences end at line ends, and exclude surrounding spaces."""
    spans = []
    for line in re.finditer(r"[^\n]+", text):
        start = line.start()
        for end in _END.finditer(text, line.start(), line.end()):
            if end[0][0] == "." and _NO_END.search(text, max(start, end.start() - 20), end.start()):
                continue
            spans.append((start, end.end()))
            start = end.end()
        spans.append((start, line.end()))
    trimmed = ((start + len(text[start:end]) - len(text[start:end].lstrip()), end) for start, end in spans)
    return [(start, start + len(text[start:end].rstrip())) for start, end in trimmed if text[start:end].strip()]


def lead(text: str, count: int = 1) -> str:
    """Return the first sentences, the standard baseline for news summaries."""
    return " ".join(text[start:end] for start, end in sentences(text)[:count])
