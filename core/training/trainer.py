"""Train a method into the store: steps noted, checkpoints kept, an interrupted run taken up again."""

import csv
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from core.config.methods import method_info
from core.config.train import TrainConfig
from core.errors import BadInput, StoreError, TrainingFailed, WrongBackbone
from core.methods.base import Method
from core.methods.in_context import InContextMethod, build_context
from core.methods.registry import new_method
from core.models.backbone import Backbone
from core.runs.store import Run, Store, save_run, write_json, write_text
from core.task import Example, Task
from core.training.batches import Row, encode_rows
from core.training.checkpoint import NAME, Kept, load_checkpoint, save_checkpoint, save_tensors
from core.training.loop import Progress, Step, evaluate_loss, new_progress, total_updates, train
from core.training.sample_log import Look, Watching

HISTORY_BYTES = 1_000_000  # the path of virtual tokens is kept within this
COLUMNS = ["update", "loss", "valid_loss", "rate", "rows", "seconds"]
STOP = "stop"  # a file of this name in the run's folder stops the training from outside


@dataclass
class Training:
    """A training into the store: iterate `steps()`, then read `run`.

    `source` says where the data came from, for `resume`; `look` tells one fixed example, every `config.watch` updates.
    """

    backbone: Backbone
    task: Task
    config: TrainConfig
    store: Store
    run_id: str
    command: str = ""
    half: bool = False
    source: dict[str, Any] = field(default_factory=dict)
    resume: bool = False
    run: Run | None = None
    look: Look | None = None

    def steps(
        self, examples: Sequence[Example], valid: Sequence[Example], cancel: Callable[[], bool] | None = None
    ) -> Iterator[Step]:
        """Train and keep. When `cancel()` turns true, a file "stop" appears in the run's folder, or the loss runs away, what
        there is is kept and the status says so.

        A disk that is full raises StoreError; the last whole checkpoint stays.
        """
        method = new_method(self.backbone, self.config)
        if isinstance(method, InContextMethod):
            self.run = self._in_context(method, examples, valid)
            return
        rows = encode_rows(self.backbone, self.task, examples, method.length, method.infix)
        valid_rows = self._valid_rows(valid, method)
        if not rows:
            raise BadInput("There is nothing to train on: the data holds no row. Give a file with at least one.")
        folder = self.store.folder / self.run_id if self.resume else self.store.new_folder(self.run_id)
        with locked(folder):
            (folder / STOP).unlink(missing_ok=True)
            writer = _Writer(self, folder, method, rows, new_progress(method, self.config))
            status, failure = "cancelled", None
            try:
                for step in train(method, rows, valid_rows, self.config, _either(cancel, folder / STOP), writer.progress):
                    writer.note(step)
                    yield step
                ended = writer.progress.index >= writer.total
                stale = 0 < self.config.patience <= writer.progress.stale
                status = "done" if ended or stale else "cancelled"
            except TrainingFailed as error:
                status, failure = "failed", error
            except StoreError:
                writer.close()
                raise
            self.run = writer.finish(status)
        if failure is not None:
            raise failure

    def _in_context(self, method: InContextMethod, examples: Sequence[Example], valid: Sequence[Example]) -> Run:
        """Keep the text; there is nothing to train. Its file of weights is empty."""
        began = time.monotonic()
        text = build_context(self.backbone, self.task, self.config, examples)
        method.set_context(text)
        rows = self._valid_rows(valid, method)
        loss = evaluate_loss(method, rows, self.config) if rows else None
        seconds = time.monotonic() - began
        run = described(self, self.store.new_folder(self.run_id), "done", method, {}, seconds=seconds, valid_loss=loss)
        run = replace(run, config=self.config.replace(context=text).to_dict(), bytes=len(text.encode()))
        save_tensors({}, run.weights)
        save_run(run)
        return run

    def _valid_rows(self, valid: Sequence[Example], method: Method) -> list[Row]:
        rows = encode_rows(self.backbone, self.task, valid, method.length, method.infix)
        step = max(1, len(rows) // self.config.valid_rows) if self.config.valid_rows else 0
        return rows[::step][: self.config.valid_rows] if step else []


def _either(cancel: Callable[[], bool] | None, stop: Path) -> Callable[[], bool]:
    return lambda: (cancel is not None and cancel()) or stop.exists()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The run is this process's own; StoreError where another one has it. Given back when the process ends, however it ends."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StoreError(f"Another process is training {folder.name!r}. Wait for it, or stop it first.") from error
    try:
        yield
    finally:
        lock.release()


def resumed(store: Store, run_id: str, backbone: Callable[[str], Backbone]) -> Training:
    """An interrupted or stopped training, ready to go on; StoreError says why one cannot."""
    folder = store.folder / run_id
    store.check_own(run_id)
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        config, form = TrainConfig.from_dict(state["config"]), Task.from_dict(state["task"])
        name, fingerprint = state["backbone"], state["fingerprint"]
        rest = {key: state[key] for key in ("command", "half", "source")}
    except FileNotFoundError as error:
        raise StoreError(f"The run {run_id!r} is finished, or was never begun. Train again under another name.") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(
            f"The state.json of {run_id!r} cannot be read ({type(error).__name__}: {error}), so there is nothing to go on from. "
            "Train again under another name."
        ) from error
    loaded = backbone(name)
    if loaded.spec.fingerprint != fingerprint:
        raise WrongBackbone(f"The run {run_id!r} was begun on {name} ({fingerprint}); loaded is {loaded.spec.fingerprint}.")
    return Training(loaded, form, config, store, run_id, resume=True, **rest)


class _Writer:
    """Writes a run as it grows; `finish` makes it whole."""

    def __init__(self, training: Training, folder: Path, method: Method, rows: list[Row], progress: Progress) -> None:
        self.training, self.folder, self.method, self.progress = training, folder, method, progress
        self.total, self.rows = total_updates(training.config, len(rows)), len(rows)
        self.data = hashlib.sha256(repr([(row.prompt, row.answer) for row in rows]).encode()).hexdigest()[:16]
        self.kept = Kept(None, {})
        if training.resume:
            self.kept = load_checkpoint(folder, method, progress, self.data)
        self._marks = self._history_marks()
        self._lines = self._open(progress.index)
        self._csv, self._said = csv.writer(self._lines), 0.0
        self._state(None)
        if not training.resume:
            self._keep(0)
            self._save()
        self._watching = Watching(training.look, folder, method, training.config.watch, progress.index)

    def _open(self, index: int):
        """steps.csv up to the checkpoint, open for what follows; by rename, so that neither a reader nor a kill finds it cut."""
        path, before = self.folder / "steps.csv", []
        if index and path.exists():
            before = [line for line in path.read_text(encoding="utf-8").splitlines() if line[:1].isdigit()][:index]
        write_text(path, "\r\n".join([",".join(COLUMNS), *before]) + "\r\n")
        return open(path, "a", newline="", encoding="utf-8")  # open for the length of the run

    def _history_marks(self) -> set[int]:
        size = sum(kv.numel() for kv in self.method.tensors().values()) * 2
        count = min(10, HISTORY_BYTES // size - 1) if method_info(self.method.name).trajectory else -1
        return {round(self.total * part / count) for part in range(1, count + 1)} | {0} if count > 0 else set()

    def _keep(self, index: int) -> None:
        if index in self._marks:
            tensors = self.method.tensors()
            self.kept.history |= {f"{index:07d}.{site}": kv.to("cpu", torch.float16) for site, kv in tensors.items()}

    def note(self, step: Step) -> None:
        """Note one update."""
        shown = "" if step.valid_loss is None else f"{step.valid_loss:.5f}"
        try:
            self._csv.writerow([step.index, f"{step.loss:.5f}", shown, f"{step.rate:.3e}", step.rows, f"{step.seconds:.2f}"])
            if step.seconds - self._said > 1 or step.index == step.total:
                self._said = step.seconds
                self._lines.flush()
                self._state(step)
            self._watching.note(step.index, step.index == step.total)
        except OSError as error:
            raise StoreError(
                f"Cannot write {self.folder} ({error.strerror}). Free some space, then go on with --resume."
            ) from error
        self._keep(step.index)
        if step.best:
            self.kept.best = self.method.tensors()
        if step.index % self.training.config.save_every == 0 and step.index < step.total:
            self._lines.flush()
            self._save()

    def _save(self) -> None:
        save_checkpoint(self.folder, self.method, self.progress, self.kept, self.data)

    def _state(self, step: Step | None, ended: bool = False) -> None:
        made, spec = self.training, self.training.backbone.spec
        values = {
            "pid": None if ended else os.getpid(),
            "born": psutil.Process().create_time(),  # a process id alone may be another process's by now
            "update": self.progress.index,
            "total": self.total,
            "loss": step.loss if step else None,
            "seconds": self.progress.seconds,
            "config": made.config.to_dict(),
            "task": made.task.to_dict(),
            "backbone": spec.where,
            "fingerprint": spec.fingerprint,
            "command": made.command,
            "half": made.half,
            "source": made.source,
        }
        write_json(self.folder / "state.json", values)

    def close(self) -> None:
        """Leave everything for `resume`."""
        try:
            self._lines.close()
        except OSError:  # the disk is full, and the caller says so
            pass

    def finish(self, status: str) -> Run:
        """Write the weights (the best by validation, else the last) and then run.json; a stopped run can go on later."""
        self._lines.close()
        (self.folder / STOP).unlink(missing_ok=True)
        if status == "cancelled":
            self._save()
            self._state(None, ended=True)
        tensors = self.kept.best if self.kept.best is not None else self.method.tensors()
        lowest = self.progress.lowest
        measured = dict(updates=self.progress.index, rows=self.rows, valid_loss=lowest if lowest < float("inf") else None)
        run = described(self.training, self.folder, status, self.method, tensors, seconds=self.progress.seconds, **measured)
        dtype = torch.float16 if self.training.half else torch.float32
        save_tensors({name: kv.to("cpu", dtype) for name, kv in tensors.items()}, run.weights)
        if self.kept.history:
            save_tensors(self.kept.history, self.folder / "history.safetensors")
        run = replace(run, bytes=run.weights.stat().st_size)
        save_run(run)
        if status != "cancelled":
            (self.folder / NAME).unlink(missing_ok=True)
            (self.folder / "state.json").unlink(missing_ok=True)
        return run


def described(
    made: Training, folder: Path, status: str, method: Method, tensors: dict[str, Tensor], seconds: float, **measured: Any
) -> Run:
    """The run as run.json says it; `bytes` is still to come."""
    spec = made.backbone.spec
    return Run(
        id=made.run_id,
        folder=folder,
        bundled=False,
        status=status,
        backbone=spec.name,
        fingerprint=spec.fingerprint,
        method=method.name,
        task=made.task,
        config=made.config.to_dict(),
        trained=sum(p.numel() for p in method.parameters()),
        stored=sum(kv.numel() for kv in tensors.values()),
        bytes=0,
        seconds=round(seconds, 1),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        device=str(made.backbone.device),
        seed=made.config.seed,
        command=made.command,
        versions={name: version(name) for name in ("torch", "transformers")},
        **measured,
    )
