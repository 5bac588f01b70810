"""Train a method into the store, and resume a training that was stopped or killed."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core.config.train import TrainConfig
from core.data.registry import evenly_spaced
from core.errors import BadConfig, BadInput, StoreError, TrainingFailed, WrongBackbone
from core.methods.base import Method
from core.methods.in_context import InContextMethod, build_context
from core.methods.registry import new_method
from core.models.backbone import Backbone
from core.models.inputs import task_for_backbone
from core.models.loading import DeviceMap, load_backbone
from core.models.locate import DEFAULT, DEFAULTS
from core.runs.layout import RunFiles, locked, remove_temporary
from core.runs.run import Run
from core.runs.status import read_status
from core.runs.store import Store
from core.runs.tensors import save_tensors
from core.task import Example, Task
from core.training.batches import Row, encode_rows
from core.training.checkpoint import load_checkpoint
from core.training.loop import Step, evaluate_loss, initial_state, train
from core.training.plan import TrainingPlan
from core.training.run_writer import RunWriter, rows_fingerprint
from core.training.spec import TrainSpec


@dataclass
class Trainer(TrainingPlan):
    """A training into the store: iterate over `steps()`, then read `run`.

    Of the processes of a `group`, only the first writes and has a `run`.
    """

    run: Run | None = None

    def steps(
        self, examples: Sequence[Example], valid: Sequence[Example], cancel: Callable[[], bool] | None = None
    ) -> Iterator[Step]:
        """Train, yielding after each update, and save the run.

        Stops early when `cancel()` returns true or a file "stop" appears in the run's folder; the run is then "cancelled" and
        can be resumed. Raises TrainingFailed, after saving the last good weights, if the loss is not finite; StoreError on a
        full disk, where the last complete checkpoint stays; BadConfig for a patience without rows to validate on. After any
        other error the run cannot be resumed.
        """
        method = new_method(self.backbone, self.config)
        if isinstance(method, InContextMethod):
            if self.group.rank:
                return
            self.run = self._save_context(method, examples, valid)
            return
        rows = encode_rows(self.backbone, self.task, examples, method.length, method.infix)
        valid_rows = self._valid_rows(valid, method)
        if not rows:
            raise BadInput("There is nothing to train on: the data has no row. Give a file with at least one.")
        if self.config.patience and not valid_rows:
            raise BadConfig("patience counts validations, and there is no row to validate on: give 0, or such rows.", "patience")
        if self.group.rank:
            yield from self._assist(method, rows, valid_rows, cancel)
            return
        if not self.resume:
            self.store.new_folder(self.run_id)
        with locked(self.folder):
            yield from self._train(method, rows, valid_rows, cancel)

    def _train(self, method: Method, rows: list[Row], valid_rows: list[Row], cancel: Callable[[], bool] | None) -> Iterator[Step]:
        stop = RunFiles(self.folder).stop
        stop.unlink(missing_ok=True)
        remove_temporary(self.folder)

        def stopped() -> bool:
            return (cancel is not None and cancel()) or stop.exists()

        state = initial_state(method, self.config)
        writer = RunWriter(self, method, rows, state)
        try:
            for step in train(method, rows, valid_rows, self.config, stopped, state, self.group):
                writer.after_update(step)
                yield step
        except TrainingFailed:
            self.run = writer.finish("failed")
            self.group.wait()
            raise
        except (StoreError, OSError, MemoryError):  # the machine's reasons: the run can be resumed
            writer.close()
            raise
        except Exception as error:
            if "out of memory" in str(error):
                writer.close()
            else:
                writer.fail(error)
            raise
        ended = state.index >= writer.total or 0 < self.config.patience <= state.stale
        self.run = writer.finish("done" if ended else "cancelled")

    def _assist(
        self, method: Method, rows: list[Row], valid_rows: list[Row], cancel: Callable[[], bool] | None
    ) -> Iterator[Step]:
        """Compute this process's share of each update; the first process writes the run."""
        state = initial_state(method, self.config)
        if self.resume:
            load_checkpoint(self.folder, method, state, rows_fingerprint(rows))
        try:
            yield from train(method, rows, valid_rows, self.config, cancel, state, self.group)
        except TrainingFailed:
            self.group.wait()  # torchrun ends all processes when one fails, and the first is still writing
            raise

    def _save_context(self, method: InContextMethod, examples: Sequence[Example], valid: Sequence[Example]) -> Run:
        """Save the text of an in-context run: nothing is trained, and its file of weights is empty."""
        began = time.monotonic()
        text = build_context(self.backbone, self.task, self.config, examples)
        method.set_context(text)
        rows = self._valid_rows(valid, method)
        loss = evaluate_loss(method, rows, self.config) if rows else None
        self.store.new_folder(self.run_id)
        run = self.new_run(
            method,
            self.config.replace(context=text),
            bytes=len(text.encode()),
            seconds=round(time.monotonic() - began, 1),
            valid_loss=loss,
        )
        save_tensors({}, run.weights)
        run.save()
        return run

    def _valid_rows(self, valid: Sequence[Example], method: Method) -> list[Row]:
        rows = encode_rows(self.backbone, self.task, valid, method.length, method.infix)
        return evenly_spaced(rows, self.config.valid_rows)


def new_training(spec: TrainSpec, store: Store, device: str = "auto", device_map: DeviceMap = "", command: str = "") -> Trainer:
    """A training that has not begun, on its backbone; its examples are `spec.source.load_train_valid([])`.

    `command`: what the run's files name as the command that made it. Raises BadConfig, and the errors of `load_backbone`.
    """
    config, source = spec.config(), spec.source
    backbone = load_backbone(spec.backbone or DEFAULTS.get(source.task_form, DEFAULT), device, device_map)
    task = task_for_backbone(backbone, spec.task_name, spec.task_layout, source.task_form, spec.cut)
    return Trainer(backbone, task, config, store, spec.run, command, spec.half, source.to_dict())


def resume_training(store: Store, run_id: str, load: Callable[[str], Backbone]) -> Trainer:
    """Return a training that continues from its last checkpoint; `load` loads a backbone by name.

    Raises StoreError if it cannot be resumed, WrongBackbone if the backbone has other weights now.
    """
    store.check_own(run_id)
    if read_status(store.folder / run_id).state == "done":  # its state.json may be there: killed after its last file was written
        raise StoreError(f"The run {run_id!r} is finished, and there is nothing to resume. Train again under another name.")
    try:
        state = json.loads(RunFiles(store.folder / run_id).state.read_text(encoding="utf-8"))
        config, task = TrainConfig.from_dict(state["config"]), Task.from_dict(state["task"])
        name, fingerprint = state["backbone"], state["fingerprint"]
        options = {key: state[key] for key in ("command", "half", "source")}
    except FileNotFoundError as error:
        raise StoreError(f"The run {run_id!r} was never begun, or failed. Train again under another name.") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(
            f"The state.json of {run_id!r} cannot be read ({type(error).__name__}: {error}), so there is nothing to "
            "continue from. Train again under another name."
        ) from error
    if failure := state.get("error"):
        raise StoreError(f"The run {run_id!r} would fail again: {failure.rstrip('.')}. Train again under another name.")
    backbone = load(name)
    if backbone.spec.fingerprint != fingerprint:
        raise WrongBackbone(
            f"The run {run_id!r} was begun on {name} with other weights ({fingerprint}) than are there now "
            f"({backbone.spec.fingerprint}). Put those back to resume it, or train again under another name."
        )
    return Trainer(backbone, task, config, store, run_id, resume=True, **options)
