"""The verb `methods`: every method trained alike and scored on the same tables; the runs stay in the store."""

import argparse
import json
import threading

from tqdm import tqdm

from analysis.experiments.compare_methods import SHOWN, Trial, by_method, markdown, spread_of, trials
from analysis.experiments.learning_rates import Rows, check_rates
from app.cli.common import command_of, data_source, say, say_skipped, stop_on_ctrl_c
from app.cli.main import overrides
from core.config.decode import DecodeConfig
from core.config.decoding_defaults import paper_decoding
from core.config.methods import METHODS
from core.config.presets import preset
from core.config.train import TrainConfig
from core.data.registry import spread
from core.errors import BadInput
from core.models.backbone import DEFAULT, load_backbone
from core.models.inputs import task_for
from core.runs.store import check_id, store
from core.training.trainer import Training


def methods(args: argparse.Namespace) -> int:
    """Train and score one method after the other; the table comes at the end, or one JSON object a line as it comes."""
    check_id(args.run)
    if args.seeds < 1:
        raise BadInput(f"--seeds is {args.seeds}: say at least 1.")
    chosen, rates = list(dict.fromkeys(args.method or METHODS)), args.rates or []
    skipped: list[str] = []
    source = data_source(args, rows=args.rows)
    (examples, valid), test = source.training(skipped), source.read(args.split, skipped)
    say_skipped(args, skipped)
    check_rates(rates, valid)
    test = spread(test, args.tables) if args.tables else test
    if not test:
        raise BadInput(f"The split {args.split!r} holds no row to score on. Give another --split.")
    backbone = load_backbone(args.backbone or DEFAULT, args.device)
    form = task_for(backbone, source.name, form=source.task_form)
    changes = overrides(args, TrainConfig)
    changes.pop("method", None)
    name = changes.pop("preset")
    plan = Training(backbone, form, TrainConfig(), store(), args.run, command_of(args), source=source.to_dict())
    decode = paper_decoding(source.name).but(**overrides(args, DecodeConfig))
    stop = threading.Event()
    stop_on_ctrl_c(stop, args)
    with tqdm(disable=args.json, unit="update", smoothing=0.05) as bar:

        def progress(what: str, update: int, total: int) -> None:
            bar.total, bar.n = total, update
            bar.set_description(what, refresh=False)
            bar.update(0)

        def config(method: str) -> TrainConfig:
            return preset(name, method, source.name, **changes)

        rows = Rows(examples, valid, stop.is_set, progress)
        found = []
        for trial in trials(plan, chosen, config, rows, test, decode, rates, args.seeds):
            found.append(trial)
            _tell(args, trial)
    _sum_up(args, found)
    return 0


def _sum_up(args: argparse.Namespace, found: list[Trial]) -> None:
    if not args.json:
        print(markdown(found, args.rates or []))
    elif args.seeds > 1:
        for group in by_method(found):
            print(json.dumps(spread_of(group)), flush=True)


def _tell(args: argparse.Namespace, trial: Trial) -> None:
    if args.json:
        print(json.dumps(trial.values()), flush=True)
        return
    scores = ", ".join(f"{name} {score.value:.1f}" for name, score in trial.result.scores.items() if name in SHOWN)
    say(args, f"{trial.run.id if trial.run else 'the frozen model'}: {scores}")
