"""Span records: sentences of plain text turned into fields, so that a model can learn from records paired with sentences.

No labels and no tagger are used. The parts of a sentence that carry its content (names, dates, quantities, noun phrases) become
values; each gets a key from the words around it ("born on": "date of birth") or a general one ("place"). A model trained on
such pairs learns to put given values into a sentence, whatever the topic. All choices come from a `random.Random`, so a
sentence becomes a different record at each draw.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.pretraining.field_names import (
    BEFORE,
    FUNCTION_WORDS,
    GENERAL,
    HEADS,
    INTRODUCERS,
    MONTHS,
    PREPOSITIONS,
    SUBJECT,
    UNITS,
    VERBS,
)
from core.pretraining.noise import ABBREVIATIONS
from core.pretraining.records import Record

WORDS = 6, 45  # of a sentence, at least and at most
FIELDS = 8  # of a record, at most
COMPLETE = 0.75  # share of the records that hold every name, date and quantity of their sentence
TWO_SENTENCES = 0.3  # share of the records that take a second sentence, where it goes on about the subject
COVERED = 0.5  # share of a sentence's content words that are in its record, at least
LISTS = 0.6  # share of the lists ("French, English and Portuguese") that are one value

_CAPITAL = r"(?:[A-Z]\.(?:[A-Z]\.)*|[A-ZÀ-ÖØ-Þ][\w’'-]*)"
_LINK = r" (?:(?:of the|of|the|de la|de|del|della|van der|van|von|di|da|la|le|el|al|bin|ibn|for the|&) )?"
_NUMBER = r"\d(?:[\d,.]*\d)?(?: (?:hundred|thousand|million|billion|trillion)\b)?"
_UNIT = "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True))
_DAY = rf"(?:\d{{1,2}} (?:{MONTHS})\b|(?:{MONTHS})\b(?: \d{{1,2}}\b(?![,.]?\d))?)(?:,? \d{{4}}\b)?"
_YEAR = r"(?:1\d|20)\d\d"
_TOKEN = re.compile(
    rf"(?P<quote>[\"“][^\"“”]{{2,60}}[\"”])"
    rf"|(?P<date>\b{_DAY}(?: ?[–-] ?{_DAY})?|\b{_YEAR}(?: ?[–/-] ?\d{{2,4}})?s?\b(?![,.]\d|%| (?:{_UNIT})\b))"
    rf"|(?P<quantity>(?:[A-Z]{{0,2}}[£$€] ?)?\b{_NUMBER}(?: ?[–-] ?(?:[£$€] ?)?{_NUMBER})?(?:[ -](?:{_UNIT})\b| ?%)?(?!\w))"
    rf"|(?P<name>(?<![\w’'-])(?!(?:{MONTHS})\b){_CAPITAL}(?:{_LINK}(?!(?:{MONTHS})\b){_CAPITAL})*)"
    rf"|(?P<word>[\w’'-]+)|(?P<mark>[^\w\s])"
)
_ABBREVIATED = "".join(rf"(?<!\b{word}\.)" for word in ABBREVIATIONS.split("|"))
_SENTENCE_END = re.compile(rf"(?<=[a-z0-9)\"”’][.!?]){_ABBREVIATED}\s+(?=[A-Z\"“])")
_CONTENT = re.compile(r"\w{4,}")
_PRONOUN = re.compile(r"^(?:He|She|It)\b|\b(?:he|she)\b(?! or\b)")  # that may stand for the title
_OPENING_PRONOUN = re.compile(r"(?:He|She|It)\b")
_UNCLEAR = re.compile(
    r"(?:This|These|That|Those|However|But|And|Also|Then|Thus|Such|So|His|Her|Their|They|Its|We|I|You|Here|There|Another|Other"
    r"|Both|Some|Most|Many|One)\b"
)
_ASIDE = re.compile(r"(?:,? \(|, (?:a|an|the|which|who|where)\b|, $)")
_NO_VALUE = re.compile(r" \| | : |[\n\[\]{}|\"“”()]")
_ARTICLES = "a", "an", "the", "his", "her", "its", "their"
Token = tuple[str, int, int, str]  # kind, start, end, text


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` of a sentence, and their kind: name, date, quantity, quote or (noun) phrase."""

    start: int
    end: int
    kind: str
    before: tuple[str, ...]  # up to three words right before it, without articles
    after: str  # the word right after it; "" where another span or a mark follows


@dataclass(frozen=True)
class _Field:
    key: str
    value: str
    kind: str  # of its span, or "subject"
    subject: str  # whom it is about


def sentences(paragraph: str) -> list[str]:
    """Split a paragraph into sentences, at full stops before capital letters."""
    return _SENTENCE_END.split(paragraph.strip())


# --------------------------------------------------------------------------------------- spans


