"""The verb `train`: train a prefix, or another method, into the store."""

import argparse
import json
import threading
from functools import partial
from typing import TYPE_CHECKING

from app.cli.common import answer, command_of, run_record, say, say_skipped, say_unknown, stop_on_ctrl_c, update_bar
from app.cli.options import (
    BUNDLED_BY_INPUT,
    LAYOUTS,
    Verbs,
    add_config_options,
    add_data_options,
    add_model_options,
    add_parser,
    data_path,
    data_source,
    hidden_alias,
    overrides,
)
from core.config.methods import METHODS
from core.config.presets import PRESETS, preset
from core.config.train import TrainConfig
from core.data.hub import is_hub
from core.data.registry import BUNDLED_TABLES
from core.data.source import DataSource
from core.errors import BadInput
from core.runs.run import Run
from core.runs.store import store
from core.task import SUMMARIZATION, Example
from core.text.checks import counted

if TYPE_CHECKING:
    from core.training.process_group import ProcessGroup
    from core.training.trainer import Trainer

OF_A_NEW_RUN = ("set", "source", "target", "source_form", "topic_column", "topics", "skip_bad", "task", "cut", "layout", "rows",
                "half")  # fmt: skip
SAMPLED = "animal-018"  # a bundled table whose topic is held out of training
RESUME = "resume a run that was stopped or killed, with the run's settings; --data and --backbone only where these have moved"

EPILOG = """

Your own data, with columns by name (CSV, TSV or JSON lines; rows with the same source count as one, with several targets):
  --set columns --data mine.csv --source table --target text
  --set columns --data mine.csv --source name --source city --target text    several columns make a table
  --set columns --data mine.jsonl --source triples --target text --source-form webnlg

Articles and summaries (JSON lines, CSV, text files), on an encoder-decoder model such as mini-bart:
  --task summarization --data news_folder
  --task summarization --data news_folder --topics news-to-sports            tested on topics that are not trained on
  --task summarization --data mine.csv --source body --target abstract --topic-column desk

One training on several GPUs: each batch is shared, and the result is that of one process (docs/clusters.md):
  torchrun --nproc-per-node 2 -- launch.py train --data e2e_folder --run my-prefix"""


def add_verb(verbs: Verbs) -> None:
    """Add the verb and its arguments."""
    example = "python launch.py train --data e2e_folder --run my-prefix --method prefix --preset mini"
    verb = add_parser(verbs, "train", "train a prefix, or another method, on tables or articles with their texts", example, train)
    add_data_options(verb, "a folder with a file per split, or a file (default: the bundled tables)")
    verb.add_argument(
        "--task",
        help="name of the task under which the app lists the run (default: the data set's); summarization also chooses articles",
    )
    verb.add_argument(
        "--cut", type=int, help="largest number of source tokens; 0 for no limit (default: 512 for articles, else no limit)"
    )
    verb.add_argument("--run", required=True, help="name of the new run")
    verb.add_argument("--resume", action="store_true", help=RESUME)
    verb.add_argument("--method", choices=list(METHODS), help="what is trained (default prefix); see below")
    verb.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        help="mini (the default) is for the bundled models, paper for GPT-2-medium, fast for others",
    )
    verb.add_argument("--layout", choices=LAYOUTS, help="the separator between table and text (default: the preset's)")
    hidden_alias(verb, "--form", "layout", LAYOUTS)
    verb.add_argument(
        "--rows", type=int, default=0, help="train on this many rows only: the first; of WebNLG and DART, evenly spaced entries"
    )
    verb.add_argument("--half", action="store_true", help="store the weights as fp16")
    add_model_options(verb, default=BUNDLED_BY_INPUT, split=True)
    add_config_options(verb, TrainConfig, ("method", "preset"), "the preset's")
    methods = "\n".join(f"  {name:11} {info.description}" for name, info in METHODS.items())
    rates = "\n".join(f"  {name:11} {_rates(name)}" for name in METHODS)
    verb.epilog = f"Methods:\n{methods}\n\nLearning rates of the presets:\n{rates}{EPILOG}"


def _rates(method: str) -> str:
    return ", ".join(f"{name} {preset(name, method).rate:g}" for name in PRESETS)


def train(args: argparse.Namespace) -> int:
    """Train into the store; Ctrl-C stops and saves, `--resume` continues. Under torchrun, one process reports."""
    from core.training.process_group import process_group

    with process_group(args.device) as group:
        args.device, args.quiet = group.device, group.rank > 0
        return _train(args, group)


