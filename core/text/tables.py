"""Tables as fields and as text: one parser for all notations that people paste, one writer.

    name : The Eagle | Type : coffee shop          the paper's form, which `linearise` writes
    name: The Eagle | Type: coffee shop            the same with other spacing; also one field per line
    name[The Eagle] eatType[coffee shop]           the form of the slides and the E2E files, with or without commas
    {"name": "The Eagle", "Type": "coffee shop"}   a JSON object
    | name | Type |  …  | name | The Eagle |  …    a Markdown table: one wide row, or two columns

`parse(linearise(fields)) == fields` for all fields that `linearise` accepts. Errors are BadTable, with one sentence that names
the field.
"""

import json
import re
from collections.abc import Sequence
from typing import NoReturn

from core.errors import BadTable
from core.text.checks import MAX_CHARS, MAX_FIELDS, counted, normalize_lines, odd_character, quoted

Fields = list[tuple[str, str]]

_EXAMPLE = "name : The Eagle | Type : coffee shop"
_DASHES = re.compile(r"\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?")  # Markdown's |---|---|
# key[value], where a value may hold [one] more pair of brackets
_BRACKET = re.compile(r"[\s,;]*([^\s\[\]|:,;][^\[\]|:,;\n]*)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]")
_PADDED_PIPE = re.compile(r"(?:^|(?<=\s))\|(?=\s|$)")
_HEADERS = {"field", "key", "attribute", "property", "slot", "column", ""}  # first header cell of a two-column table


def parse(text: str) -> Fields:
    """Parse a table in any notation listed above, which is detected. Fields keep their order; keys may repeat.

    Raises BadTable, naming the field if there is one.
    """
    text = _readable(text)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if text[0] == "{" or _is_json_list(text):
        fields = _parse_json(text)
    elif _is_markdown(lines):
        fields = _parse_markdown(lines)
    elif _is_bracketed(text):
        fields = _parse_brackets(text)
    else:
        fields = _parse_pairs(lines)
    return _checked(fields)


def linearise(fields: Sequence[tuple[str, str]]) -> str:
    """Write fields in the paper's form, `key : value | key : value`.

    Raises BadTable for anything that would not be parsed back unchanged: an empty key or value, surrounding spaces, line
    breaks, " | " in a value, " : " in a key.
    """
    fields = _checked([(key, value) for key, value in fields], tidy=False)
    for number, (key, value) in enumerate(fields, 1):
        if re.search(r":(\s|$)", key):
            _refuse(number, key, "has a colon in its key", "take it out")
        if _PADDED_PIPE.search(key) or _PADDED_PIPE.search(value):
            _refuse(number, key, "holds ' | ', which separates fields", "write ' / ' or a comma in its place")
    text = " | ".join(f"{key} : {value}" for key, value in fields)
    _check_reads_back(fields, text)
    return text


def clean(rows: Sequence[Sequence[object]]) -> Fields:
    """Convert the rows of an editable grid to fields: trim spaces, replace line breaks by spaces, drop empty rows.

    Raises BadTable for a row with only a key or only a value.
    """
    pairs = [[_tidy("" if cell is None else str(cell)) for cell in row[:2]] + ["", ""] for row in rows]
    return _checked([(key, value) for key, value, *_ in pairs if key or value])


# --- aliases of the E2E set --------------------------------------------------------------------------------------------------

_E2E = {"name": "name", "type": "Type", "eattype": "Type", "food": "food", "price": "price", "pricerange": "price",
        "customerrating": "customer rating", "area": "area", "familyfriendly": "family friendly", "near": "near"}  # fmt: skip


def canonical(fields: Fields) -> Fields:
    """Rewrite a restaurant table in the words of the E2E training text: `eatType` -> `Type`, `£20-25` -> `£ 20 - 25`.

    Applies only if the table has a name and every key is one of E2E's (or an alias); other tables are returned unchanged. The
    order stays the same.
    """
    keys = [_E2E.get(re.sub(r"[\s_-]", "", key.lower())) for key, _ in fields]
    if "name" not in keys or None in keys:
        return list(fields)
    return [(key or "", _e2e_value(key or "", value)) for key, (_, value) in zip(keys, fields, strict=True)]