def spans(sentence: str) -> list[Span]:
    """Return the parts of a sentence that carry content, left to right, without overlap."""
    tokens = _without_opening_word([(m.lastgroup or "", m.start(), m.end(), m.group()) for m in _TOKEN.finditer(sentence)])
    result, place = [], 0
    while place < len(tokens):
        kind, stop = tokens[place][0], place + 1
        if kind == "word" or (kind == "name" and _is_adjective(tokens, place)):
            end = _phrase_end(tokens, place + (kind == "name"), place)
            kind, stop = ("phrase", end) if end > stop - (kind == "word") else (kind, stop)
        if kind not in ("word", "mark"):
            following = tokens[stop] if stop < len(tokens) else ("", 0, 0, "")
            before = _words_before(tokens, place, kind, following[3])
            after = following[3] if following[0] == "word" else ""
            result.append(Span(tokens[place][1], tokens[stop - 1][2], kind, before, after))
        place = stop
    return result


def _without_opening_word(tokens: list[Token]) -> list[Token]:
    """Drop a first word that is capitalised only because it comes first, as in "In Paris" or "Visiting Paris"."""
    if not tokens or tokens[0][0] != "name":
        return tokens
    _, start, end, text = tokens[0]
    first, _, rest = text.partition(" ")
    word = first.lower()
    if word == "the" and rest:
        return tokens
    if word in FUNCTION_WORDS or word in VERBS or word.endswith(("ing", "ly")):
        opening = [("word", start, start + len(first), word)]
        named = rest[:1].isupper()
        return opening + ([("name", end - len(rest), end, rest)] if named else []) + tokens[1:]
    return tokens


def _is_adjective(tokens: Sequence[Token], place: int) -> bool:
    """Whether a name modifies the noun after it, as in "an American film director"."""
    if " " in tokens[place][3] or not place or place + 1 >= len(tokens) or tokens[place + 1][0] != "word":
        return False
    return tokens[place - 1][3] in ("a", "an", "the", "is", "was", "as", "of") and tokens[place][3][-2:] not in ("'s", "’s")


def _phrase_end(tokens: Sequence[Token], first: int, phrase: int) -> int:
    """Return the end of the run of nouns and adjectives from token `first` on; `first` if there is none.

    The phrase starts at token `phrase`, which has to follow a word that precedes nouns.
    """
    if phrase and tokens[phrase - 1][3].lower() not in INTRODUCERS:
        return first
    stop = first
    while stop < len(tokens) and stop - first < 5 and tokens[stop][0] == "word":
        word = tokens[stop][3]
        if word in FUNCTION_WORDS or word in VERBS or len(word) < 3 or not word[0].islower():
            break
        if word.endswith(("ed", "ly")) or (word.endswith("ing") and stop == phrase):
            break
        stop += 1
    if stop == phrase + 1 and stop < len(tokens) and tokens[stop][0] in ("name", "quote"):
        return first  # "the novel Emma": the name's key
    return stop


def _words_before(tokens: Sequence[Token], first: int, kind: str, following: str) -> tuple[str, ...]:
    previous = tokens[first - 1][3] if first else ""
    if kind == "date" and previous == "(":
        return ("born",)
    if kind == "date" and previous in ("–", "-") and following == ")":
        return ("died",)
    words: list[str] = []
    for index in range(first - 1, max(-1, first - 6), -1):
        token_kind, _, _, text = tokens[index]
        if token_kind == "mark" and text == "," and kind == "name" and index == first - 1:
            continue  # "his wife, Ada"
        if token_kind != "word" or len(words) == 3:
            break
        if text not in _ARTICLES:
            words.append(text)
    return tuple(reversed(words))


# ---------------------------------------------------------------------------------------- keys


def key(span: Span, value: str, rng: random.Random) -> str:
    """Choose a name for the field of a span."""
    last = span.before[-1] if span.before else ""
    noun = span.before[-2] if len(span.before) > 1 and _is_content(span.before[-2]) else ""
    counted = _is_content(span.after) and span.after.endswith(("s", "people", "men", "children"))
    if span.kind == "quantity" and counted and value[-1].isdigit() and rng.random() < 0.8:
        return rng.choice((span.after, span.after, f"number of {span.after}"))
    if span.kind == "name" and " " in value and value.rsplit(" ", 1)[1] in HEADS and rng.random() < 0.5:
        return value.rsplit(" ", 1)[1].lower()
    verb = last if _is_content(last) else noun if last in PREPOSITIONS else ""
    names = BEFORE.get(verb, {}).get(span.kind)
    if names and rng.random() < 0.8:
        return rng.choice(names)
    if _is_content(last) and rng.random() < 0.7:
        return last
    if noun and last in PREPOSITIONS and rng.random() < 0.7:
        return noun if last == "of" else f"{noun} {last}"
    names = BEFORE.get(last, {}).get(span.kind)
    return rng.choice(names if names and rng.random() < 0.7 else GENERAL[span.kind])


def _is_content(word: str) -> bool:
    return word != "" and word not in FUNCTION_WORDS and word.isalpha() and word.islower() and not word.endswith("ly")


# ------------------------------------------------------------------------------------- records


