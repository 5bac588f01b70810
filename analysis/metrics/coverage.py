"""Which values of a table a text contains, which are missing, and what it states without support. A string check.

Both sides are split into words, numbers and currency signs, without case, accents and punctuation, so spacing and hyphens do
not matter ("£20-25" is "£ 20 - 25"). A value is present if its words occur together, up to inflection ("moderately" is
"moderate"), or if one of a few fixed alternatives does: "5 out of 5" as "5 stars", "less than £ 20" as "under £20", "cheap" as
"low-priced", "Canada" as "Canadian", "5 km" as "five kilometres", "-7" as "minus 7", "2" as "second", a date in another order
or in words, a name without its brackets, a list item by item;
yes/no by the words of the key and a nearby "not", "family friendly" by who is said to be welcome. A number of one or two
digits has to occur near words of its field, or near no word of another kind ("1-star restaurant" is not volume 1), and a
demonym not before food ("Japanese restaurant" is not country Japan). A value of signs only, such as "★★★★☆", is present as it
is, and stars as "4 out of 5". Any other paraphrase counts as missing. For statements without support, see
`analysis.metrics.unsupported`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from analysis.metrics.base import Score, mean_score, ratio
from analysis.metrics.normalize import NUMBER, Forms, Word, forms_of, vocabulary, words_of
from analysis.metrics.unsupported import FUNCTION, LINKING, related, unsupported_spans, words_of_keys
from core.data.registry import table_of_source
from core.errors import BadInput
from core.text.tables import Fields

# Change the name with the rules below, if that changes the result for any of the data sets.
_SIGNATURE = "strings|prefixlab-cover-4"

T = TypeVar("T")
Places = list[tuple[int, int]]  # half-open ranges of word indices

_MONTH_NAMES = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
                "December"]  # fmt: skip
_MONTHS = vocabulary(" ".join(_MONTH_NAMES))
# In a yes/no key these say nothing ("pets allowed" is about pets); any of the audience stands for "family" in "family friendly".
_EMPTY = vocabulary("has is for with allowed friendly suitable welcome available")
_AUDIENCE = vocabulary("family child children kid youngster")
# Near one of the audience these say that it is welcome, or not: "kids can enjoy", "a family pub", but not "a family of birds".
_WELCOME = vocabulary(
    "friendly friend unfriendly oriented orientated orientation suitable unsuitable suited suits appropriate inappropriate "
    "approved good great perfect ideal excellent fun nice welcome welcomed welcoming allow allowed allows admit admitted "
    "permit permitted prohibited banned accept accepts accommodate cater caters catering enjoy enjoyable bring bringing take "
    "taking recommended aimed geared targeted designed open serves services hospitable safe comfortable atmosphere environment "
    "restaurant pub place venue establishment setting spot cafe shop coffee food dining eatery meal menu area policy amenities "
    "facilities love loves loved favored favorite visit go gather bar center catered accommodated"
)
_OTHER_FAMILY = vocabulary("run owned operated business member name history tree home house")
_BEFORE_AUDIENCE = vocabulary("the your all whole entire a young small")
_TO_AUDIENCE = (["for"], ["with"], ["to"])
_NOT = vocabulary("not no non none never without neither nor unsuitable inappropriate unfriendly prohibited banned")
# Before the t of "isn't", also as "is n't" and "no t"; the T of AT&T denies nothing.
_CONTRACTED = vocabulary("isn aren wasn weren don doesn didn hasn haven hadn can won wouldn couldn shouldn mustn needn ain n no")
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
# What may stand for one another after a number.
_UNITS = [
    ("mm", "millimeters", "millimetres"), ("cm", "centimeters", "centimetres"), ("m", "meters", "metres", "meter", "metre"),
    ("km", "kilometers", "kilometres", "kilometer", "kilometre"), ("mi", "miles", "mile"), ("ft", "feet", "foot"),
    ("in", "inches", "inch"), ("g", "grams", "grammes", "gram"), ("oz", "ounces"), ("lb", "lbs", "pounds", "pound"),
    ("kg", "kilograms", "kilogrammes", "kilos", "kilogram", "kilo"), ("ha", "hectares", "hectare"),
    ("ml", "milliliters", "millilitres"), ("l", "liters", "litres", "liter", "litre"),
    ("m²", "m2", "sq m", "square meters", "square metres"), ("km²", "km2", "sq km", "square kilometers", "square kilometres"),
    ("km/h", "kmh", "kph", "kilometers per hour", "kilometres per hour", "kilometers an hour", "kilometres an hour"),
    ("mph", "miles per hour", "miles an hour"), ("m/s", "meters per second", "metres per second"),
    ("s", "sec", "seconds", "second"), ("min", "mins", "minutes", "minute"), ("h", "hr", "hrs", "hours", "hour"),
    ("%", "percent", "per cent"), ("°c", "degrees celsius", "degrees"), ("°f", "degrees fahrenheit", "degrees"),
    ("w", "watts", "watt"), ("kw", "kilowatts"), ("mw", "megawatts"), ("v", "volts"), ("hz", "hertz"),
    ("mb", "megabytes"), ("gb", "gigabytes"), ("tb", "terabytes"),
]  # fmt: skip
# Endings of a value's only word and what may stand for them: Canada, Canadian; football, footballer; cycling, cyclist.
_DERIVED = [("", "n"), ("", "ese"), ("", "er"), ("a", "ian"), ("y", "ian"), ("y", ""), ("en", "ish"), ("al", "uese"),
            ("ing", "er"), ("ing", "ist")]  # fmt: skip

# A demonym before one of these says what is served, not where something is from.
_MEALS = vocabulary("restaurant food cuisine pub bar cafe dish meal menu place")


@dataclass(frozen=True)
class Coverage:
    """The result of `cover`.

    `present`, `missing`: keys in the table's order; `covered`: one value per field. `spans`: (start, end, key) in characters,
    where values occur. `unsupported`: pieces of the text, each once; `unsupported_spans`: all of their positions.
    """

    present: list[str]
    missing: list[str]
    unsupported: list[str]
    spans: list[tuple[int, int, str]]
    covered: tuple[bool, ...] = ()
    unsupported_spans: tuple[tuple[int, int], ...] = ()


def cover(fields: Fields, text: str) -> Coverage:
    """Compare a table with a text, tokenised or not; `spans` has every place where a value occurs."""
    words = words_of(text)
    own = frozenset(form for key, value in fields for form in forms_of(f"{key} {value}")) | words_of_keys(fields)
    assigned = _share_out(fields, words, _place(fields, words, own))
    places = [
        [(words[a].start, words[b - 1].end) for a, b in by_words] + _without_words(value, text)
        for (_, value), by_words in zip(fields, assigned, strict=True)
    ]  # in characters
    spans = {(start, end, key) for (key, _), own_places in zip(fields, places, strict=True) for start, end in own_places}
    strange = unsupported_spans(text, words, own, [(start, end) for start, end, _ in spans])
    return Coverage(
        present=[key for (key, _), own_places in zip(fields, places, strict=True) if own_places],
        missing=[key for (key, _), own_places in zip(fields, places, strict=True) if not own_places],
        unsupported=list(dict.fromkeys(text[start:end] for start, end in strange)),
        spans=sorted(spans),
        covered=tuple(map(bool, places)),
        unsupported_spans=tuple(strange),
    )


def cover_article(article: str, summary: str) -> Coverage:
    """Find the names, numbers and content words of a summary that its article does not contain. The result has no fields."""
    words = words_of(summary)
    strange = unsupported_spans(summary, words, frozenset(forms_of(article)), [])
    pieces = list(dict.fromkeys(summary[start:end] for start, end in strange))
    return Coverage([], [], pieces, [], unsupported_spans=tuple(strange))


def error_counter(input_format: str, source: str) -> Callable[[str], int]:
    """Return a function that counts the errors of a text: values of the source that it lacks, and pieces without support.

    For reranking (`DecodeConfig.mode`). An article or free text has no values that a text must contain. Raises BadTable for a
    source that is not in its format.
    """
    fields = table_of_source(input_format, source)

    def errors(text: str) -> int:
        result = cover(fields, text) if fields else cover_article(source, text)
        return len(result.missing) + len(result.unsupported)

    return errors


# --- where a value stands ---------------------------------------------------------------------------------------------------


def _place(fields: Fields, words: list[Word], own: frozenset[str]) -> list[Places]:
    """Locate each field. Longer values come first: "Riverside" inside "Riverside Café" is not another field's value.

    `own`: the words that the table supports.
    """
    assigned: list[Places] = [[] for _ in fields]
    owner: dict[int, Forms] = {}  # word index -> value that stands there
    candidates = [
        (place, n)
        for n, (key, value) in enumerate(fields)
        for place in _find(key, value, words)
        if _belongs(key, value, words, place, own)
    ]
    for (start, end), n in sorted(candidates, key=lambda item: item[0][0] - item[0][1]):
        value = forms_of(fields[n][1])
        if all(owner.get(i, value) == value for i in range(start, end)):
            owner.update(dict.fromkeys(range(start, end), value))
            assigned[n].append((start, end))
    return assigned


def _belongs(key: str, value: str, words: list[Word], place: tuple[int, int], own: frozenset[str]) -> bool:
    """Whether a small number or a demonym belongs to this field, judged by the words around it."""
    (start, end), forms = place, forms_of(value)
    follows = words[end].form if end < len(words) and words[end].clause == words[start].clause else ""
    if len(forms) == end - start == 1 and re.fullmatch(r"\d{1,2}", forms[0]):
        near = words[max(0, start - 4) : end + 3]
        hints = vocabulary(key) | words_of_keys([(key, value)])
        if any(related(hint, word.form) for hint in hints for word in near if word.clause == words[start].clause):
            return True
        return not follows or follows in own | FUNCTION | LINKING or not follows[0].isalpha()
    is_demonym = value.isalpha() and end == start + 1 and words[start].form not in forms
    return not (is_demonym and follows in _MEALS and follows not in own)


def _find(key: str, value: str, words: list[Word]) -> Places:
    if value.lower() in _YES | _NO:
        return _find_yes_no(key, value.lower() in _YES, words)
    places = [place for wording in dict.fromkeys(_wordings(key, value)) for place in _runs(wording, words)]
    parts = [part for part in re.split(r"(?<!\d)[,/]|[,/](?!\d)|;|\band\b|&", value) if part.strip()]
    if not places and len(parts) > 1:
        each = [_runs(_no_article(forms_of(part)), words) for part in parts]
        places = [place for one in each for place in one] if all(each) else []
    return list(dict.fromkeys(places))


def _without_words(value: str, text: str) -> list[tuple[int, int]]:
    """Return where a value of signs only, such as "★★★★☆", stands in a text, in characters; [] for a value with words."""
    signs = "" if forms_of(value) else value.strip()
    return [match.span() for match in re.finditer(re.escape(signs), text)] if signs else []


def _runs(wording: Forms, words: list[Word]) -> Places:
    """Find where the words of a wording occur together, in order or (for a date) in any order."""
    size, any_order = len(wording), bool(_MONTHS & set(wording))
    places = []
    for start in range(len(words) - size + 1 if size else 0):
        if words[start].form not in wording:
            continue
        run = tuple(word.form for word in words[start : start + size])
        if run == wording or (any_order and sorted(run) == sorted(wording)):
            places.append((start, start + size))
    return places


def _wordings(key: str, value: str) -> Iterator[Forms]:
    """Return the value and its fixed alternatives, as word forms; a rating may be given in stars."""
    yield forms_of(value)
    if "rating" in forms_of(key) and re.fullmatch(r"\d(\.\d)?", value):
        yield forms_of(f"{value} stars")
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
            f"{stars} out of {most} stars",
            f"{stars}/{most} stars",
            *([f"{stars} stars"] if most == "5" else []),
        )
    if stars_drawn := re.fullmatch(r"(★+)(☆*)", value):
        yield from _other_texts(f"{len(stars_drawn[1])} out of {len(value)}")
    for phrase, others in _REWORDED.items():
        if re.search(rf"\b{phrase}\b", value):
            yield from (value.replace(phrase, other) for other in others)
    if named := re.fullmatch(r"([^\W\d].*?)(?: language|,? \([^()]*\))", value):  # "Bolt (comics character)" is Bolt
        yield named[1]
    if date := re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", value):
        yield from _dates(int(date[1]), int(date[2]), int(date[3]))
    if date := re.fullmatch(r"(\d{1,2}) ([a-z]+) (\d{4})|([a-z]+) (\d{1,2}),? (\d{4})", value):
        day, month, year = (date[1], date[2], date[3]) if date[1] else (date[5], date[4], date[6])
        if month.capitalize() in _MONTH_NAMES:
            yield from _dates(int(year), _MONTH_NAMES.index(month.capitalize()) + 1, int(day))
    yield from _other_numbers(value)
    if value.isalpha() and len(value) > 2:
        yield from (value.removesuffix(end) + other for end, other in _DERIVED if value.endswith(end))
    if span := re.fullmatch(rf"([£$€]?)\s*({NUMBER})\s*[-–]\s*[£$€]?\s*({NUMBER})(.*)", value):
        sign, low, high, unit = span.groups()
        yield f"{low} {high} {sign} {unit}"
        yield from (f"{sign}{low} {word} {second}{high} {unit}" for word in ("", "to", "and") for second in ("", sign))


def _other_numbers(value: str) -> Iterator[str]:
    """Return a number with the sign, the unit or the ending that may stand for its own: "5 kilometers" for "5 km"."""
    if match := re.fullmatch(rf"({NUMBER})\s*([£$€]|pounds?|dollars?|euros?)", value):
        yield f"{match[2]} {match[1]}"
    if match := re.fullmatch(r"\d+", value):
        yield value + _ordinal_ending(int(value))
    if match := re.fullmatch(rf"([-−–]?)({NUMBER})(?:[\s-]*(\D+))?", value):
        sign, number, unit = match[1], match[2], (match[3] or "").strip(" .")
        for other in next((units for units in _UNITS if unit in units), (unit,)):
            yield f"{sign}{number} {other}"
            if sign:
                yield from (f"minus {number} {other}", f"{number} {other} below")


def _ordinal_ending(number: int) -> str:
    return "th" if 10 < number % 100 < 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def _dates(year: int, month: int, day: int) -> Iterator[str]:
    """Return a day in words: "19 September 1922", "September 19th, 1922" (`_runs` ignores the order)."""
    if 1 <= month <= 12:
        name, nth = _MONTH_NAMES[month - 1], f"{day}{_ordinal_ending(day)}"
        yield from (f"{day} {name} {year}", f"{nth} {name} {year}", f"{nth} of {name} {year}", f"{name} the {nth} {year}")


def _no_article(forms: Forms) -> Forms:
    return forms[1:] if len(forms) > 1 and forms[0] in ("the", "a", "an") else forms


def _find_yes_no(key: str, yes: bool, words: list[Word]) -> Places:
    """Find where the key's words occur close together, with or without a nearby "not", as the value requires."""
    key_words = {_audience(form) for form in vocabulary(key) - _EMPTY or vocabulary(key)}
    of_audience = key_words == {_audience("family")}
    size = len(key_words) + 3
    affirmed: Places = []
    denied: Places = []
    adults: Places = []
    for start, word in enumerate(words):
        near = [i for i in range(start, min(start + size, len(words))) if _audience(words[i].form) in key_words]
        if of_audience:
            near = near[:1] if _welcomed(words, start) else []
        if _audience(word.form) in key_words and {_audience(words[i].form) for i in near} == key_words:
            (denied if _denied(words, start, near[-1] + 1) else affirmed).append((start, near[-1] + 1))
        elif of_audience and word.form == "adult":
            adults.append((start, start + 1))
    return (affirmed if not denied else []) if yes else denied or (adults if not affirmed else [])


