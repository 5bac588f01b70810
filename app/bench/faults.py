"""`bench faults`: work on a store is killed at random moments, or meets a full disk; then the store is opened and looked at.

Each kind of work runs in a process of its own on a temporary store. It reports what is done as it goes, and is ended by
SIGKILL (Windows: TerminateProcess). A full disk is a limit on the size of the files that the process may write.
"""

import hashlib
import itertools
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from safetensors import safe_open

from app.classroom.board import Board
from app.classroom.records import Guest
from app.shared import examples
from core.config.train import TrainConfig
from core.errors import BadInput, PrefixLabError, RunNotFound
from core.exchange.archive import export_zip, import_zip
from core.methods.loading import load_run
from core.models.backbone import Backbone
from core.models.loading import load_backbone
from core.runs.layout import RunFiles
from core.runs.manage import delete, list_trash, rename, restore
from core.runs.run import Run
from core.runs.status import read_status
from core.runs.store import Store
from core.task import Example, task
from core.text.tables import linearise
from core.training.trainer import Trainer, resume_training

MOST_KILLS = 1000
SPANS = {"training": 4.0}  # seconds from the start within which a kind of work is killed
SPAN = 0.5
START = 300.0  # seconds to wait for a process
READY, DONE = "ready", "done"
RUN, OTHER, ZIP = "mine", "other", "mine.zip"
CONFIG = TrainConfig(length=3, batch=4, updates=20, save_every=4, validate_every=10, init="random", mlp=0, rate=1e-2)
LIMITS = (0, 100, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)  # bytes that a file may have on a full disk
GUESTS = 20
Report = tuple[object, ...]  # what a worker reports as done
Confirm = Callable[..., None]


@dataclass(frozen=True)
class Fault:
    """One fault: what it met, when (seconds after the start, or bytes of a file), how much was done, and what is broken after."""

    work: str
    kind: str
    moment: float
    done: int
    broken: tuple[str, ...]


def kills(backbone: str, count: int, seed: int) -> Iterator[Fault]:
    """Kill each kind of work `count` times, at moments drawn with `seed`. `backbone`: a small model to train on."""
    if not 1 <= count <= MOST_KILLS:
        raise BadInput(f"kills must be between 1 and {MOST_KILLS:,}; given: {count}.", "kills")
    for name in WORKS:
        moments = random.Random(f"{seed} {name}")
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            prepared = _prepare(name, Path(folder), backbone)
            for number in range(count):
                moment = moments.uniform(0, SPANS.get(name, SPAN))
                home = shutil.copytree(prepared, Path(folder) / f"kill-{number}")
                reports = _killed(name, home, backbone, moment)
                yield Fault(name, "kill", round(moment, 3), len(reports), tuple(_broken(name, home, backbone, reports)))
                shutil.rmtree(home, ignore_errors=True)


def full_disks(backbone: str, limits: Sequence[int] = LIMITS) -> Iterator[Fault]:
    """Each kind of work with files that cannot grow beyond some size; not on Windows, which has no such limit."""
    if sys.platform == "win32":
        return
    for name in WORKS:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            prepared = _prepare(name, Path(folder), backbone)
            for limit in limits:
                home = shutil.copytree(prepared, Path(folder) / f"full-{limit}")
                *reports, (end, message) = _limited(name, home, backbone, limit)
                sentence = str(message)
                broken = _broken(name, home, backbone, reports)
                if end == "error" and (sentence.count("\n") or "Free some space" not in sentence):
                    broken.append(f"it said: {sentence}")
                if end == "unexpected":
                    broken.append(f"an error without a sentence: {sentence}")
                yield Fault(name, "full disk", limit, len(reports), tuple(broken))
                shutil.rmtree(home, ignore_errors=True)


# ---- the processes


def _start(target: Callable[..., None], *arguments: object) -> tuple[BaseProcess, Connection]:
    """A process and what it sends; it begins with everything imported, where the system has such processes."""
    has_server = "forkserver" in multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if has_server else "spawn")
    if has_server:
        context.set_forkserver_preload([__name__])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(sender, *arguments))
    process.start()
    sender.close()
    return process, receiver


