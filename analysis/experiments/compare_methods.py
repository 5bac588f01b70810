"""Methods side by side: trained on the same rows for the same number of updates, scored on the same tables."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Any

from analysis.evaluation.evaluate import Evaluation, evaluate
from analysis.experiments.learning_rates import TrainingData, train_or_resume, tune_learning_rate
from analysis.metrics.base import metric_label
from core.config.decode import DecodeConfig
from core.config.methods import method_info
from core.config.train import TrainConfig
from core.methods.loading import LoadedRun, load_run
from core.models.backbone import Backbone
from core.runs.run import Run
from core.task import Example
from core.training.trainer import Trainer

FROZEN = "frozen"
SCORE_COLUMNS = ("BLEU", "BLEU-seen", "BLEU-unseen", "ROUGE-L", "Told")  # of the scores, where they were computed


@dataclass(frozen=True)
class MethodResult:
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
        found |= {"seed": run.seed, "rate": run.config.get("rate"), "notes": run.notes} if run else {}
        return found | {"share": found["stored"] / self.backbone, "scores": self.result.records()}


def run_comparison(
    plan: Trainer,
    methods: Sequence[str],
    config: Callable[[str], TrainConfig],
    rows: TrainingData,
    test: Sequence[Example],
    decode: DecodeConfig,
    rates: Sequence[float] = (),
    seeds: int = 1,
) -> Iterator[MethodResult]:
    """The frozen model, then each method with each seed, trained into the store as `<plan.run_id>-<method>` with the settings
    `config(method)`; later seeds add `-seed<n>`.

    rates: where given, a method's rate is the one of these with the lowest validation loss, with the first seed. A run that is
    there already is scored as it is; one that broke off goes on.
    """
    backbone = plan.backbone
    yield _evaluate(None, backbone, plan, test, decode)
    for method in methods:
        first = replace(plan, run_id=f"{plan.run_id}-{method}", config=config(method))
        for run in _train_seeds(first, rows, rates if method_info(method).trained else (), seeds):
            if run is None or run.status == "failed":
                continue
            if rows.cancelled:
                return
            yield _evaluate(load_run(run, backbone), backbone, plan, test, decode)
        if rows.cancelled:
            return


def _train_seeds(first: Trainer, rows: TrainingData, rates: Sequence[float], seeds: int) -> Iterator[Run | None]:
    """A method's runs, one a seed; None where none of the rates would do."""
    run = tune_learning_rate(first, rates, rows) if rates else train_or_resume(first, rows)
    yield run
    if run is None:
        return
    begin = first.config.seed
    for seed in range(begin + 1, begin + seeds):
        config = first.config.replace(rate=run.config["rate"], seed=seed)
        yield train_or_resume(replace(first, run_id=f"{first.run_id}-seed{seed}", config=config), rows)


def _evaluate(
    loaded: LoadedRun | None, backbone: Backbone, plan: Trainer, test: Sequence[Example], decode: DecodeConfig
) -> MethodResult:
    model, prefix = (loaded.model, loaded.prefix) if loaded else (backbone.model, None)
    result = evaluate(model, backbone, plan.task, prefix, test, decode)
    return MethodResult(loaded.run if loaded else None, result, backbone.spec.parameters)


def by_method(found: Sequence[MethodResult]) -> list[list[MethodResult]]:
    """The trials of each method, one a seed."""
    groups: dict[str, list[MethodResult]] = {}
    for trial in found:
        groups.setdefault(trial.run.method if trial.run else FROZEN, []).append(trial)
    return list(groups.values())


def summarize_seeds(group: Sequence[MethodResult]) -> dict[str, Any]:
    """Plain values for JSON: what the seeds of a method came to, as (mean, standard deviation, how many)."""
    scores = {name: [trial.result.scores[name].value for trial in group] for name in group[0].result.scores}
    losses = [trial.run.valid_loss for trial in group if trial.run and trial.run.valid_loss is not None]
    values = {name: many for name, many in (scores | {"valid_loss": losses}).items() if many}
    return {
        "method": group[0].run.method if group[0].run else FROZEN,
        "seeds": [trial.run.seed for trial in group if trial.run],
        "mean": {name: round(mean(many), 4) for name, many in values.items()},
        "sd": {name: round(stdev(many), 4) if len(many) > 1 else None for name, many in values.items()},
    }


def markdown(found: Sequence[MethodResult], rates: Sequence[float] = ()) -> str:
    """The comparison as a table, a line a method; shares are of what is stored, measured. Of several seeds, the mean and the
    standard deviation."""
    names = [name for name in SCORE_COLUMNS if any(name in trial.result.scores for trial in found)]
    columns = " | ".join(map(metric_label, names))
    lines = [f"| method | trained | stored | share | file | rate | validation loss | {columns} | training |"]
    lines.append("|---" * (lines[0].count("|") - 1) + "|")
    lines += [_method_row(group, names, rates) for group in by_method(found)]
    return "\n".join([*lines, "", _recipe(found, rates)])


def _method_row(group: Sequence[MethodResult], names: Sequence[str], rates: Sequence[float]) -> str:
    run, told = group[0].run, summarize_seeds(group)
    scores = " | ".join(_with_sd(told, name, ".1f") for name in names)
    if run is None:
        return f"| frozen model | 0 | 0 | – | – | – | – | {scores} | – |"
    share = 100 * run.stored / group[0].backbone
    cost = f"{run.trained:,} | {run.stored:,} | {f'{share:.0f}' if share >= 10 else f'{share:.2g}'} % | {run.bytes / 1e6:.2f} MB"
    seconds = mean(trial.run.seconds for trial in group if trial.run)
    time = f"{run.updates} updates, {seconds:.0f} s" if run.updates else "–"
    title = method_info(run.method).title
    return f"| {title} | {cost} | {_rate(run, rates)} | {_with_sd(told, 'valid_loss', '.2f')} | {scores} | {time} |"


def _rate(run: Run, rates: Sequence[float]) -> str:
    """The rate; one at the end of the grid says so, for a better one may lie beyond."""
    rate = run.config.get("rate")
    if not method_info(run.method).trained or not isinstance(rate, float):
        return "–"
    edge = {min(rates): ", the lowest tried", max(rates): ", the highest tried"} if len(set(rates)) > 1 else {}
    return f"{rate:g}{edge.get(rate, '')}"


def _with_sd(told: dict[str, Any], name: str, form: str) -> str:
    if name not in told["mean"]:
        return "–"
    sd = told["sd"][name]
    return f"{told['mean'][name]:{form}}" + (f" ± {sd:{form}}" if sd is not None else "")


def _recipe(found: Sequence[MethodResult], rates: Sequence[float]) -> str:
    """How the numbers came about."""
    seeds = sorted({trial.run.seed for trial in found if trial.run})
    tried = f" Rates tried: {', '.join(f'{rate:g}' for rate in sorted(set(rates)))}; chosen by validation loss." if rates else ""
    tables = len(found[0].result.sources) if found else 0
    listed = ", ".join(map(str, seeds)) or "none"
    more = " (mean ± standard deviation)" if len(seeds) > 1 else ""
    return f"{tables} tables; {'seeds' if len(seeds) > 1 else 'seed'} {listed}{more}.{tried}"
