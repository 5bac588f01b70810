"""Manage the user's own runs: rename, annotate, delete, restore.

A deleted run is moved to `.trash` in the store and stays there until the trash is emptied.
"""

import calendar
import os
import re
import shutil
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from core.errors import BadInput, RunNotFound
from core.runs.layout import RunFiles, check_id, disk_errors, locked
from core.runs.run import Run, name_next, update_run_json
from core.runs.store import Store

TRASH = ".trash"
NOTE_LIMIT = 2000  # characters
# When it was deleted, which of its name it is within that second, from the second on, and the run's id.
_NAME = re.compile(r"(\d{14})(?:\.(\d+))?-(.+)")


@dataclass(frozen=True)
class Deleted:
    """A run in the trash. `when`: seconds since 1970."""

    id: str
    folder: Path
    when: float


def rename(store: Store, run_id: str, new: str) -> Run:
    """Give a run another id. Raises StoreError if that id is in use, or the run is in training."""
    store.check_own(run_id)
    store.check_free(new)
    return _place(store.get(run_id), store, new)  # an unfinished run keeps its name, by which it is resumed


def annotate(store: Store, run_id: str, notes: str) -> Run:
    """Replace a run's notes. Raises BadInput if they are too long."""
    store.check_own(run_id)
    if len(notes) > NOTE_LIMIT:
        raise BadInput(f"The notes have {len(notes):,} characters; at most {NOTE_LIMIT:,} are allowed. Shorten them.")
    update_run_json(store.get(run_id).folder, notes=notes.strip())
    return store.get(run_id)


def delete(store: Store, run_id: str) -> Deleted:
    """Move a run, finished or not, to the trash. Raises StoreError if it is in training."""
    store.check_own(run_id)
    _check_idle(store.folder / run_id)
    when = time.time()
    trash = store.folder / TRASH
    with disk_errors(f"make {trash}", "Make the runs folder writable."):
        trash.mkdir(exist_ok=True)
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(when))
    folders = (trash / f"{stamp}{f'.{number}' if number > 1 else ''}-{run_id}" for number in count(1))
    folder = next(folder for folder in folders if not folder.exists())
    _move(store.folder / run_id, folder)
    return Deleted(run_id, folder, when)


def list_trash(store: Store) -> list[Deleted]:
    """Return the runs in the trash, the most recently deleted first."""
    runs = []
    for folder in (store.folder / TRASH).glob("*-*"):
        match = _NAME.fullmatch(folder.name)
        if match and folder.is_dir() and not folder.is_symlink():
            stamp, number, run_id = match.groups()
            runs.append(((stamp, int(number or 1), run_id), Deleted(run_id, folder, _seconds(stamp))))
    return [run for _, run in sorted(runs, key=lambda pair: pair[0], reverse=True)]


def restore(store: Store, run_id: str) -> str:
    """Move the most recently deleted run of that id back from the trash. Raises StoreError if the id is in use by now."""
    check_id(run_id)
    deleted = next((run for run in list_trash(store) if run.id == run_id), None)
    if deleted is None:
        known = ", ".join(dict.fromkeys(run.id for run in list_trash(store)))
        if not known:
            raise RunNotFound(f"There is no run {run_id!r} to restore: the trash is empty.")
        raise RunNotFound(f"There is no run {run_id!r} in the trash. It holds {known}. Give one of these.")
    store.check_free(run_id)
    _move(deleted.folder, store.folder / run_id)
    return run_id


def empty_trash(store: Store) -> int:
    """Delete the runs in the trash permanently; returns how many there were."""
    runs = list_trash(store)
    for run in runs:
        with disk_errors(f"delete {run.folder}", "Make it writable, then try again."):
            shutil.rmtree(run.folder)
    return len(runs)


def adopt(run: Run, store: Store, new: str, notes: str) -> Run:
    """Move a run from another store on the same disk into this one, under a new id. Raises StoreError if that id is in use."""
    store.check_free(new)
    return _place(run, store, new, notes=notes)


def _place(run: Run, store: Store, new: str, **values: object) -> Run:
    """Move a run into the store's folder under another id, and set fields of its run.json."""
    _check_idle(run.folder)
    folder = store.folder / new
    name_next(run.folder, new)
    _move(run.folder, folder)
    update_run_json(folder, id=new, **values)
    return store.get(new)


def _seconds(stamp: str) -> float:
    try:
        return float(calendar.timegm(time.strptime(stamp, "%Y%m%d%H%M%S")))
    except (ValueError, OverflowError):
        return 0.0


def _check_idle(folder: Path) -> None:
    """Raise StoreError while a process trains the run."""
    with locked(folder):
        RunFiles(folder).lock.unlink(missing_ok=True)  # some systems cannot move a folder with an open file in it


def _move(old: Path, new: Path) -> None:
    with disk_errors(f"move {old} to {new}", "Make the runs folder writable."):
        os.rename(old, new)
