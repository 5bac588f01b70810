"""Between the tokenised text of the E2E set and text as people write it.

The E2E training text stands apart from its punctuation: "for £ 20 - 25 , it 's family - friendly ." Models trained on it write
like that. `detokenise` makes it readable and is the one named detokeniser behind every "original references" score;
`tokenise_like_e2e` goes the other way, for untokenised files (the official CSV).
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
    """Tokenised text as people write it: "£ 20 - 25 ." becomes "£20-25."; letters and their case stay as they are.

    Measured on the E2E references (the rules were made on dev): exactly the untokenised reference comes back for 83.1 % of dev
    (n = 4,672) and 78.9 % of test (n = 4,693); with runs of white space counted as one blank, which 15 % and 20 % of those
    references hold and no rule can bring back, for 98.2 % of both. What is left is mostly a blank that the writer did put
    before a full stop or comma. Text that is not tokenised is left alone, but for spaced hyphens.
    """
    return _apply(_JOINING, text)


def tokenise_like_e2e(text: str) -> str:
    """Text as the E2E training references are tokenised: "£20-25." becomes "£ 20 - 25 .".

    Measured: equal to the set's own tokenised text for all but 2 references of dev (n = 4,672) and for 97.4 % of test
    (n = 4,693; that split was tokenised otherwise: "is n't" where train and dev have "isn 't").
    """
    return _apply(_SPLITTING, text)