def _killed(name: str, home: Path, backbone: str, moment: float) -> list[Report]:
    """Start a kind of work, kill it after `moment` seconds; what it had reported."""
    process, receiver = _start(_work, name, home, backbone)
    reports: list[Report] = []
    try:
        if not receiver.poll(START) or receiver.recv() != (READY,):
            raise RuntimeError(f"{name} did not start.")
        until = time.monotonic() + moment
        while (seconds := until - time.monotonic()) > 0:
            if receiver.poll(seconds):
                reports.append(receiver.recv())
        process.kill()
        process.join()
        while True:  # what was reported before the kill
            reports.append(receiver.recv())
    except (EOFError, OSError):
        return reports
    finally:
        process.kill()
        process.join()


def _limited(name: str, home: Path, backbone: str, limit: int) -> list[Report]:
    """What a kind of work reports on a full disk, and in the end ("done" or "error" or "unexpected", sentence)."""
    process, receiver = _start(_work_on_full_disk, name, home, backbone, limit)
    reports: list[Report] = []
    try:
        while True:
            reports.append(receiver.recv())
    except EOFError:
        return reports
    finally:
        process.join()


def _work(sender: Connection, name: str, home: Path, backbone: str) -> None:
    for _ in WORKS[name].work(home, backbone, lambda *report: sender.send(report)):
        pass


def _work_on_full_disk(sender: Connection, name: str, home: Path, backbone: str, limit: int) -> None:
    import resource  # not on Windows

    confirm: Confirm = lambda *report: sender.send(report) if report != (READY,) else None  # noqa: E731
    try:
        steps = WORKS[name].work(home, backbone, confirm)
        next(steps)  # everything is loaded
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        for _ in range(3):
            next(steps)
        sender.send((DONE, ""))
    except PrefixLabError as error:
        sender.send(("error", str(error)))
    except Exception as error:
        sender.send(("unexpected", repr(error)))


def _prepare(name: str, folder: Path, backbone: str) -> Path:
    """A home with one run and its zip."""
    home = folder / "home"
    run = _train(load_backbone(backbone, "cpu"), Store(home / "runs"), RUN, CONFIG.replace(updates=1))
    export_zip(run, home / ZIP)
    return home


def _broken(name: str, home: Path, backbone: str, reports: list[Report]) -> list[str]:
    """What is not as it must be, as sentences: opening the home raises nothing, and each listed run is whole."""
    try:
        store, model = Store(home / "runs"), load_backbone(backbone, "cpu")
        for run in store.runs():
            load_run(run, model)
        return [*WORKS[name].check(home, model, reports)]
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]


# ---- the kinds of work: each yields between two pieces of it, and is checked by what is there afterwards


def _examples() -> list[Example]:
    samples = [sample for sample in examples.samples("table") if sample.references][:12]
    return [Example(linearise(sample.fields[:3]), ("It is.",)) for sample in samples]


def _train(backbone: Backbone, store: Store, run_id: str, config: TrainConfig = CONFIG) -> Run:
    training, rows = Trainer(backbone, task("e2e"), config, store, run_id), _examples()
    for _ in training.steps(rows, rows[:4]):
        pass
    assert training.run is not None
    return training.run


def _training(home: Path, backbone: str, confirm: Confirm) -> Iterator[None]:
    model, rows = load_backbone(backbone, "cpu"), _examples()
    confirm(READY)
    yield
    for number in itertools.count():
        training = Trainer(model, task("e2e"), CONFIG, Store(home / "runs"), f"run-{number}")
        for step in training.steps(rows, rows[:4]):
            confirm(number, step.index)
        confirm(number, DONE)
        yield


def _check_training(home: Path, model: Backbone, reports: list[Report]) -> Iterator[str]:
    store = Store(home / "runs")
    listed = {run.id for run in store.runs()}
    for number in [number for number, step in reports if step == DONE]:
        if f"run-{number}" not in listed:
            yield f"run-{number} was trained to its end, and is not listed"
    number, step = reports[-1] if reports else (0, 0)
    number, step = (int(str(number)) + 1, 0) if step == DONE else (int(str(number)), int(str(step)))
    files = RunFiles(store.folder / f"run-{number}")
    if f"run-{number}" in listed or not (step or files.state.exists()):
        return
    if not read_status(files.folder).resumable and step:
        yield f"run-{number} was at update {step}, and cannot be resumed"
    if files.checkpoint.exists():
        with safe_open(files.checkpoint, "pt") as file:
            index = int(file.metadata()["index"])
        due = min(step, CONFIG.updates - 1)  # after the last update the run itself is saved
        if index < due - due % CONFIG.save_every:
            yield f"run-{number} was at update {step}, and its checkpoint is of update {index}"
        rows = _examples()
        resumed = resume_training(store, f"run-{number}", lambda name: model)
        for _ in resumed.steps(rows, rows[:4]):
            pass
        if resumed.run is None or resumed.run.status != "done":
            yield f"run-{number} was resumed, and did not finish"


