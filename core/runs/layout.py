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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadInput, StoreError

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
RUN_JSON = "run.json"
WEIGHTS = "weights.safetensors"
HISTORY = "history.safetensors"
STEPS_CSV = "steps.csv"
SAMPLES = "watch.jsonl"
STATE_JSON = "state.json"
CHECKPOINT = "resume.safetensors"
STOP = "stop"
LOCK = ".lock"
JsonObject = dict[str, Any]  # as `json.loads` returns it


@dataclass(frozen=True)
class RunFiles:
    """The paths of one run's files, whether they exist or not."""

    folder: Path

    @property
    def run_json(self) -> Path:
        """The record of a finished run."""
        return self.folder / RUN_JSON

    @property
    def weights(self) -> Path:
        """The trained tensors."""
        return self.folder / WEIGHTS

    @property
    def history(self) -> Path:
        """The prefix during training."""
        return self.folder / HISTORY

    @property
    def steps(self) -> Path:
        """Loss, learning rate and time of each update."""
        return self.folder / STEPS_CSV

    @property
    def samples(self) -> Path:
        """The samples of one example during training."""
        return self.folder / SAMPLES

    @property
    def state(self) -> Path:
        """The state of an unfinished training."""
        return self.folder / STATE_JSON

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint, from which a training is resumed."""
        return self.folder / CHECKPOINT

    @property
    def stop(self) -> Path:
        """If this file exists, the training stops after the current update."""
        return self.folder / STOP

    @property
    def lock(self) -> Path:
        """Locked by the process that trains the run."""
        return self.folder / LOCK


def unfinished(store: Path) -> list[str]:
    """Return the ids of the runs in a store's folder that are in training or were interrupted, sorted."""
    return sorted(path.parent.name for path in store.glob(f"[!.]*/{STATE_JSON}"))


def check_id(run_id: str) -> str:
    """Return the id. Raises BadInput unless it is a plain file name."""
    if not ID.fullmatch(run_id) or ".." in run_id:
        raise BadInput(
            f"{run_id[:90]!r} is not a run id. Use letters, digits, '-', '_' and '.', up to 80 of them, "
            "beginning with a letter or digit."
        )
    return run_id


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's lock. Raises StoreError if another process trains the run. The system releases the lock when the process
    ends."""
    from filelock import FileLock, Timeout  # late: --help works before anything is installed

    lock = FileLock(RunFiles(folder).lock)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StoreError(f"Another process is training {folder.name!r}. Wait for it, or stop it first.") from error
    try:
        yield
    finally:
        lock.release()


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write as JSON, atomically; see `write_text`."""
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file by rename, so that a reader never sees half of it. Raises StoreError if it cannot be written."""
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        os.replace(temporary, path)
    except OSError as error:
        raise not_written(path, error.strerror or error) from error


def not_written(path: Path, reason: object) -> StoreError:
    """Return the error for a file that cannot be written."""
    return StoreError(f"Cannot write {path}: {reason}. Free some space, or choose another folder with PREFIX_LAB_HOME.")
