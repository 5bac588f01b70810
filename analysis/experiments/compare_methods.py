"""Compare methods that are trained on the same examples for the same number of updates, and scored on the same inputs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import TypedDict

from analysis.evaluation.evaluate import Evaluation, evaluate
from analysis.experiments.learning_rates import TrainingData, train_or_resume, tune_learning_rate
from core.config.decode import DecodeConfig
from core.config.methods import method_info
from core.config.train import TrainConfig
from core.data.registry import sample_evenly
from core.methods.loading import LoadedRun, load_run
from core.models.backbone import Backbone
from core.models.inputs import task_for_backbone, with_instruction
from core.runs.run import Run
from core.task import Example, Task
from core.text.checks import percent
from core.training.trainer import Trainer

FROZEN = "frozen"
LAYOUT_ROWS = 50  # validation rows by which the frozen model's layout is chosen
SCORE_COLUMNS = ("BLEU", "BLEU-seen", "BLEU-unseen", "ROUGE-L", "Coverage")  # those that were computed are printed


@dataclass(frozen=True)
class MethodResult:
    """One row of the comparison; `run` is None for the frozen model. `backbone`: its number of parameters.

    `layout`: the layout of the frozen model's input, and how it was chosen; "" for a run, which uses that of its training.
    """

    run: Run | None
    result: Evaluation
    backbone: int
    layout: str = ""

    def values(self) -> dict[str, object]:
        """Return plain values for JSON."""
        run = self.run
        values: dict[str, object] = {"method": run.method if run else FROZEN, "run": run.id if run else None}
        for name in ("trained", "stored", "bytes", "updates", "seconds", "valid_loss"):
            values[name] = getattr(run, name) if run else 0 if name != "valid_loss" else None
        values |= {"layout": self.layout} if run is None else {}
        values |= {"seed": run.seed, "rate": run.config.get("rate"), "notes": run.notes} if run else {}
        return values | {"share": run.stored / self.backbone if run else 0.0, "scores": self.result.records()}


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
    """Yield the result of the frozen model in its best layout (see `choose_layout`), then of each method with each seed; a
    training that diverged has none.

    Runs are stored as `<plan.run_id>-<method>`, with `-seed<n>` for later seeds, and trained with the settings
    `config(method)`. `rates`: candidate learning rates, chosen by validation loss with the first seed. A finished run is not
    trained again, and an interrupted one is resumed.
    """
    backbone = plan.backbone
    layout, task = choose_layout(backbone, plan.task, sample_evenly(rows.valid, LAYOUT_ROWS), decode)
    frozen = evaluate(backbone.model, backbone, task, None, test, decode)
    yield MethodResult(None, frozen, backbone.spec.parameters, layout)
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
    """A method's runs, one per seed; None if every learning rate diverged."""
    run = tune_learning_rate(first, rates, rows) if rates else train_or_resume(first, rows)
    yield run
    if run is None:
        return
    begin = first.config.seed
    for seed in range(begin + 1, begin + seeds):
        config = first.config.replace(rate=run.config["rate"], seed=seed)
        yield train_or_resume(replace(first, run_id=f"{first.run_id}-seed{seed}", config=config), rows)


def _evaluate(
    loaded: LoadedRun, backbone: Backbone, plan: Trainer, test: Sequence[Example], decode: DecodeConfig
) -> MethodResult:
    """Score a run in its own layout: one that was there before may have been trained in another than the plan's."""
    suite, form = plan.task.name, plan.task.input_format
    result = evaluate(loaded.model, backbone, loaded.task, loaded.prefix, test, decode, suite=suite, input_format=form)
    return MethodResult(loaded.run, result, backbone.spec.parameters)


def choose_layout(backbone: Backbone, task: Task, valid: Sequence[Example], decode: DecodeConfig) -> tuple[str, Task]:
    """Return the layout in which the frozen model scores best on validation examples, and a sentence on the choice.

    A layout that only makes sense after training would put it at a disadvantage: the separator of the paper's layout, for
    example, tells it that the document has ended. The candidates are the layout of the runs, a line of its own, and an
    instruction. Examples before the input are a method of their own, "in_context".
    """
    plain = task_for_backbone(backbone, task.name, input_format=task.input_format, cut=task.cut)
    layouts = {"as the runs read it": task, "on a line of its own": plain, "with an instruction": with_instruction(plain)}
    distinct = {
        name: layout for place, (name, layout) in enumerate(layouts.items()) if layout not in list(layouts.values())[:place]
    }
    if not valid:
        return "as the runs read it; there are no validation rows to choose another layout by", task
    results = {name: evaluate(backbone.model, backbone, layout, None, valid, decode).scores for name, layout in distinct.items()}
    metric = next(metric for metric in SCORE_COLUMNS if metric in next(iter(results.values())))
    best = max(results, key=lambda name: results[name][metric].value)
    tried = ", ".join(f"{name} {scores[metric].value:.1f}" for name, scores in results.items())
    return f"{best}, the best by {metric} on {len(valid)} validation rows ({tried})", distinct[best]


