"""The store: the runs in the user's folder, beside read-only ones such as the bundled runs.

Nothing is ever unpickled.
"""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from types import UnionType

from core import paths
from core.errors import RunNotFound, StoreError
from core.runs.layout import JsonObject, RunFiles, check_id, check_new_id, disk_errors, with_current_names
from core.runs.run import NEXT, Run
from core.runs.status import read_status
from core.task import Task

Stamp = tuple[tuple[int, int, int], ...] | None


class Store:
    """The user's runs in `folder`, the bundled runs, and those in `others`, such as a class's. Only `folder` is written to."""

    def __init__(self, folder: Path, bundled: Path | None = None, others: Sequence[Path] = ()) -> None:
        self.folder, self.bundled, self._others = folder, bundled, tuple(others)
        self._cache: dict[Path, tuple[Stamp, Run]] = {}  # valid as long as the folder does not change

    def runs(self) -> list[Run]:
        """Return complete runs: the bundled ones, then the others, newest first. Unreadable folders are left out (see
        `broken`)."""
        runs = [run for run in map(self._try, self._folders()) if isinstance(run, Run)]
        own = [run for run in runs if not run.bundled]
        return [run for run in runs if run.bundled] + sorted(own, key=lambda run: run.created, reverse=True)

    def broken(self) -> list[str]:
        """Return one sentence for each folder that is not a complete run: unfinished or damaged."""
        return [str(result) for result in map(self._try, self._folders()) if isinstance(result, StoreError)]

    def get(self, run_id: str) -> Run:
        """Return a run by its id. Raises RunNotFound, which lists the runs that exist."""
        check_id(run_id)
        for root in self._roots():
            if (root / run_id).is_dir():
                return self._read(root / run_id)
        known = ", ".join(run.id for run in self.runs())
        runs = f"Runs: {known}. Give one of these, or train it first." if known else "There are no runs yet; train one first."
        raise RunNotFound(f"There is no run {run_id!r}. {runs}")

    def check_own(self, run_id: str) -> None:
        """Raise RunNotFound unless the id is a folder of the user's own."""
        if not (self.folder / check_id(run_id)).is_dir():
            own = ", ".join(path.name for path in self._folders() if path.parent == self.folder)
            ours = self.bundled is not None and (self.bundled / run_id).is_dir()
            what = (
                f"The run {run_id!r} comes with Prefix Lab and stays as it is"
                if ours
                else f"There is no run {run_id!r} of your own"
            )
            raise RunNotFound(
                f"{what}. {f'Your own runs: {own}. Give one of these.' if own else 'You have no runs of your own yet.'}"
            )
        _check_links(self.folder / run_id)

    def check_free(self, run_id: str) -> None:
        """Raise StoreError if the id is in use, BadInput if a new run cannot have it."""
        check_new_id(run_id)
        if any(os.path.lexists(root / run_id) for root in self._roots()):
            raise StoreError(f"There is a run {run_id!r} already. Give another name, or rename or delete that run first.")

    def new_folder(self, run_id: str) -> Path:
        """Create the folder of a new run. Raises StoreError if the id is in use or the folder cannot be created."""
        self.check_free(run_id)
        folder = self.folder / run_id
        with disk_errors(f"make {folder}", "Choose a writable folder with PREFIX_LAB_HOME."):
            folder.mkdir(parents=True)
        return folder

    def _roots(self) -> list[Path]:
        return [root for root in (self.bundled, self.folder, *self._others) if root is not None]

    def _folders(self) -> list[Path]:
        return [root / name for root in self._roots() if root.is_dir() for name in sorted(_names(root))]

    def _try(self, folder: Path) -> Run | StoreError:
        try:
            return self._read(folder)
        except StoreError as error:
            return error

    def _read(self, folder: Path) -> Run:
        """Return the run of a folder, reading it again only if the folder has changed."""
        stamp = _stamp(folder)
        cached = self._cache.get(folder)
        if cached is None or stamp is None or cached[0] != stamp:
            cached = self._cache[folder] = (stamp, self._load(folder))
        return cached[1]

    def _load(self, folder: Path) -> Run:
        _check_links(folder)
        path = RunFiles(folder).run_json
        if not path.exists():
            raise StoreError(_unfinished(folder))
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(values, dict):
                raise ValueError("it is not a JSON object")
            task = Task.from_dict(values.pop("task"))
            task = task.replace(name=_encodable(task.name))
            values |= {name: _encodable(values[name]) for name in ("command", "notes") if isinstance(values.get(name), str)}
            if folder.name not in (values.pop("id"), values.pop(NEXT, "")):
                raise ValueError("the id inside is another one")
            _check_types(values)
            if "scores" in values:
                values["scores"] = {split: with_current_names(scores) for split, scores in values["scores"].items()}
            return Run(id=folder.name, folder=folder, bundled=folder.parent == self.bundled, task=task, **values)
        except Exception as error:  # anything may stand in a damaged file
            raise StoreError(
                f"The run {folder.name!r} cannot be read ({type(error).__name__}: {str(error)[:200]}). "
                f"Delete {folder}, or restore its run.json."
            ) from error


