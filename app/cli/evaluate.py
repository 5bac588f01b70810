"""The verb `evaluate`: score a run on a test set, or outputs of any system (`app.cli.score`)."""

import argparse
import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.common import load_backbone_and_run, refuse_unread, say_skipped, say_unknown, score_bar, table_bar
from app.cli.options import (
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
from core.data.registry import BUNDLED_TABLES, sample_evenly
from core.data.rows import split_name
from core.data.source import COLUMNS, NAMES, DataSource
from core.errors import BadInput
from core.runs.run import Run, add_scores, command_words
from core.runs.store import store
from core.task import SUMMARIZATION, Example
from core.text.articles import lead
from core.text.triples import SOURCES

if TYPE_CHECKING:
    from analysis.evaluation.evaluate import Evaluation

OWN_FILES = (*SOURCES, SUMMARIZATION, COLUMNS)  # data sets whose files are not E2E's
SPLITS = ("train", "dev", "test", "test_seen", "test_unseen")
SUITES = ["e2e", "webnlg", "dart", "rouge", "plain"]
READ_WITH_A_MODEL = ("data", "set", "source", "target", "source_form", "topic_column", "topics", "tables", "hyps", "lead",
                     "backbone", "device_map", "skip_bad")  # fmt: skip
READ_WITH_A_FILE = ("score", "against")  # options of --hyps-in, beside --refs


def add_verb(verbs: Verbs) -> None:
    """Add the verb and its arguments."""
    example = "python launch.py evaluate --run e2e-prefix --data e2e_folder --split test"
    verb = add_parser(verbs, "evaluate", "score a run, or the frozen model, on a test set", example, evaluate)
    verb.add_argument("--run", help="the run to score (default: the frozen model)")
    add_data_options(verb, "a folder with a file per split, or a file")
    verb.add_argument("--split", default="test", help="train, dev or test; of WebNLG also test_seen and test_unseen")
    verb.add_argument("--tables", type=int, default=0, help="score this many tables only, evenly spaced over the set")
    verb.add_argument("--hyps", metavar="FILE", help="write the outputs to this file, one per line")
    verb.add_argument(
        "--hyps-in", metavar="FILE", help="score these outputs of any system instead of a run: one per line, or CSV"
    )
    verb.add_argument(
        "--refs", nargs="+", metavar="FILE", help="with --hyps-in: the references, as the official scripts read them, or the set"
    )
    verb.add_argument(
        "--against", metavar="FILE", help="with --hyps-in: outputs of a second system, compared by a paired bootstrap"
    )
    verb.add_argument("--score", choices=SUITES, help="with --hyps-in: whose metrics (default e2e)")
    verb.add_argument("--lead", type=int, default=0, metavar="N", help="score the first N sentences of each article instead")
    verb.add_argument("--batch", type=int, default=32, help="tables generated in one batch (default 32)")
    add_model_options(verb, split=True)
    add_config_options(verb, DecodeConfig, default="the paper's")
    verb.epilog = f"""{describe_paper_decoding()}

Outputs of any system, in the official scripts' formats:
  --hyps-in out.txt --refs devel-conc.txt                         E2E: references in blocks with an empty line between
  --hyps-in out.txt --refs ref0.lex ref1.lex ref2.lex --score webnlg   also dart: a file a reference, line by line
  --hyps-in out.txt --refs webnlg_folder --split test --score webnlg   the set itself: seen, unseen and all"""


def evaluate(args: argparse.Namespace) -> int:
    """Generate, score and print; store the scores with the user's own run where every table was scored."""
    if args.hyps_in and args.run:
        raise BadInput(f"--hyps-in scores the outputs in a file, and --run those of {args.run}. Give one of the two.")
    if args.hyps_in or args.refs:
        from app.cli.score import score

        unread = (*READ_WITH_A_MODEL, *(field.name for field in fields(DecodeConfig)))
        refuse_unread(args, unread, "without --hyps-in: a file is scored against --refs, as --score says")
        return score(args)
    refuse_unread(args, READ_WITH_A_FILE, "with --hyps-in: a run is scored by the metrics of its data set")
    source = _source(args)
    if args.hyps and (not Path(args.hyps).absolute().parent.is_dir() or Path(args.hyps).is_dir()):  # before the work is done
        raise BadInput(
            f"Cannot write {args.hyps}: it is a folder, or its folder does not exist. Give a file in a folder that does."
        )
    decode = decoding(args, paper_decoding(source.name))
    examples = _examples(args, source)
    result = _evaluated(args, source, examples, decode)
    if args.hyps:
        _write_lines(Path(args.hyps), result.outputs)
    _store_scores(args, source, result)
    if args.json:
        record = {"run": args.run, "set": source.name, "split": args.split, "scores": result.records()}
        print(json.dumps(record | {"not_computed": result.not_computed, "seconds": round(result.seconds, 1)}))
        return 0
    for name, value in result.records().items():
        print(f"{name:18} {value['value']:6.2f}   n={value['n']}   {value['signature']}")
    for name, reason in result.not_computed.items():
        print(f"{name:18} {'–':>6}   {reason}")
    return 0


def _source(args: argparse.Namespace) -> DataSource:
    """Return the data source; without --set, the run's own data set if it has files, and its columns, else E2E.

    Raises BadInput without any data.
    """
    if args.set is None and args.run is not None:
        own = _data_options(store().get(args.run))
        args.set = own.set if own.set in (OWN_FILES if args.data else BUNDLED_TABLES) else None
        if args.set == COLUMNS and not (args.source or args.target or args.source_form):
            args.source, args.target, args.source_form = own.source, own.target, own.source_form
    if not args.data and args.set not in BUNDLED_TABLES:
        raise BadInput(
            "Nothing to score on: give --data with a set's folder, --set tables for all bundled tables, or --hyps-in with "
            "outputs and --refs."
        )
    if args.set is None and args.lead:
        args.set = SUMMARIZATION
    if args.set is None and args.source:
        args.set = COLUMNS
    return data_source(args)


def _data_options(run: Run) -> argparse.Namespace:
    """Return the set and the columns that a run's command names; without a command, its task's name is the set's."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--set", nargs="?", default=run.task.name)
    parser.add_argument("--source", action="append", nargs="?")
    parser.add_argument("--target", action="append", nargs="?")
    parser.add_argument("--source-form", nargs="?")
    return parser.parse_known_args(command_words(run.command))[0]


def _examples(args: argparse.Namespace, source: DataSource) -> list[Example]:
    if source.data and Path(source.data).is_file() and split_name(args.split) not in SPLITS:  # it is only the name of the scores
        raise BadInput(f"--split is {args.split!r}: choose train, dev or test, and of WebNLG also test_seen or test_unseen.")
    skipped: list[str] = []
    examples = source.load_split(args.split, skipped)
    say_skipped(args, skipped)
    return sample_evenly(examples, args.tables) if args.tables else examples


def _evaluated(args: argparse.Namespace, source: DataSource, examples: list[Example], decode: DecodeConfig) -> "Evaluation":
    from analysis.evaluation.evaluate import evaluate as evaluate_run
    from core.models.inputs import task_for_backbone

    if args.lead:
        return _lead_baseline(args, source, examples)
    backbone, loaded = load_backbone_and_run(args, source.task_form)
    task, prefix = (
        (loaded.task, loaded.prefix)
        if loaded
        else (task_for_backbone(backbone, source.name, input_format=source.task_form), None)
    )
    model = loaded.model if loaded else backbone.model
    say_unknown(args, backbone, examples)
    with table_bar(args.json) as progress, score_bar(args.json) as scoring:
        return evaluate_run(
            model, backbone, task, prefix, examples, decode, args.batch, progress, source.name, source.task_form, scoring
        )


def _lead_baseline(args: argparse.Namespace, source: DataSource, examples: list[Example]) -> "Evaluation":
    """The baseline of summarization: no model, the first sentences of each article."""
    from analysis.evaluation.evaluate import scored

    if args.run is not None or source.task_form != "article" or args.lead < 1:
        raise BadInput(
            f"--lead {args.lead} scores the first sentences of articles: give 1 or more, articles as --data and no --run."
        )
    texts = [lead(example.source, args.lead) for example in examples]
    return scored(source.name, texts, examples)


def _store_scores(args: argparse.Namespace, source: DataSource, result: "Evaluation") -> None:
    """Store the scores with the run; those of another data set under that set's name."""
    run = store().get(args.run) if args.run is not None else None
    if run and not run.bundled and not args.tables:
        own = source.name == run.task.name or (source.name == COLUMNS and run.task.name not in NAMES)
        split = f"{args.split} {source.topics}".strip()
        add_scores(run, split if own else f"{source.name} {split}", result.records())


def _write_lines(path: Path, lines: list[str]) -> None:
    try:
        path.write_text("\n".join(" ".join(line.split()) for line in lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"Cannot write {path}: {error.strerror or error}. Give a file in a folder that can be written.") from error
