"""The verb `bench`: measure, print a table row by row, or one JSON object."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from app.cli.common import refuse_unread
from app.cli.options import Verbs, add_parser
from core.config.decode import MODES
from core.config.decoding_defaults import DEFAULT_MODE
from core.errors import BadInput

if TYPE_CHECKING:
    from analysis.benchmark.rows import Row, Settings
    from core.models.backbone import Backbone

APP_ROWS = ("attention", "space", "app")  # measured on a model that the app can open
LOAD, FAULTS = "load", "faults"  # each measured alone and never by default: they take minutes
ROWS = ("training", "peft", "decoding", "batch", "lengths", "scoring")
READ_BY = {  # what is measured -> the options that count for it
    "": ("shape", "backbone", "device", "repeats", "tokens", "batch", "no_memory"),
    LOAD: ("device", "clients", "seconds", "soak", "mode", "host"),
    FAULTS: ("backbone", "kills", "seed"),
}
SHAPES = ["mini", "gpt2-medium", "gpt2-large", "bart-large"]


def add_verb(verbs: Verbs) -> None:
    """Add the verb and its arguments."""
    about = "measure speed and memory as ratios of two alternating sides, and the waiting times in the app"
    examples = (
        "python launch.py bench decoding batch\n  python launch.py bench attention space scoring app"
        "\n  python launch.py bench load --clients 40 --seconds 120"
    )
    verb = add_parser(verbs, "bench", about, examples, bench)
    rows = f"{' '.join(ROWS)}, and for a model that the app can open {' '.join(APP_ROWS)}"
    verb.add_argument("rows", nargs="*", metavar="ROW", help=f"which rows: {rows} (default: all); or {LOAD} or {FAULTS}, alone")
    verb.add_argument("--shape", choices=SHAPES, help="the bundled model, or a size with random weights (default mini)")
    verb.add_argument("--backbone", help="instead of a shape: a bundled model, a folder, or a name on the model hub")
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    verb.add_argument("--repeats", type=int, default=5, help="measurements of each side (default 5)")
    verb.add_argument("--tokens", type=int, default=40, help="new tokens of each generated text (default 40)")
    verb.add_argument("--batch", type=int, default=0, help="examples per training update (default: 10 tables, or 4 articles)")
    verb.add_argument("--no-memory", action="store_true", help="skip peak memory, which takes a process per side")
    verb.add_argument("--clients", type=int, default=40, help="load: clients at once (default 40)")
    verb.add_argument("--seconds", type=float, default=120, help="load: seconds of load (default 120)")
    verb.add_argument("--soak", type=int, default=0, metavar="N", help="load: N comparisons instead, to see whether memory grows")
    verb.add_argument("--mode", choices=MODES, default=DEFAULT_MODE, help=f"load: how pages decode (default {DEFAULT_MODE})")
    verb.add_argument("--kills", type=int, default=30, help="faults: kills of each kind of work (default 30)")
    verb.add_argument("--seed", type=int, default=0, help="faults: seed of the times of the kills (default 0)")
    verb.add_argument("--host", default="127.0.0.1", help="load: only this machine is allowed")
    verb.set_defaults(defaults={name: verb.get_default(name) for names in READ_BY.values() for name in names})
    verb.epilog = (
        "attention and space time the server's work for these tabs; drawing in the browser comes on top. app opens the app "
        "in a process of its own. scoring uses texts put together from the bundled tables. A row that cannot be measured is "
        "reported with its reason, the others go on, and the exit code is 1. load opens the app with an empty user folder and "
        "sends it what browsers and programs send: tables and articles to compare, Attention, Prefix space, uploads and zips. "
        "Every answer is checked against the one written alone beforehand, and the exit code is 1 where a promise is broken. "
        "faults kills training, imports, deletions, renames and the writing of a class board at random moments, and lets each "
        "meet a full disk, on a store of its own; then it looks whether anything is lost or half-written."
    )


def bench(args: argparse.Namespace) -> int:
    """Measure the named rows, or all that fit the model; return 1 where one of them could not be measured."""
    for name, measure in ((LOAD, load), (FAULTS, faults)):
        if name in args.rows:
            if args.rows != [name]:
                raise BadInput(f"{name} is measured alone, and {' '.join(args.rows)} are given. Give {name}, or the others.")
            _refuse_unread(args, name)
            return measure(args)
    _refuse_unread(args, "")
    from analysis.benchmark.measure import Failure
    from analysis.benchmark.models import SIZES
    from analysis.benchmark.rows import ROWS as MEASURES
    from analysis.benchmark.rows import Settings, benchmark
    from app.bench.report import environment, print_table
    from core.models.loading import pick_device

    if args.backbone and args.shape:
        both = f"--shape {args.shape} and --backbone {args.backbone}"
        raise BadInput(f"{both} are both given, and one model is measured. Give one of them.")
    device = pick_device(args.device)
    settings = Settings(
        args.backbone or args.shape or "mini", args.device, args.repeats, args.tokens, args.batch, not args.no_memory
    )
    random_weights = settings.model in SIZES  # built on the spot: nothing that the app could load
    names = args.rows or ([*MEASURES] if random_weights else [*MEASURES, *APP_ROWS])
    app_measures = dict.fromkeys(APP_ROWS, _no_model_for_the_app) if random_weights else _app_measures()
    measured = benchmark(names, settings, MEASURES | app_measures)
    if args.json:
        rows = list(measured)
        print(json.dumps(environment(settings, device) | {"rows": [row.to_dict() for row in rows]}))
        return int(any(isinstance(row, Failure) for row in rows))
    print(", ".join(f"{name} {value}" for name, value in environment(settings, device).items()))
    return print_table(measured)


def _refuse_unread(args: argparse.Namespace, measured: str) -> None:
    """Raise BadInput for an option that does not count for what is measured, a key of READ_BY."""
    for name in (name for name in args.defaults if name not in READ_BY[measured]):
        readers = " and ".join(f"bench {one}" if one else "the rows" for one, names in READ_BY.items() if name in names)
        refuse_unread(args, [name], f"for {readers}", args.defaults)


def load(args: argparse.Namespace) -> int:
    """Put the app under load; return 1 where a promise is broken."""
    from analysis.benchmark.rows import Settings
    from app.bench.load import LoadSettings, run_load
    from app.bench.load_report import load_table
    from app.bench.report import environment
    from app.bench.tabs import empty_home
    from core.models.loading import pick_device

    settings = LoadSettings(args.clients, args.seconds, args.soak, args.device, args.host, args.mode)
    machine = environment(Settings("mini-gpt2", args.device), pick_device(args.device))
    if not args.json:
        print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    with empty_home() as folder:
        report = run_load(settings, Path(folder))
    print(json.dumps(machine | report.to_dict()) if args.json else load_table(report))
    return int(not all(report.promises().values()))


def faults(args: argparse.Namespace) -> int:
    """Kill work on a store, and fill its disk; return 1 where something is broken afterwards."""
    from dataclasses import asdict
    from itertools import chain

    from app.bench.faults import full_disks, kills

    backbone, broken = args.backbone or "mini-gpt2", 0
    for fault in chain(kills(backbone, args.kills, args.seed), full_disks(backbone)):
        broken += bool(fault.broken)
        if args.json:
            print(json.dumps(asdict(fault)), flush=True)
        else:
            when = f"after {fault.moment:.3f} s" if fault.kind == "kill" else f"files up to {fault.moment:,.0f} bytes"
            state = "whole" if not fault.broken else "BROKEN: " + "; ".join(fault.broken)
            print(f"{fault.work:12} {fault.kind:10} {when:28} {fault.done:5} done  {state}", flush=True)
    return int(broken > 0)


def _app_measures() -> "dict[str, Row]":
    from app.bench.startup import app
    from app.bench.tabs import attention, space

    return {"attention": attention, "space": space, "app": app}


def _no_model_for_the_app(backbone: "Backbone", settings: "Settings") -> NoReturn:
    """Refuse a row that is measured through the app."""
    raise BadInput(
        f"{settings.model} is built on the spot with random weights, and the app opens stored models only. Leave --shape out, "
        "or name a model with --backbone."
    )
