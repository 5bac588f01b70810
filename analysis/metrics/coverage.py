"""Which values of a table a text tells, which it leaves out, and what it says beyond the table. A string check.

Both sides are cut into words, numbers and currency signs, without case, accents and punctuation, so spacing and hyphens do not
matter ("£20-25" is "£ 20 - 25"). A value counts as told where its words stand together, plain endings aside ("moderately" is
"moderate"), or one of a few fixed other wordings does: "5 out of 5" as "5 stars", "less than £ 20" as "under £20", "cheap" as
"low-priced", "Canada" as "Canadian", a date in another order or in words, a name without its brackets, a list item by item;
yes/no by the words of its key and a "not" near them. Any other paraphrase counts as missing, and a value used in another sense
counts as told.
What is said beyond the table is looked for in capitalised names and numbers only. A single capitalised word that opens a
sentence is taken for a name where a verb such as "is" follows; other sentence openers and lower-case claims go unseen.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.metrics.base import Score, mean_score, ratio
from analysis.metrics.normalize import DIGITS, NUMBER, Forms, Word, forms_of, vocabulary, words_of
from core.errors import BadInput
from core.text.tables import Fields

_SIGNATURE = "strings|prefixlab-cover-2"  # change the name with the rules below

Places = list[tuple[int, int]]  # half-open ranges of word indices

_MONTH_NAMES = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
                "December"]  # fmt: skip
_MONTHS = vocabulary(" ".join(_MONTH_NAMES))
# In a yes/no key these say nothing ("pets allowed" is about pets); any of the audience stands for "family" in "family friendly".
_EMPTY = vocabulary("has is with allowed friendly welcome available")
_AUDIENCE = vocabulary("family child children kid")
_NOT = vocabulary("not no non never t without neither nor unsuitable")  # t: the end of "isn't"
_YES = {"yes", "true", "included", "allowed", "available"}
_NO = {"no", "false", "none", "not included", "not allowed", "not available"}
_VERBS = vocabulary("is was has serves offers provides")
_FUNCTION = vocabulary(
    "a an the it its this that these those there here he she they we you i his her their our your my and or but nor so yet if as "
    "at by for from in of on to with near not no yes what which who where when while although though also both without after "
    "before because since until located situated found one m t d re ve ll"
)
_REWORDED = {
    "less than": ("under", "below"),
    "more than": ("over", "above"),
    "cheap": ("low price", "low priced", "low cost", "inexpensive"),
    "riverside": ("river side", "by the river", "on the river", "near the river", "along the river"),
    "city centre": ("centre of the city", "centre of town"),
    "united states": ("USA", "US", "U.S.", "American"),
    "united kingdom": ("UK", "U.K.", "British"),
    "deceased": ("died", "dead", "death", "passed away"),
}
# Endings of a value's only word and what may stand for them: Canada, Canadian; football, footballer; cycling, cyclist.
_DERIVED = [("", "n"), ("", "ese"), ("", "er"), ("a", "ian"), ("y", "ian"), ("y", ""), ("en", "ish"), ("al", "uese"),
            ("ing", "er"), ("ing", "ist")]  # fmt: skip

_COUNT = rf"(?:{NUMBER}(?::\d\d)*|\b(?:{'|'.join(DIGITS)})\b)"  # 1,250, 10:30, five
_NUMBER_PHRASE = re.compile(
    rf"[£$€]?\s?{_COUNT}(?:(?:\s?[-–]\s?|\sto\s)[£$€]?\s?{_COUNT})?(?P<rating>\s(?:out\s)?of\s{_COUNT}|\s?/\s?{_COUNT}|[\s-]+stars?\b)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Coverage:
    """`present`, `missing`: keys in the table's order, and `covered` says the same of each field; `unsupported`: pieces of
    the text; `spans`: (start, end, key) in characters."""

    present: list[str]
    missing: list[str]
    unsupported: list[str]
    spans: list[tuple[int, int, str]]
    covered: tuple[bool, ...] = ()


def cover(fields: Fields, text: str) -> Coverage:
    """Compare a table with a text, tokenised or not; `spans` hold every place where a value is told."""
    words = words_of(text)
    found = _share_out(fields, words, _place(fields, words))
    spans = {(words[a].start, words[b - 1].end, key) for (key, _), places in zip(fields, found, strict=True) for a, b in places}
    return Coverage(
        present=[key for (key, _), places in zip(fields, found, strict=True) if places],
        missing=[key for (key, _), places in zip(fields, found, strict=True) if not places],
        unsupported=_unsupported(fields, text, words, [(start, end) for start, end, _ in spans]),
        spans=sorted(spans),
        covered=tuple(map(bool, found)),
    )


# --- where a value is told ---------------------------------------------------------------------------------------------------


def _place(fields: Fields, words: list[Word]) -> list[Places]:
    """The places of each field. Longer ones first: "Riverside" inside "Riverside Café" does not tell another field's value."""
    found: list[Places] = [[] for _ in fields]
    owner: dict[int, Forms] = {}  # word index -> value told there
    wanted = [(place, n) for n, (key, value) in enumerate(fields) for place in _find(key, value, words)]
    for (start, end), n in sorted(wanted, key=lambda item: item[0][0] - item[0][1]):
        value = forms_of(fields[n][1])
        if all(owner.get(i, value) == value for i in range(start, end)):
            owner.update(dict.fromkeys(range(start, end), value))
            found[n].append((start, end))
    return found


