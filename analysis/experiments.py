"""Methods side by side: trained on the same rows for the same number of updates, scored on the same tables."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.evaluate import Evaluation, evaluate
from core.backbone import Backbone
from core.config import DecodeConfig
from core.methods.table import TITLES
from core.runs import LoadedRun, load_run
from core.store import Run
from core.tasks import Example
from core.training import Training

FROZEN = "frozen"
SHOWN = ("BLEU", "ROUGE-L", "Told")  # of the scores, where they were computed


@dataclass(frozen=True)
class Trial:
    """One line of the comparison; `run` is None for the frozen model. `backbone`: how many parameters that has."""

    run: Run | None
    result: Evaluation
    backbone: int

    def values(self) -> dict[str, Any]:
        """Plain values for JSON."""
        run = self.run
        found: dict[str, Any] = {"method": run.method if run else FROZEN, "run": run.id if run else None}
        for name in ("trained", "stored", "bytes", "updates", "seconds", "valid_loss"):
            found[name] = getattr(run, name) if run else 0 if name != "valid_loss" else None
        return found | {"share": found["stored"] / self.backbone, "scores": self.result.records()}


def trials(
    plan: Training,
    methods: Sequence[str],
    config: Callable[[str], Any],
    examples: Sequence[Example],
    valid: Sequence[Example],
    test: Sequence[Example],
    decode: DecodeConfig,
    cancel: Callable[[], bool] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Iterator[Trial]:
    """The frozen model, then each method, trained into the store as `<plan.run_id>-<method>` with the settings `config(method)`.

    A run of that name that is there already is scored as it is. `progress(method, update, total)` is called after each update.
    """
    backbone = plan.backbone
    yield _scored(None, backbone, plan, test, decode)
    for method in methods:
        run = _trained(replace(plan, run_id=f"{plan.run_id}-{method}", config=config(method)), examples, valid, cancel, progress)
        if cancel is not None and cancel():
            return
        yield _scored(load_run(run, backbone), backbone, plan, test, decode)


def _trained(plan: Training, examples, valid, cancel, progress) -> Run:
    if plan.run_id in {run.id for run in plan.store.runs()}:
        return plan.store.get(plan.run_id)
    for step in plan.steps(examples, valid, cancel):
        if progress is not None:
            progress(plan.config.method, step.index, step.total)
    assert plan.run is not None
    return plan.run


def _scored(loaded: LoadedRun | None, backbone: Backbone, plan: Training, test: Sequence[Example], decode: DecodeConfig) -> Trial:
    model, prefix = (loaded.model, loaded.prefix) if loaded else (backbone.model, None)
    result = evaluate(model, backbone, plan.task, prefix, test, decode)
    return Trial(loaded.run if loaded else None, result, backbone.spec.parameters)


def markdown(found: Sequence[Trial]) -> str:
    """The comparison as a table; shares are of what is stored, measured."""
    names = [name for name in SHOWN if any(name in trial.result.scores for trial in found)]
    lines = ["| method | trained | stored | share | file | validation loss | " + " | ".join(names) + " | training |"]
    lines.append("|---" * (lines[0].count("|") - 1) + "|")
    return "\n".join([*lines, *(_line(trial, names) for trial in found)])


def _line(trial: Trial, names: Sequence[str]) -> str:
    run, scores = trial.run, trial.result.scores
    told = " | ".join(f"{scores[name].value:.1f}" if name in scores else "–" for name in names)
    if run is None:
        return f"| frozen model | 0 | 0 | – | – | – | {told} | – |"
    loss = f"{run.valid_loss:.2f}" if run.valid_loss is not None else "–"
    share = 100 * run.stored / trial.backbone
    cost = f"{run.trained:,} | {run.stored:,} | {f'{share:.0f}' if share >= 10 else f'{share:.2g}'} % | {run.bytes / 1e6:.2f} MB"
    time = f"{run.updates} updates, {run.seconds:.0f} s" if run.updates else "–"
    return f"| {TITLES[run.method]} | {cost} | {loss} | {told} | {time} |"
