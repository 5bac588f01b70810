"""The verb `bench`: measure, print a table row by row, or one JSON object."""

import argparse
import json
from typing import TYPE_CHECKING, NoReturn

from app.cli.options import Verbs, add_parser
from core.errors import BadInput

if TYPE_CHECKING:
    from analysis.benchmark.rows import Row, Settings
    from core.models.backbone import Backbone

APP_ROWS = ("attention", "space", "app")  # measured on a model that the app can open
ROWS = ("training", "peft", "decoding", "batch", "lengths", "scoring")
SHAPES = ["mini", "gpt2-medium", "gpt2-large", "bart-large"]


def add_verb(verbs: Verbs) -> None:
    """Add the verb and its arguments."""
    about = "measure speed and memory as ratios of two alternating sides, and the waiting times in the app"
    examples = "python launch.py bench decoding batch\n  python launch.py bench attention space scoring app"
    verb = add_parser(verbs, "bench", about, examples, bench)
    rows = f"{' '.join(ROWS)}, and for a model that the app can open {' '.join(APP_ROWS)}"
    verb.add_argument("rows", nargs="*", metavar="ROW", help=f"which rows: {rows} (default: all)")
    verb.add_argument("--shape", choices=SHAPES, help="the bundled model, or a size with random weights (default mini)")
    verb.add_argument("--backbone", help="instead of a shape: a bundled model, a folder, or a name on the model hub")
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    verb.add_argument("--repeats", type=int, default=5, help="measurements of each side (default 5)")
    verb.add_argument("--tokens", type=int, default=40, help="new tokens of each generated text (default 40)")
    verb.add_argument("--batch", type=int, default=0, help="examples per training update (default: 10 tables, or 4 articles)")
    verb.add_argument("--no-memory", dest="memory", action="store_false", help="skip peak memory, which takes a process per side")
    verb.epilog = (
        "attention and space time the server's work for these tabs; drawing in the browser comes on top. app opens the app "
        "in a process of its own. scoring uses texts put together from the bundled tables. A row that cannot be measured is "
        "reported with its reason, the others go on, and the exit code is 1."
    )


def bench(args: argparse.Namespace) -> int:
    """Measure the named rows, or all that fit the model; return 1 where one of them could not be measured."""
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
    settings = Settings(args.backbone or args.shape or "mini", args.device, args.repeats, args.tokens, args.batch, args.memory)
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