def _audience(form: str) -> str:
    return "family" if form in _AUDIENCE else form


def _welcomed(words: list[Word], place: int) -> bool:
    """Whether the words around one of the audience speak of its being welcome or not, or it is whom something is for."""
    follow = [word.form for word in words[place + 1 : place + 5]]
    if _OTHER_FAMILY & set(follow[:1]) or (follow[:1] == ["of"] and not _AUDIENCE & set(follow) and "age" not in follow):
        return False
    near = words[max(0, place - 5) : place + 5]
    before = [at for at in range(max(0, place - 4), place) if words[at].form not in _BEFORE_AUDIENCE]
    welcome = any(word.form in _WELCOME and word.clause == words[place].clause for word in near)
    to_audience = [words[at].form for at in before[-1:]] in _TO_AUDIENCE
    return welcome or to_audience or any(_is_not(words, at) for at in before[-2:])


def _is_not(words: list[Word], place: int) -> bool:
    """Whether a word denies something."""
    of_contraction = words[place].form == "t" and place > 0 and words[place - 1].form in _CONTRACTED
    return words[place].form in _NOT or of_contraction


def _denied(words: list[Word], start: int, end: int) -> bool:
    """Whether a "not" is in the same clause: up to 5 words before or 4 after, without "and" or "but" between."""
    clause = words[start].clause

    def scan(indices: range) -> bool:
        for i in indices:
            if words[i].clause != clause or words[i].form in ("and", "but"):
                return False
            if _is_not(words, i) and words[min(i + 1, len(words) - 1)].form not in ("only", "just"):
                return True
        return False

    if end < len(words) and words[end].form == "free" and words[end].clause == clause:  # "child-free"
        return True
    before, after = range(start - 1, max(-1, start - 6), -1), range(start, min(len(words), end + 4))
    return scan(before) or scan(after)


