"""Made-up names that occur in no text. In a record and its sentence they replace the real ones, so that they can only be
copied."""

import random
import re
from collections.abc import Iterable

from core.pretraining.field_names import FUNCTION_WORDS, HEADS, MONTHS
from core.pretraining.records import Record

SOME_NAMES, SOME_WORDS = ("Kalden", "Mirova"), ("copper", "garden", "orbit")  # for texts that have none
NAMES, NUMBERS = 0.4, 0.25  # shares of the records with other names, and with other numbers
_SYLLABLE = re.compile(r"[^aeiouyà-ÿ]*[aeiouyà-ÿ]+(?:[^aeiouyà-ÿ]+$)?")
_NAME = re.compile(r"\b[A-ZÀ-ÖØ-Þ][a-zß-ÿ]{2,}\b")
_NOUN = re.compile(r"(?<=\b(?:of|in|by|an|is) )(?:the |a )?([a-z]{4,9})\b")
_SPECIAL = re.compile(rf"(?:{MONTHS})$")


class MadeUpNames:
    """Composes names from the syllables of names, and from the words, in a sample of text."""

    def __init__(self, texts: Iterable[str]) -> None:
        names, words = set(SOME_NAMES), set(SOME_WORDS)
        for text in texts:
            names |= set(_NAME.findall(text))
            words |= {word for word in _NOUN.findall(text) if word not in FUNCTION_WORDS}
        parts = [_SYLLABLE.findall(name.lower()) for name in sorted(names)]
        self.first = [syllables[0] for syllables in parts if syllables]
        self.rest = [part for syllables in parts for part in syllables[1:]]
        self.words = [word.capitalize() for word in sorted(words)]

    def word(self, rng: random.Random) -> str:
        """Return a single name, such as "Keldora"."""
        return "".join([rng.choice(self.first), *(rng.choice(self.rest) for _ in range(rng.choice((1, 1, 2))))]).capitalize()

    def title(self, rng: random.Random) -> str:
        """Return the name of a place or a work, such as "The Copper Orbit"."""
        one, other, name = rng.choice(self.words), rng.choice(self.words), self.word(rng)
        forms = (
            f"The {one} {other}",
            f"{one} {other}",
            f"{one} & {other}",
            f"The {one}",
            f"{name}'s {one}",
            f"{name} {one}",
            name,
        )
        return rng.choice(forms)

    def renamed(self, record: Record, rng: random.Random) -> Record:
        """Replace some names and numbers in a record's values and, consistently, in its sentence; some records stay unchanged."""
        other: dict[str, str] = {}
        if rng.random() < NAMES:
            other |= self._titles(record, rng)
            for _, value in record.fields:
                words = [word for word in _NAME.findall(value) if word not in HEADS and not _SPECIAL.match(word)]
                other |= {word: self.word(rng) for word in words if word not in other and word != "The" and rng.random() < 0.8}
        if rng.random() < NUMBERS:
            numbers = [number for _, value in record.fields for number in re.findall(r"\d+", value)]
            other |= {number: _number_like(number, rng) for number in numbers}
        other = {old: new for old, new in other.items() if re.search(_whole(old), record.sentence)}
        if not other:
            return record
        pattern = re.compile("|".join(_whole(old) for old in sorted(other, key=len, reverse=True)))

        def change(text: str) -> str:
            return pattern.sub(lambda match: other[match.group()], text)

        fields = tuple((name, change(value)) for name, value in record.fields)
        return Record(fields, change(record.sentence), tuple(change(subject) for subject in record.subjects))

    def _titles(self, record: Record, rng: random.Random) -> dict[str, str]:
        """Choose replacements for whole names: in some records, for the first value and for names in lower case."""
        other = {}
        for place, (key, value) in enumerate(record.fields):
            if value[:1].isupper() and place == 0 and rng.random() < 0.4:
                other[value] = self.title(rng)
            elif value.islower() and key.split()[-1].split("_")[-1] in ("name", "near", "title"):
                other[value] = self.title(rng).lower()
        return other


def _whole(text: str) -> str:
    return rf"(?<!\w){re.escape(text)}(?!\w)"


def _number_like(number: str, rng: random.Random) -> str:
    """Return another number with as many digits; another year for a number that may be a year."""
    if len(number) == 4 and number[:2] in ("17", "18", "19", "20"):
        return str(rng.randint(1700, 2029))
    if len(number) <= 2 and number[0] != "0":
        return str(rng.randint(1, 28) if len(number) == 2 else rng.randint(1, 9))
    return "".join(rng.choice("123456789" if place == 0 and digit != "0" else "0123456789") for place, digit in enumerate(number))
