"""The board for the pages, as plain values for JSON. Names and texts are not escaped: the pages insert them as text."""

from collections import Counter
from dataclasses import asdict

from app.classroom.board import Board
from app.classroom.entries import LENGTHS, ROWS, UPDATES
from app.classroom.records import AFTER, APP_CLOSED, BEFORE, CLOSED, DONE, ENDED_EARLY, Entry, Guest, Line, Question, Round
from app.shared.examples import samples
from core.runs.layout import JsonObject
from core.text.tables import linearise

NO_TEXT = "This text could not be generated."


def shared_view(board: Board, presenter: bool) -> JsonObject:
    """Return what all guests see, or all presenters."""
    view: JsonObject = {
        "guests": len(board.guests()),
        "entries": [_entry(entry, presenter) for entry in board.entries()],
        "round": _round(board.round, presenter) if board.round else None,
        "question": _question(board.question, presenter) if board.question else None,
    }
    if presenter:
        view["people"] = [{"id": guest.id, "name": guest.name} for guest in board.guests()]
        view["unsaved"] = f"{board.unsaved} Until then, what guests send is refused." if board.unsaved else ""
    return view


def own_view(board: Board, guest: Guest | None) -> JsonObject:
    """Return what only this guest sees: name, entries, vote and answers."""
    if guest is None:
        return {"presenter": True}
    round_, question = board.round, board.question
    return {
        "name": guest.name,
        "entries": [entry.id for entry in board.entries() if entry.guest == guest.id],
        "vote": round_.votes.get(guest.id) if round_ else None,
        "before": question.before.get(guest.id) if question else None,
        "after": question.after.get(guest.id) if question else None,
    }


def choices() -> JsonObject:
    """Return the choices that a page offers: tables, and settings of a training."""
    tables = [{"title": sample.title, "source": linearise(sample.fields)} for sample in samples("table")]
    return {"tables": tables, "lengths": LENGTHS, "rows": ROWS, "updates": UPDATES}


def _entry(entry: Entry, presenter: bool) -> JsonObject:
    values = asdict(entry)
    if not presenter:  # the id of a guest is what the cookie holds
        del values["guest"]
    return values


def _round(one: Round, presenter: bool) -> JsonObject:
    """While a blind round is open, nobody sees names, votes or coverage, also on the presenter's projector.

    Why a text failed is for the presenter only, since it may name paths and runs of this machine.
    """
    hidden = one.blind and one.state != CLOSED
    lines = one.lines if hidden or one.blind else sorted(one.lines, key=lambda line: line.rank)
    votes = Counter(one.votes.values())
    return {
        "number": one.number,
        "fields": one.fields,
        "source": one.source,
        "blind": one.blind,
        "state": one.state,
        "voted": len(one.votes),
        "lines": [
            _hidden(line) if hidden else asdict(line) | {"votes": votes[line.letter]} | ({} if presenter else _note(line))
            for line in lines
        ],
    }


def _hidden(line: Line) -> JsonObject:
    return {"letter": line.letter, "state": line.state, "text": line.text} | _note(line)


def _note(line: Line) -> JsonObject:
    if not line.note:
        return {}
    return {"note": line.note if line.note in (ENDED_EARLY, APP_CLOSED) else NO_TEXT}


def _question(question: Question, presenter: bool) -> JsonObject:
    """Answer counts are visible at the end; before, the presenter sees only how many have answered."""
    done = question.state == DONE
    view: JsonObject = {
        "number": question.number,
        "text": question.text,
        "options": question.options,
        "state": question.state,
        "open": question.state in (BEFORE, AFTER),
        "answered": len(question.after if question.state in (AFTER, DONE) else question.before),
    }
    if done:
        counts = {"before": question.counts(question.before), "after": question.counts(question.after)}
        view |= counts | {"right": question.right, "shift": question.shift()}
    return view
