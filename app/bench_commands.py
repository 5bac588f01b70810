"""The verb `bench`: read the arguments, measure, print a table as it grows, or one JSON object."""

import argparse
import json
import platform

import torch

from analysis.benchmark.measure import Ratio
from analysis.benchmark.rows import Settings, benchmark
from core.backbone import pick_device
from core.errors import BadInput

HEAD = f"{'row':9} {'what':44} {'n':>2} {'a second':>25} {'ratio':>6} {'lowest-highest':>15}  peak memory"


def bench(args: argparse.Namespace) -> int:
    """Rows by name, all where none is given."""
    if args.backbone and args.shape:
        given = f"--shape {args.shape} and --backbone {args.backbone}"
        raise BadInput(f"{given} are both given, and one model is measured. Give one of them.")
    device = pick_device(args.device)
    settings = Settings(args.backbone or args.shape or "mini", args.device, args.repeats, args.tokens, args.batch, args.memory)
    found = benchmark(args.rows, settings)
    if args.json:
        rows = [ratio.to_dict() for ratio in found]
        print(json.dumps(_where(settings, device) | {"rows": rows}))
        return 0
    print(", ".join(f"{name} {value}" for name, value in _where(settings, device).items()))
    for count, ratio in enumerate(found):
        print(*([HEAD] if not count else []), line(ratio), sep="\n", flush=True)
    return 0


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


def line(ratio: Ratio) -> str:
    """One row of the table."""
    what = f"{ratio.first} : {ratio.second}"
    speeds = f"{ratio.speeds[0]:.1f} : {ratio.speeds[1]:.1f} {ratio.unit}"
    spread = f"{ratio.spread[0]:.2f}-{ratio.spread[1]:.2f}"
    peaks = [f"{peak / 1e9:.2f}" for peak in ratio.peaks or ()]
    memory = f"  {' : '.join(peaks)} GB = {ratio.memory:.2f}" if peaks else ""
    return f"{ratio.row:9} {what:44} {ratio.n:2} {speeds:>25} {ratio.ratio:6.2f} {spread:>15}{memory}"
