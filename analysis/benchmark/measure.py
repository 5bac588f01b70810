"""Benchmark measurements: ratios of two sides, or times against a target.

Speed is measured alternately in one process, peak memory in a process per side.
"""

import gc
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from core.errors import NotSupported

ROOT = Path(__file__).resolve().parents[2]
MIN_SECONDS = 0.5  # of a measurement: a shorter one is unreliable
Step = Callable[[], int]  # does a unit of work and returns its number of examples or tokens


@dataclass(frozen=True)
class Ratio:
    """One row: `first` against `second`.

    `speeds`: the median of each, in `unit` per second; `ratio`: the median of the ratios of the `n` neighboring
    measurements, and `spread` their lowest and highest. `peaks`: peak memory of each in bytes, None if not measured.
    `target`: the lowest ratio to reach, `memory_target`: the highest ratio of memory to keep; None for no target.
    """

    row: str
    first: str
    second: str
    unit: str
    n: int
    speeds: tuple[float, float]
    ratio: float
    spread: tuple[float, float]
    peaks: tuple[int, int] | None = None
    target: float | None = None
    memory_target: float | None = None

    @property
    def memory(self) -> float | None:
        """Ratio of peak memory, first to second."""
        return self.peaks[0] / self.peaks[1] if self.peaks else None

    @property
    def met(self) -> bool | None:
        """Whether the ratio reaches its target; None without one."""
        return None if self.target is None else self.ratio >= self.target

    @property
    def memory_met(self) -> bool | None:
        """Whether memory keeps its target; None without one, or if it was not measured."""
        return None if self.memory_target is None or self.memory is None else self.memory <= self.memory_target

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return asdict(self) | {"memory_ratio": self.memory, "met": self.met, "memory_met": self.memory_met}


@dataclass(frozen=True)
class Timing:
    """One row: how long `what` takes. `seconds`: the median of `n` times, `spread` the shortest and the longest.

    `target`: the longest it may take; None for no target.
    """

    row: str
    what: str
    n: int
    seconds: float
    spread: tuple[float, float]
    target: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether it keeps its target; None without one."""
        return None if self.target is None else self.seconds <= self.target

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return asdict(self) | {"met": self.met}


@dataclass(frozen=True)
class Failure:
    """A row, or the rest of one, that could not be measured, and why."""

    row: str
    error: str

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return asdict(self)


Measurement = Ratio | Timing | Failure


def summarize_times(row: str, what: str, times: Sequence[float], target: float | None = None) -> Timing:
    """A row from one or several times."""
    return Timing(row, what, len(times), statistics.median(times), (min(times), max(times)), target)


def time_call(job: Callable[[], object]) -> float:
    """The seconds that a job takes."""
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def alternate(first: Step, second: Step, repeats: int, device: torch.device) -> tuple[list[float], list[float]]:
    """Measure the speed of each side `repeats` times in turn, so that other load on the machine affects both.

    A measurement is the same number of steps on both sides, so that both process the same batches: as many as take the
    faster side half a second. Two warm-up steps per side come before. The side that goes first alternates.
    """
    sides = (first, second)
    speeds: tuple[list[float], list[float]] = ([], [])
    for step in sides:
        step()
    steps = math.ceil(MIN_SECONDS / min(_time_steps(step, 1, device)[1] for step in sides))
    for turn in range(repeats):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            done, seconds = _time_steps(sides[side], steps, device)
            speeds[side].append(done / seconds)
    return speeds


def summarize_speeds(row: str, names: tuple[str, str], unit: str, speeds: tuple[list[float], list[float]]) -> Ratio:
    """A row from the speeds of both sides in measuring order."""
    pairs = [one / other for one, other in zip(*speeds, strict=True)]
    medians = statistics.median(speeds[0]), statistics.median(speeds[1])
    return Ratio(row, *names, unit, len(pairs), medians, statistics.median(pairs), (min(pairs), max(pairs)))


def _time_steps(step: Step, times: int, device: torch.device) -> tuple[int, float]:
    """The work done in a number of steps, and the seconds it took."""
    _synchronize(device)
    began = time.perf_counter()
    done = sum(step() for _ in range(times))
    _synchronize(device)
    return done, time.perf_counter() - began


def _synchronize(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(job: Mapping[str, object]) -> int:
    """Peak bytes of a separate process that makes two training steps (see `child.py`).

    The first step creates the optimizer state, the second holds it beside the gradients. On CUDA, the training's
    allocations; else the whole process, libraries included. Raises NotSupported if the process fails.
    """
    command = [sys.executable, "-m", "analysis.benchmark.child", json.dumps(job)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        message = (done.stderr.strip().splitlines() or [f"it was ended with code {done.returncode}, as where memory runs out"])[
            -1
        ]
        raise NotSupported(
            f"The memory of {job['side']!r} could not be measured: {message}. Take a smaller model, or --no-memory."
        )
    return int(json.loads(done.stdout.splitlines()[-1])["peak"])


def peak_of(step: Step, device: torch.device) -> int:
    """Peak bytes of this process after two steps."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    for _ in range(2):
        step()
    _synchronize(device)
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _peak_resident()


def _peak_resident() -> int:
    """The peak resident memory of this process."""
    try:  # not getrusage on Linux: there a process begins with the peak of the one that started it
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
