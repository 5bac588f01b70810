"""Uploaded or pasted rows, kept in the store as long as a training may need them."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from core.runs.layout import RUN_JSON, STATE_JSON
from core.runs.manage import TRASH
from core.runs.store import Store

FOLDER = ".data"  # in the store's folder
RECORDS = (STATE_JSON, RUN_JSON)  # where a run says what it is trained on


def sweep(store: Store, waiting: Iterable[Sequence[str]]) -> list[str]:
    """Delete rows that no run (in the trash or not) and no waiting command line names; returns the deleted folders."""
    place = store.folder / FOLDER
    folders = [path for path in place.iterdir() if path.is_dir() and not path.is_symlink()] if place.is_dir() else []
    if not folders:
        return []
    texts = [*(" ".join(words) for words in waiting), *_texts(store.folder), *_texts(store.folder / TRASH)]
    unused = [path for path in folders if not any(path.name in text for text in texts)]
    for path in unused:
        shutil.rmtree(path, ignore_errors=True)  # what cannot be deleted now is tried again at the next start
    return sorted(path.name for path in unused)


def _texts(folder: Path) -> Iterator[str]:
    for path in (path for name in RECORDS for path in folder.glob(f"*/{name}")):
        try:
            yield path.read_text(encoding="utf-8", errors="replace")
        except OSError:  # it was deleted or moved meanwhile
            continue
