"""A run on disk: the name of each file, atomic writes, and the lock of the process that trains it.

run.json              written last, by rename: a run that has it is complete
weights.safetensors   the trained tensors
history.safetensors   a prefix at its start and during training
steps.csv             one line per update
watch.jsonl           samples of one example during training, one JSON object per line
state.json            present during training, and as long as it can be resumed
resume.safetensors    the last checkpoint
stop                  a request to stop the training
.lock                 held by the process that trains
"""

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import BadInput, StoreError

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
ON_WINDOWS = re.compile(r"(con|prn|aux|nul|(com|lpt)\d)(\..*)?|.*\.", re.IGNORECASE)  # names that no file can have there
RUN_JSON = "run.json"
WEIGHTS = "weights.safetensors"
HISTORY = "history.safetensors"
STEPS_CSV = "steps.csv"
SAMPLES = "watch.jsonl"
STATE_JSON = "state.json"
CHECKPOINT = "resume.safetensors"
STOP = "stop"
LOCK = ".lock"
FREE_SPACE = "Free some space, or choose another folder with PREFIX_LAB_HOME."
EARLIER_SCORES = {"Told": "Coverage", "Beyond": "Unsupported"}  # names of scores in files written before 2026-11-29
JsonObject = dict[str, Any]  # as `json.loads` returns it


def with_current_names(scores: JsonObject) -> JsonObject:
    """Return scores by metric under their names of today: "Told-seen" in a file of an earlier version is "Coverage-seen"."""
    names = {name: name.partition("-") for name in scores}
    return {EARLIER_SCORES.get(metric, metric) + dash + part: scores[name] for name, (metric, dash, part) in names.items()}


class RunFiles:
    """The paths of one run's files, whether they exist or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_json = folder / RUN_JSON
        self.weights = folder / WEIGHTS
        self.history = folder / HISTORY
        self.steps = folder / STEPS_CSV
        self.samples = folder / SAMPLES
        self.state = folder / STATE_JSON
        self.checkpoint = folder / CHECKPOINT
        self.stop = folder / STOP
        self.lock = folder / LOCK


def unfinished(store: Path) -> list[str]:
    """Return the ids of the runs in a store's folder that are in training or were interrupted, sorted."""
    return sorted(path.parent.name for path in store.glob(f"[!.]*/{STATE_JSON}"))


def check_id(run_id: str) -> str:
    """Return the id. Raises BadInput unless it is a plain file name."""
    if not ID.fullmatch(run_id) or ".." in run_id:
        raise BadInput(
            f"{run_id[:90]!r} cannot be the name of a run. Use letters, digits, '-', '_' and '.', up to 80 of them, "
            "beginning with a letter or digit."
        )
    return run_id


def check_new_id(run_id: str) -> None:
    """Raise BadInput unless a new run can have the id on any computer, so that it can be passed on."""
    if ON_WINDOWS.fullmatch(check_id(run_id)):
        raise BadInput(f"{run_id!r} cannot be the name of a run: Windows allows no such file name. Give another name.")


@contextmanager
def locked(folder: Path, wait: float = 0) -> Iterator[None]:
    """Hold a run's lock. Raises StoreError if another process holds it after `wait` seconds: it trains the run. The system
    releases the lock when the process ends."""
    from filelock import FileLock, Timeout  # late: --help works before anything is installed

    lock = FileLock(RunFiles(folder).lock)
    with disk_errors(f"write {lock.lock_file}", "Make the runs folder writable, or choose another one with PREFIX_LAB_HOME."):
        try:
            lock.acquire(timeout=wait)
        except Timeout as error:  # an OSError, too
            raise StoreError(f"Another process is training {folder.name!r}. Wait for it, or stop it first.") from error
    try:
        yield
    finally:
        lock.release()


def json_text(values: object) -> str:
    """Return JSON that any reader of UTF-8 takes: of a file name that is not UTF-8, the bytes are escaped."""
    return json.dumps(values, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write as JSON, atomically; see `write_text`."""
    write_text(path, json_text(values))


def temporary_of(path: Path) -> Path:
    """Return the file that becomes `path` by rename; two writers of one file have different ones."""
    return path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")


def remove_temporary(folder: Path) -> None:
    """Delete the files that a process left half written when it was killed; call it under the folder's lock."""
    for path in folder.iterdir():
        if path.name.startswith(".tmp") or path.suffix == ".tmp":  # the first are those of safetensors
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str, advice: str = FREE_SPACE) -> None:
    """Write a file by rename, so that a reader never sees half of it, nor two writers each other's. Raises StoreError, with
    `advice`, if it cannot be written."""
    temporary = temporary_of(path)
    with disk_errors(f"write {path}", advice):
        try:
            temporary.write_text(text, encoding="utf-8", newline="")
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def disk_errors(action: str, advice: str = FREE_SPACE, errors: tuple[type[Exception], ...] = (OSError,)) -> Iterator[None]:
    """Turn an error of the disk into a StoreError: "Cannot `action`: the reason. `advice`"."""
    try:
        yield
    except errors as error:
        raise StoreError(f"Cannot {action}: {getattr(error, 'strerror', None) or error}. {advice}") from error