def _share_out(fields: Fields, words: list[Word], assigned: list[Places]) -> list[Places]:
    """If a value has fewer places than fields, count those fields whose key the sentence hints at."""
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
    """Return coverage, the share of all fields that the texts contain (0 to 100), and unsupported pieces per text.

    Raises BadInput if tables and texts do not match, or if there are none.
    """
    coverages = [cover(fields, text) for fields, text in _pairs(tables, texts, "tables")]
    sums = np.array([[100 * len(one.present), len(one.present) + len(one.missing)] for one in coverages], dtype=float)
    each, signature = tuple(map(ratio, sums)), f"fields covered|{_SIGNATURE}"
    coverage = Score("Coverage", ratio(sums.sum(axis=0)), True, signature, len(texts), each, sums, ratio)
    return [coverage, _unsupported_score(coverages)]


def article_scores(articles: Sequence[str], texts: Sequence[str]) -> list[Score]:
    """Return the unsupported pieces per summary: names, numbers and words that the article lacks. Raises BadInput."""
    return [_unsupported_score([cover_article(article, text) for article, text in _pairs(articles, texts, "articles")])]


def _pairs(sources: Sequence[T], texts: Sequence[str], what: str) -> list[tuple[T, str]]:
    if not texts or len(sources) != len(texts):
        raise BadInput(f"{len(texts)} texts and {len(sources)} {what}: give one of the {what} per text.")
    return list(zip(sources, texts, strict=True))


def _unsupported_score(coverages: Sequence[Coverage]) -> Score:
    pieces = [len(one.unsupported) for one in coverages]
    return mean_score("Unsupported", pieces, False, f"names, numbers, words a text|{_SIGNATURE}")
