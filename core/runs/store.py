"""Runs on disk. A run is a folder:

weights.safetensors   what was trained, and nothing else
steps.csv             one line an update
resume.safetensors    while it can go on: the last checkpoint
history.safetensors   a prefix at its start and along the way, where it has one
state.json            while it runs
run.json              last, by rename: its presence says the run is whole

Bundled runs are read-only and listed first. Nothing here is ever unpickled.
"""

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import paths
from core.errors import BadInput, RunNotFound, StoreError
from core.task import Task

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True)
class Run:
    """What run.json says. `trained` and `stored` count parameters, `bytes` is the size of weights.safetensors."""

    id: str
    folder: Path
    bundled: bool
    status: str
    backbone: str
    fingerprint: str
    method: str
    task: Task
    config: dict[str, Any]
    trained: int
    stored: int
    bytes: int
    seconds: float
    created: str
    device: str
    seed: int
    command: str
    updates: int = 0
    rows: int = 0
    valid_loss: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    notes: str = ""

    @property
    def weights(self) -> Path:
        """The file of trained tensors."""
        return self.folder / "weights.safetensors"

    def to_json(self) -> dict[str, Any]:
        """What is written to run.json."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("folder", "bundled")}
        return values | {"task": self.task.to_dict()}


def check_id(run_id: str) -> str:
    """The id as it is; BadInput unless it is a plain file name."""
    if not ID.fullmatch(run_id) or ".." in run_id:
        raise BadInput(
            f"{run_id[:90]!r} is not a run id. Use letters, digits, '-', '_' and '.', up to 80 of them, "
            "beginning with a letter or digit."
        )
    return run_id


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write as JSON, by rename; see `write_text`."""
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write by rename, so that a reader never sees half a file, line ends as given; StoreError where it cannot be written."""
    spare = path.with_suffix(".tmp")
    try:
        spare.write_text(text, encoding="utf-8", newline="")
        os.replace(spare, path)
    except OSError as error:
        raise StoreError(
            f"Cannot write {path}: {error.strerror or error}. Free some space, or choose another folder with PREFIX_LAB_HOME."
        ) from error


Stamp = tuple[tuple[int, int, int], ...] | None


class Store:
    """The user's runs in `folder`, beside the bundled ones."""

    def __init__(self, folder: Path, bundled: Path | None = None) -> None:
        self.folder, self.bundled = folder, bundled
        self._known: dict[Path, tuple[Stamp, Run]] = {}  # what was read before, for as long as its folder does not change

    def runs(self) -> list[Run]:
        """Whole runs: bundled first, then the newest; folders that cannot be read are left out (see `broken`)."""
        runs = [run for run in map(self._try, self._folders()) if isinstance(run, Run)]
        own = [run for run in runs if not run.bundled]
        return [run for run in runs if run.bundled] + sorted(own, key=lambda run: run.created, reverse=True)

    def broken(self) -> list[str]:
        """One sentence for every folder that is no whole run: unfinished, or damaged."""
        return [str(result) for result in map(self._try, self._folders()) if isinstance(result, StoreError)]

    def get(self, run_id: str) -> Run:
        """One run; RunNotFound lists what there is."""
        check_id(run_id)
        for root in self._roots():
            if (root / run_id).is_dir():
                return self._read(root / run_id)
        known = ", ".join(run.id for run in self.runs()) or "none yet"
        raise RunNotFound(f"There is no run {run_id!r}. Runs: {known}. Give one of these, or train it first.")

    def check_own(self, run_id: str) -> None:
        """RunNotFound where the id is not a folder of the user's own."""
        if not (self.folder / check_id(run_id)).is_dir():
            own = ", ".join(path.name for path in self._folders() if path.parent == self.folder) or "none yet"
            raise RunNotFound(f"There is no run {run_id!r} of your own. Yours: {own}. Give one of these.")
        _check_links(self.folder / run_id)

    def check_free(self, run_id: str) -> None:
        """StoreError where the id is taken."""
        check_id(run_id)
        if any(os.path.lexists(root / run_id) for root in self._roots()):
            raise StoreError(f"There is a run {run_id!r} already. Give another name.")

    def new_folder(self, run_id: str) -> Path:
        """Make the folder of a new run; StoreError where the id is taken or the place cannot be written."""
        self.check_free(run_id)
        folder = self.folder / run_id
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise StoreError(f"Cannot make {folder}: {error.strerror}. Choose a writable folder with PREFIX_LAB_HOME.") from error
        return folder

    def _roots(self) -> list[Path]:
        return [root for root in (self.bundled, self.folder) if root is not None]

    def _folders(self) -> list[Path]:
        return [root / name for root in self._roots() if root.is_dir() for name in sorted(_names(root))]

    def _try(self, folder: Path) -> Run | StoreError:
        try:
            return self._read(folder)
        except StoreError as error:
            return error

    def _read(self, folder: Path) -> Run:
        """The run of a folder; read once, and again where something in it has changed."""
        stamp = _stamp(folder)
        known = self._known.get(folder)
        if known is None or stamp is None or known[0] != stamp:
            known = self._known[folder] = (stamp, self._read_anew(folder))
        return known[1]

    def _read_anew(self, folder: Path) -> Run:
        _check_links(folder)
        path = folder / "run.json"
        if not path.exists():
            raise StoreError(_unfinished(folder))
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(values, dict):
                raise ValueError("it is no JSON object")
            task = Task.from_dict(values.pop("task"))
            if values.pop("id") != folder.name:
                raise ValueError("the id inside is another one")
            _check_kinds(values)
            return Run(id=folder.name, folder=folder, bundled=folder.parent == self.bundled, task=task, **values)
        except Exception as error:  # anything may stand in a damaged file
            raise StoreError(
                f"The run {folder.name!r} cannot be read ({type(error).__name__}: {str(error)[:200]}). "
                f"Delete {folder}, or restore its run.json."
            ) from error


