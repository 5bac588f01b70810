"""The data sets by name, and how typed or pasted input becomes the source of an example."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from core.data.e2e import read_bundled, read_e2e
from core.data.summarization import read_articles
from core.data.webnlg_dart import read_dart, read_webnlg
from core.errors import BadInput
from core.task import Example
from core.text.articles import article
from core.text.tables import Fields, canonical, linearise, parse
from core.text.triples import SOURCES, parse_triples, table_of

Item = TypeVar("Item")

SETS = ("e2e", "webnlg", "dart", "records", "tables", "summarization")
BUNDLED_TABLES = {  # files of assets/data
    "records": ("records.jsonl",),
    "tables": ("records.jsonl", "tables.jsonl", "training_tables.jsonl"),
}


def read_set(name: str, path: Path, split: str | None = None, skipped: list[str] | None = None) -> list[Example]:
    """Read the examples of a named data set (see each reader). Raises BadInput for an unknown name, BadData for bad rows."""
    if name in BUNDLED_TABLES:
        return read_bundled(path, split, skipped)
    readers: dict[str, Callable[[Path, str | None, list[str] | None], list[Example]]]
    readers = {"e2e": read_e2e, "webnlg": read_webnlg, "dart": read_dart, "summarization": read_articles}
    if name not in readers:
        raise BadInput(f"There is no data set {name!r}: choose {', '.join(SETS[:-1])} or {SETS[-1]}.")
    return readers[name](path, split, skipped)


def group_by_source(examples: list[Example]) -> list[Example]:
    """Merge the rows of each source into one Example with all references, in order of first appearance."""
    merged: dict[str, Example] = {}
    for example in examples:
        first = merged.get(example.source)
        if first is not None:
            example = replace(first, targets=first.targets + example.targets, originals=first.originals + example.originals)
        merged[example.source] = example
    return list(merged.values())


def evenly_spaced(items: Sequence[Item], count: int) -> list[Item]:
    """Return `count` items, evenly spaced from the first to the end, in their order; all of them if there are fewer."""
    count = min(count, len(items))
    return [items[place * len(items) // count] for place in range(count)]


def sample_evenly(examples: Sequence[Example], count: int) -> list[Example]:
    """Return the examples of `count` sources, evenly spaced over the data set, and over its seen and its unseen part.

    Data sets are sorted by category, so their first rows would all be of one kind. Raises BadInput if `count` is below 1.
    """
    if count < 1:
        raise BadInput(f"{count} rows or tables are too few: give at least 1, or leave the number out for all of them.")
    is_seen = {example.source: example.seen for example in examples}
    ordered = sorted(is_seen, key=lambda source: not is_seen[source])  # the seen part first, each in the set's order
    selected = set(evenly_spaced(ordered, count))
    return [example for example in examples if example.source in selected]


def parse_input(input_format: str, text: str) -> str:
    """Parse typed or pasted text in an input format (see Task), and return the source that models read.

    Raises BadTable, or BadInput for text that cannot be an article.
    """
    if input_format == "article":
        return article(text)
    if input_format == "text":
        return " ".join(text.split())
    return SOURCES[input_format](parse_triples(text)) if input_format in SOURCES else linearise(canonical(parse(text)))


def table_of_source(input_format: str, source: str) -> Fields:
    """Return the fields of a source, for coverage; an empty list for texts and articles. Raises BadTable."""
    if input_format in ("text", "article"):
        return []
    return table_of(parse_triples(source)) if input_format in SOURCES else parse(source)
