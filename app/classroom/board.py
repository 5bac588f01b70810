"""The class board: who is here, what was handed in, the rounds and the questions. It is stored on disk and survives a restart.

All methods are thread-safe. What is not possible raises BadInput with a sentence for the page.
"""

import json
import secrets
import threading
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from app.classroom.records import (
    AFTER,
    APP_CLOSED,
    BEFORE,
    CLOSED,
    DONE,
    FAILED,
    FROZEN,
    LESSON,
    READY,
    VOTING,
    WRITING,
    WRITTEN,
    Entry,
    Guest,
    Line,
    Question,
    Record,
    Round,
)
from core.errors import BadInput, StoreError
from core.runs.layout import write_json
from core.text.tables import Fields

FILE = "board.json"
GUESTS, ENTRIES, LINES, OPTIONS = 80, 3, 60, 6  # guests; entries a guest; lines of a round; options of a question
NAME, TEXT, OPTION = 24, 240, 80  # characters
HISTORY_LENGTH = 50  # rounds and questions
FROZEN_NAME = "frozen model"
JOINERS = "\u200c\u200d"  # invisible: they join emoji, and letters of some scripts


def clean(value: object, most: int, what: str) -> str:
    """Return a typed text on one line. Raises BadInput if it is empty or longer than `most` characters."""
    text = unicodedata.normalize("NFC", value) if isinstance(value, str) else ""
    text = " ".join("".join(letter if _is_kept(letter) else " " for letter in text).split())
    text = text if text.strip(f"{JOINERS} ") else ""  # nothing that can be seen
    if not text or len(text) > most:
        raise BadInput(f"{what} has {len(text):,} characters: type between 1 and {most}.")
    return text


def _is_kept(letter: str) -> bool:
    return letter in JOINERS or unicodedata.category(letter)[0] not in "CZ"


def _without_joiners(name: str) -> str:
    """Return what names are compared by, so that two that look the same are the same."""
    return " ".join("".join(letter for letter in name.casefold() if letter not in JOINERS).split())