def _train(args: argparse.Namespace, group: "ProcessGroup") -> int:
    from analysis.experiments.training_sampler import make_sampler
    from core.methods.near_text import stored_distance

    training, examples, valid = _resumed(args) if args.resume else _new(args)
    training.group = group
    if group.size > 1:
        by_torchrun = f"torchrun --nproc-per-node {group.size} -- launch.py"
        training.command = training.command.replace("python launch.py", by_torchrun, 1)
    if not args.quiet:
        say_unknown(args, training.backbone, examples)
    sampled = _sampled_example(DataSource.from_dict(training.source), examples, valid)
    training.sampler = make_sampler(training.backbone, training.task, sampled)
    stop = threading.Event()
    stop_on_ctrl_c(stop, args)
    with update_bar(args.json or args.quiet) as progress:
        for step in training.steps(examples, valid, stop.is_set):
            losses = {"loss": f"{step.loss:.3f}"} | ({"valid": f"{step.valid_loss:.3f}"} if step.valid_loss is not None else {})
            losses |= {"distance": f"{step.distance:.4f}"} if step.distance is not None else {}
            progress("", step.index, step.total, **losses)
            if args.json and not args.quiet and (step.valid_loss is not None):
                record = {"update": step.index, "total": step.total, "loss": step.loss, "valid_loss": step.valid_loss}
                record |= {"distance": step.distance} if step.distance is not None else {}
                print(json.dumps(record), flush=True)
    if args.quiet:
        return 0
    run = training.run
    assert run is not None
    return answer(args, run_record(run), _sentence(run, stored_distance(run, training.backbone)))


def _resumed(args: argparse.Namespace) -> "tuple[Trainer, list[Example], list[Example]]":
    """Return a training that continues from its last checkpoint, with its training and validation examples.

    --data and --backbone say where these are now; that they are the same ones is checked. Raises BadInput for an option of a
    new run.
    """
    from core.models.loading import load_backbone
    from core.training.trainer import resume_training

    given = [name for name in OF_A_NEW_RUN if getattr(args, name)] + [*overrides(args, TrainConfig).keys() - {"method", "preset"}]
    if given:
        raise _of_a_new_run(min(given))
    load = partial(load_backbone, device=args.device, device_map=args.device_map)
    training = resume_training(store(), args.run, lambda name: load(args.backbone or name))
    for name in ("method", "preset"):
        own = getattr(training.config, name)
        if getattr(args, name) not in (None, own):
            raise _of_a_new_run(name, f", {own}")
    if args.data:
        training.source = training.source | {"data": args.data if is_hub(args.data) else data_path(args.data)}
    return training, *_examples(args, DataSource.from_dict(training.source))


def _of_a_new_run(name: str, own: str = "") -> BadInput:
    option = "--" + name.replace("_", "-")
    return BadInput(
        f"{option} is for a new run, and --resume goes on with the run's own settings{own}. Leave one of the two out."
    )


def _new(args: argparse.Namespace) -> "tuple[Trainer, list[Example], list[Example]]":
    """Return a new training, with its training and validation examples."""
    from core.training.spec import TrainSpec
    from core.training.trainer import new_training

    if not args.quiet:
        store().check_free(args.run)
    args.set = args.set or (SUMMARIZATION if args.task == SUMMARIZATION or args.topics else None)
    source = data_source(args, rows=args.rows)
    spec = TrainSpec.from_args(args, source)
    spec.config()
    examples, valid = _examples(args, source)  # a bad file is reported before the model is loaded
    if args.preset == "paper" and not args.quiet:
        advice = "a small model learns faster with 'mini' or 'fast'"
        say(args, f"The preset 'paper' is meant for GPT-2-medium and BART-large; {advice}.")
    return new_training(spec, store(), args.device, args.device_map, command_of(args)), examples, valid


def _examples(args: argparse.Namespace, source: DataSource) -> tuple[list[Example], list[Example]]:
    """Return training and validation examples; skipped rows are reported."""
    skipped: list[str] = []
    examples, valid = source.load_train_valid(skipped)
    if not args.quiet:
        say_skipped(args, skipped)
    return examples, valid


def _sampled_example(source: DataSource, examples: list[Example], valid: list[Example]) -> Example:
    """Return the example to sample during training: a bundled table with a held-out topic, else the first one not trained on."""
    if source.name in BUNDLED_TABLES and not source.data:
        return next((example for example in source.load_split("example", []) if example.id == SAMPLED), examples[0])
    return (valid or examples)[0]


def _sentence(run: Run, distance: float | None) -> str:
    loss = f", validation loss {run.valid_loss:.3f}" if run.valid_loss is not None else ""
    loss += f", distance from the text {distance:.3f}" if distance is not None else ""
    return (
        f"{run.id}: {run.status} after {counted(run.updates, 'update')} in {run.seconds:.0f} s{loss}. "
        f"Trained {run.trained:,} parameters, stored {run.stored:,} ({run.bytes / 1e6:.2f} MB) in {run.folder}"
    )
