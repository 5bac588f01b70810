"""The verbs `select` and `distill`: write a training set with a part of its references, or with the texts of a run."""

import argparse
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.common import answer, load_backbone_and_run, say_skipped, table_bar
from app.cli.options import (
    Job,
    Verbs,
    add_config_options,
    add_data_options,
    add_model_options,
    add_parser,
    data_source,
    decoding,
    describe_paper_decoding,
)
from core.config.decode import DecodeConfig
from core.config.decoding_defaults import paper_decoding
from core.data.registry import group_by_source, table_of_source
from core.data.source import COLUMNS, DataSource
from core.data.uploads import SOURCE, TARGET, check_new_folder, write_splits
from core.errors import BadInput, BadTable, TooLong
from core.task import SUMMARIZATION, Example
from core.text.checks import counted

if TYPE_CHECKING:
    from core.methods.loading import LoadedRun
    from core.models.backbone import Backbone

E2E_COLUMNS = ("table", "text")


def add_select(verbs: Verbs) -> None:
    """Add the verb `select` and its arguments."""
    example = "python launch.py select --data e2e_folder --complete --to e2e_complete"
    about = "write the part of a training set whose texts state every value, or are likely to a run"
    verb = _add_parser(verbs, "select", about, example, select)
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


def add_distill(verbs: Verbs) -> None:
    """Add the verb `distill` and its arguments."""
    example = "python launch.py distill --data e2e_folder --run e2e-finetuned --to e2e_distilled"
    about = "write a training set with the text that a run writes for each input, for another run to learn from"
    verb = _add_parser(verbs, "distill", about, example, distill)
    verb.add_argument("--run", required=True, help="the run that writes the texts, such as a fine-tuned one")
    verb.add_argument("--batch", type=int, default=32, help="texts generated in one batch (default 32)")
    add_model_options(verb)
    add_config_options(verb, DecodeConfig, default="the paper's")
    verb.epilog = f"""Sequence-level knowledge distillation (Kim & Rush 2016): on E2E, a prefix that learns the texts of a
fine-tuned run is level with it, and one that learns the references is not; on the bundled tables it makes no
difference (docs/results.md, Tables: E2E). The validation texts are the run's, too, so that a training keeps the
weights that are closest to it.

{describe_paper_decoding()}"""


def _add_parser(verbs: Verbs, name: str, about: str, example: str, job: Job) -> argparse.ArgumentParser:
    """Add the parser of a verb that reads a data set and writes one."""
    verb = add_parser(verbs, name, about, example, job)
    add_data_options(verb, "a folder with a file per split, or a file (default: the bundled tables)")
    verb.add_argument("--to", metavar="FOLDER", required=True, help="a new folder, for train.jsonl and dev.jsonl")
    return verb


def select(args: argparse.Namespace) -> int:
    """Read the training examples, keep some of their references, and write them with the validation examples."""
    from analysis.experiments.references import check_share, complete, likeliest

    if not (args.complete or args.likeliest is not None):
        raise BadInput("Say which texts to keep: --complete, or --likeliest 0.5 --run RUN, or both.")
    if (args.likeliest is None) != (args.run is None):
        raise BadInput("--likeliest and --run go together: which share of the texts to keep, and by which run.")
    if args.likeliest is not None:
        check_share(args.likeliest)
    source, before, valid = _read(args)
    kept = before
    if args.complete:
        kept = complete(_usable(args, before, lambda example: _check_table(example, source.task_form)), source.task_form)
    if not kept:
        raise BadInput(
            "No text states every value of its table, so there is nothing to write. Use --likeliest in place of --complete."
        )
    if args.run is not None:
        backbone, run = _load(args, source)
        kept = _usable(args, kept, lambda example: _check_room(backbone, run, example))
        if not kept:
            raise BadInput("No text fits the model beside its input and the prefix. Give shorter ones.")
        with table_bar(args.json) as progress:
            kept = likeliest(kept, run, backbone, args.likeliest, progress)
    sentence = f"Kept {_texts(kept):,} of {_texts(before):,} texts, for {len(kept):,} of {len(before):,} inputs."
    return _write(args, source, before, kept, valid, sentence)


def distill(args: argparse.Namespace) -> int:
    """Write the texts of a run for the inputs of the training and the validation set, in place of their references."""
    from analysis.evaluation.evaluate import outputs

    source, before, valid = _read(args)
    backbone, run = _load(args, source)
    decode = decoding(args, paper_decoding(source.name))

    def fitting(part: list[Example]) -> list[Example]:
        return _usable(args, part, lambda example: _check_input(backbone, run, example, decode))

    train = fitting(before)
    examples = [*train, *fitting(group_by_source(valid))]
    with table_bar(args.json) as progress:
        sources = [example.source for example in examples]
        texts = outputs(run.model, backbone, run.task, run.prefix, sources, decode, args.batch, progress)
    rewritten = [replace(one, targets=(text.strip(),), originals=()) for one, text in zip(examples, texts, strict=True)]
    kept, valid = ([one for one in part if one.targets[0]] for part in (rewritten[: len(train)], rewritten[len(train) :]))
    if not kept:
        raise BadInput(f"{args.run} writes nothing for any of these inputs. Give a run that was trained on such inputs.")
    sentence = f"Wrote {counted(_texts(kept), 'text')} of {args.run}, for {len(kept):,} of {len(before):,} inputs."
    return _write(args, source, before, kept, valid, sentence)


