"""The verb `bench`: read the arguments, measure, print a table as it grows, or one JSON object."""

import argparse
import json
import platform
import sys
from collections.abc import Iterator

import torch

from analysis.benchmark.measure import Failure, Measured, Ratio, Timing
from analysis.benchmark.models import SIZES
from analysis.benchmark.rows import ROWS, Row, Settings, benchmark
from app.bench.startup import app
from app.bench.tabs import attention, space
from core.errors import BadInput
from core.models.backbone import Backbone, pick_device

APP: dict[str, Row] = {"attention": attention, "space": space, "app": app}  # of a model that the app can open
RATIOS = f"{'row':9} {'what':52} {'n':>2} {'a second':>25} {'ratio':>6} {'lowest-highest':>15}"
TIMINGS = f"{'row':9} {'what':52} {'n':>2} {'seconds':>9} {'lowest-highest':>15}"


def bench(args: argparse.Namespace) -> int:
    """Rows by name, all that fit the model where none is given; 1 where one of them could not be measured."""
    if args.backbone and args.shape:
        given = f"--shape {args.shape} and --backbone {args.backbone}"
        raise BadInput(f"{given} are both given, and one model is measured. Give one of them.")
    device = pick_device(args.device)
    settings = Settings(args.backbone or args.shape or "mini", args.device, args.repeats, args.tokens, args.batch, args.memory)
    drawn = settings.model in SIZES  # made on the spot: nothing that the app could load
    names = args.rows or ([*ROWS] if drawn else [*ROWS, *APP])
    found = benchmark(names, settings, ROWS | (dict.fromkeys(APP, _of_the_app) if drawn else APP))
    if args.json:
        rows = list(found)
        print(json.dumps(_where(settings, device) | {"rows": [row.to_dict() for row in rows]}))
        return int(any(isinstance(row, Failure) for row in rows))
    print(", ".join(f"{name} {value}" for name, value in _where(settings, device).items()))
    return _table(found)


def _of_the_app(backbone: Backbone, settings: Settings) -> Iterator[Timing]:
    """In place of a row that is measured through the app."""
    raise BadInput(
        f"{settings.model} is made on the spot with random weights, and the app opens models that are there. Leave --shape out, "
        "or name a model with --backbone."
    )
    yield


def _table(found: Iterator[Measured]) -> int:
    """A line a row as it comes, under a head of its kind; what could not be measured goes to stderr."""
    failed, above = 0, ""
    for row in found:
        if isinstance(row, Failure):
            failed = 1
            print(f"{row.row}: not measured. {row.error}", file=sys.stderr, flush=True)
            continue
        head = RATIOS if isinstance(row, Ratio) else TIMINGS
        print(*([head] if head != above else []), line(row), sep="\n", flush=True)
        above = head
    return failed


def _where(settings: Settings, device: torch.device) -> dict[str, str | int]:
    """What was measured, and on what."""
    chip = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "model": settings.model,
        "device": str(device),
        "processor": chip,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def line(row: Ratio | Timing) -> str:
    """One row of the table."""
    if isinstance(row, Timing):
        times = f"{row.seconds:9.3f} {f'{row.spread[0]:.3f}-{row.spread[1]:.3f}':>15}"
        return f"{row.row:9} {row.what:52} {row.n:2} {times}{_held(row.met, '≤', row.target, ' s')}"
    speeds = f"{row.speeds[0]:.1f} : {row.speeds[1]:.1f} {row.unit}"
    spread = f"{row.spread[0]:.2f}-{row.spread[1]:.2f}"
    peaks = [f"{peak / 1e9:.2f}" for peak in row.peaks or ()]
    memory = f"  peak memory {' : '.join(peaks)} GB = {row.memory:.2f}" if peaks else ""
    told = f"{row.row:9} {row.first + ' : ' + row.second:52} {row.n:2} {speeds:>25} {row.ratio:6.2f} {spread:>15}"
    return told + _held(row.met, "≥", row.target) + memory + _held(row.memory_met, "≤", row.memory_target)


def _held(met: bool | None, sign: str, target: float | None, unit: str = "") -> str:
    """The target, and whether it is met; empty where there is none or it was not measured."""
    return "" if met is None else f"  {sign} {target:g}{unit}: {'met' if met else 'not met'}"
