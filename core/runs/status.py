"""The state of a training, read from its folder: by any process, during the training, after a crash, and when it is over."""

import csv
import json
import math
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from core.runs.layout import RunFiles

HEARTBEAT = 600  # seconds without a new state.json after which a training on another host counts as interrupted


@dataclass(frozen=True)
class TrainingLog:
    """The columns of steps.csv; `valid` has (update, loss) for each validation; `distance` is empty without a `near_text`."""

    update: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    valid: list[tuple[int, float]] = field(default_factory=list)
    distance: list[float] = field(default_factory=list)

    def rows_per_second(self) -> float:
        """Return the training pairs per second over the last 20 updates; 0 with fewer than two."""
        window = slice(-20, None)
        seconds = self.seconds[-1] - self.seconds[window][0] if len(self.seconds) > 1 else 0.0
        return sum(self.rows[window][1:]) / seconds if seconds > 0 else 0.0


@dataclass(frozen=True)
class RunStatus:
    """The progress of a training.

    `state`: "running", "interrupted" (its process has ended), "cancelled", "done" or "failed"; "" if nothing was trained.
    `resumable`: whether it can be resumed; `error`: why it failed, if the model or its code raised an error.
    """

    state: str = ""
    update: int = 0
    total: int = 0
    config: dict[str, object] = field(default_factory=dict)
    backbone: str = ""
    command: str = ""
    resumable: bool = False
    error: str = ""

    @property
    def fraction(self) -> float:
        """The fraction of its updates that is done, 0 to 1."""
        return min(1.0, self.update / self.total) if self.total else 0.0


def read_status(folder: Path) -> RunStatus:
    """Return the status of the training in a folder. Raises nothing, whatever its files contain."""
    files = RunFiles(folder)
    state, run = _read_json(files.state), _read_json(files.run_json)
    if state:
        return _unfinished(files, state, _text(run.get("status")))
    if run:
        updates = _integer(run.get("updates"))
        settings = _settings(run.get("config")), _text(run.get("backbone")), _text(run.get("command"))
        return RunStatus(_text(run.get("status")), updates, updates, *settings)
    return RunStatus()


def _unfinished(files: RunFiles, state: dict[str, object], status: str) -> RunStatus:
    """Return the status of a run that has a state.json; `status`: that of its run.json, if it was stopped."""
    error, running = _text(state.get("error")), _is_running(files, state)
    name = "running" if running else "failed" if error else status or "interrupted"
    return RunStatus(
        state=name,
        update=_integer(state.get("update")),
        total=_integer(state.get("total")),
        config=_settings(state.get("config")),
        backbone=_text(state.get("backbone")),
        command=_text(state.get("command")),
        resumable=not running and not error and files.checkpoint.is_file(),
        error=error,
    )


def _is_running(files: RunFiles, state: dict[str, object]) -> bool:
    """Whether a process trains the run. Processes of other hosts are not visible: their state.json has to be recent."""
    if state.get("pid") is None or state.get("host") in (None, socket.gethostname()):
        return is_alive(state.get("pid"), state.get("born"))
    try:
        return time.time() - files.state.stat().st_mtime < HEARTBEAT
    except OSError:
        return False


def is_alive(pid: object, create_time: object) -> bool:
    """Whether the process with this id and creation time still runs; the id alone may belong to another process by now."""
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0 or not isinstance(create_time, int | float):
        return False
    import psutil  # late: --help works before anything is installed

    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - create_time) < 2 and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OverflowError):
        return False


def read_training_log(folder: Path) -> TrainingLog:
    """Read steps.csv so far. Unreadable lines, such as the last one of a killed process, are skipped."""
    log = TrainingLog()
    try:
        with open(RunFiles(folder).steps, newline="", encoding="utf-8") as file:
            for cells in csv.reader(file):
                _add_line(cells, log)
    except (OSError, ValueError, csv.Error):
        return log
    return log


def _add_line(cells: list[str], log: TrainingLog) -> None:
    try:
        (update, loss, valid, rate, rows, seconds), more = cells[:6], cells[6:7]
        numbers = int(update), float(loss), float(rate), int(rows), float(seconds), float(valid or 0)
        distance = [float(cell) for cell in more]
    except ValueError:  # the header, or half a line
        return
    if not all(map(math.isfinite, (*numbers, *distance))):
        return
    log.distance.extend(distance)
    for column, number in zip((log.update, log.loss, log.rate, log.rows, log.seconds), numbers, strict=False):
        column.append(number)  # type: ignore[attr-defined]
    if valid:
        log.valid.append((numbers[0], numbers[5]))


def _read_json(path: Path) -> dict[str, object]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _integer(value: object) -> int:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _settings(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