def _find(key: str, value: str, words: list[Word]) -> Places:
    if value.lower() in _YES | _NO:
        return _find_yes_no(key, value.lower() in _YES, words)
    places = [place for wording in dict.fromkeys(_wordings(value)) for place in _runs(wording, words)]
    parts = [part for part in re.split(r"[,;/]|\band\b|&", value) if part.strip()]
    if not places and len(parts) > 1:
        each = [_runs(_no_article(forms_of(part)), words) for part in parts]
        places = [place for one in each for place in one] if all(each) else []
    return list(dict.fromkeys(places))


def _runs(wording: Forms, words: list[Word]) -> Places:
    """Where the words of a wording stand together, in order, or (a date) in any order."""
    size, any_order = len(wording), bool(_MONTHS & set(wording))
    places = []
    for start in range(len(words) - size + 1 if size else 0):
        if words[start].form not in wording:
            continue
        run = tuple(word.form for word in words[start : start + size])
        if run == wording or (any_order and sorted(run) == sorted(wording)):
            places.append((start, start + size))
    return places


def _wordings(value: str) -> Iterator[Forms]:
    """The value and its fixed other wordings, as forms."""
    yield forms_of(value)
    yield _no_article(forms_of(value))
    for text in _other_texts(value):
        yield forms_of(text)
        yield forms_of(re.sub(rf"([£$€])\s*({NUMBER})", r"\2 \1", text))  # "20-25 pounds": _SAME makes the word the sign


def _other_texts(value: str) -> Iterator[str]:
    value = value.strip().lower()
    yield value
    if rating := re.fullmatch(r"([\d.]+)\s*(?:(?:out )?of|/)\s*(\d+)|([\d.]+)[\s-]stars?", value):
        got, most = rating[1] or rating[3], rating[2] or "5"
        yield from (f"{got} out of {most}", f"{got} of {most}", f"{got}/{most}", *([f"{got} stars"] if most == "5" else []))
    for phrase, others in _REWORDED.items():
        if re.search(rf"\b{phrase}\b", value):
            yield from (value.replace(phrase, other) for other in others)
    if named := re.fullmatch(r"([^\W\d].*?)(?: language|,? \([^()]*\))", value):  # "Bolt (comics character)" is Bolt
        yield named[1]
    if date := re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", value):
        yield from _dates(int(date[1]), int(date[2]), int(date[3]))
    if value.isalpha():
        yield from (value.removesuffix(end) + other for end, other in _DERIVED if value.endswith(end))
    if span := re.fullmatch(rf"([£$€]?)\s*({NUMBER})\s*[-–]\s*[£$€]?\s*({NUMBER})(.*)", value):
        sign, low, high, unit = span.groups()
        yield f"{low} {high} {sign} {unit}"
        yield from (f"{sign}{low} {word} {second}{high} {unit}" for word in ("", "to", "and") for second in ("", sign))


def _dates(year: int, month: int, day: int) -> Iterator[str]:
    """A day in words: "19 September 1922", "September 19th, 1922" (the order does not matter to `_runs`)."""
    if 1 <= month <= 12:
        suffix = "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
        yield from (f"{day} {_MONTH_NAMES[month - 1]} {year}", f"{day}{suffix} {_MONTH_NAMES[month - 1]} {year}")
        yield f"{day}{suffix} of {_MONTH_NAMES[month - 1]} {year}"


def _no_article(forms: Forms) -> Forms:
    return forms[1:] if len(forms) > 1 and forms[0] in ("the", "a", "an") else forms


def _find_yes_no(key: str, yes: bool, words: list[Word]) -> Places:
    """Where the key's words stand close together, with a "not" near them or without one, as the value wants it."""
    wanted = vocabulary(key) - _EMPTY or vocabulary(key)
    any_of = bool(wanted & _AUDIENCE)
    wanted = wanted | _AUDIENCE if any_of else wanted
    size = 1 if any_of else len(wanted) + 3
    told: Places = []
    denied: Places = []
    adults: Places = []
    for start, word in enumerate(words):
        near = [i for i in range(start, min(start + size, len(words))) if words[i].form in wanted]
        if word.form in wanted and (any_of or {words[i].form for i in near} == wanted):
            (denied if _denied(words, start, near[-1] + 1) else told).append((start, near[-1] + 1))
        elif any_of and word.form == "adult":
            adults.append((start, start + 1))
    return (told if not denied else []) if yes else denied or adults


def _denied(words: list[Word], start: int, end: int) -> bool:
    """Whether a "not" stands in the same clause: up to 5 words before or 4 after, with no "and" or "but" between."""
    clause = words[start].clause

    def scan(indices: range) -> bool:
        for i in indices:
            if words[i].clause != clause or words[i].form in ("and", "but"):
                return False
            if words[i].form in _NOT:
                return True
        return False

    before, after = range(start - 1, max(-1, start - 6), -1), range(start, min(len(words), end + 4))
    return scan(before) or scan(after)


