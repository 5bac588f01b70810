"""How a training stands, told from its folder alone: by any process, while it runs, after a kill, and when it is over."""

import csv
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from core.training.checkpoint import NAME as CHECKPOINT


@dataclass(frozen=True)
class Steps:
    """The columns of steps.csv; `valid` holds (update, loss) where it was validated."""

    update: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    valid: list[tuple[int, float]] = field(default_factory=list)

    def rows_per_second(self, last: int = 20) -> float:
        """Training pairs a second over the last updates; 0 where that cannot be told yet."""
        some = slice(-last, None)
        took = self.seconds[-1] - self.seconds[some][0] if len(self.seconds) > 1 else 0.0
        return sum(self.rows[some][1:]) / took if took > 0 else 0.0


@dataclass(frozen=True)
class Standing:
    """`state`: running, interrupted (its process is gone, it can go on), cancelled, done or failed; "" for no training."""

    state: str = ""
    update: int = 0
    total: int = 0
    config: dict[str, Any] = field(default_factory=dict)
    backbone: str = ""
    command: str = ""
    goes_on: bool = False  # whether `resume` would find all it needs

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        return min(1.0, self.update / self.total) if self.total else 0.0


def standing(folder: Path) -> Standing:
    """How the training in a folder stands. Whatever may stand in its files, this raises nothing."""
    state, run = _values(folder / "state.json"), _values(folder / "run.json")
    if state:
        update, total = _whole(state.get("update")), _whole(state.get("total"))
        running = is_alive(state.get("pid"), state.get("born"))
        told = "running" if running else _text(run.get("status")) or "interrupted"
        config, goes_on = state.get("config"), not running and (folder / CHECKPOINT).is_file()
        made = config if isinstance(config, dict) else {}
        return Standing(told, update, total, made, _text(state.get("backbone")), _text(state.get("command")), goes_on)
    if run:
        config, update = run.get("config"), _whole(run.get("updates"))
        made = config if isinstance(config, dict) else {}
        return Standing(_text(run.get("status")), update, update, made, _text(run.get("backbone")), _text(run.get("command")))
    return Standing()


def is_alive(pid: Any, born: Any) -> bool:
    """Whether the process that was born then still runs: a process id alone may be another's by now."""
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0 or not isinstance(born, int | float):
        return False
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - born) < 2 and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OverflowError):
        return False


def read_steps(folder: Path) -> Steps:
    """What steps.csv holds so far. Lines that cannot be read, as the last one of a killed process, are left out."""
    found = Steps()
    try:
        with open(folder / "steps.csv", newline="", encoding="utf-8") as file:
            for cells in csv.reader(file):
                _take(cells, found)
    except (OSError, ValueError, csv.Error):
        return found
    return found


def _take(cells: list[str], found: Steps) -> None:
    try:
        update, loss, valid, rate, rows, seconds = cells
        numbers = int(update), float(loss), float(rate), int(rows), float(seconds), float(valid or 0)
    except ValueError:  # the header, or half a line
        return
    if not all(map(math.isfinite, numbers)):
        return
    for column, number in zip((found.update, found.loss, found.rate, found.rows, found.seconds), numbers, strict=False):
        column.append(number)  # type: ignore[attr-defined]
    if valid:
        found.valid.append((numbers[0], numbers[5]))


def _values(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
