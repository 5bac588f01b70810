"""`evaluate`: score a run on a test set, or outputs that any system wrote (`app.scoring`)."""

import argparse
import json
from pathlib import Path

from tqdm import tqdm

from analysis.evaluation.evaluate import Evaluation, scored
from analysis.evaluation.evaluate import evaluate as evaluate_run
from app.cli.common import data_source, loaded_run, say_skipped
from app.cli.main import overrides
from app.cli.score import score
from core.config.decode import DecodeConfig
from core.config.decoding_defaults import paper_decoding
from core.data.registry import spread
from core.data.source import COLUMNS, DataSource
from core.errors import BadInput
from core.methods.loading import add_scores
from core.models.inputs import task_for
from core.runs.store import store
from core.task import SUMMARIZATION, Example
from core.text.articles import lead
from core.text.triples import SOURCES

OWN_FILES = (*SOURCES, SUMMARIZATION)  # sets whose files are not E2E's


def evaluate(args: argparse.Namespace) -> int:
    """Score, print, and note the scores with the run where it is the user's own and every table was scored."""
    if args.hyps_in or args.refs:
        return score(args)
    if not args.data:
        raise BadInput("Say what to score on: --data with a set's folder, or --hyps-in with outputs and --refs with references.")
    if args.hyps and (not Path(args.hyps).absolute().parent.is_dir() or Path(args.hyps).is_dir()):  # told before the work is done
        raise BadInput(f"Cannot write {args.hyps}: it is a folder, or lies in none. Give a file in a folder that is there.")
    source = _source(args)
    decode = paper_decoding(source.name).but(**overrides(args, DecodeConfig))
    examples = _examples(args, source)
    result = _evaluated(args, source, examples, decode)
    if args.hyps:
        _write_lines(Path(args.hyps), result.outputs)
    _note(args, source, result)
    if args.json:
        found = {"run": args.run, "set": source.name, "split": args.split, "scores": result.records()}
        print(json.dumps(found | {"not_computed": result.not_computed, "seconds": round(result.seconds, 1)}))
        return 0
    for name, record in result.records().items():
        print(f"{name:14} {record['value']:6.2f}   n={record['n']}   {record['signature']}")
    for name, reason in result.not_computed.items():
        print(f"{name:14} {'–':>6}   {reason}")
    return 0


def _source(args: argparse.Namespace) -> DataSource:
    """The data: of the run's own set where the command line names none and that set has files of its own, else E2E's."""
    if args.set is None and args.run is not None and (own := store().get(args.run).task.name) in OWN_FILES:
        args.set = own
    if args.set is None and args.lead:
        args.set = SUMMARIZATION
    if args.set is None and args.source:
        args.set = COLUMNS
    return data_source(args)


def _examples(args: argparse.Namespace, source: DataSource) -> list[Example]:
    skipped: list[str] = []
    examples = source.read(args.split, skipped)
    say_skipped(args, skipped)
    return spread(examples, args.tables) if args.tables else examples


def _evaluated(args: argparse.Namespace, source: DataSource, examples: list[Example], decode: DecodeConfig) -> Evaluation:
    if args.lead:
        return _leads(args, source, examples)
    backbone, loaded = loaded_run(args, source.task_form)
    form, prefix = (loaded.task, loaded.prefix) if loaded else (task_for(backbone, source.name, form=source.task_form), None)
    model = loaded.model if loaded else backbone.model
    with tqdm(disable=args.json, unit="table") as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return evaluate_run(model, backbone, form, prefix, examples, decode, args.batch, progress, source.name, source.task_form)


def _leads(args: argparse.Namespace, source: DataSource, examples: list[Example]) -> Evaluation:
    """The baseline of summarization: no model, the beginning of each article."""
    if args.run is not None or source.task_form != "article" or args.lead < 1:
        raise BadInput(
            f"--lead {args.lead} scores the first sentences of articles: give 1 or more, articles as --data and no --run."
        )
    texts = [lead(example.source, args.lead) for example in examples]
    return scored(source.name, texts, examples)


def _note(args: argparse.Namespace, source: DataSource, result: Evaluation) -> None:
    """Keep the scores with the run; those of another set than the run's own under that set's name."""
    run = store().get(args.run) if args.run is not None else None
    if run and not run.bundled and not args.tables:
        own = source.name in (run.task.name, COLUMNS)
        split = f"{args.split} {source.topics}".strip()
        add_scores(run, split if own else f"{source.name} {split}", result.records())


def _write_lines(path: Path, lines: list[str]) -> None:
    try:
        path.write_text("\n".join(" ".join(line.split()) for line in lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"Cannot write {path}: {error.strerror}. Give a file in a folder that can be written.") from error
