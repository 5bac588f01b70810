"""The verb `select`: write the part of a training set whose references state every value, or are likely to a run."""

import argparse
import shlex
from pathlib import Path

from app.cli.common import answer, load_backbone_and_run, say_skipped, table_bar
from app.cli.options import Verbs, add_data_options, add_model_options, add_parser, data_source
from core.data.source import COLUMNS, DataSource
from core.data.uploads import SOURCE, TARGET, write_splits
from core.errors import BadInput
from core.task import SUMMARIZATION, Example


def add_verb(verbs: Verbs) -> None:
    """Add the verb and its arguments."""
    example = "python launch.py select --data e2e_folder --complete --to e2e_complete"
    about = "write the part of a training set whose texts state every value, or are likely to a run"
    verb = add_parser(verbs, "select", about, example, select)
    add_data_options(verb, "a folder with a file per split, or a file (default: the bundled tables)")
    verb.add_argument("--to", metavar="FOLDER", required=True, help="a new folder, for train.jsonl and dev.jsonl")
    verb.add_argument("--complete", action="store_true", help="only texts that state every value of their table")
    verb.add_argument(
        "--likeliest", type=float, metavar="SHARE", help="of the texts of each input, the share that --run finds likeliest"
    )
    verb.add_argument("--run", help="with --likeliest: a run on inputs of that kind")
    add_model_options(verb)
    verb.epilog = (
        "A prefix learns more from texts that agree with one another (docs/results.md, Tables: E2E). The validation texts are "
        "copied as they are. With both options, the share is of the complete texts."
    )


def select(args: argparse.Namespace) -> int:
    """Read the training examples, keep some of their references, and write them with the validation examples."""
    from analysis.experiments.references import complete, likeliest
    from core.data.registry import group_by_source

    if not (args.complete or args.likeliest is not None):
        raise BadInput("Say which texts to keep: --complete, or --likeliest 0.5 --run RUN, or both.")
    if (args.likeliest is None) != (args.run is None):
        raise BadInput("--likeliest and --run go together: which share of the texts to keep, and by which run.")
    folder = Path(args.to).expanduser()
    if folder.exists():
        raise BadInput(f"{args.to} exists already. Give --to a new folder.")
    source = data_source(args)
    skipped: list[str] = []
    examples, valid = source.load_train_valid(skipped)
    say_skipped(args, skipped)
    before = group_by_source(examples)
    kept = complete(before, source.task_form) if args.complete else before
    if args.run is not None:
        backbone, run = load_backbone_and_run(args, source.task_form)
        assert run is not None
        if run.task.input_format != source.task_form:
            raise BadInput(f"{args.run} reads inputs of another kind than these. Give a run on such inputs.")
        with table_bar(args.json) as progress:
            kept = likeliest(kept, run, backbone, args.likeliest, progress)
    if not kept:
        raise BadInput("No text states every value of its table, so there is nothing to write. Leave --complete out.")
    write_splits(folder, {"train": kept, "dev": valid})
    data = folder if valid else folder / "train.jsonl"
    return answer(args, _record(kept, before, data), _sentence(kept, before, data, source))


def _record(kept: list[Example], before: list[Example], data: Path) -> dict[str, object]:
    """Return what was kept, as numbers."""
    return {"data": str(data), "texts": _texts(kept), "of_texts": _texts(before), "inputs": len(kept), "of_inputs": len(before)}


def _sentence(kept: list[Example], before: list[Example], data: Path, source: DataSource) -> str:
    """Return what was kept, and how to train on it."""
    form = f" --source-form {source.task_form}" if source.task_form not in ("table", "article") else ""
    task = f" --task {source.name}" if source.name != COLUMNS else ""
    columns = "" if source.name == SUMMARIZATION else f" --set {COLUMNS}"
    return (
        f"Kept {_texts(kept):,} of {_texts(before):,} texts, for {len(kept):,} of {len(before):,} inputs. Train on them with\n"
        f"python launch.py train --run NAME --data {shlex.quote(str(data))}{columns} --source {SOURCE} --target {TARGET}"
        f"{form}{task}"
    )


def _texts(examples: list[Example]) -> int:
    return sum(len(example.targets) for example in examples)
