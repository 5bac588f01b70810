"""Words as the string metrics compare them: no case, accents or punctuation, numbers in digits, plain endings removed."""

import re
import unicodedata
from dataclasses import dataclass

Forms = tuple[str, ...]

NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
DIGITS = {"zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
           "nine": "9", "ten": "10", "eleven": "11", "twelve": "12"}  # fmt: skip
_SAME = {"&": "and", "pound": "£", "dollar": "$", "euro": "€", "centre": "center"}
_TOKEN = re.compile(rf"{NUMBER}|[^\W\d_]+|[£$€%/&]")
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
    """Return the words of a text in order; the s of "John's" is not one."""
    words: list[Word] = []
    sentence = clause = end = 0
    for match in _TOKEN.finditer(text):
        gap = text[max(0, end - 3) : match.start()] if words else ""  # with the last letters: "St. John" ends no sentence
        sentence += _SENTENCE_END.search(gap) is not None
        clause += re.search(r"[,;:.!?()\n]", text[end : match.start()]) is not None
        end = match.end()
        if match[0].lower() == "s" and text[max(0, match.start() - 1) : match.start()] in ("'", "’"):
            continue
        words.append(Word(match[0], form_of(match[0]), match.start(), end, sentence, clause))
    return words


def form_of(token: str) -> str:
    """Return the form that is compared: "Cafés" is "cafe", "highly" "high", "five" "5", "1,250" "1250", "610.0" "610".

    It is never empty: a mark on its own, such as the half-width "ﾟ", stays as it is.
    """
    decomposed = unicodedata.normalize("NFKD", token.casefold())
    word = "".join(char for char in decomposed if not unicodedata.combining(char)).replace(",", "") or token
    word = re.sub(r"(?<=\d)\.0+$", "", DIGITS.get(word, word))
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