def _names(root: Path) -> list[str]:
    """Folders that may be runs; those that begin with a dot are not: see manage.py."""
    with os.scandir(root) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")]


def _stamp(folder: Path) -> Stamp:
    """Another one whenever a file comes to a folder or leaves it, or run.json is written; None where it cannot be known."""
    try:
        places = (os.lstat(folder), os.lstat(folder / "run.json"))
    except OSError:
        return None
    return tuple((place.st_mtime_ns, place.st_size, place.st_ino) for place in places)


def _check_links(folder: Path) -> None:
    """StoreError where a run, or a file of it, is a link: it may lead out of the store."""
    try:
        link = next((path for path in (folder, *folder.iterdir()) if path.is_symlink()), None)
    except OSError as error:
        raise StoreError(f"Cannot read {folder}: {error.strerror}. Make it readable, or take it out of the store.") from error
    if link is not None:
        raise StoreError(f"The run {folder.name!r} is not read: {link} is a link. Copy what it leads to into the store.")


_KINDS: tuple[tuple[Any, str], ...] = (
    (str, "status backbone fingerprint method created device command notes"),
    (int | float, "trained stored bytes seconds seed updates rows"),
    (int | float | None, "valid_loss"),
    (dict, "config versions scores"),
)


def _check_kinds(values: dict[str, Any]) -> None:
    """ValueError names what no run.json says; fields that are missing or unknown come out where the Run is made."""
    for kind, names in _KINDS:
        for name in names.split():
            if name in values and not isinstance(values[name], kind):
                raise ValueError(f"{name} is {values[name]!r}")
    for split, scores in values.get("scores", {}).items():
        if not isinstance(scores, dict) or not all(isinstance(score, dict) and "value" in score for score in scores.values()):
            raise ValueError(f"the scores of {split!r} are {scores!r}")


def _unfinished(folder: Path) -> str:
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        where = f"it stands at update {int(state['update'])} of {int(state['total'])}"
    except Exception:  # anything may stand in a damaged file
        return (
            f"The run {folder.name!r} is not finished: it has no run.json. Train it again under another name, or delete {folder}."
        )
    return (
        f"The run {folder.name!r} is not finished: {where}. If nothing is training it now, go on with: "
        f"python launch.py train --resume --run {folder.name}"
    )


def save_run(run: Run) -> None:
    """Write run.json, by rename."""
    write_json(run.folder / "run.json", run.to_json())


def store() -> Store:
    """The default store."""
    return Store(paths.runs_dir(), paths.BUNDLED_RUNS)
