"""Convert between the tokenised text of the E2E data set and ordinary text.

The E2E training text separates punctuation: "for £ 20 - 25 , it 's family - friendly ." Models trained on it generate such
text. `detokenise` makes it readable, and is the detokeniser behind every "original references" score; `tokenise_like_e2e` is
the inverse, for untokenised files (the official CSV).
"""

import re
from collections.abc import Iterable

DETOKENISER = "prefixlab-detok-1"  # change the name with the rules: it stands in the signature of scores

_CLITIC = r"'(?:s|S|ll|re|ve|d|m|t)\b"
# After these a spaced hyphen is a dash between clauses ("the pub - it serves …"), not a split compound ("family - friendly").
_AFTER_DASH = r"(?:an?|the|its?|and|or|but|with|this|that|they|there|which|where|who|has|have|is|are|serves|yes|no|then)\b"

# (what it undoes, pattern, replacement), applied in this order.
_JOIN: tuple[tuple[str, str, str], ...] = (
    ("runs of white space", r"\s+", " "),
    ("£ 20", r"([£$€]) (?=-?\d)", r"\1"),
    ("word .", r" (?=[.,;:!?]+(?: |$))", ""),
    ("it 's, do n't, don 't", rf" (?=(?:{_CLITIC}|n't\b))", ""),
    ("£ 20- £ 25", r"(?<=\d)- (?=[£$€])", "-"),
    ("family - friendly, 20 - 25", rf"(?<=\w) - (?!{_AFTER_DASH})(?=\w)", "-"),
    ("' quoted '", r"(^| )(['\"]) ([^'\"]+?) \2(?=[ .,;:!?]|$)", r"\1\2\3\2"),
    ("( bracketed )", r"\( ?([^()]*?) ?\)", r"(\1)"),
    ("5 %", r"(?<=\d) %", "%"),
)

_SPLIT: tuple[tuple[str, str, str], ...] = (
    ("runs of white space", r"\s+", " "),
    ("£20", r"([£$€])(?=\S)", r"\1 "),
    ("20-£25", r"(?<=\S)(?=[£$€])", " "),
    ("word.", r"(?<=\S)([.;:!?]+)(?=[ ,]|$)", r" \1"),
    ("word,", r"(?<=\S)(?=,(?!\d))", " "),
    (",word", r",(?=[^\s\d])", ", "),
    ("it's", rf"(?<=\w)(?={_CLITIC})", " "),
    ("family-friendly", r"(?<=\w)-(?=\w)", " - "),
    ("'quoted", rf"(?:(?<= )|^)(?!{_CLITIC})(['\"])(?=\w)", r"\1 "),
    ("quoted'", r"(?<=\w)(['\"])(?= |$)", r" \1"),
)


def _compile(rules: Iterable[tuple[str, str, str]]) -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(pattern), replacement) for _, pattern, replacement in rules]


_JOINING, _SPLITTING = _compile(_JOIN), _compile(_SPLIT)


def _apply(rules: list[tuple[re.Pattern[str], str]], text: str) -> str:
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text.strip()


def detokenise(text: str) -> str:
    """Convert tokenised text to ordinary text: "£ 20 - 25 ." becomes "£20-25."; letters and their case do not change.

    Measured on the E2E references (the rules were written on dev): the untokenised reference is restored exactly for 83.1 % of
    dev (n = 4,672) and 78.9 % of test (n = 4,693). If runs of white space count as one space, which 15 % and 20 % of those
    references have and no rule can restore, it is 98.2 % of both. Most of the rest has a space before a full stop or comma in
    the original. Text that is not tokenised does not change, except for spaced hyphens.
    """
    return _apply(_JOINING, text)


def readable(text: str, form: str) -> str:
    """Return a generated text as a person reads it. `form`: of its input; summaries of articles are not tokenised."""
    return text.strip() if form == "article" else detokenise(text)


def tokenise_like_e2e(text: str) -> str:
    """Tokenise text as in the E2E training references: "£20-25." becomes "£ 20 - 25 .".

    Measured: equal to the data set's own tokenised text for all but 2 references of dev (n = 4,672) and for 97.4 % of test (n =
    4,693; that split was tokenised differently: "is n't" where train and dev have "isn 't").
    """
    return _apply(_SPLITTING, text)
