"""Which values of a table a text has, which it leaves out, and what it says without support. A string check.

Both sides are cut into words, numbers and currency signs, without case, accents and punctuation, so spacing and hyphens do not
matter ("£20-25" is "£ 20 - 25"). A value counts as present where its words stand together, plain endings aside ("moderately" is
"moderate"), or one of a few fixed other wordings does: "5 out of 5" as "5 stars", "less than £ 20" as "under £20", "cheap" as
"low-priced", "Canada" as "Canadian", a date in another order or in words, a name without its brackets, a list item by item;
yes/no by the words of its key and a "not" near them. A number of one or two digits has to stand by its field's own words or by
none of a strange kind ("1-star restaurant" is not volume 1), and a demonym not before food ("Japanese restaurant" is not country
Japan). Any other paraphrase counts as missing. What a text says without support: see `analysis.metrics.unsupported`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from analysis.metrics.base import Score, mean_score, ratio
from analysis.metrics.normalize import NUMBER, Forms, Word, forms_of, vocabulary, words_of
from analysis.metrics.unsupported import FUNCTION, LINKING, related, unsupported_spans, words_of_keys
from core.errors import BadInput
from core.text.tables import Fields

_SIGNATURE = "strings|prefixlab-cover-3"  # change the name with the rules below

T = TypeVar("T")
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
_REWORDED = {
    "less than": ("under", "below"),
    "more than": ("over", "above"),
    "cheap": ("low price", "low priced", "low cost", "inexpensive"),
    "riverside": ("river side", "by the river", "on the river", "near the river", "along the river"),
    "city centre": ("centre of the city", "centre of town"),
    "united states": ("USA", "US", "U.S.", "American"),
    "united kingdom": ("UK", "U.K.", "British"),
    "wales": ("Welsh",),
    "france": ("French",),
    "netherlands": ("Dutch",),
    "greece": ("Greek",),
    "switzerland": ("Swiss",),
    "ireland": ("Irish",),
    "denmark": ("Danish",),
    "deceased": ("died", "dead", "death", "passed away"),
}
# Endings of a value's only word and what may stand for them: Canada, Canadian; football, footballer; cycling, cyclist.
_DERIVED = [("", "n"), ("", "ese"), ("", "er"), ("a", "ian"), ("y", "ian"), ("y", ""), ("en", "ish"), ("al", "uese"),
            ("ing", "er"), ("ing", "ist")]  # fmt: skip

# A demonym before one of these says what is served, not where something is from.
_MEALS = vocabulary("restaurant food cuisine pub bar cafe dish meal menu place")


@dataclass(frozen=True)
class Coverage:
    """What `cover` finds.

    present, missing: keys in the table's order; `covered` says the same of each field. spans: (start, end, key) in characters,
    where values stand. unsupported: pieces of the text, each once; `unsupported_spans` are all of their places.
    """

    present: list[str]
    missing: list[str]
    unsupported: list[str]
    spans: list[tuple[int, int, str]]
    covered: tuple[bool, ...] = ()
    unsupported_spans: tuple[tuple[int, int], ...] = ()


def cover(fields: Fields, text: str) -> Coverage:
    """Compare a table with a text, tokenised or not; `spans` hold every place where a value stands."""
    words = words_of(text)
    own = frozenset(form for key, value in fields for form in forms_of(f"{key} {value}")) | words_of_keys(fields)
    assigned = _share_out(fields, words, _place(fields, words, own))
    spans = {
        (words[a].start, words[b - 1].end, key) for (key, _), places in zip(fields, assigned, strict=True) for a, b in places
    }
    strange = unsupported_spans(text, words, own, [(start, end) for start, end, _ in spans])
    return Coverage(
        present=[key for (key, _), places in zip(fields, assigned, strict=True) if places],
        missing=[key for (key, _), places in zip(fields, assigned, strict=True) if not places],
        unsupported=list(dict.fromkeys(text[start:end] for start, end in strange)),
        spans=sorted(spans),
        covered=tuple(map(bool, assigned)),
        unsupported_spans=tuple(strange),
    )


def cover_article(article: str, summary: str) -> Coverage:
    """What a summary says that its article does not hold: names, numbers and content words. It has no fields."""
    words = words_of(summary)
    strange = unsupported_spans(summary, words, frozenset(forms_of(article)), [])
    pieces = list(dict.fromkeys(summary[start:end] for start, end in strange))
    return Coverage([], [], pieces, [], unsupported_spans=tuple(strange))


# --- where a value stands ---------------------------------------------------------------------------------------------------


def _place(fields: Fields, words: list[Word], own: frozenset[str]) -> list[Places]:
    """The places of each field. Longer ones first: "Riverside" inside "Riverside Café" is not another field's value.

    own: the words that the table supports.
    """
    assigned: list[Places] = [[] for _ in fields]
    owner: dict[int, Forms] = {}  # word index -> value that stands there
    candidates = [
        (place, n)
        for n, (key, value) in enumerate(fields)
        for place in _find(key, value, words)
        if _is_meant(key, value, words, place, own)
    ]
    for (start, end), n in sorted(candidates, key=lambda item: item[0][0] - item[0][1]):
        value = forms_of(fields[n][1])
        if all(owner.get(i, value) == value for i in range(start, end)):
            owner.update(dict.fromkeys(range(start, end), value))
            assigned[n].append((start, end))
    return assigned


def _is_meant(key: str, value: str, words: list[Word], place: tuple[int, int], own: frozenset[str]) -> bool:
    """Whether a small number or a demonym is used for this field, going by the words around it."""
    start, end = place
    follows = words[end].form if end < len(words) and words[end].clause == words[start].clause else ""
    if re.fullmatch(r"\d{1,2}", forms_of(value)[0]) and len(forms_of(value)) == 1:
        near = words[max(0, start - 4) : end + 3]
        hints = vocabulary(key) | words_of_keys([(key, value)])
        if any(related(hint, word.form) for hint in hints for word in near if word.clause == words[start].clause):
            return True
        return not follows or follows in own | FUNCTION | LINKING or not follows[0].isalpha()
    is_demonym = value.isalpha() and end == start + 1 and words[start].form not in forms_of(value)
    return not (is_demonym and follows in _MEALS and follows not in own)


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
        stars, most = rating[1] or rating[3], rating[2] or "5"
        yield from (
            f"{stars} out of {most}",
            f"{stars} of {most}",
            f"{stars}/{most}",
            *([f"{stars} stars"] if most == "5" else []),
        )
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
    key_words = vocabulary(key) - _EMPTY or vocabulary(key)
    any_of = bool(key_words & _AUDIENCE)
    key_words = key_words | _AUDIENCE if any_of else key_words
    size = 1 if any_of else len(key_words) + 3
    affirmed: Places = []
    denied: Places = []
    adults: Places = []
    for start, word in enumerate(words):
        near = [i for i in range(start, min(start + size, len(words))) if words[i].form in key_words]
        if word.form in key_words and (any_of or {words[i].form for i in near} == key_words):
            (denied if _denied(words, start, near[-1] + 1) else affirmed).append((start, near[-1] + 1))
        elif any_of and word.form == "adult":
            adults.append((start, start + 1))
    return (affirmed if not denied else []) if yes else denied or adults


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


def _share_out(fields: Fields, words: list[Word], assigned: list[Places]) -> list[Places]:
    """Fields of one value that has fewer places than fields: those count whose key the sentence hints at."""
    shared = [forms_of(value) for _, value in fields]
    result = list(assigned)
    for n, (key, _) in enumerate(fields):
        group = [m for m, forms in enumerate(shared) if forms == shared[n] and assigned[m]]
        if len(assigned[n]) < len(group) and any(_hinted(fields[m][0], words, assigned[m]) for m in group):
            result[n] = assigned[n] if _hinted(key, words, assigned[n]) else []
    return result


def _hinted(key: str, words: list[Word], places: Places) -> bool:
    sentences = {words[start].sentence for start, _ in places}
    return any(related(hint, word.form) for hint in forms_of(key) for word in words if word.sentence in sentences)


# --- scores --------------------------------------------------------------------------------------------------------------


def coverage_scores(tables: Sequence[Fields], texts: Sequence[str]) -> list[Score]:
    """Coverage: the share of all fields that the texts have (0 to 100). Unsupported: names, numbers and words that the tables
    lack, in pieces a text. They go by the names "Told" and "Beyond", under which run.json has always had them.

    Raises BadInput where tables and texts do not match, or there are none.
    """
    coverages = [cover(fields, text) for fields, text in _pairs(tables, texts, "tables")]
    sums = np.array([[100 * len(one.present), len(one.present) + len(one.missing)] for one in coverages], dtype=float)
    each, signature = tuple(map(ratio, sums)), f"fields told|{_SIGNATURE}"
    coverage = Score("Told", ratio(sums.sum(axis=0)), True, signature, len(texts), each, sums, ratio)
    return [coverage, _unsupported_score(coverages)]


def article_scores(articles: Sequence[str], texts: Sequence[str]) -> list[Score]:
    """Unsupported of summaries: names, numbers and words that their articles lack, in pieces a text. Raises BadInput."""
    return [_unsupported_score([cover_article(article, text) for article, text in _pairs(articles, texts, "articles")])]


def _pairs(sources: Sequence[T], texts: Sequence[str], what: str) -> list[tuple[T, str]]:
    if not texts or len(sources) != len(texts):
        raise BadInput(f"{len(texts)} texts and {len(sources)} {what}: give one of the {what} a text.")
    return list(zip(sources, texts, strict=True))


def _unsupported_score(coverages: Sequence[Coverage]) -> Score:
    return mean_score("Beyond", [len(one.unsupported) for one in coverages], False, f"names, numbers, words a text|{_SIGNATURE}")
