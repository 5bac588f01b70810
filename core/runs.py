"""Train a method into the store, and load a run back onto its backbone."""

import copy
import csv
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.backbone import Backbone
from core.batching import Row, rows_of
from core.config import TrainConfig
from core.errors import BadInput, PrefixLabError, WrongBackbone
from core.methods.base import Method
from core.methods.table import new_method
from core.prefix import Prefix
from core.store import Run, Store, save_run, write_json
from core.tasks import Example, Task
from core.train import Step, total_updates, train

HISTORY_BYTES = 1_000_000  # the path of a prefix is kept within this


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A run ready to generate: the model to call (the shared backbone, or its own copy) and its prefix, if it has one."""

    run: Run
    model: nn.Module
    prefix: Prefix | None
    task: Task


def load_run(run: Run, backbone: Backbone) -> LoadedRun:
    """Put a run on its backbone; WrongBackbone names both where the weights' fingerprints differ."""
    if run.fingerprint != backbone.spec.fingerprint:
        raise WrongBackbone(
            f"The run {run.id!r} was trained on {run.backbone} ({run.fingerprint}); "
            f"loaded is {backbone.spec.name} ({backbone.spec.fingerprint}). "
            f"Load {run.backbone}, or train a run on {backbone.spec.name}."
        )
    if run.method == "prefix":
        return LoadedRun(run, backbone.model, Prefix.load(run.weights, run.backbone, run.fingerprint), run.task)
    model = copy.deepcopy(backbone.model)
    try:
        missing = model.load_state_dict(load_file(run.weights), strict=False).missing_keys
    except Exception as error:  # safetensors raises its own class
        raise BadInput(
            f"The weights of {run.id!r} cannot be read ({error}). Train the run again, or restore the file."
        ) from error
    tied = set(dict(model.named_parameters()))
    if any(name in tied for name in missing):
        raise BadInput(f"The weights of {run.id!r} lack {missing[0]!r}. Train the run again, or restore the file.")
    return LoadedRun(run, model, None, run.task)


class RunWriter:
    """Writes a run as it grows; `finish` makes it whole."""

    def __init__(self, folder: Path, method: Method, total: int, half: bool) -> None:
        self.folder, self.method, self.half, self.total = folder, method, half, total
        self.history: dict[str, Tensor] = {}
        self.best: dict[str, Tensor] | None = None
        self.valid_loss: float | None = None
        self._marks = self._history_marks()
        self._handle = open(folder / "steps.csv", "w", newline="", encoding="utf-8")  # noqa: SIM115
        self._csv = csv.writer(self._handle)
        self._csv.writerow(["update", "loss", "valid_loss", "rate", "rows", "seconds"])
        self._said = 0.0
        self._keep(0)

    def _history_marks(self) -> set[int]:
        size = sum(kv.numel() for kv in self.method.tensors().values()) * 2
        count = min(10, HISTORY_BYTES // size - 1) if self.method.length else -1
        return {round(self.total * part / count) for part in range(1, count + 1)} | {0} if count > 0 else set()

    def _keep(self, index: int) -> None:
        if index in self._marks:
            self.history |= {f"{index:07d}.{site}": kv.to("cpu", torch.float16) for site, kv in self.method.tensors().items()}

    def step(self, step: Step) -> None:
        """Note one update."""
        shown = "" if step.valid_loss is None else f"{step.valid_loss:.5f}"
        self._csv.writerow([step.index, f"{step.loss:.5f}", shown, f"{step.rate:.3e}", step.rows, f"{step.seconds:.2f}"])
        self._keep(step.index)
        if step.best:
            self.best, self.valid_loss = self.method.tensors(), step.valid_loss
        if step.seconds - self._said > 1 or step.index == step.total:
            self._said = step.seconds
            self._handle.flush()
            write_json(
                self.folder / "state.json",
                {"update": step.index, "total": step.total, "loss": step.loss, "seconds": step.seconds},
            )

    def finish(self, run: Run) -> Run:
        """Write the weights (the best by validation, else the last) and then run.json."""
        self._handle.close()
        tensors = self.best if self.best is not None else self.method.tensors()
        dtype = torch.float16 if self.half else torch.float32
        save_file({name: kv.to("cpu", dtype).contiguous() for name, kv in tensors.items()}, run.weights)
        if self.history:
            save_file(self.history, self.folder / "history.safetensors")
        values = {name: getattr(run, name) for name in run.__dataclass_fields__}
        stored = sum(kv.numel() for kv in tensors.values())
        whole = Run(**values | {"stored": stored, "bytes": run.weights.stat().st_size, "valid_loss": self.valid_loss})
        save_run(whole)
        (self.folder / "state.json").unlink(missing_ok=True)
        return whole


@dataclass
class Training:
    """A training into the store: iterate `steps()`, then read `run`."""

    backbone: Backbone
    task: Task
    config: TrainConfig
    store: Store
    run_id: str
    command: str = ""
    half: bool = False
    run: Run | None = None

    def steps(
        self, examples: Sequence[Example], valid: Sequence[Example], cancel: Callable[[], bool] | None = None
    ) -> Iterator[Step]:
        """Train and keep. When `cancel()` turns true, or the loss runs away, what there is is kept and the status says so."""
        method = new_method(self.backbone, self.config)
        rows = rows_of(self.backbone, self.task, examples, method.length)
        valid_rows = self._valid_rows(valid, method.length)
        if not rows:
            raise BadInput("There is nothing to train on: the data holds no row. Give a file with at least one.")
        total = total_updates(self.config, len(rows))
        folder = self.store.new_folder(self.run_id)
        writer = RunWriter(folder, method, total, self.half)
        status, last, failure = "cancelled", None, None
        try:
            for last in train(method, rows, valid_rows, self.config, cancel):
                writer.step(last)
                yield last
            if last is not None and last.index == last.total:
                status = "done"
        except PrefixLabError as error:
            status, failure = "failed", error
        finally:
            self.run = writer.finish(self._describe(folder, method, status, last, len(rows)))
        if failure is not None:
            raise failure

    def _valid_rows(self, valid: Sequence[Example], length: int) -> list[Row]:
        rows = rows_of(self.backbone, self.task, valid, length)
        step = max(1, len(rows) // self.config.valid_rows) if self.config.valid_rows else 0
        return rows[::step][: self.config.valid_rows] if step else []

    def _describe(self, folder: Path, method: Method, status: str, last: Step | None, rows: int) -> Run:
        spec = self.backbone.spec
        return Run(
            id=self.run_id,
            folder=folder,
            bundled=False,
            status=status,
            backbone=spec.name,
            fingerprint=spec.fingerprint,
            method=method.name,
            task=self.task,
            config=self.config.to_dict(),
            trained=sum(p.numel() for p in method.parameters()),
            stored=0,
            bytes=0,
            seconds=round(last.seconds, 1) if last else 0.0,
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            device=str(self.backbone.device),
            seed=self.config.seed,
            command=self.command,
            updates=last.index if last else 0,
            rows=rows,
            versions={name: version(name) for name in ("torch", "transformers")},
        )


def add_scores(run: Run, split: str, scores: dict[str, dict]) -> Run:
    """Note scores under `scores.<split>.<METRIC>` in run.json."""
    path = run.folder / "run.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values.setdefault("scores", {}).setdefault(split, {}).update(scores)
    write_json(path, values)
    run.scores.setdefault(split, {}).update(scores)
    return run
