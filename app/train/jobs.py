"""Trainings in separate processes. Everything is on disk, so any page, and a restarted app, can follow them.

A training is the command line's own `train`, started in a process that outlives the app. One trains at a time; others are
queued. In the store's folder `.jobs`, NAME.json says what to train and, once it has started, in which process; NAME.log has the
output of that process. Its progress is in the run's own folder (core/runs/status.py).
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from app.shared.background import tolerant
from app.train import uploads
from core import paths
from core.errors import PrefixLabError, StoreError
from core.runs.layout import RunFiles, check_id, disk_errors, unfinished, write_json
from core.runs.status import is_alive, read_status
from core.runs.store import Store

FOLDER = ".jobs"
TICK = 0.5  # seconds between looks at the line
ENDING = 5.0  # seconds in which a process that is loading ends
# Of a process whose log says nothing: on a full disk it cannot write there, either.
FATAL = "the process was ended from outside, or the machine ran out of memory or of disk space"


@dataclass(frozen=True)
class Job:
    """A queued or running training. `words`: its command line after `launch.py`; `asked`: when it was queued (Unix time)."""

    run: str
    words: tuple[str, ...]
    asked: float
    pid: int | None = None
    born: float | None = None

    @property
    def started(self) -> bool:
        """Whether it has a process of its own already."""
        return self.pid is not None

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return is_alive(self.pid, self.born)


class Jobs:
    """The queue of trainings of one store."""

    def __init__(self, store: Store, device: str = "auto") -> None:
        self.store, self.device = store, device
        self.folder = store.folder / FOLDER
        self._processes: list[subprocess.Popen] = []
        self._thread: threading.Thread | None = None
        self.obstacle = ""  # why the next training could not begin, as on a full disk
        self._guard = threading.Lock()
        self._lock = FileLock(self.folder / ".lock")  # the line's; a thread that holds it may take it again
        self.try_tick = tolerant(self.tick, "the queue of trainings")  # for what goes on in a folder that cannot be written, too

    # ---- what there is

    def jobs(self) -> list[Job]:
        """Return the unfinished jobs, oldest first."""
        unfinished_jobs = [job for path in self.folder.glob("*.json") if (job := _read(path)) is not None]
        return sorted(unfinished_jobs, key=lambda job: (job.asked, job.run))

    def state(self, run_id: str) -> str:
        """Return the state of a run.

        "queued"; "loading" (the process is not training yet); "finishing" (it has trained, and is about to end); "failed" if it
        never started; otherwise the state in core.runs.status.
        """
        job, run_status = self._job(run_id), read_status(self.store.folder / run_id)
        if job is None or run_status.state == "running":
            return run_status.state
        if not job.started:
            return "queued"
        if job.alive:
            return "finishing" if self._has_saved(job) else "loading"
        return run_status.state or "failed"

    def _has_saved(self, job: Job) -> bool:
        """Whether the job's process has written its run. Until then, a resumed run still has its old files."""
        try:
            return (self.store.folder / job.run / "run.json").stat().st_mtime >= (job.born or 0.0)
        except OSError:
            return False

    def training(self) -> list[str]:
        """Return the runs in training, also from the command line."""
        started = [job.run for job in self.jobs() if job.alive]
        runs = unfinished(self.store.folder)
        return list(dict.fromkeys(started + [run for run in runs if read_status(self.store.folder / run).state == "running"]))

    def waiting(self) -> list[str]:
        """Return the queued runs, the next one first."""
        return [job.run for job in self.jobs() if not job.started]

    def interrupted(self) -> list[str]:
        """Return runs whose process was killed, as by a crash, and that can be resumed from a checkpoint."""
        runs = unfinished(self.store.folder)
        statuses = {run: read_status(self.store.folder / run) for run in runs}
        return [run for run in runs if statuses[run].resumable and self.state(run) == "interrupted"]

    def ahead(self, run_id: str) -> list[str]:
        """Return the runs that a queued run waits for: those in training, then those before it."""
        line = self.waiting()
        return self.training() + (line[: line.index(run_id)] if run_id in line else [])

    def problem(self, run_id: str) -> str:
        """Say why a job ended without a result; "" if it did not."""
        job = self._job(run_id)
        if job is None or not job.started or job.alive:
            return ""
        try:
            lines = (self.folder / f"{run_id}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            lines = []
        for line in reversed(lines[-50:]):
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(message, dict) and isinstance(message.get("error"), str):
                return message["error"]
        last = lines[-1][:300] if lines and not lines[-1].startswith("{") else FATAL
        return f"The training of {run_id!r} ended before it was done: {last}."

    # ---- what can be asked

    def start(self, run_id: str, words: Sequence[str]) -> list[str]:
        """Queue a new run, and return the runs it waits for. Raises StoreError if its id is in use."""
        self.store.check_free(run_id)
        if self._job(run_id) is not None:
            raise StoreError(f"There is a training {run_id!r} already. Give another name.")
        return self._queue(run_id, words)

    def go_on(self, run_id: str) -> list[str]:
        """Queue a stopped or interrupted run again, from its last checkpoint."""
        self.store.check_own(run_id)
        if run_id in self.training() or run_id in self.waiting():
            raise StoreError(f"The run {run_id!r} is being trained, or waits for it. Stop it first.")
        if not read_status(self.store.folder / run_id).resumable:
            raise StoreError(f"The run {run_id!r} has no checkpoint to resume from. Train again under another name.")
        return self._queue(run_id, ["train", "--resume", "--run", run_id])

    def stop(self, run_id: str) -> str:
        """Stop a training after the current update and save it; end one that is loading, and remove a queued one from the queue.

        Returns the state in which it was stopped: "queued", "loading", "running", or "" if there was nothing to stop.
        """
        job = self._job(run_id)
        if job is not None and not job.started:
            self.forget(run_id)
            return "queued"
        if read_status(self.store.folder / check_id(run_id)).state == "running":
            stop = RunFiles(self.store.folder / run_id).stop
            with disk_errors(f"write {stop}", "Make the runs folder writable, or end the training where it was started."):
                stop.touch()
            return "running"
        if job is None or not job.alive or self._has_saved(job):
            return ""
        with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):  # it is loading: there is nothing to keep
            process = psutil.Process(job.pid)
            process.terminate()
            process.wait(ENDING)
        self.forget(run_id)
        return "loading"

    def forget(self, run_id: str) -> None:
        """Drop a job that is not running from the list; the run itself stays."""
        check_id(run_id)
        with disk_errors(f"write {self.folder}", "Make it writable."):
            for ending in ("json", "log"):
                (self.folder / f"{run_id}.{ending}").unlink(missing_ok=True)

    # ---- the line

    def tick(self) -> None:
        """Remove finished jobs, and start the next one if nothing is training. Several apps on one store may call it.

        Raises StoreError if the next one cannot begin, as on a full disk; `obstacle` says so until it can.
        """
        try:
            with disk_errors(f"write {self.folder}", "Choose a writable folder with PREFIX_LAB_HOME."):
                self._advance()
        except StoreError as error:
            self.obstacle = str(error)
            raise
        self.obstacle = ""

    def _advance(self) -> None:
        self._processes = [process for process in self._processes if process.poll() is None]  # lets the system forget them
        if not self.folder.is_dir():
            return
        try:
            with self._lock.acquire(timeout=0):
                for job in self.jobs():
                    if job.started and not job.alive and read_status(self.store.folder / job.run).state in ("done", "cancelled"):
                        self.forget(job.run)
                if not self.training() and (line := [job for job in self.jobs() if not job.started]):
                    self._begin(line[0])
        except Timeout:  # another app is at it
            return

    def wake(self) -> None:
        """Resume the queue in the background when the app starts, and delete uploaded rows that no training needs any more."""
        if self.folder.is_dir():
            self._in_background(self._wake)

    def _wake(self) -> None:
        with suppress(StoreError):  # they are no hindrance
            self.sweep()
        self._attend()

    def sweep(self) -> None:
        """Delete uploaded rows that neither a run nor a queued training names."""
        with self.alone():
            uploads.sweep(self.store, [job.words for job in self.jobs()])

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the queue's lock, also against other apps. Raises StoreError if its folder cannot be written."""
        with disk_errors(f"write {self.folder}", "Choose a writable folder with PREFIX_LAB_HOME."):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    def keep_going(self) -> None:
        """Run the queue in the background as long as something is training or waiting."""
        self._in_background(self._attend)

    def _in_background(self, job: Callable[[], None]) -> None:
        with self._guard:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=job, name="jobs", daemon=True)
                self._thread.start()

    def _attend(self) -> None:
        while any(not job.started or job.alive for job in self.jobs()):
            self.try_tick()
            time.sleep(TICK)
        self.try_tick()

    def _queue(self, run_id: str, words: Sequence[str]) -> list[str]:
        with self.alone():
            self._write(Job(check_id(run_id), tuple(words), time.time()))
        ahead = self.ahead(run_id)
        self.tick()
        self.keep_going()
        return ahead

    def _begin(self, job: Job) -> None:
        device = [] if self.device == "auto" else ["--device", self.device]
        command = [sys.executable, "-m", "app.cli", *job.words, "--json", *device]
        self._write(job)  # where this cannot be done, as on a full disk, no process begins that would not be on the list
        with ExitStack() as stack:
            with disk_errors(f"write {self.folder}"):
                log = stack.enter_context(open(self.folder / f"{job.run}.log", "wb"))
            process = subprocess.Popen(
                command,
                cwd=paths.ASSETS.parent,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the app's terminal is not meant for it
            )
        self._processes.append(process)
        try:
            create_time = psutil.Process(process.pid).create_time()
        except psutil.Error:  # it is over already
            create_time = 0.0
        try:
            self._write(replace(job, pid=process.pid, born=create_time))
        except StoreError:
            process.kill()
            process.wait()
            raise

    def _environment(self) -> dict[str, str]:
        """Return the environment of a training: the same store, and one core left to the app."""
        cores = os.environ.get("OMP_NUM_THREADS") or str(max(1, (psutil.cpu_count(logical=False) or 2) - 1))
        return os.environ | {"PREFIX_LAB_HOME": str(self.store.folder.parent), "OMP_NUM_THREADS": cores}

    def _job(self, run_id: str) -> Job | None:
        return _read(self.folder / f"{check_id(run_id)}.json")

    def _write(self, job: Job) -> None:
        write_json(self.folder / f"{job.run}.json", asdict(job))


def _read(path: Path) -> Job | None:
    """Read a job; None if the file is missing or is not a job."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        job = Job(**values | {"words": tuple(map(str, values["words"])), "asked": float(values["asked"])})
        return job if check_id(job.run) == path.stem else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError, PrefixLabError):
        return None