def _encodable(text: str) -> str:
    """Return a text that a page can show: of a command line, bytes that are not UTF-8 become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _names(root: Path) -> list[str]:
    """Return the folders that may be runs; those that start with a dot are not (see manage.py)."""
    with os.scandir(root) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")]


def _stamp(folder: Path) -> Stamp:
    """Return a value that changes when files are added or removed, or run.json is written; None if the folder cannot be read."""
    try:
        places = (os.lstat(folder), os.lstat(RunFiles(folder).run_json))
    except OSError:
        return None
    return tuple((place.st_mtime_ns, place.st_size, place.st_ino) for place in places)


def _check_links(folder: Path) -> None:
    """Raise StoreError if a run or one of its files is a link, which may lead out of the store."""
    with disk_errors(f"read {folder}", "Make it readable, or take it out of the runs folder."):
        link = next((path for path in (folder, *folder.iterdir()) if path.is_symlink()), None)
    if link is not None:
        raise StoreError(f"The run {folder.name!r} is not read: {link} is a link. Copy what it leads to into the store.")


_TYPES: tuple[tuple[type | UnionType, str], ...] = (
    (str, "status backbone fingerprint method created device command notes"),
    (int | float, "trained stored bytes seconds seed updates rows"),
    (int | float | None, "valid_loss"),
    (dict, "config versions scores"),
)


def _check_types(values: JsonObject) -> None:
    """Raise ValueError for a field of the wrong type; missing and unknown fields raise in Run's constructor."""
    for type_, names in _TYPES:
        for name in names.split():
            if name in values and not (isinstance(values[name], type_) and _is_finite(values[name])):
                raise ValueError(f"{name} is {values[name]!r}")
    for split, scores in values.get("scores", {}).items():
        if not isinstance(scores, dict) or not all(map(_is_score, scores.values())):
            raise ValueError(f"the scores of {split!r} are {scores!r}")


def _is_score(score: object) -> bool:
    value = score.get("value") if isinstance(score, dict) else None
    return isinstance(value, int | float) and _is_finite(value)


def _is_finite(value: object) -> bool:
    """False for NaN and infinity, which Python reads from JSON though JSON has neither."""
    return not isinstance(value, float) or math.isfinite(value)


def _unfinished(folder: Path) -> str:
    status = read_status(folder)
    if status.error:
        return (
            f"The run {folder.name!r} failed at update {status.update} of {status.total}: {status.error.rstrip('.')}. "
            f"Train it again under another name, or delete {folder}."
        )
    if not status.state:
        return (
            f"The run {folder.name!r} is not finished: it has no run.json. Train it again under another name, or delete {folder}."
        )
    return (
        f"The run {folder.name!r} is not finished: it is at update {status.update} of {status.total}. "
        f"If nothing is training it now, continue with: python launch.py train --resume --run {folder.name}"
    )


def store() -> Store:
    """Return the default store."""
    return Store(paths.runs_dir(), paths.BUNDLED_RUNS)
