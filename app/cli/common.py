"""Shared code of the verbs: load a run, report on stderr, stop at Ctrl-C."""

import argparse
import contextlib
import json
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING

from core.errors import BadInput
from core.runs.layout import JsonObject
from core.runs.run import Run
from core.runs.store import store

if TYPE_CHECKING:
    from core.methods.loading import LoadedRun
    from core.models.backbone import Backbone
    from core.task import Example


def say(args: argparse.Namespace, text: str) -> None:
    """Print on stderr, so that stdout is data only; nothing with --json."""
    if not args.json:
        print(text, file=sys.stderr)


def answer(args: argparse.Namespace, record: object, text: str) -> int:
    """Print a verb's result, as JSON with --json and else as text; returns the exit code 0."""
    print(json.dumps(record) if args.json else text)
    return 0


def say_skipped(args: argparse.Namespace, skipped: list[str]) -> None:
    """Report how many rows were left out, and the first of them."""
    if skipped and args.json:
        print(json.dumps({"skipped": len(skipped), "first": skipped[0]}))
    elif skipped:
        rows = "1 row was" if len(skipped) == 1 else f"{len(skipped)} rows were"
        say(args, f"{rows} left out; the first: {skipped[0]}")


def say_note(args: argparse.Namespace, sentence: str) -> None:
    """Report what the result alone does not show: as JSON on stdout with --json, else on stderr."""
    if args.json:
        print(json.dumps({"note": sentence}), flush=True)
    else:
        say(args, sentence)


def say_unknown(args: argparse.Namespace, backbone: "Backbone", examples: Sequence["Example"]) -> None:
    """Report words of the examples that the backbone's tokenizer does not know."""
    from core.models.unknown_words import describe_unknown_in

    if sentence := describe_unknown_in(backbone, examples):
        say_note(args, sentence)


def refuse_unread(
    args: argparse.Namespace, names: Sequence[str], when: str, defaults: Mapping[str, object] | None = None
) -> None:
    """Raise BadInput if one of these options, which count only `when`, is given. `defaults`: of options that have some."""
    for name in names:
        value = getattr(args, name)
        if (value != defaults[name]) if defaults else value:
            raise BadInput(f"--{name.replace('_', '-')} counts only {when}. Leave it out.")


@contextlib.contextmanager
def update_bar(hidden: bool, leave: bool = True) -> Iterator[Callable[..., None]]:
    """Show a progress bar of updates on stderr, unless `hidden`; yields `progress(description, done, total, **losses)`."""
    from tqdm import tqdm

    with tqdm(disable=hidden, unit="update", smoothing=0.05, leave=leave) as bar:

        def progress(description: str, done: int, total: int, **losses: str) -> None:
            bar.total, bar.n = total, done
            bar.set_description(description, refresh=False)
            bar.set_postfix(losses, refresh=False)
            bar.update(0)

        yield progress


@contextlib.contextmanager
def score_bar(hidden: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar on stderr for slow scores (see `analysis.metrics.base.Progress`), unless `hidden`."""
    from tqdm import tqdm

    with tqdm(disable=hidden, unit="text", leave=False, delay=1) as bar:

        def progress(name: str, done: int, total: int) -> None:
            if done == 1:  # another score begins
                bar.n, bar.total = 0, total
                bar.set_description(name, refresh=False)
            bar.update(1)

        yield progress


@contextlib.contextmanager
def table_bar(hidden: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on stderr while texts are generated; yields `progress(done, total)`, which does nothing if `hidden`."""
    from tqdm import tqdm

    with tqdm(disable=hidden, unit="table") as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress


def load_backbone_and_run(args: argparse.Namespace, form: str) -> "tuple[Backbone, LoadedRun | None]":
    """Return the backbone and the run, or None if no run is named.

    Without --backbone and --run, this is the bundled backbone for inputs of that form.
    """
    from core.methods.loading import load_run, text_run
    from core.models.loading import load_backbone
    from core.models.locate import DEFAULT, DEFAULTS

    run = store().get(args.run) if args.run is not None else None
    backbone = load_backbone(
        args.backbone or (run.backbone_source if run else DEFAULTS.get(form, DEFAULT)), args.device, args.device_map
    )
    if getattr(args, "text_prefix", None) is not None:
        return backbone, text_run(args.text_prefix, backbone)
    return backbone, load_run(run, backbone) if run else None


def command_of(args: argparse.Namespace) -> str:
    """Return the command line as typed, to be stored with the run."""
    return "python launch.py " + " ".join(shlex.quote(word) for word in args.argv if word != "--json")


def stop_on_ctrl_c(stop: threading.Event, args: argparse.Namespace) -> None:
    """Let the first Ctrl-C set `stop`, and the second one interrupt."""

    def first(_signal: int, _frame: FrameType | None) -> None:
        stop.set()
        say(args, "\nStopping after this update; what was learned is saved. Press Ctrl-C again to leave at once.")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, first)


def run_record(run: Run) -> JsonObject:
    """Return a run as one JSON object."""
    return run.to_json() | {"folder": str(run.folder), "bundled": run.bundled}
