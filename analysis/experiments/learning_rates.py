"""The trainings of a comparison: each run once, resumed if interrupted, at a learning rate chosen by validation loss."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.config.methods import METHODS, method_info
from core.config.train import check_values
from core.errors import BadConfig, BadInput, StoreError, TrainingFailed
from core.runs.layout import check_id
from core.runs.manage import adopt
from core.runs.run import Run
from core.runs.status import read_status
from core.runs.store import Store
from core.task import Example
from core.training.trainer import Trainer

SEARCH_FOLDER = ".trials"  # in the store's folder: the trainings of an unfinished search


@dataclass(frozen=True)
class TrainingData:
    """Training and validation examples. `cancel` ends the current training; `progress(name, update, total)` reports it."""

    examples: Sequence[Example]
    valid: Sequence[Example]
    cancel: Callable[[], bool] | None = None
    progress: Callable[[str, int, int], None] | None = None

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` returns true."""
        return self.cancel is not None and self.cancel()


def train_or_resume(plan: Trainer, rows: TrainingData, free: Sequence[str] = ()) -> Run:
    """Return the run of a plan if it is finished, resume it if it was interrupted, or train it.

    Raises StoreError if a run of that name has other settings, ignoring those in `free` and those of other methods. A run that
    diverged has the status "failed".
    """
    folder = plan.store.folder / plan.run_id
    stands = read_status(folder)
    if stands.state in ("done", "failed"):
        run = plan.store.get(plan.run_id)
        pairs = sum(len(one.targets) for one in rows.examples)
        _check_settings(
            run.id, run.config | {"rows": run.rows}, plan.config.to_dict() | ({"rows": pairs} if run.rows else {}), free
        )
        return run
    if stands.resumable:
        _check_settings(plan.run_id, stands.config, plan.config.to_dict(), free)
        plan = replace(plan, resume=True)
    what = f"{plan.config.method}, rate {plan.config.rate:g}, seed {plan.config.seed}"
    try:
        for step in plan.steps(rows.examples, rows.valid, rows.cancel):
            if rows.progress is not None:
                rows.progress(what, step.index, step.total)
    except TrainingFailed:
        assert plan.run is not None
    assert plan.run is not None
    return plan.run


def _check_settings(run_id: str, existing: Mapping[str, object], requested: Mapping[str, object], free: Sequence[str]) -> None:
    others = {name for info in METHODS.values() for name in info.settings} - set(method_info(str(requested["method"])).settings)
    for name, value in requested.items():
        if name not in (*free, *others, "context") and existing.get(name) != value:
            raise StoreError(
                f"{name} is {existing.get(name)!r} in the run {run_id!r}, which exists with other settings, and requested is "
                f"{value!r}. Give another --run, or delete that one.",
                name,
            )


def check_rates(rates: Sequence[float], valid: Sequence[Example]) -> None:
    """Raise BadConfig for an invalid learning rate, BadInput if there is no validation split to choose one by."""
    check_values("rate", rates, "rates")
    if rates and not valid:
        raise BadInput("A rate is chosen by validation loss, and the data has no split to validate on. Leave --rates out.")


def tune_learning_rate(plan: Trainer, rates: Sequence[float], rows: TrainingData) -> Run | None:
    """The run of a plan at the learning rate with the lowest validation loss; None if cancelled or if every rate diverged.

    The search begins at the rate next to the plan's own, and goes on until the rates on both sides of the best are worse, so
    that rates far from it are not tried. All trainings have the plan's other settings, seed and updates. The best of them
    becomes the run, and the losses of all go into its notes. Finished trainings are not repeated. Raises BadConfig if nothing
    is validated.
    """
    check_id(plan.run_id)
    if read_status(plan.store.folder / plan.run_id).state == "done":
        return train_or_resume(plan, rows, ("rate",))
    if not plan.config.valid_rows:
        raise BadConfig("valid_rows is 0, and a rate is chosen by validation loss: give at least 1.", "valid_rows")
    search = Store(plan.store.folder / SEARCH_FOLDER / plan.run_id)
    runs: dict[float, Run] = {}
    losses: dict[float, float] = {}
    while (rate := next_rate(rates, losses, plan.config.rate)) is not None:
        runs[rate] = train_or_resume(replace(plan, store=search, run_id=f"{rate:g}", config=plan.config.replace(rate=rate)), rows)
        if rows.cancelled:
            return None
        losses[rate] = _loss(runs[rate])
    best = min(losses, key=lambda rate: losses[rate])
    if math.isinf(losses[best]):
        return None
    run = adopt(runs[best], plan.store, plan.run_id, describe_search(losses, plan.config.seed))
    shutil.rmtree(search.folder, ignore_errors=True)
    return run


def next_rate(rates: Sequence[float], losses: Mapping[float, float], start: float) -> float | None:
    """Return the rate to try after those in `losses`: first the one closest to `start` (by ratio), then a neighbour of the best.

    None if the best rate is better than both its neighbours, or is at an end of `rates`. A diverged training has an infinite
    loss; as long as all diverge, the next lower rate follows.
    """
    grid = sorted(set(rates))
    if not losses:
        return min(grid, key=lambda rate: abs(math.log(rate / start)))
    place = grid.index(min(losses, key=lambda rate: (losses[rate], rate)))
    neighbours = [grid[near] for near in (place - 1, place + 1) if 0 <= near < len(grid)]
    return next((rate for rate in neighbours if rate not in losses), None)


def _loss(run: Run) -> float:
    return run.valid_loss if run.status == "done" and run.valid_loss is not None else math.inf


def describe_search(losses: dict[float, float], seed: int) -> str:
    """Summarize the search in a sentence."""
    each = ", ".join(
        f"{rate:g}: {loss:.3f}" if math.isfinite(loss) else f"{rate:g}: diverged" for rate, loss in sorted(losses.items())
    )
    return f"Rate chosen by validation loss with seed {seed}. {each}."
