"""Sets of (subject, relation, object) triples as text: the paper's two linearisations, and all notations that people paste.

     | Ivy_House : city : Leeds | Leeds : country : England     WebNLG as the paper writes it: each triple opened by " | "
    Ivy House : city : Leeds | Leeds : country : England        DART as the paper writes it: relation in lower case
    [Ivy_House | city | Leeds] [Leeds | country | England]      the slides' form; also one per line, with commas, in outer [ ]
    (Ivy_House, city, Leeds), (Leeds, country, England)         the paper's form
    Ivy_House | city | Leeds                                    WebNLG's XML, one triple per line
    [["Ivy_House", "city", "Leeds"]]                            JSON

`parse_triples(webnlg_source(triples)) == triples`; for DART, the same up to the case of the relation. Errors are BadTable and
name the triple. Underscores and quotes are kept; surrounding spaces are removed.
"""

import json
import re
from collections.abc import Sequence
from typing import NoReturn

from core.errors import BadTable
from core.text.checks import MAX_CHARS, MAX_FIELDS, counted, normalize_lines
from core.text.tables import Fields

Triple = tuple[str, str, str]

_EXAMPLE = "Ivy_House : city : Leeds"
_PIPE = re.compile(r"(?:^|(?<=\s))\|(?=\s|$)")
_COLON = re.compile(r"\s:(?:\s|$)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PARTS = ("subject", "relation", "object")


def parse_triples(text: str) -> list[Triple]:
    """Parse triples in any notation listed above, which is detected. Raises BadTable."""
    text = _readable(text)
    if _looks_like_json(text):
        parts = _parse_json(text)
    elif groups := _groups(text, "[", "]", r"\|"):
        parts = [_split(group, r"\|", at_depth="[]") for group in groups]
    elif groups := _groups(text, "(", ")", ","):
        parts = [_split_commas(number, group) for number, group in enumerate(groups, 1)]
    elif _is_bracketed(text) and text.count("[") != text.count("]"):
        raise BadTable("A bracket of these triples is not closed, or not opened: write each as [subject | relation | object].")
    else:
        parts = [piece for line in text.split("\n") if line.strip() for piece in _split_line(line.strip())]
    return _checked(parts)


def is_triples(text: str) -> bool:
    """Whether a text can be parsed as triples (a table such as "name : Ivy House | food : Thai" cannot)."""
    try:
        parse_triples(text)
    except BadTable:
        return False
    return True


def clean_triples(rows: Sequence[Sequence[object]]) -> list[Triple]:
    """Convert the rows of an editable grid to triples: trim spaces, drop empty rows. Raises BadTable for a row with a missing
    part."""
    parts = [[" ".join(str(cell or "").split()) for cell in row[:3]] for row in rows]
    return _checked([part for part in parts if any(part)])


def webnlg_source(triples: Sequence[Triple]) -> str:
    """Write ` | s : p : o | s : p : o`, with the official code's leading space. Raises BadTable for what would not be parsed
    back."""
    return _checked_text(triples, "".join(f" | {s} : {p} : {o}" for s, p, o in triples), lower=False)


def dart_source(triples: Sequence[Triple]) -> str:
    """Write `s : p : o | s : p : o`, relations in lower case. Raises BadTable for what would not be parsed back."""
    return _checked_text(triples, " | ".join(f"{s} : {p.lower()} : {o}" for s, p, o in triples), lower=True)


SOURCES = {"webnlg": webnlg_source, "dart": dart_source}


def table_of(triples: Sequence[Triple]) -> Fields:
    """Convert triples to fields for coverage: the subjects as names, then relation and object.

    Underscores become spaces, quotes and language tags are removed, and `birthPlace` becomes `birth place`; a subject that is
    also an object is named once.
    """
    fields: Fields = []
    objects = {_plain(o) for _, _, o in triples}
    for subject, relation, value in triples:
        name = _plain(subject)
        if name and name not in objects and ("subject", name) not in fields:
            fields.append(("subject", name))
        if _plain(value):
            fields.append((_words(relation), _plain(value)))
    return fields


def _plain(part: str) -> str:
    part = re.sub(r"@[a-z]{2}$", "", part.strip())
    return re.sub(r"\s+", " ", part.replace("_", " ").strip('" '))


def _words(relation: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", relation.replace("_", " ")).lower().strip()


# --- forms -------------------------------------------------------------------------------------------------------------------


def _looks_like_json(text: str) -> bool:
    return re.match(r'\[\s*[\[{"]', text) is not None and text.rstrip().endswith("]") and '"' in text[:200] and _is_json(text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _parse_json(text: str) -> list[list[str]]:
    data = json.loads(text)
    data = [data] if data and all(isinstance(part, str) for part in data) else data
    return [_json_parts(number, item) for number, item in enumerate(data, 1)]


def _json_parts(number: int, item: object) -> list[str]:
    if isinstance(item, dict):
        relation = next((key for key in ("relation", "property", "predicate") if key in item), "relation")
        item = [item.get(key) for key in ("subject", relation, "object")]
    if not isinstance(item, list) or not all(isinstance(part, str | int | float) for part in item):
        _refuse(number, "is not a list of three texts", 'write ["subject", "relation", "object"]')
    return [str(part) for part in item]


def _is_bracketed(text: str) -> bool:
    """Whether a text is meant as [subject | relation | object], whole or not."""
    text = text.strip()
    return "|" in text and not _COLON.search(text) and (text.startswith("[") or text.endswith("]"))


def _groups(text: str, opening: str, closing: str, separator: str) -> list[str] | None:
    """Return the contents of the outer brackets, if the text is only bracketed groups with separators in them."""
    groups, depth, start = [], 0, 0
    for at, char in enumerate(text):
        if char == opening:
            start, depth = (at + 1 if depth == 0 else start), depth + 1
        elif char == closing:
            depth -= 1
            if depth < 0:
                return None
            if depth == 0:
                groups.append(text[start:at])
        elif depth == 0 and not (char.isspace() or char in ",;"):
            return None
    if depth or not groups:
        return None
    inner = _groups(groups[0], opening, closing, separator) if len(groups) == 1 else None
    if inner and all(len(_split(group, separator, opening + closing)) > 1 for group in inner):
        return inner  # all of it stood in one more pair of brackets
    return [re.sub(r"\\(?=_)|\*\*", "", group) for group in groups]  # Markdown of the slides: John\_Madin, **birthPlace**


def _split(text: str, separator: str, at_depth: str) -> list[str]:
    """Split a text at separators outside brackets."""
    opening, closing = at_depth[0], at_depth[1]
    parts, depth, start = [], 0, 0
    for match in re.finditer(f"[{re.escape(opening)}]|[{re.escape(closing)}]|{separator}", text):
        if match[0] == opening:
            depth += 1
        elif match[0] == closing:
            depth -= 1
        elif depth == 0:
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


def _split_commas(number: int, group: str) -> list[str]:
    """Split into three parts at commas outside quotes and brackets; commas before a space first ("Errata,_Mississippi")."""
    hidden = re.sub(r'"[^"]*"', lambda match: match[0].replace(",", "\0"), group)
    for separator in (r",\s", ","):
        parts = _split(hidden, separator, "()")
        if len(parts) == 3:
            return [part.replace("\0", ",") for part in parts]
    _refuse(number, "has not three parts between commas", "write [subject | relation | object] where a part holds a comma")


def _split_line(line: str) -> list[list[str]]:
    pieces = [piece.strip() for piece in _PIPE.split(re.sub(r"^[-*•]\s+", "", line))]
    if len(pieces) == 3 and all(piece and not _COLON.search(piece) for piece in pieces):
        return [pieces]  # subject | relation | object
    pieces = pieces[1:] if len(pieces) > 1 and not pieces[0] else pieces  # the paper's opening " | "
    return [re.split(r"\s+:(?:\s+|$)", piece, maxsplit=2) for piece in pieces]


# --- checks ------------------------------------------------------------------------------------------------------------------


def _readable(text: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise BadTable(f"There are no triples: write subject : relation : object, for example {_EXAMPLE}")
    if len(text) > MAX_CHARS:
        raise BadTable(f"The triples are {len(text):,} characters long; at most {MAX_CHARS:,} are allowed: give one set only.")
    text = normalize_lines(text)
    if odd := _CONTROL.search(text.replace("\n", "")):
        raise BadTable(f"The triples hold the control character U+{ord(odd[0]):04X}, so this is not plain text: paste the text.")
    return re.sub(r"^x:\s+(?=\[)", "", text)  # the slides write "x:" before the input


def _checked(parts: Sequence[Sequence[str]]) -> list[Triple]:
    if not parts:
        raise BadTable(f"There are no triples: write subject : relation : object, for example {_EXAMPLE}")
    if len(parts) > MAX_FIELDS:
        raise BadTable(f"There are {len(parts)} triples; at most {MAX_FIELDS} are allowed: leave some out.")
    triples: list[Triple] = []
    for number, triple in enumerate(parts, 1):
        if len(triple) != 3:
            _refuse(number, f"has {counted(len(triple), 'part')}", f"write three, for example {_EXAMPLE}")
        subject, relation, value = (re.sub(r"\s+", " ", part).strip() for part in triple)
        empty = [name for name, part in zip(_PARTS, (subject, relation, value), strict=True) if not part]
        if empty:
            _refuse(number, f"has no {empty[0]}", f"write three parts, for example {_EXAMPLE}")
        triples.append((subject, relation, value))
    return triples


def _checked_text(triples: Sequence[Triple], text: str, lower: bool) -> str:
    """Return the text if it can be parsed back to the triples."""
    _checked(triples)
    for number, triple in enumerate(triples, 1):
        for name, part in zip(_PARTS, triple, strict=True):
            if _CONTROL.search(part):
                _refuse(number, f"holds a control character in its {name}", "take it out")
            if part != " ".join(part.split()):
                _refuse(number, f"has blanks around its {name}, or two in a row", "delete them")
            if _PIPE.search(part):
                _refuse(number, f"holds ' | ' in its {name}, which separates triples", "write a comma in its place")
            if name != "object" and _COLON.search(f" {part} "):
                _refuse(number, f"holds ' : ' in its {name}, which separates parts", "take it out")
    expected = [(s, p.lower() if lower else p, o) for s, p, o in triples]
    try:
        parsed = parse_triples(text)
    except BadTable:
        parsed = []
    if parsed != expected:
        pairs = enumerate(zip(parsed, expected, strict=False), 1)
        number = next((number for number, (one, other) in pairs if one != other), min(len(parsed) + 1, len(expected)))
        _refuse(number, "would be read back as something else", "take brackets and pipes out of it")
    return text


def _refuse(number: int, what: str, do: str) -> NoReturn:
    raise BadTable(f"Triple {number} {what}: {do}.")
