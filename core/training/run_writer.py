"""Write a run during its training: log, state, checkpoints and, at the end, the run itself."""

import csv
import hashlib
import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

import psutil
import torch

from core.config.methods import method_info
from core.methods.base import Method
from core.runs.layout import RunFiles, disk_errors, write_json, write_text
from core.runs.run import Run
from core.runs.tensors import save_tensors
from core.training.batches import Row
from core.training.checkpoint import CheckpointExtras, load_checkpoint, save_checkpoint
from core.training.loop import Step, TrainerState, total_updates
from core.training.plan import TrainingPlan
from core.training.sample_log import SampleLogger

HISTORY_BYTES = 1_000_000  # limit on history.safetensors
COLUMNS = ["update", "loss", "valid_loss", "rate", "rows", "seconds"]  # "distance" as well, of a training near a text


def rows_fingerprint(rows: Sequence[Row]) -> str:
    """Return 16 hex digits that identify the training rows."""
    return hashlib.sha256(repr([(row.prompt, row.answer) for row in rows]).encode()).hexdigest()[:16]


class RunWriter:
    """Writes a run's files; `finish` completes it."""

    def __init__(self, plan: TrainingPlan, method: Method, rows: Sequence[Row], state: TrainerState) -> None:
        self.plan, self.files, self.method, self.state = plan, RunFiles(plan.folder), method, state
        self.total, self.rows = total_updates(plan.config, len(rows)), len(rows)
        self.data = rows_fingerprint(rows)
        self.extras = load_checkpoint(plan.folder, method, state, self.data) if plan.resume else CheckpointExtras(None, {})
        self._history_updates = self._choose_history_updates()
        self._log = self._open_log(state.index)
        self._csv, self._state_seconds = csv.writer(self._log), 0.0
        self._write_state(None)
        if not plan.resume:
            self._add_history(0)
            self._save_checkpoint()
        self._samples = SampleLogger(plan.sampler, plan.folder, method, plan.config.watch, state.index)

    def _open_log(self, index: int) -> TextIO:
        """Open steps.csv for appending, cut at the checkpoint; it is rewritten by rename, so that it is complete at any time."""
        before: list[str] = []
        if index and self.files.steps.exists():
            lines = self.files.steps.read_text(encoding="utf-8").splitlines()
            before = [line for line in lines if line[:1].isdigit()][:index]
        columns = [*COLUMNS, *(["distance"] if self.plan.config.near_text else [])]
        write_text(self.files.steps, "\r\n".join([",".join(columns), *before]) + "\r\n")
        return open(self.files.steps, "a", newline="", encoding="utf-8")  # open for the length of the training

    def _choose_history_updates(self) -> set[int]:
        """Return the updates after which the prefix is added to its history: at most eleven, evenly spaced, as its size
        allows."""
        size = sum(kv.numel() for kv in self.method.tensors().values()) * 2
        count = min(10, HISTORY_BYTES // size - 1) if method_info(self.method.name).trajectory else -1
        return {round(self.total * part / count) for part in range(1, count + 1)} | {0} if count > 0 else set()

    def _add_history(self, index: int) -> None:
        if index in self._history_updates:
            tensors = self.method.tensors()
            self.extras.history |= {f"{index:07d}.{site}": kv.to("cpu", torch.float16) for site, kv in tensors.items()}

    def after_update(self, step: Step) -> None:
        """Log one update; sample, write a checkpoint and rewrite state.json when they are due."""
        valid_loss = "" if step.valid_loss is None else f"{step.valid_loss:.5f}"
        distance = [] if step.distance is None else [f"{step.distance:.5f}"]
        with disk_errors(f"write {self.files.folder}", "Free some space, then resume the run."):
            cells = [step.index, f"{step.loss:.5f}", valid_loss, f"{step.rate:.3e}", step.rows, f"{step.seconds:.2f}"]
            self._csv.writerow([*cells, *distance])
            if step.seconds - self._state_seconds > 1 or step.index == step.total:
                self._state_seconds = step.seconds
                self._log.flush()
                self._write_state(step)
            self._samples.after_update(step.index, step.index == step.total)
        self._add_history(step.index)
        if step.best:
            self.extras.best = self.method.tensors()
        if step.index % self.plan.config.save_every == 0 and step.index < step.total:
            self._log.flush()
            self._save_checkpoint()

    def _save_checkpoint(self) -> None:
        save_checkpoint(self.files.folder, self.method, self.state, self.extras, self.data)

    def _write_state(self, step: Step | None, ended: bool = False, **values: object) -> None:
        process = {
            "pid": None if ended else os.getpid(),
            "born": psutil.Process().create_time(),  # a process id alone may be another process's by now
            "host": socket.gethostname(),
            "update": self.state.index,
            "total": self.total,
            "loss": step.loss if step else None,
            "seconds": self.state.seconds,
        }
        write_json(self.files.state, process | self.plan.to_json() | values)

    def close(self) -> None:
        """Close the files; the training can be resumed."""
        try:
            self._log.close()
        except OSError:  # the disk is full, and the caller says so
            pass

    def fail(self, error: Exception) -> None:
        """Record an error of the model or its code, which would occur again: the run cannot be resumed."""
        self.close()
        self._write_state(None, ended=True, error=f"{type(error).__name__}: {str(error).strip()[:500]}")

    def finish(self, status: str) -> Run:
        """Write the weights (the best by validation, else the last), then run.json. A cancelled run can be resumed."""
        self._log.close()
        self.files.stop.unlink(missing_ok=True)
        if status == "cancelled":
            self._save_checkpoint()
            self._write_state(None, ended=True)
        run = self._save_run(status)
        if status != "cancelled":
            self.files.checkpoint.unlink(missing_ok=True)
            self.files.state.unlink(missing_ok=True)
        return run

    def _save_run(self, status: str) -> Run:
        tensors = self.extras.best if self.extras.best is not None else self.method.tensors()
        valid_loss = self.state.valid_loss
        run = self.plan.new_run(
            self.method,
            status=status,
            stored=sum(kv.numel() for kv in tensors.values()),
            seconds=round(self.state.seconds, 1),
            updates=self.state.index,
            rows=self.rows,
            valid_loss=valid_loss if valid_loss < float("inf") else None,
        )
        dtype = torch.float16 if self.plan.half else torch.float32
        save_tensors({name: kv.to("cpu", dtype) for name, kv in tensors.items()}, run.weights)
        if self.extras.history:
            save_tensors(self.extras.history, self.files.history)
        run = replace(run, bytes=run.weights.stat().st_size)
        run.save()
        return run