def _importing(home: Path, backbone: str, confirm: Confirm) -> Iterator[None]:
    store = Store(home / "runs")
    confirm(READY)
    yield
    for number in itertools.count():
        import_zip(home / ZIP, store, f"in-{number}")
        confirm(f"in-{number}")
        yield


def _check_importing(home: Path, model: Backbone, reports: list[Report]) -> Iterator[str]:
    store = Store(home / "runs")
    listed = {run.id: _digest(run.folder) for run in store.runs()}
    yield from (f"{run_id} was imported, and is not listed" for (run_id,) in reports if run_id not in listed)
    yield from (f"{run_id} is listed, but incomplete" for run_id, digest in listed.items() if digest != listed[RUN])
    yield from store.broken()


def _deleting(home: Path, backbone: str, confirm: Confirm) -> Iterator[None]:
    store = Store(home / "runs")
    confirm(READY)
    yield
    while True:
        delete(store, RUN)
        confirm(False)
        yield
        restore(store, RUN)
        confirm(True)
        yield


def _check_deleting(home: Path, model: Backbone, reports: list[Report]) -> Iterator[str]:
    store = Store(home / "runs")
    copies = [run.folder for run in store.runs()] + [run.folder for run in list_trash(store)]
    if len(copies) != 1 or _digest(copies[0]) != _digest_of_zip(home):
        yield f"of the run there are {len(copies)} copies, or it is incomplete"
    yield from store.broken()


def _renaming(home: Path, backbone: str, confirm: Confirm) -> Iterator[None]:
    store = Store(home / "runs")
    confirm(READY)
    yield
    for old, new in itertools.cycle([(RUN, OTHER), (OTHER, RUN)]):
        rename(store, old, new)
        confirm(new)
        yield


def _check_renaming(home: Path, model: Backbone, reports: list[Report]) -> Iterator[str]:
    store = Store(home / "runs")
    yield from store.broken()
    runs = store.runs()
    if len(runs) != 1 or runs[0].id not in (RUN, OTHER) or _digest(runs[0].folder) != _digest_of_zip(home):
        yield f"listed are {[run.id for run in runs]}, or the run is incomplete"
        return
    name = runs[0].id
    rename(store, name, "again")
    try:
        store.get(name)
        yield f"{name} is listed under its old name, too"
    except RunNotFound:
        pass


def _writing_board(home: Path, backbone: str, confirm: Confirm) -> Iterator[None]:
    board = Board(home)
    confirm(READY)
    yield
    guests: list[Guest] = []
    for number in itertools.count():
        if number < GUESTS:
            guests.append(board.join(f"guest {number}"))
            board.add_entry(guests[-1], f"run-{number}")
        place = number % GUESTS
        board.update_entry(f"run-{place}", note=str(number))
        confirm(place, number)
        yield


def _check_board(home: Path, model: Backbone, reports: list[Report]) -> Iterator[str]:
    board = Board(home)
    last = {str(place): int(str(number)) for place, number in reports}
    for place, number in last.items():
        entry = board.entry(f"run-{place}")
        if entry is None or not entry.note.isdigit() or int(entry.note) < number:
            yield f"entry {place} was confirmed with note {number}, and the board has {entry and entry.note!r}"


def _digest(folder: Path) -> str:
    return hashlib.sha256(RunFiles(folder).weights.read_bytes()).hexdigest()


def _digest_of_zip(home: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return _digest(import_zip(home / ZIP, Store(Path(folder)), RUN).folder)


@dataclass(frozen=True)
class Work:
    """A kind of work, and what is checked after it was ended."""

    work: Callable[[Path, str, Confirm], Iterator[None]]
    check: Callable[[Path, Backbone, list[Report]], Iterator[str]]


WORKS = {
    "training": Work(_training, _check_training),
    "import": Work(_importing, _check_importing),
    "delete": Work(_deleting, _check_deleting),
    "rename": Work(_renaming, _check_renaming),
    "class board": Work(_writing_board, _check_board),
}
