"""The table that the verb `bench` prints, and what it was measured on."""

import platform
import sys
from collections.abc import Iterator

import torch

from analysis.benchmark.measure import Failure, Measurement, Ratio, Timing
from analysis.benchmark.rows import Settings

RATIOS = f"{'row':9} {'what':52} {'n':>2} {'a second':>25} {'ratio':>6} {'lowest-highest':>15}"
TIMINGS = f"{'row':9} {'what':52} {'n':>2} {'seconds':>9} {'lowest-highest':>15}"


def print_table(measured: Iterator[Measurement]) -> int:
    """Print a line per row as it comes, under a heading of its kind; what could not be measured goes to stderr."""
    failed, printed = 0, ""
    for row in measured:
        if isinstance(row, Failure):
            failed = 1
            print(f"{row.row}: not measured. {row.error}", file=sys.stderr, flush=True)
            continue
        heading = RATIOS if isinstance(row, Ratio) else TIMINGS
        print(*([heading] if heading != printed else []), line(row), sep="\n", flush=True)
        printed = heading
    return failed


def environment(settings: Settings, device: torch.device) -> dict[str, str | int]:
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
    """Format one row of the table."""
    if isinstance(row, Timing):
        times = f"{row.seconds:9.3f} {f'{row.spread[0]:.3f}-{row.spread[1]:.3f}':>15}"
        return f"{row.row:9} {row.what:52} {row.n:2} {times}{_target(row.met, '≤', row.target, ' s')}"
    speeds = f"{row.speeds[0]:.1f} : {row.speeds[1]:.1f} {row.unit}"
    spread = f"{row.spread[0]:.2f}-{row.spread[1]:.2f}"
    peaks = [f"{peak / 1e9:.2f}" for peak in row.peaks or ()]
    memory = f"  peak memory {' : '.join(peaks)} GB = {row.memory:.2f}" if peaks else ""
    text = f"{row.row:9} {row.first + ' : ' + row.second:52} {row.n:2} {speeds:>25} {row.ratio:6.2f} {spread:>15}"
    return text + _target(row.met, "≥", row.target) + memory + _target(row.memory_met, "≤", row.memory_target)


def _target(met: bool | None, sign: str, target: float | None, unit: str = "") -> str:
    """The target, and whether it is met; empty where there is none or it was not measured."""
    return "" if met is None else f"  {sign} {target:g}{unit}: {'met' if met else 'not met'}"