def _e2e_value(key: str, value: str) -> str:
    if key == "price":
        value = re.sub(r"£\s*(?=\d)", "£ ", value)
        return re.sub(r"(£ \d+)\s*[-–]\s*(?:£ )?(\d+)", r"\1 - \2", value)
    if key == "family friendly" and value.lower() in ("yes", "no"):
        return value.lower()
    return value


# --- notations ---------------------------------------------------------------------------------------------------------------


def _parse_pairs(lines: list[str]) -> Fields:
    """Parse `key : value` pairs, one per line or separated by pipes."""
    if len(lines) > 1:
        lines = [re.sub(r"^[-*•]\s+", "", line) for line in lines]  # a bulleted list
    pieces = [piece for line in lines for piece in _split_pipes(line)]
    return [_split_pair(number, piece) for number, piece in enumerate(pieces, 1)]


def _split_pipes(line: str) -> list[str]:
    """Split a line at pipes: those between spaces or, without any of those, bare ones between pairs."""
    line = line.strip().removeprefix("|").strip()  # a pipe before or after everything separates nothing
    if line.endswith((" |", ":|")) or not _PADDED_PIPE.search(line):
        line = line.removesuffix("|").strip()
    pieces = _PADDED_PIPE.split(line)
    if len(pieces) == 1 and "|" in line:
        bare = line.split("|")
        if all(":" in piece for piece in bare) or re.search(r"\|\s|\s\|", line):
            pieces = bare
    return [piece.strip() for piece in pieces] if line else []


def _split_pair(number: int, piece: str) -> tuple[str, str]:
    if not piece:
        raise BadTable(f"Field {number} is empty: write key : value between the pipes, or delete one pipe.")
    colon = re.search(r":(?=\s|$)", piece) or re.search(r":", piece)  # "opens 10:30 : yes" has its colon after the time's
    if colon is None:
        raise BadTable(f"Field {number}, {quoted(piece)}, has no colon: write key : value, for example {_EXAMPLE}")
    return piece[: colon.start()].strip(), piece[colon.end() :].strip()


def _is_bracketed(text: str) -> bool:
    """Whether a bracket comes before any colon or pipe, and not only in the key of `key[1] : value`."""
    if not re.match(r"[^\[\]|:\n]+\[", text):
        return False
    _, rest = _scan_brackets(text)
    return not rest or not all(" : " in piece for piece in _PADDED_PIPE.split(text))


def _scan_brackets(text: str) -> tuple[Fields, str]:
    """Return the leading `key[value]` fields, and the rest of the text."""
    fields: Fields = []
    at = 0
    while field := _BRACKET.match(text, at):
        fields.append((field[1].strip(), field[2].strip()))
        at = field.end()
    return fields, text[at:].strip(" ,;\n")


def _parse_brackets(text: str) -> Fields:
    fields, rest = _scan_brackets(text)
    if rest:
        what = "is not closed: add ']'" if rest.count("[") > rest.count("]") else "is not of the form key[value]"
        raise BadTable(f"Field {len(fields) + 1}, {quoted(rest.split('[')[0].strip() or rest)}, {what}, given {quoted(rest)}.")
    return fields


def _is_json_list(text: str) -> bool:
    return text[0] == "[" and bool(re.match(r"\[\s*([\[{\"\]\d-]|$)", text))


def _parse_json(text: str) -> Fields:
    try:
        data = json.loads(text, object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=str)
    except (json.JSONDecodeError, RecursionError) as error:
        reason = "nested too deep"
        if isinstance(error, json.JSONDecodeError):
            reason = f"{error.msg}, line {error.lineno} column {error.colno}"
        raise BadTable(f'The JSON cannot be read ({reason}): give one whole object like {{"name": "The Eagle"}}.') from None
    if isinstance(data, list):
        raise BadTable('This is a JSON list, and a table is one object: give {"name": "The Eagle", "Type": "coffee shop"}.')
    return [(_tidy(key), _json_value(number, key, value)) for number, (key, value) in enumerate(data, 1)]


