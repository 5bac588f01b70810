"""The verb `runs`: list the runs, rename, annotate, delete and restore them."""

import argparse
import json
import sys

from app.cli.common import answer, run_record
from app.cli.options import Verbs, add_parser
from core.runs.run import Run
from core.runs.store import store


def add_verb(verbs: Verbs) -> None:
    """Add the verb and its arguments."""
    about = "list the runs, bundled ones first, or rename, annotate, delete and restore them"
    verb = add_parser(verbs, "runs", about, "python launch.py runs --json", runs)
    what = verb.add_mutually_exclusive_group()
    what.add_argument("--rename", nargs=2, metavar=("RUN", "NEW"), help="rename a run")
    what.add_argument("--note", nargs=2, metavar=("RUN", "TEXT"), help="replace the notes of a run")
    what.add_argument("--delete", metavar="RUN", help="move a run to the trash")
    what.add_argument("--restore", metavar="RUN", help="restore a run from the trash")
    what.add_argument("--empty-trash", action="store_true", help="delete everything in the trash permanently")


def runs(args: argparse.Namespace) -> int:
    """List the runs, or do what an option says; unreadable runs are named on stderr."""
    if message := _manage(args):
        return answer(args, {"done": message}, message)
    listed = store().runs()
    if args.json:
        print(json.dumps([run_record(run) for run in listed]))
        return 0
    for run in listed:
        print(_line(run))
    if not listed:
        print("No runs yet. Train one: python launch.py train --run my-prefix")
    for sentence in store().broken():
        print(sentence, file=sys.stderr)
    return 0


def _line(run: Run) -> str:
    scores = " ".join(f"{split} {name} {value['value']}" for split, each in run.scores.items() for name, value in each.items())
    size = f"{run.stored:,} stored"
    when = "bundled" if run.bundled else run.created
    return f"{run.id:24} {run.method:10} {run.backbone:12} {run.status:10} {size:>20}  {when}  {scores}"


def _manage(args: argparse.Namespace) -> str:
    """Rename, annotate, delete or restore; returns a sentence about it, empty if no option requests any."""
    if not (args.rename or args.note or args.delete or args.restore or args.empty_trash):
        return ""
    from core.runs import manage

    if args.rename:
        return f"{args.rename[0]} is now {manage.rename(store(), *args.rename).id}."
    if args.note:
        return f"The notes of {manage.annotate(store(), *args.note).id} are saved."
    if args.delete:
        deleted = manage.delete(store(), args.delete).id
        return f"{deleted} is in the trash. To undo: python launch.py runs --restore {deleted}"
    if args.restore:
        return f"{manage.restore(store(), args.restore)} is restored."
    return f"The trash is empty; runs deleted permanently: {manage.empty_trash(store())}."
