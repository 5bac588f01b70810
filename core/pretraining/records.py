"""Structured records with sentences, as pre-training text.

A record is a list of (field, value) pairs and, if its source has one, a sentence. Records are rendered in many layouts, and a
third of them is packed several to a document in one layout. This teaches a small model to recognise "record, then sentence"
from context.
"""

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.data.lines import UNREADABLE, lines
from core.errors import BadData

# Sets read from the records folder, and no others. E2E, WebNLG, DART and RNNLG's restaurants are
# what the project measures on, so they are never opened here.
RECORD_SETS = (
    "schema_guided_dialogue/train",
    "viggo/train",
    "rnnlg/laptop_train",
    "rnnlg/tv_train",
    "rnnlg/hotel_train",
    "multiwoz21_nlg/valid",
    "multiwoz21_nlg/test",
    "wikitabletext/train",
    "tabfact_tables/all",
)
Fields = Sequence[tuple[str, str]]
STATING_ACTS = ("inform", "recommend", "give_opinion", "suggest")


@dataclass(frozen=True)
class Record:
    """Fields in their source order, and the sentence that describes them ("" for a bare table).

    `subjects`: if given, the subject of each field; otherwise the first field's value is the subject of all.
    """

    fields: tuple[tuple[str, str], ...]
    sentence: str
    subjects: tuple[str, ...] = ()


def read_set(path: Path) -> Iterator[Record]:
    """Read the records of one JSON lines file (plain or gzip), one per row; rows without statements are skipped.

    Raises BadData with the line for a row of another kind.
    """
    for number, row in json_lines(path):
        try:
            yield from list(_records_of(row))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadData(
                f"{path}, line {number}: not a record ({type(error).__name__}: {error}). Fix it, or delete it."
            ) from error


def json_lines(path: Path) -> Iterator[tuple[int, dict]]:
    """Yield the rows of a JSON lines file (plain or gzip) with their numbers from 1. Raises BadData, with the line."""
    for number, line in lines(path):
        if UNREADABLE.search(line):
            raise BadData(f"{path}, line {number}: not UTF-8 text. Save the file as UTF-8.")
        try:
            row = json.loads(line)
        except ValueError as error:
            raise BadData(f"{path}, line {number}: not JSON ({error}). Fix that line, or delete it.") from error
        yield number, row


def _records_of(row: dict) -> Iterator[Record]:
    if "rows" in row:
        yield from _table_rows(row)
    elif "actions" in row:
        if row.get("speaker") == "SYSTEM":
            yield from _dialogue_turn(row)
    elif "table" in row and "text" in row:
        yield from _keyed(row)


def _table_rows(row: dict) -> Iterator[Record]:
    """Turn each of the first rows of a web table into a record without a sentence."""
    header, *body = [[cell.strip() for cell in cells] for cells in row["rows"]]
    for cells in body[:6]:
        if len(cells) == len(header) and len(header) <= 12:
            title = [("title", row["title"])] if row.get("title") else []
            yield Record((*title, *zip(header, cells, strict=True)), "")


def _dialogue_turn(row: dict) -> Iterator[Record]:
    fields = []
    for _service, act, slot, values in row["actions"]:
        if act.lower() in ("inform", "offer", "confirm") and slot and values:
            fields.append((slot, ", ".join(values)))
    if len(fields) >= 2:
        yield Record(tuple(fields), row["text"])


def _keyed(row: dict) -> Iterator[Record]:
    fields = []
    for part in row["table"].split(" | "):
        key, colon, value = part.partition(" : ")
        if not colon or value.strip() in ("", "?"):
            continue
        if key == "act":
            if not any(word in value.lower() for word in STATING_ACTS):
                return
            continue
        fields.append((key.strip(), value.strip()))
    if len(fields) >= 2:
        yield Record(tuple(fields), _join_morphology(row["text"]))


def _join_morphology(text: str) -> str:
    """Join the word endings that RNNLG marks ("hotel -s")."""
    return re.sub(r" -(s|ly|er|est|ing)\b", r"\1", text)


# ---------------------------------------------------------------------------------- layouts


def _joined(separator: str, form: str) -> Callable[[Fields], str]:
    return lambda fields: separator.join(form.format(key, value) for key, value in fields)


def _json(fields: Fields) -> str:
    return json.dumps(dict(fields), ensure_ascii=False)


def _markdown_wide(fields: Fields) -> str:
    keys, values = zip(*fields, strict=True)
    return f"| {' | '.join(keys)} |\n| {' | '.join('---' for _ in keys)} |\n| {' | '.join(values)} |"


def _triples(fields: Fields) -> str:
    subject = fields[0][1]
    return "".join(f" | {subject} : {key} : {value}" for key, value in fields[1:]).strip()


LAYOUTS: tuple[Callable[[Fields], str], ...] = (
    _joined(" | ", "{} : {}"),
    _joined(" | ", "{}: {}"),
    _joined(", ", "{}[{}]"),
    _joined("\n", "{}: {}"),
    _json,
    _joined("\n", "| {} | {} |"),
    _markdown_wide,
    _triples,
    _joined("; ", "{} = {}"),
)
JOINTS = ("\n", "\n", "\n", " -> ", "\nText: ", "\n\n", "\nDescription: ")


def documents(records: list[Record], rng: random.Random) -> Iterator[str]:
    """Render a data set's records as documents: one record each or, for a third of the records, 2 to 6 in one style."""
    return ("".join(text for text, _ in parts) for parts in render(records, rng))


def render(records: list[Record], rng: random.Random) -> Iterator[list[tuple[str, bool]]]:
    """Render the same documents in parts: (text, whether it is a sentence)."""
    order = list(records)
    rng.shuffle(order)
    start = 0
    while start < len(order):
        count = rng.randint(2, 6) if rng.random() < 1 / 9 else 1
        yield _document(order[start : start + count], rng)
        start += count


def _document(records: list[Record], rng: random.Random) -> list[tuple[str, bool]]:
    layout, joint, shuffled = rng.choice(LAYOUTS), rng.choice(JOINTS), rng.random() < 0.3
    style = rng.choice(KEY_STYLES)
    underscores = layout is _triples and rng.random() < 0.5  # as in WebNLG's names
    parts: list[tuple[str, bool]] = []
    for record in records:
        order = list(range(len(record.fields)))
        if shuffled:
            rng.shuffle(order)
        fields = [(style(record.fields[place][0]), record.fields[place][1]) for place in order]
        table = layout(fields)
        if layout is _triples and record.subjects:
            triples = [(record.subjects[place] or fields[0][1], *field) for place, field in zip(order, fields, strict=True)]
            table = " | ".join(f"{subject} : {key} : {value}" for subject, key, value in triples if subject != value) or table
        table = ("\n\n" if parts else "") + (re.sub(r"(?<=\w) (?=\w)", "_", table) if underscores else table)
        if not record.sentence:
            parts.append((table, False))
        elif joint.endswith(" "):  # a space is part of the word after it, as tokenizers see it
            parts += [(table + joint[:-1], False), (" " + record.sentence, True)]
        else:
            parts += [(table + joint, False), (record.sentence, True)]
    return parts


def _plain(key: str) -> str:
    return key.replace("_", " ")


def _camel_case(key: str) -> str:
    first, *others = _plain(key).split(" ")
    return first + "".join(word.capitalize() for word in others)


KEY_STYLES: tuple[Callable[[str], str], ...] = (
    *[_plain] * 5,
    *[str] * 3,
    lambda key: key.replace(" ", "_"),
    _camel_case,
    lambda key: _plain(key).title(),
)