def _share_out(fields: Fields, words: list[Word], found: list[Places]) -> list[Places]:
    """Fields of one value told in fewer places than there are fields: those whose key is hinted at in the sentence count."""
    shared = [forms_of(value) for _, value in fields]
    kept = list(found)
    for n, (key, _) in enumerate(fields):
        group = [m for m, forms in enumerate(shared) if forms == shared[n] and found[m]]
        if len(found[n]) < len(group) and any(_hinted(fields[m][0], words, found[m]) for m in group):
            kept[n] = found[n] if _hinted(key, words, found[n]) else []
    return kept


def _hinted(key: str, words: list[Word], places: Places) -> bool:
    sentences = {words[start].sentence for start, _ in places}
    return any(_kin(hint, word.form) for hint in forms_of(key) for word in words if word.sentence in sentences)


def _kin(one: str, other: str) -> bool:
    """ "price" and "priced", "rating" and "rated", "director" and "directed"."""
    common = max(3, min(len(one), len(other)) - 2)
    return one == other or (min(len(one), len(other)) > 3 and one[:common] == other[:common])


# --- what is said beyond the table -------------------------------------------------------------------------------------------


def _unsupported(fields: Fields, text: str, words: list[Word], spans: list[tuple[int, int]]) -> list[str]:
    pieces = [*_unknown_numbers(fields, words, text, spans), *_unknown_names(fields, text, words, spans)]
    return list(dict.fromkeys(text[start:end] for start, end in sorted(pieces)))


def _told(start: int, end: int, spans: list[tuple[int, int]]) -> bool:
    return any(start < last and end > first for first, last in spans)


def _unknown_numbers(fields: Fields, words: list[Word], text: str, spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Numbers and prices that the table lacks in part; ratings that it lacks as a whole ("5 out of 5" is not "3 out of 5")."""
    known = {form for key, value in fields for form in forms_of(f"{key} {value}")}
    for match in _NUMBER_PHRASE.finditer(text):
        start, end = match.end() - len(match[0].lstrip()), match.end()
        numbers = [word for word in words if start <= word.start < end and word.form[0].isdigit()]
        numbers = [word for word in numbers if word.surface.lower() != "one"]  # mostly no number
        strange = [word for word in numbers if word.form not in known and not _told(word.start, word.end, spans)]
        if strange if match["rating"] is None else not _told(start, end, spans):
            yield start, end


def _unknown_names(fields: Fields, text: str, words: list[Word], spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    known = {form for key, value in fields for form in forms_of(f"{key} {value}")} | _FUNCTION | _AUDIENCE
    for start, end in _capitalised(text, words):
        strange = [i for i in range(start, end) if words[i].form not in known and not _told(words[i].start, words[i].end, spans)]
        opener = start == 0 or words[start].sentence != words[start - 1].sentence
        if opener and strange == [start]:  # "Great food …" or "Clowns is …": only a verb after it tells
            follows = words[end].form if end < len(words) else ""
            strange = strange if end == start + 1 and follows in _VERBS else []
        if strange:
            while words[start].form in _FUNCTION:
                start += 1
            yield words[start].start, words[end - 1].end


def _capitalised(text: str, words: list[Word]) -> Iterator[tuple[int, int]]:
    """Runs of capitalised words of one sentence with only blanks, hyphens or apostrophes between them."""
    start = 0
    while start < len(words):
        end = start
        while end < len(words) and words[end].surface[0].isupper() and (end == start or _joined(text, *words[end - 1 : end + 1])):
            end += 1
        if end > start:
            yield start, end
        start = max(end, start + 1)


def _joined(text: str, one: Word, other: Word) -> bool:
    return one.sentence == other.sentence and re.fullmatch(r"[\s.'’-]*(?:s\s)?", text[one.end : other.start]) is not None


# --- scores --------------------------------------------------------------------------------------------------------------


def coverage_scores(tables: Sequence[Fields], texts: Sequence[str]) -> list[Score]:
    """Told: the share of all fields that the texts tell (0 to 100). Beyond: names and numbers not in the table, a text.

    Raises BadInput where tables and texts do not match, or there are none.
    """
    if not texts or len(tables) != len(texts):
        raise BadInput(f"{len(texts)} texts and {len(tables)} tables: give one table a text.")
    found = [cover(fields, text) for fields, text in zip(tables, texts, strict=True)]
    sums = np.array([[100 * len(one.present), len(one.present) + len(one.missing)] for one in found], dtype=float)
    each, signature = tuple(map(ratio, sums)), f"fields told|{_SIGNATURE}"
    coverage = Score("Told", ratio(sums.sum(axis=0)), True, signature, len(texts), each, sums, ratio)
    return [
        coverage,
        mean_score("Beyond", [len(one.unsupported) for one in found], False, f"names and numbers a text|{_SIGNATURE}"),
    ]
