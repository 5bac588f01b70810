"""XSUM as its authors released it: one tagged file per article, and a JSON file that lists the articles of each split.

    [SN]FIRST-SENTENCE[SN] … [SN]RESTBODY[SN] …          ID.summary, in bbc-summary-data/
    [XSUM]INTRODUCTION[XSUM] … [XSUM]RESTBODY[XSUM] …     ID.data, in xsum-extracts-from-downloads/

The summary is the first sentence; the article is the rest.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from core.data.rows import BadRow, Rows, split_name, whole_text
from core.errors import BadData

_FOLDERS = ("bbc-summary-data", "xsum-extracts-from-downloads", ".")
_ENDINGS = (".summary", ".data")
_SPLIT_LIST = "*SPLIT*.json"
_SPLITS = {"dev": "validation"}
_TAG = re.compile(r"\[(SN|XSUM)\]([A-Z-]+)\[\1\]")


def is_release(path: Path) -> bool:
    """Whether a folder holds such tagged files."""
    return path.is_dir() and _files(path) is not None


def split_rows(folder: Path, split: str | None) -> Iterator[tuple[Path, Rows]]:
    """Yield the articles of a split, in the order of the list. Raises BadData if the list, or the split in it, is missing."""
    place, ending = _files(folder) or (folder, "")
    name = split_name(split)
    name = _SPLITS.get(name, name)
    listed = next((file for one in (folder, folder.parent) for file in sorted(one.glob(_SPLIT_LIST))), None)
    if listed is None:
        raise BadData(
            f"{folder} holds XSUM's articles and no list of the splits: put XSum-TRAINING-DEV-TEST-SPLIT-90-5-5.json there."
        )
    try:
        splits = json.loads(listed.read_text(encoding="utf-8"))
        ids = [str(one) for one in splits[name]]
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(f"{listed.name} has no list of ids for the split {name!r}: choose train, dev or test.") from error
    for one in ids:
        file = place / f"{one}{ending}"
        yield file, _row(file)


def _files(folder: Path) -> tuple[Path, str] | None:
    for place in _FOLDERS:
        for ending in _ENDINGS:
            first = next((folder / place).glob(f"[0-9]*{ending}"), None)
            if first is not None:
                return folder / place, ending
    return None


def _row(file: Path) -> Rows:
    if not file.is_file():
        yield 1, BadRow("the list of the splits names this file, and it is not there")
        return
    try:
        text = whole_text(file)
    except BadRow as error:
        yield 1, error
        return
    marks = list(_TAG.finditer(text))
    ends = [*(mark.start() for mark in marks), len(text)][1:]
    parts = {mark[2]: text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)} if marks else {}
    summary = parts.get("FIRST-SENTENCE", parts.get("INTRODUCTION", ""))
    if not summary or not parts.get("RESTBODY"):
        yield 1, BadRow("there is no text after FIRST-SENTENCE (or INTRODUCTION), or none after RESTBODY")
        return
    yield 1, {"article": parts["RESTBODY"], "summary": summary, "name": file.stem}
