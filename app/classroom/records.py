"""The data of a class board: guests, entries, rounds and questions."""

from dataclasses import asdict, dataclass, field, fields
from typing import Self, TypeVar, get_args, get_type_hints

from core.runs.layout import JsonObject

# States of an entry, a line, a round and a question.
TRAINING, SCORING, READY, FAILED = "training", "scoring", "ready", "failed"
WAITING, WRITING, WRITTEN = "waiting", "writing", "written"
VOTING, CLOSED = "voting", "closed"
BEFORE, LESSON, AFTER, DONE = "before", "lesson", "after", "done"
# Why a text is not complete, for everybody to read; other reasons are for the presenter only.
ENDED_EARLY = "The round was ended before this text was complete."
APP_CLOSED = "The app was closed before this text was complete."
FROZEN = ""  # the entry of the frozen model in a round

Item = TypeVar("Item", bound="Record")


@dataclass
class Record:
    """A record that can be written as JSON and read back."""

    @classmethod
    def from_dict(cls, values: JsonObject) -> Self:
        """Build from the result of `asdict`, with nested lists of records; unknown keys are dropped."""
        hints, known = get_type_hints(cls), {item.name for item in fields(cls)}
        return cls(**{name: _restore(hints[name], value) for name, value in values.items() if name in known})

    def to_dict(self) -> JsonObject:
        """Plain values."""
        return asdict(self)


def _restore(hint: object, value: object) -> object:
    inner = get_args(hint)
    if inner and isinstance(value, list) and isinstance(inner[0], type) and issubclass(inner[0], Record):
        return [inner[0].from_dict(item) for item in value]
    return value


@dataclass
class Guest(Record):
    """A guest with a random `id`, which only the guest's own cookie holds. `removed` guests have no access any more."""

    id: str
    name: str
    joined: float = 0.0
    removed: bool = False


@dataclass
class Entry(Record):
    """A prefix on the board. `id`: its run; `coverage`, `bleu` and `unsupported` are on the hidden rows, None until measured."""

    id: str
    guest: str
    name: str
    state: str = SCORING
    note: str = ""
    about: str = ""
    length: int = 0
    stored: int = 0
    bytes: int = 0
    coverage: float | None = None
    bleu: float | None = None
    unsupported: float | None = None
    rows: int = 0


@dataclass
class Line(Record):
    """The text of one entry in a round. `shares`: its attention on the prefix, the table and its own words."""

    entry: str
    name: str
    letter: str
    state: str = WAITING
    text: str = ""
    note: str = ""
    present: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    spans: list[list[int | str]] = field(default_factory=list)  # [start, end, kind, title] in characters
    shares: list[float] = field(default_factory=list)

    @property
    def rank(self) -> tuple[bool, int, int, str]:
        """The sort key of lines, best first: most values covered, then fewest unsupported."""
        return self.state != WRITTEN, -len(self.present), len(self.unsupported), self.name.casefold()


@dataclass
class Round(Record):
    """One table, described by several entries. `blind`: names are hidden until it is closed. `votes`: guest -> letter."""

    number: int
    source: str
    fields: list[list[str]]
    blind: bool
    lines: list[Line]
    state: str = WRITING
    votes: dict[str, str] = field(default_factory=dict)


@dataclass
class Question(Record):
    """A question asked before and after the lesson. `right`: the correct option from 0, -1 for none; `before`: guest ->
    option."""

    number: int
    text: str
    options: list[str]
    right: int = -1
    state: str = BEFORE
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)

    def counts(self, answers: dict[str, int]) -> list[int]:
        """Return how many guests chose each option."""
        return [sum(option == place for option in answers.values()) for place in range(len(self.options))]

    def shift(self) -> dict[str, int]:
        """Count how guests who answered twice moved: to the correct option, away from it, between others, or not at all."""
        both = [(self.before[guest], self.after[guest]) for guest in self.before if guest in self.after]
        moved = [(first, last) for first, last in both if first != last]
        to, away = (sum(pair[place] == self.right for pair in moved) for place in (1, 0))
        return {"both": len(both), "moved": len(moved), "to": to, "away": away}
