"""What a benchmark says: two sides against one another, taken alternately in one run for speed and in a process each for peak
memory; or how long something takes, against the time that it may take."""

import gc
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from core.errors import NotSupported

ROOT = Path(__file__).resolve().parents[2]
MIN_SECONDS = 0.5  # seconds of a measurement: a shorter one says little
Step = Callable[[], int]  # does a piece of work, and says how many examples or tokens it was


@dataclass(frozen=True)
class Ratio:
    """One row: `first` against `second`.

    `speeds`: the median of each, `unit` a second; `ratio`: the median of the ratios of neighbouring measurements,
    of which there are `n`, and `spread` the lowest and the highest of them. `peaks`: bytes of each at their highest,
    None where they were not measured. `target`: the least that the ratio should be, `memory_target`: the most that memory's
    should be; None where nothing is asked of it.
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
        """Peak memory of the first against the second."""
        return self.peaks[0] / self.peaks[1] if self.peaks else None

    @property
    def met(self) -> bool | None:
        """Whether the ratio is what it should be; None where nothing is asked of it."""
        return None if self.target is None else self.ratio >= self.target

    @property
    def memory_met(self) -> bool | None:
        """The same of memory; None also where it was not measured."""
        return None if self.memory_target is None or self.memory is None else self.memory <= self.memory_target

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self) | {"memory_ratio": self.memory, "met": self.met, "memory_met": self.memory_met}


@dataclass(frozen=True)
class Timing:
    """One row: how long `what` takes. `seconds`: the median of `n` times, `spread` the shortest and the longest.

    `target`: the most it may take; None where nothing is asked of it.
    """

    row: str
    what: str
    n: int
    seconds: float
    spread: tuple[float, float]
    target: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether it is quick enough; None where nothing is asked of it."""
        return None if self.target is None else self.seconds <= self.target

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self) | {"met": self.met}


@dataclass(frozen=True)
class Failure:
    """A row, or what was left of it, that could not be measured, and why."""

    row: str
    error: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


Measurement = Ratio | Timing | Failure


def summarize_times(row: str, what: str, times: Sequence[float], target: float | None = None) -> Timing:
    """A row, from one time or several."""
    return Timing(row, what, len(times), statistics.median(times), (min(times), max(times)), target)


def time_call(job: Callable[[], Any]) -> float:
    """How long a job takes."""
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def alternate(first: Step, second: Step, repeats: int, device: torch.device) -> tuple[list[float], list[float]]:
    """The speeds of each, measured `repeats` times by turns, so that what else the machine does falls on both.

    A measurement is the same number of steps on both sides, so that both work on the same batches: as many as take the
    quicker side half a second. Before, unmeasured, each takes two: the first pays for what is made once.
    Who goes first changes each time.
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
    """A row, from the speeds of both sides in the order they were measured in."""
    pairs = [one / other for one, other in zip(*speeds, strict=True)]
    medians = statistics.median(speeds[0]), statistics.median(speeds[1])
    return Ratio(row, *names, unit, len(pairs), medians, statistics.median(pairs), (min(pairs), max(pairs)))


def _time_steps(step: Step, times: int, device: torch.device) -> tuple[int, float]:
    """What was done in so many steps, and the seconds it took."""
    _synchronize(device)
    began = time.perf_counter()
    done = sum(step() for _ in range(times))
    _synchronize(device)
    return done, time.perf_counter() - began


def _synchronize(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(job: dict[str, Any]) -> int:
    """Bytes at the highest while a process of its own makes two steps of training (see `child.py`).

    The first step makes the optimiser's state, and the second has it beside the gradients. On CUDA what the training
    allocates there; else the whole process, the libraries included. NotSupported where the process does not end well.
    """
    command = [sys.executable, "-m", "analysis.benchmark.child", json.dumps(job)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"it was ended with code {done.returncode}, as where memory runs out"])[-1]
        raise NotSupported(f"The memory of {job['side']!r} could not be measured: {said}. Take a smaller model, or --no-memory.")
    return int(json.loads(done.stdout.splitlines()[-1])["peak"])


def peak_of(step: Step, device: torch.device) -> int:
    """Bytes at the highest in this process, once the work has been done twice."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    for _ in range(2):
        step()
    _synchronize(device)
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _peak_resident()


def _peak_resident() -> int:
    """The most memory that this process has held."""
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