def _read(args: argparse.Namespace) -> tuple[DataSource, list[Example], list[Example]]:
    """Return the data source, its training examples, one an input, and its validation examples. Raises BadInput for a folder
    `--to` that exists."""
    folder = Path(args.to).expanduser()
    if folder.exists():
        raise BadInput(f"{args.to} exists already. Give --to a new folder.")
    check_new_folder(folder)  # before the work is done
    source = data_source(args)
    skipped: list[str] = []
    examples, valid = source.load_train_valid(skipped)
    say_skipped(args, skipped)
    return source, group_by_source(examples), valid


def _load(args: argparse.Namespace, source: DataSource) -> "tuple[Backbone, LoadedRun]":
    """Load --run. Raises BadInput if it reads other inputs."""
    backbone, run = load_backbone_and_run(args, source.task_form)
    assert run is not None
    if run.task.input_format != source.task_form:
        raise BadInput(f"{args.run} reads inputs of another kind than these. Give a run on such inputs.")
    return backbone, run


def _usable(args: argparse.Namespace, examples: list[Example], check: Callable[[Example], object]) -> list[Example]:
    """Return the examples for which `check` raises nothing. Raises BadInput for the first other one, unless
    rows may be skipped."""
    usable, skipped = [], []
    for example in examples:
        try:
            check(example)
            usable.append(example)
        except BadInput as error:
            if not args.skip_bad:
                raise BadInput(f"{error} With --skip-bad such rows are left out.") from error
            skipped.append(str(error))
    say_skipped(args, skipped)
    return usable


def _check_table(example: Example, form: str) -> None:
    """Raise BadInput, with the table, if its values cannot be read."""
    try:
        table_of_source(form, example.source)
    except BadTable as error:
        raise BadInput(f"The table {example.source[:60]!r}… has values that cannot be read. {error}.") from error


def _check_input(backbone: "Backbone", run: "LoadedRun", example: Example, decode: DecodeConfig) -> None:
    """Raise TooLong, with the beginning of the input, if a text of it does not fit."""
    from core.generation.limits import check_length
    from core.generation.types import make_request

    prompt = make_request(backbone, run.task, example.source, run.prefix).prompt_ids
    try:
        check_length(backbone, len(prompt), run.prefix.shift if run.prefix is not None else 0, decode.max_new)
    except TooLong as error:
        raise TooLong(f"{example.source[:60]!r}… is too long. {error}") from error


def _check_room(backbone: "Backbone", run: "LoadedRun", example: Example) -> None:
    """Raise TooLong, with the beginning of the input, if one of the texts does not fit."""
    from core.training.batches import encode_rows

    encode_rows(backbone, run.task, [example], run.prefix.length if run.prefix is not None else 0)


def _write(
    args: argparse.Namespace, source: DataSource, before: list[Example], kept: list[Example], valid: list[Example], sentence: str
) -> int:
    """Write the training set, and print what it holds (`sentence`) and how to train on it."""
    folder, splits, columns = Path(args.to).expanduser(), {"train": kept, "dev": valid}, (SOURCE, TARGET)
    task = f" --task {source.name}" if source.name not in (COLUMNS, "e2e") else ""
    if source.task_form == "table" and source.name != COLUMNS:  # in E2E's form, in which a table is read as it is
        splits = {name: [replace(one, targets=(text,)) for one in part for text in one.targets] for name, part in splits.items()}
        columns, options = E2E_COLUMNS, task
    else:
        form = f" --source-form {source.task_form}" if source.task_form not in ("table", "article") else ""
        name = "" if source.name == SUMMARIZATION else f" --set {COLUMNS}"
        options = f"{name} --source {SOURCE} --target {TARGET}{form}{task}"
    write_splits(folder, splits, columns)
    data = folder if valid else folder / "train.jsonl"
    command = f"python launch.py train --run NAME --data {shlex.quote(str(data))}{options}"
    record = {
        **{"data": str(data), "texts": _texts(kept), "of_texts": _texts(before)},
        **{"inputs": len(kept), "of_inputs": len(before)},
    }
    return answer(args, record, f"{sentence} Train on them with\n{command}")


def _texts(examples: list[Example]) -> int:
    return sum(len(example.targets) for example in examples)
