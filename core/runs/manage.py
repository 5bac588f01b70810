"""The user's own runs put in order: renamed, given notes, deleted with a way back.

A deleted run is moved to `.trash` in the store, whole, and stays there until the trash is emptied.
"""

import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from core.errors import BadInput, RunNotFound, StoreError
from core.runs.store import Run, Store, check_id, write_json
from core.training.trainer import locked

TRASH = ".trash"
NOTE_LIMIT = 2000  # characters
_NAME = re.compile(r"(\d{14})-(.+)")  # when it was deleted, and the run's id


@dataclass(frozen=True)
class Deleted:
    """A run in the trash. `when`: seconds since 1970."""

    id: str
    folder: Path
    when: float


def rename(store: Store, run_id: str, new: str) -> Run:
    """Give a run another id. StoreError where that one is taken, or the run is being trained."""
    store.check_own(run_id)
    store.check_free(new)
    run = store.get(run_id)  # a run that is not whole keeps its name: what would go on with it knows it by that
    folder = store.folder / new
    _idle(run.folder)
    _move(run.folder, folder)
    _change(folder, id=new)
    return store.get(new)


def annotate(store: Store, run_id: str, notes: str) -> Run:
    """Write a run's notes anew. BadInput where they are too long."""
    store.check_own(run_id)
    if len(notes) > NOTE_LIMIT:
        raise BadInput(f"The notes have {len(notes):,} characters, and {NOTE_LIMIT:,} are kept. Shorten them.")
    _change(store.get(run_id).folder, notes=notes.strip())
    return store.get(run_id)


def delete(store: Store, run_id: str) -> Deleted:
    """Move a run, whole or not, to the trash. StoreError where it is being trained."""
    store.check_own(run_id)
    _idle(store.folder / run_id)
    when = time.time()
    place = store.folder / TRASH
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        raise StoreError(f"Cannot make {place}: {error.strerror}. Make the store writable.") from error
    folder = place / f"{time.strftime('%Y%m%d%H%M%S', time.gmtime(when))}-{run_id}"
    if folder.exists():  # the same name deleted twice within a second
        shutil.rmtree(folder)
    _move(store.folder / run_id, folder)
    return Deleted(run_id, folder, when)


def trash(store: Store) -> list[Deleted]:
    """What is in the trash, the last deleted first."""
    found = []
    for folder in (store.folder / TRASH).glob("*-*"):
        named = _NAME.fullmatch(folder.name)
        if named and folder.is_dir() and not folder.is_symlink():
            found.append(Deleted(named[2], folder, _seconds(named[1])))
    return sorted(found, key=lambda one: one.folder.name, reverse=True)


def restore(store: Store, run_id: str) -> str:
    """Bring a run back, the last deleted of that name. StoreError where another one has its name by now."""
    check_id(run_id)
    found = next((one for one in trash(store) if one.id == run_id), None)
    if found is None:
        known = ", ".join(dict.fromkeys(one.id for one in trash(store))) or "nothing"
        raise RunNotFound(f"There is no run {run_id!r} in the trash. It holds {known}. Give one of these.")
    store.check_free(run_id)
    _move(found.folder, store.folder / run_id)
    return run_id


def empty_trash(store: Store) -> int:
    """Delete for good; how many runs that were."""
    found = trash(store)
    for one in found:
        try:
            shutil.rmtree(one.folder)
        except OSError as error:
            raise StoreError(f"Cannot delete {one.folder}: {error.strerror}. Make it writable, then try again.") from error
    return len(found)


def take(run: Run, store: Store, new: str, notes: str) -> Run:
    """Move a run from another store on the same disk into this one, under a name of its own. StoreError where that is taken."""
    store.check_free(new)
    _idle(run.folder)
    folder = store.folder / new
    _move(run.folder, folder)
    _change(folder, id=new, notes=notes)
    return store.get(new)


def _seconds(stamp: str) -> float:
    try:
        return float(time.mktime(time.strptime(stamp, "%Y%m%d%H%M%S")) - time.timezone)
    except (ValueError, OverflowError):
        return 0.0


def _idle(folder: Path) -> None:
    """StoreError while a process trains the run."""
    with locked(folder):
        (folder / ".lock").unlink(missing_ok=True)  # some systems cannot move a folder with an open file in it


def _move(old: Path, new: Path) -> None:
    try:
        os.rename(old, new)
    except OSError as error:
        raise StoreError(f"Cannot move {old} to {new}: {error.strerror}. Make the store writable.") from error


def _change(folder: Path, **values: str) -> None:
    path = folder / "run.json"
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | values)
