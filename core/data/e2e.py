"""Readers of E2E and of the bundled tables.

E2E comes in two forms: JSON lines (rows with "table" or "mr", "text", and optionally "text_orig"; gzipped or not) and the
official CSV (columns mr, ref), whose references are tokenised here in the same way as the training text. A row that cannot be
used raises an error with file and line, or is skipped and noted if `skipped` is a list.
"""

from pathlib import Path

from core.data.csv_rows import csv_rows
from core.data.rows import BadRow, Row, collect, ending_of, json_rows, split_file, text_in
from core.task import Example
from core.text.detokenize import tokenise_like_e2e
from core.text.tables import canonical, linearise, parse

# What a split's file may be called, without its ending; the official names come last.
_STEMS = {"train": ("train", "trainset"), "dev": ("dev", "valid", "devset"), "test": ("test", "testset_w_refs")}


def read_e2e(path: Path, split: str | None = None, skipped: list[str] | None = None) -> list[Example]:
    """Read one Example from each row, in the file's order; `group_by_source` merges the references of one table.

    `path`: a file, or a folder with one file per split (then `split` is "train", "dev" or "test"). Raises BadData with file,
    line and reason; if `skipped` is a list, the messages go there and the other rows are read.
    """
    file = split_file(Path(path), split, _STEMS) if Path(path).is_dir() else Path(path)
    stem = file.name.split(".")[0]
    rows = csv_rows(file, ("mr", "ref")) if ending_of(file) in (".csv", ".tsv") else json_rows(file)
    return collect([(file, rows)], lambda row, number: _e2e_example(row, f"{stem}-{number}"), skipped)


def read_bundled(path: Path, split: str | None = None, skipped: list[str] | None = None) -> list[Example]:
    """Read the rows of a file of bundled tables, all or one split. `group` is the topic; `seen` is false for held-out topics.

    The references are natural text, so `targets` and `originals` are the same. Raises BadData.
    """
    path, split = Path(path), "valid" if split == "dev" else split
    rows = collect([(path, json_rows(path))], lambda row, number: (row.get("split"), _bundled_example(row)), skipped)
    return [example for name, example in rows if split in (None, name)]


def _e2e_example(row: Row, name: str) -> Example:
    source = text_in(row, "table") if "table" in row else linearise(canonical(parse(text_in(row, "mr"))))
    if "ref" in row:
        original = text_in(row, "ref")
        return Example(source, (tokenise_like_e2e(original),), id=name, originals=(original,))
    originals = (text_in(row, "text_orig"),) if row.get("text_orig") else ()
    return Example(source, (text_in(row, "text"),), id=name, originals=originals)


def _bundled_example(row: Row) -> Example:
    fields, targets = row.get("fields"), row.get("targets")
    if not isinstance(fields, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in fields):
        raise BadRow('"fields" is not a list of [key, value] pairs')
    if not isinstance(targets, list) or not targets or not all(isinstance(text, str) and text.strip() for text in targets):
        raise BadRow('"targets" is not a list of sentences')
    source = linearise([(str(key), str(value)) for key, value in fields])
    texts = tuple(targets)
    return Example(source, texts, text_in(row, "topic"), not row.get("held_out", False), text_in(row, "id"), texts)