def records(title: str, text: str, rng: random.Random) -> list[Record]:
    """Return records of the sentences of a text: most from one sentence, some from two about the same subject."""
    result, subject = [], title.split(" (")[0].split(",")[0]
    for paragraph in text.split("\n"):
        parts, place = sentences(paragraph), 0
        while place < len(parts):
            pair = place + 1 < len(parts) and _OPENING_PRONOUN.match(parts[place + 1]) and rng.random() < TWO_SENTENCES
            record = record_of(subject, parts[place : place + (2 if pair else 1)], rng)
            if record is not None:
                result.append(record)
            place += 2 if pair else 1
    return result


def record_of(title: str, parts: Sequence[str], rng: random.Random) -> Record | None:
    """Return the record of one or two sentences of a text about `title`; None if they do not make one.

    If the title, or a pronoun for it, is mentioned, it becomes the record's first field. A pronoun at the start of the sentence
    may be replaced by it.
    """
    if any(_unfit(part) for part in parts) or (not title and _PRONOUN.search(parts[0])):
        return None
    named = title and (title in parts[0] or _PRONOUN.search(parts[0]))
    fields = [_Field(rng.choice(SUBJECT), title, "subject", title)] if named else []
    for part in parts:
        fields += _fields(part, fields[0].value if fields else "", rng)
    fields = _selected(_with_subject(fields, rng), rng)
    if len(fields) < 2 or any(_NO_VALUE.search(field.value) or not field.value for field in fields):
        return None
    text = " ".join(parts)
    if not any(field.kind in ("name", "subject") for field in fields) or _coverage(fields, text) < COVERED:
        return None
    if named and title not in parts[0] and rng.random() < 0.6:
        text = _PRONOUN.sub(lambda match: title, text, count=1)
    return Record(_distinct(fields), text, tuple(field.subject for field in fields))


def _coverage(fields: Sequence[_Field], text: str) -> float:
    """Return the share of a text's content words that are in the fields."""
    words = {word for word in _CONTENT.findall(text.lower()) if word not in FUNCTION_WORDS}
    field_words = set(_CONTENT.findall(" ".join(f"{field.key} {field.value}" for field in fields).lower()))
    return len(words & field_words) / len(words) if words else 0.0


def _unfit(sentence: str) -> bool:
    words = sentence.count(" ") + 1
    return not WORDS[0] <= words <= WORDS[1] or sentence[-1] not in ".!?" or bool(_UNCLEAR.match(sentence))


def _fields(sentence: str, title: str, rng: random.Random) -> list[_Field]:
    """Make a field for each span of a sentence except the title."""
    fields: list[_Field] = []
    previous: Span | None = None  # the last name
    for span in _joined_lists(sentence, spans(sentence), rng):
        value = sentence[span.start : span.end].strip('"“”').removesuffix("'s").removesuffix("’s")
        if value == title or (title and span.kind == "name" and value in title.split()):
            continue
        aside = previous is not None and _ASIDE.match(sentence[previous.end : span.start])
        subject = sentence[previous.start : previous.end] if aside and previous else title
        fields.append(_Field(key(span, value, rng), value, span.kind, subject))
        if span.kind == "name" and not aside:
            previous = span
    return fields


def _joined_lists(sentence: str, parts: Sequence[Span], rng: random.Random) -> list[Span]:
    """Merge some of the spans that are listed together."""
    result: list[Span] = []
    for span in parts:
        last = result[-1] if result else None
        between = sentence[last.end : span.start] if last else ""
        if (
            last
            and last.kind == span.kind in ("name", "phrase")
            and between in (", ", " and ", ", and ")
            and rng.random() < LISTS
        ):
            result[-1] = replace(last, end=span.end, after=span.after)
        else:
            result.append(span)
    return result


def _with_subject(fields: list[_Field], rng: random.Random) -> list[_Field]:
    """If no field is the subject, make it the first name in most cases."""
    names = [field for field in fields if field.kind in ("name", "quote")]
    if (fields and fields[0].kind == "subject") or not names or rng.random() < 0.25:
        return fields
    first = _Field(rng.choice(SUBJECT), names[0].value, "subject", names[0].value)
    others = [replace(field, subject=field.subject or first.value) for field in fields if field is not names[0]]
    return [first, *others]


def _selected(fields: list[_Field], rng: random.Random) -> list[_Field]:
    """Select at most `FIELDS` different values: in most records all names, dates and quantities, and some phrases."""
    share = {"phrase": rng.choice((0.6, 0.85, 1.0)), "subject": 1.0}
    others = 1.0 if rng.random() < COMPLETE else 0.7
    selected: list[_Field] = []
    for field in fields:
        new = all(field.value != other.value for other in selected)
        if new and rng.random() < share.get(field.kind, others):
            selected.append(field)
    while len(selected) > FIELDS:
        del selected[rng.randrange(1, len(selected))]
    return selected


def _distinct(fields: list[_Field]) -> tuple[tuple[str, str], ...]:
    """Make keys unique: a second "place" becomes "place 2"."""
    counts: dict[str, int] = {}
    result = []
    for field in fields:
        counts[field.key] = counts.get(field.key, 0) + 1
        result.append((field.key if counts[field.key] == 1 else f"{field.key} {counts[field.key]}", field.value))
    return tuple(result)