def _json_value(number: int, key: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        kind = "a list" if isinstance(value, list) else "another object"
        _refuse(number, key, f"holds {kind}", "give one text or number for each key")
    return _tidy(value) if isinstance(value, str) else ""


def _is_markdown(lines: list[str]) -> bool:
    if len(lines) < 2 or "|" not in lines[0].strip("|"):
        return False
    return _DASHES.fullmatch(lines[1]) is not None or all(line[0] == line[-1] == "|" for line in lines)


def _parse_markdown(lines: list[str]) -> Fields:
    ruled = _DASHES.fullmatch(lines[1]) is not None
    rows = [_cells(line) for line in lines if not _DASHES.fullmatch(line)]
    width = len(rows[0])
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise BadTable(
                f"Row {number} of the Markdown table has {counted(len(row), 'cell')} where the first has {width}: "
                "give all rows as many."
            )
    header = width == 2 and rows[0][0].lower().strip("* ") in _HEADERS
    if width == 2 and (header or not ruled or len(rows) != 2):
        return [(row[0], row[1]) for row in (rows[1:] if header else rows)]
    if len(rows) != 2:
        raise BadTable(f"The Markdown table has {len(rows) - 1} rows under its header: give one row, for one table.")
    return list(zip(*rows, strict=True))


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.removeprefix("|").removesuffix("|"))
    return [_tidy(cell.replace("\\|", "|")).strip("*`").strip() for cell in cells]


# --- checks ------------------------------------------------------------------------------------------------------------------


def _readable(text: str) -> str:
    """Trim the text and unify its line breaks. Raises BadTable for what cannot be a table."""
    if not isinstance(text, str):
        raise BadTable(f"A table is given as text, and this is {type(text).__name__}.")
    if len(text) > MAX_CHARS:
        raise BadTable(f"The table is {len(text):,} characters long; at most {MAX_CHARS:,} are allowed: give one table only.")
    text = normalize_lines(text)
    if not text:
        raise BadTable(f"The table is empty: write key : value fields, for example {_EXAMPLE}")
    if (odd := odd_character(text.replace("\n", ""))) is not None:
        raise BadTable(f"The table holds {odd}, so it is not plain text: paste the text itself.")
    return text


def _checked(fields: Fields, tidy: bool = True) -> Fields:
    """Return the fields. Raises BadTable if there are none, or if one has no key or value (with `tidy=False`, or surrounding
    spaces)."""
    if not fields:
        raise BadTable(f"The table has no fields: write key : value, for example {_EXAMPLE}")
    if len(fields) > MAX_FIELDS:
        raise BadTable(f"The table has {len(fields)} fields; at most {MAX_FIELDS} are allowed: leave some out.")
    for number, (key, value) in enumerate(fields, 1):
        if not key.strip():
            raise BadTable(f"Field {number} has no key before its value {quoted(value)}: write key : value.")
        if not value.strip():
            _refuse(number, key, "has no value", "write one, or delete the field")
        if (odd := odd_character(key + value)) is not None:
            _refuse(number, key, f"holds {odd}", "keep it on one line of plain text")
        if not tidy and (key != key.strip() or value != value.strip()):
            _refuse(number, key, "has blanks around its key or value", "delete them")
    return fields


def _check_reads_back(fields: Fields, text: str) -> None:
    """Reject what no other rule covers: a key such as `{"a"` would make the line read as another notation."""
    if len(text) > MAX_CHARS:
        raise BadTable(f"The table is {len(text):,} characters long; at most {MAX_CHARS:,} are allowed: shorten its values.")
    try:
        parsed = parse(text)
    except BadTable:
        parsed = []
    if parsed == fields:
        return
    same = 0
    while same < len(parsed) and same < len(fields) - 1 and parsed[same] == fields[same]:
        same += 1
    _refuse(same + 1, fields[same][0], "would be read back as something else", "take brackets, braces and pipes out of it")


def _tidy(text: str) -> str:
    return re.sub(r"[\t\n\r]+", " ", text).strip()


def _refuse(number: int, key: str, what: str, do: str) -> NoReturn:
    raise BadTable(f"Field {number}, {quoted(key)}, {what}: {do}.")
