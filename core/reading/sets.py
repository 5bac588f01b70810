"""The data sets by name: how each is read, and how what a person types becomes its kind of source."""

from pathlib import Path

from core.errors import BadInput
from core.readers import read_bundled, read_e2e
from core.reading.triple_sets import read_dart, read_webnlg
from core.tables import Fields, canonical, linearise, parse
from core.tasks import Example
from core.triples import SOURCES, parse_triples, table_of

SETS = ("e2e", "webnlg", "dart", "records")


def read_set(name: str, path: Path, split: str | None = None, skipped: list[str] | None = None) -> list[Example]:
    """The examples of a set by its name (see the reader of each). Raises BadInput for another name, BadData for bad rows."""
    if name == "records":
        return read_bundled(path, split)
    readers = {"e2e": read_e2e, "webnlg": read_webnlg, "dart": read_dart}
    if name not in readers:
        raise BadInput(f"There is no data set {name!r}: say {', '.join(SETS[:-1])} or {SETS[-1]}.")
    return readers[name](path, split, skipped)


def source_of(name: str, text: str) -> str:
    """What a person types or pastes as a source of a task: triples for WebNLG and DART, else a table. Raises BadTable."""
    return SOURCES[name](parse_triples(text)) if name in SOURCES else linearise(canonical(parse(text)))


def table_of_source(name: str, source: str) -> Fields:
    """The fields of a source, for a check of what a text tells. Raises BadTable."""
    return table_of(parse_triples(source)) if name in SOURCES else parse(source)