class Board:
    """The board in `folder`. `version` increases with every change that a page has to show.

    `unsaved`: why the last change could not be written, as on a full disk; empty if it was.
    """

    def __init__(self, folder: Path) -> None:
        self.file, self.version, self.unsaved = folder / FILE, 0, ""
        self._lock = threading.RLock()
        try:
            values = json.loads(self.file.read_text(encoding="utf-8")) if self.file.exists() else {}
            if not isinstance(values, dict):
                raise ValueError("it is not a JSON object")
            self._guests = {one.id: one for one in map(Guest.from_dict, values.get("guests", []))}
            self._entries = {one.id: one for one in map(Entry.from_dict, values.get("entries", []))}
            self.rounds = [Round.from_dict(one) for one in values.get("rounds", [])]
            self.questions = [Question.from_dict(one) for one in values.get("questions", [])]
        except (OSError, ValueError, RecursionError, TypeError, AttributeError) as error:
            raise StoreError(f"The board {self.file} cannot be read ({error}). Move it away, or open another class.") from error
        self._settle()

    def _settle(self) -> None:
        """After a restart, end the round whose texts were being generated."""
        for one in self.rounds:
            if one.state == WRITING:
                one.state = CLOSED
            for line in one.lines:
                if line.state not in (WRITTEN, FAILED):
                    line.state, line.note = FAILED, APP_CLOSED

    @contextmanager
    def change(self, save: bool = True) -> Iterator[None]:
        """Hold the board for a change. `save=False`: do not write it, for a growing text.

        Raises StoreError if it cannot be written; nothing new is then on the board, and the next change writes the rest of it.
        """
        with self._lock:
            before = {**self._guests}, {**self._entries}, [*self.rounds], [*self.questions]
            yield
            try:
                if save:
                    self._save()
            except StoreError:
                self._guests, self._entries, self.rounds, self.questions = before
                raise
            finally:
                self.version += 1

    def _save(self) -> None:
        lists: dict[str, Sequence[Record]] = {
            "guests": [*self._guests.values()],
            "entries": [*self._entries.values()],
            "rounds": self.rounds,
            "questions": self.questions,
        }
        try:
            write_json(self.file, {name: [one.to_dict() for one in records] for name, records in lists.items()})
            self.unsaved = ""
        except StoreError as error:
            self.unsaved = str(error)
            raise

    # ---- guests

    def join(self, name: object) -> Guest:
        """Add a guest. Raises BadInput if the name is in use or the room is full."""
        name = clean(name, NAME, "The name")
        with self.change():
            here = [guest for guest in self._guests.values() if not guest.removed]
            if _without_joiners(name) in {_without_joiners(guest.name) for guest in here} | {FROZEN_NAME}:
                raise BadInput(f"There is a {name} already. Add a letter to your name.")
            if len(here) >= GUESTS:
                raise BadInput(f"{GUESTS} guests have joined, and the class is full. The presenter can remove some.")
            guest = Guest(secrets.token_urlsafe(12), name, time.time())
            self._guests[guest.id] = guest
        return guest

    def guest(self, guest_id: str) -> Guest | None:
        """Return a guest with access, by id."""
        guest = self._guests.get(guest_id)
        return guest if guest and not guest.removed else None

    def guests(self) -> list[Guest]:
        """Return all guests with access."""
        with self._lock:
            return [guest for guest in self._guests.values() if not guest.removed]

    def remove_guest(self, guest_id: str) -> list[str]:
        """End a guest's access and remove the guest's entries; returns their runs."""
        with self.change():
            if guest := self.guest(guest_id):
                guest.removed = True
            runs = [entry.id for entry in self._entries.values() if entry.guest == guest_id]
            for run in runs:
                del self._entries[run]
        return runs

    # ---- entries

    def entries(self) -> list[Entry]:
        """Return all entries, the best first; those without a score last, in the order of arrival."""
        with self._lock:
            return sorted(
                self._entries.values(),
                key=lambda entry: (entry.coverage is None, -(entry.coverage or 0.0), -(entry.bleu or 0.0)),
            )

    def entry(self, run_id: str) -> Entry | None:
        """Return an entry by its run."""
        return self._entries.get(run_id)

    def check_room(self, guest: Guest) -> None:
        """Raise BadInput if a guest has the maximal number of entries; failed ones do not count."""
        own = [entry for entry in self.entries() if entry.guest == guest.id and entry.state != FAILED]
        if len(own) >= ENTRIES:
            raise BadInput(f"You have {len(own)} prefixes on the board, as many as are allowed. The presenter can remove one.")

    def add_entry(self, guest: Guest, run_id: str, **values: Any) -> Entry:
        """Put a run on the board. A guest's second prefix has a number after the name, "Ada (2)"."""
        with self.change():
            self.check_room(guest)
            for failed in [e.id for e in self._entries.values() if e.guest == guest.id and e.state == FAILED]:
                del self._entries[failed]
            own = {entry.name for entry in self._entries.values() if entry.guest == guest.id}
            names = (guest.name, *(f"{guest.name} ({number})" for number in range(2, ENTRIES + 1)))
            name = next(name for name in names if name not in own)
            entry = self._entries[run_id] = Entry(run_id, guest.id, name, **values)
        return entry

    def update_entry(self, run_id: str, **values: object) -> None:
        """Change an entry if it still exists."""
        with self.change():
            if entry := self._entries.get(run_id):
                for name, value in values.items():
                    setattr(entry, name, value)

    def remove_entry(self, run_id: str) -> None:
        """Remove an entry."""
        with self.change():
            self._entries.pop(run_id, None)

    # ---- rounds

    @property
    def round(self) -> Round | None:
        """The last round."""
        return self.rounds[-1] if self.rounds else None

    def begin_round(self, source: str, fields: Fields, runs: Sequence[str], blind: bool, frozen: bool) -> Round:
        """Begin a round with the entries of some runs, and with the frozen model. Raises BadInput while another one is open."""
        with self.change():
            if self.round and self.round.state != CLOSED:
                raise BadInput("The last round is still open. End it first.")
            ready = [entry for run in dict.fromkeys(runs) if (entry := self._entries.get(run)) and entry.state == READY]
            names = [(entry.id, entry.name) for entry in ready] + ([(FROZEN, FROZEN_NAME)] if frozen else [])
            if not ready or len(names) > LINES:
                most, chosen = LINES - frozen, f"{len(ready)} are chosen" if ready else "none is chosen"
                raise BadInput(f"A round takes 1 to {most} prefixes, and {chosen}. Choose from the board.")
            if blind:
                secrets.SystemRandom().shuffle(names)
            lines = [Line(run, name, _letter(place)) for place, (run, name) in enumerate(names)]
            number = self.round.number + 1 if self.round else 1
            self.rounds = [*self.rounds, Round(number, source, [list(pair) for pair in fields], blind, lines)][-HISTORY_LENGTH:]
            return self.rounds[-1]

    def finish_writing(self, number: int) -> None:
        """Mark a round's texts as complete: a blind round is then voted on, any other is closed."""
        with self.change():
            if self.round and self.round.number == number and self.round.state == WRITING:
                self.round.state = VOTING if self.round.blind else CLOSED

    def vote(self, guest: Guest, number: object, letter: object) -> None:
        """Record a guest's vote, which replaces an earlier one. Raises BadInput unless the round is being voted on."""
        with self.change():
            if self.round is None or self.round.number != number or self.round.state != VOTING:
                raise BadInput("This round is not being voted on.")
            if not isinstance(letter, str) or letter not in {line.letter for line in self.round.lines}:
                raise BadInput("There is no such column in this round.")
            self.round.votes[guest.id] = letter

    def end_round(self) -> None:
        """Close the round; names and votes become visible."""
        with self.change():
            if self.round:
                self.round.state = CLOSED

    # ---- questions

    @property
    def question(self) -> Question | None:
        """The last question."""
        return self.questions[-1] if self.questions else None

    def ask(self, text: object, options: object, right: object) -> None:
        """Ask a question for the first time. `right`: the correct option from 0, or -1. Raises BadInput."""
        if not isinstance(options, list) or not 2 <= len(options) <= OPTIONS:
            raise BadInput(f"A question has 2 to {OPTIONS} answers to choose from: write one per line.")
        answers = [clean(option, OPTION, "An answer") for option in options]
        if isinstance(right, bool) or not isinstance(right, int) or not -1 <= right < len(answers):
            raise BadInput(f"The right answer is given by its line, 1 to {len(answers)}, or left empty.")
        with self.change():
            number = self.question.number + 1 if self.question else 1
            question = Question(number, clean(text, TEXT, "The question"), answers, right)
            self.questions = [*self.questions, question][-HISTORY_LENGTH:]

    def go_on(self) -> None:
        """Move the question to its next state: asked before the lesson, closed, asked after it, answers visible."""
        order = (BEFORE, LESSON, AFTER, DONE)
        with self.change():
            if self.question and self.question.state != DONE:
                self.question.state = order[order.index(self.question.state) + 1]

    def answer(self, guest: Guest, number: object, option: object) -> None:
        """Record a guest's answer, which replaces an earlier one. Raises BadInput unless the question is open."""
        with self.change():
            question = self.question
            if question is None or question.number != number or question.state not in (BEFORE, AFTER):
                raise BadInput("This question is not open.")
            if isinstance(option, bool) or not isinstance(option, int) or not 0 <= option < len(question.options):
                raise BadInput("There is no such answer.")
            (question.before if question.state == BEFORE else question.after)[guest.id] = option


def _letter(place: int) -> str:
    return ascii_uppercase[place % 26] + (str(place // 26 + 1) if place >= 26 else "")