def by_method(results: Sequence[MethodResult]) -> list[list[MethodResult]]:
    """Group the results by method, one result per seed."""
    groups: dict[str, list[MethodResult]] = {}
    for each in results:
        groups.setdefault(each.run.method if each.run else FROZEN, []).append(each)
    return list(groups.values())


class SeedSummary(TypedDict):
    """A method's scores over its seeds; `sd` is None for one seed."""

    method: str
    seeds: list[int]
    mean: dict[str, float]
    sd: dict[str, float | None]


def summarize_seeds(group: Sequence[MethodResult]) -> SeedSummary:
    """Return mean and standard deviation over a method's seeds, as plain values for JSON."""
    scores = {name: [each.result.scores[name].value for each in group] for name in group[0].result.scores}
    losses = [each.run.valid_loss for each in group if each.run and each.run.valid_loss is not None]
    values = {name: numbers for name, numbers in (scores | {"valid_loss": losses}).items() if numbers}
    return {
        "method": group[0].run.method if group[0].run else FROZEN,
        "seeds": [each.run.seed for each in group if each.run],
        "mean": {name: round(mean(numbers), 4) for name, numbers in values.items()},
        "sd": {name: round(stdev(numbers), 4) if len(numbers) > 1 else None for name, numbers in values.items()},
    }


def markdown(results: Sequence[MethodResult], rates: Sequence[float] = ()) -> str:
    """Return the comparison as a Markdown table, one line per method, with mean ± standard deviation over seeds.

    The share is that of the stored parameters in the backbone's.
    """
    names = [name for name in SCORE_COLUMNS if any(name in each.result.scores for each in results)]
    columns = " | ".join(names)
    lines = [f"| method | trained | stored | share | file | rate | validation loss | {columns} | training |"]
    lines.append("|---" * (lines[0].count("|") - 1) + "|")
    lines += [_method_row(group, names, rates) for group in by_method(results)]
    return "\n".join([*lines, "", _recipe(results, rates)])


def _method_row(group: Sequence[MethodResult], names: Sequence[str], rates: Sequence[float]) -> str:
    run, summary = group[0].run, summarize_seeds(group)
    scores = " | ".join(_with_sd(summary, name, ".1f") for name in names)
    if run is None:
        return f"| frozen model | 0 | 0 | – | – | – | – | {scores} | – |"
    cost = f"{run.trained:,} | {run.stored:,} | {percent(run.stored / group[0].backbone)} | {run.bytes / 1e6:.2f} MB"
    seconds = mean(each.run.seconds for each in group if each.run)
    time = f"{run.updates} updates, {seconds:.0f} s" if run.updates else "–"
    title = method_info(run.method).title
    return f"| {title} | {cost} | {_rate(run, rates)} | {_with_sd(summary, 'valid_loss', '.2f')} | {scores} | {time} |"


def _rate(run: Run, rates: Sequence[float]) -> str:
    """The learning rate, marked if it is the lowest or highest tried, since a better one may lie outside."""
    rate = run.config.get("rate")
    if not method_info(run.method).trained or not isinstance(rate, float):
        return "–"
    edge = {min(rates): ", the lowest tried", max(rates): ", the highest tried"} if len(set(rates)) > 1 else {}
    return f"{rate:g}{edge.get(rate, '')}"


def _with_sd(summary: SeedSummary, name: str, form: str) -> str:
    if name not in summary["mean"]:
        return "–"
    sd = summary["sd"][name]
    return f"{summary['mean'][name]:{form}}" + (f" ± {sd:{form}}" if sd is not None else "")


def _recipe(results: Sequence[MethodResult], rates: Sequence[float]) -> str:
    """How the numbers were computed."""
    seeds = sorted({each.run.seed for each in results if each.run})
    tried = (
        f" Rates to choose from: {', '.join(f'{rate:g}' for rate in sorted(set(rates)))}; validation loss chose." if rates else ""
    )
    tables = len(results[0].result.sources) if results else 0
    listed = ", ".join(map(str, seeds)) or "none"
    more = " (mean ± standard deviation)" if len(seeds) > 1 else ""
    layout = next((f" The frozen model reads its input {each.layout}." for each in results if each.layout), "")
    return f"{tables} tables; {'seeds' if len(seeds) > 1 else 'seed'} {listed}{more}.{tried}{layout}"
