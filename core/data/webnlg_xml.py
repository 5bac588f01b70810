"""The XML of the WebNLG challenge, which DART uses too, as one row per <entry>.

    <entry category="Airport" eid="Id1"><modifiedtripleset><mtriple>s | p | o</mtriple></modifiedtripleset>
        <lex comment="good" lid="Id1">A sentence.</lex></entry>

A row has "category", "eid", "triples" (lists of three), "texts", and one "comments" and one "languages" value per text ("" if
the file gives none).
"""

import re
import xml.parsers.expat
from pathlib import Path

from core.data.lines import lines
from core.data.rows import BadRow, Row, Rows

_BESIDE = {"sortedtripleset", "references", "template", "lexicalization"}  # elements of <lex> that are not its sentence


def entry_rows(file: Path) -> Rows:
    """Yield the entries with their first line; a truncated file yields a BadRow after its last complete entry.

    Entities that the file declares need no care: expat resolves no external ones and limits how far they expand.
    """
    reader = _Entries()
    parser = xml.parsers.expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = lambda name, attributes: reader.start(name, attributes, parser.CurrentLineNumber)
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    text = "".join(line for _, line in lines(file))
    try:
        parser.Parse(text.encode("utf-8", "surrogateescape"), True)
    except xml.parsers.expat.ExpatError as error:
        reader.rows.append((error.lineno, BadRow(f"not XML from here on ({xml.parsers.expat.ErrorString(error.code)})")))
    yield from reader.rows


class _Entries:
    """Collects entries from the parser's events."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, Row | BadRow]] = []
        self.texts: list[str] | None = None  # of the <mtriple> or <lex> that is being read
        self.own: list[str] = []  # those of its <text>: where a <lex> has one, that is its sentence
        self.path: list[str] = []
        self.line = 0
        self.entry: dict[str, list] | None = None
        self.attributes: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str], line: int) -> None:
        self.path.append(name)
        if name == "entry":
            self.line, self.attributes = line, attributes
            self.entry = {"triples": [], "texts": [], "comments": [], "languages": []}
        elif self.entry is not None and name in ("mtriple", "lex"):
            self.texts, self.own = [], []
            if name == "lex":
                self.entry["comments"].append(attributes.get("comment", ""))
                self.entry["languages"].append(attributes.get("lang", ""))

    def text(self, data: str) -> None:
        if self.texts is None or _BESIDE.intersection(self.path):
            return
        self.texts.append(data)
        if "text" in self.path:
            self.own.append(data)

    def end(self, name: str) -> None:
        self.path.pop()
        if self.entry is None:
            return
        if self.texts is not None and name in ("mtriple", "lex"):
            text = re.sub(r"\s*\n\s*", " ", "".join(self.own or self.texts)).strip()
            if name == "lex":
                self.entry["texts"].append(text)
            else:
                self.entry["triples"].append(text.split(" | "))
            self.texts = None
        elif name == "entry":
            self.rows.append((self.line, {**self.attributes, **self.entry}))
            self.entry = None
