"""Words as the string metrics compare them: no case, accents or punctuation, numbers in digits, plain endings removed."""

import re
import unicodedata
from dataclasses import dataclass

Forms = tuple[str, ...]

# 1,250.5; 1 234 567 with plain spaces, or with any number of no-break or thin ones
NUMBER = r"(?:\d{1,3}(?:(?:[\u00a0\u2009\u202f]\d{3})+|(?: \d{3}){2,})(?!\d)|\d+(?:,\d{3})*)(?:\.\d+)?"
_TO_NINE, _TO_NINETEEN, _TENS = (
    text.split()
    for text in (
        "one two three four five six seven eight nine",
        "zero ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
        "twenty thirty forty fifty sixty seventy eighty ninety",
    )
)
_VALUES = (
    {word: n for n, word in enumerate(_TO_NINE, 1)}
    | {word: n + 9 for n, word in enumerate(_TO_NINETEEN)}
    | {word: 10 * n for n, word in enumerate(_TENS, 2)}
    | {"zero": 0}
)
# "five", "forty", "forty-five"
NUMBER_WORD = rf"(?:(?:{'|'.join(_TENS)})(?:(?:\s|\s?-\s?)(?:{'|'.join(_TO_NINE)})\b)?|{'|'.join([*_TO_NINETEEN, *_TO_NINE])})"
_ORDINALS = {"first": "1st", "second": "2nd", "third": "3rd", "fourth": "4th", "fifth": "5th", "sixth": "6th", "seventh": "7th",
             "eighth": "8th", "ninth": "9th", "tenth": "10th", "eleventh": "11th", "twelfth": "12th"}  # fmt: skip
_SAME = {"&": "and", "pound": "£", "dollar": "$", "euro": "€", "centre": "center"}
ORDINAL = r"\d+(?:st|nd|rd|th)"
_MINUS = "-−–"
_UNSPACED = (  # Thai, Lao, Burmese, Khmer, Korean, kana and Han characters
    r"\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
    r"\U00020000-\U0003ffff"
)
# A minus that joins no range ("20 -25", "20£-25") and no other number ("-7156-36"); "of - 7" has one, too.
_SIGN = (
    rf"(?:(?:(?<!\S)(?<!\d\s)|(?<=[(\[:,;=])|(?<=[£$€])(?<!\d[£$€]))[{_MINUS}](?=\d)"
    rf"|(?:(?<=\b(?:is|of|at|to)\s)(?<![{_MINUS}]\s(?:is|of|at|to)\s)|(?<=\bthan\s)|(?<=[(:=]\s))[{_MINUS}]\s(?=\d))"
    rf"(?!\d+[{_MINUS}]\d)"
)
_LETTERS = rf"(?:(?![{_UNSPACED}])[^\W\d_])+(?:\++(?!\w))?"  # with the plus of "C++"
_GRADE = rf"\b[A-F][{_MINUS}](?!\w)"
_TOKEN = re.compile(rf"{ORDINAL}\b|\b(?i:{NUMBER_WORD})\b|(?:{_SIGN})?{NUMBER}|[{_UNSPACED}]|{_GRADE}|{_LETTERS}|[£$€%/&]")
_SENTENCE_END = re.compile(r"(?<!\bSt)(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\b[A-Z])[.!?]+['\")]*(?:\s|$)|\n")


@dataclass(frozen=True)
class Word:
    """A word, number or sign of a text: characters [start, end), and the sentence and clause it is in, from 0."""

    surface: str
    form: str  # what is compared
    start: int
    end: int
    sentence: int
    clause: int


def words_of(text: str) -> list[Word]:
    """Return the words of a text in order; the s of "John's" is not one.

    In scripts without spaces between words, and in Korean, where particles are joined to them, each character is one. A minus is
    part of its number, and a plus or minus of a grade or name ("A-", "C++").
    """
    words: list[Word] = []
    sentence = clause = end = 0
    for match in _TOKEN.finditer(text):
        gap = text[max(0, end - 3) : match.start()] if words else ""  # with the last letters: "St. John" ends no sentence
        sentence += _SENTENCE_END.search(gap) is not None
        clause += re.search(r"[,;:.!?()\n]", text[end : match.start()]) is not None
        start, end = match.span()
        if match[0].lower() == "s" and text[max(0, start - 1) : start] in ("'", "’"):
            continue
        words.append(Word(match[0], form_of(match[0]), start, end, sentence, clause))
    return words


def form_of(token: str) -> str:
    """Return the form that is compared: "Cafés" is "cafe", "highly" "high", "forty-five" "45", "1,250" "1250", "−610.0" "-610".

    It is never empty: a mark on its own, such as the half-width "ﾟ", stays as it is.
    """
    decomposed = unicodedata.normalize("NFKD", token.casefold())
    word = "".join(char for char in decomposed if not unicodedata.combining(char)) or token
    word = re.sub(rf"^[{_MINUS}](?=\d)|(?<=\w)[{_MINUS}]$", "-", re.sub(r",|(?<=[\d-])\s", "", word) or word)
    if re.fullmatch(NUMBER_WORD, word):
        word = str(sum(_VALUES[part] for part in re.findall(r"\w+", word)))
    word = re.sub(r"(?<=\d)\.0+$", "", _ORDINALS.get(word, word))
    if len(word) > 3:
        word = re.sub(r"ies$", "y", word) if word.endswith("ies") else re.sub(r"(?<=ch|sh|ss)es$|(?<=x)es$|(?<!s)s$", "", word)
    if len(word) > 4:
        word = word.removesuffix("ly")
    return _SAME.get(word, word)


def forms_of(text: str) -> Forms:
    """Return the forms of a text's words, in order."""
    return tuple(word.form for word in words_of(text))


def vocabulary(text: str) -> frozenset[str]:
    """Return the forms of a text's words as a set."""
    return frozenset(forms_of(text))
