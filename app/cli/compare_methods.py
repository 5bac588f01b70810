"""The verb `methods`: train every method alike and score all on the same tables; the runs stay in the store."""

import argparse
import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from app.cli.common import command_of, say, say_note, say_skipped, stop_on_ctrl_c, update_bar
from app.cli.options import (
    BUNDLED_BY_INPUT,
    Verbs,
    add_config_options,
    add_data_options,
    add_model_options,
    add_parser,
    data_source,
    decoding,
    overrides,
)
from core.config.decode import DecodeConfig
from core.config.decoding_defaults import paper_decoding
from core.config.methods import METHODS
from core.config.presets import PRESETS, layout_of, preset
from core.config.train import TrainConfig
from core.data.registry import sample_evenly
from core.errors import BadInput, NotSupported
from core.runs.layout import check_id
from core.runs.store import store
from core.text.checks import counted

if TYPE_CHECKING:
    from analysis.experiments.compare_methods import MethodResult
    from core.models.backbone import Backbone


def add_verb(verbs: Verbs) -> None:
    """Add the verb and its arguments."""
    example = "python launch.py methods --run demo --updates 100"
    verb = add_parser(verbs, "methods", "train every method on the same rows, score all on the same tables", example, methods)
    add_data_options(verb, "a folder with a file per split (default: the bundled tables)")
    verb.add_argument("--run", required=True, help="the runs are named RUN-METHOD; those that exist are scored as they are")
    verb.add_argument(
        "--method",
        action="append",
        choices=list(METHODS),
        help="only this method; may be repeated (default: all that fit the model)",
    )
    verb.add_argument("--preset", default="fast", choices=sorted(PRESETS), help="it has a learning rate for each method")
    verb.add_argument(
        "--rates",
        nargs="+",
        type=float,
        metavar="RATE",
        help="learning rates that validation loss chooses from, for each method; those far from the best are not tried",
    )
    verb.add_argument("--seeds", type=int, default=1, help="runs of each method, with seeds from 0 on (default 1)")
    verb.add_argument("--rows", type=int, default=0, help="train on this many rows only")
    verb.add_argument("--split", default="test", help="the split to score on: dev or test")
    verb.add_argument("--tables", type=int, default=0, help="score this many tables only, evenly spaced over the set")
    add_model_options(verb, default=BUNDLED_BY_INPUT)
    add_config_options(verb, TrainConfig, ("method", "preset", "seed"), "the preset's")
    add_config_options(verb, DecodeConfig, default="the paper's")


def methods(args: argparse.Namespace) -> int:
    """Train and score one method after the other; print a table at the end, or with --json one object per line at once."""
    from analysis.experiments.compare_methods import run_comparison
    from analysis.experiments.learning_rates import TrainingData, check_rates
    from core.models.inputs import task_for_backbone
    from core.models.loading import load_backbone
    from core.models.locate import DEFAULT, DEFAULTS
    from core.training.trainer import Trainer

    check_id(args.run)
    if args.seeds < 1:
        raise BadInput(f"--seeds is {args.seeds}: give 1 or more.")
    rates = args.rates or []
    skipped: list[str] = []
    source = data_source(args, rows=args.rows)
    (examples, valid), test = source.load_train_valid(skipped), source.load_split(args.split, skipped)
    say_skipped(args, skipped)
    check_rates(rates, valid)
    test = sample_evenly(test, args.tables) if args.tables else test
    if not test:
        raise BadInput(f"The split {args.split!r} has no row to score on. Give another --split.")
    backbone = load_backbone(args.backbone or DEFAULTS.get(source.task_form, DEFAULT), args.device)
    task = task_for_backbone(backbone, source.name, layout_of(args.preset), source.task_form)
    changes = overrides(args, TrainConfig)
    changes.pop("method", None)
    name = changes.pop("preset")

    def config(method: str) -> TrainConfig:
        return preset(name, method, source.name, **changes)

    methods = _fitting(args, backbone, config)
    plan = Trainer(backbone, task, TrainConfig(), store(), args.run, command_of(args), source=source.to_dict())
    decode = decoding(args, paper_decoding(source.name))
    stop = threading.Event()
    stop_on_ctrl_c(stop, args)
    with update_bar(args.json) as progress:
        rows = TrainingData(examples, valid, stop.is_set, progress)
        results = []
        for result in run_comparison(plan, methods, config, rows, test, decode, rates, args.seeds):
            results.append(result)
            _print_result(args, result)
    if not stop.is_set():
        _print_diverged(args, methods, results)
    _print_summary(args, results)
    return 0


def _fitting(args: argparse.Namespace, backbone: "Backbone", config: Callable[[str], TrainConfig]) -> list[str]:
    """Return the methods that are named, or all that fit the backbone. Raises NotSupported for a named one that does not."""
    from core.methods.parameter_counts import parameter_counts

    methods = []
    for method in dict.fromkeys(args.method or METHODS):
        try:
            parameter_counts(backbone, config(method))
        except NotSupported as error:
            if args.method:
                raise
            say_note(args, f"{method} is left out. {error}")
        else:
            methods.append(method)
    return methods


def _print_diverged(args: argparse.Namespace, methods: Sequence[str], results: "list[MethodResult]") -> None:
    """Name the methods that lack a result: only those whose training diverged do."""
    scored = Counter(result.run.method for result in results if result.run)
    for method in [name for name in methods if scored[name] < args.seeds]:
        missing = counted(args.seeds - scored[method], "run")
        say_note(args, f"{method}: the training of {missing} diverged, which is left out. Give a lower --rate, or lower --rates.")


def _print_summary(args: argparse.Namespace, results: "list[MethodResult]") -> None:
    from analysis.experiments.compare_methods import by_method, markdown, summarize_seeds

    if not args.json:
        print(markdown(results, args.rates or []))
    elif args.seeds > 1:
        for group in by_method(results):
            print(json.dumps(summarize_seeds(group)), flush=True)


def _print_result(args: argparse.Namespace, result: "MethodResult") -> None:
    from analysis.experiments.compare_methods import SCORE_COLUMNS

    if args.json:
        print(json.dumps(result.values()), flush=True)
        return
    scores = ", ".join(f"{name} {score.value:.1f}" for name, score in result.result.scores.items() if name in SCORE_COLUMNS)
    say(args, f"{result.run.id if result.run else 'the frozen model'}: {scores}")
