"""Run cells on a Dask cluster. A worker trains and scores a cell in a folder of its own, and sends back an archive.

A worker needs Prefix Lab and the backbone. The examples are sent to it, no folder is shared, and it runs one cell at a time. If
a worker is lost, the scheduler gives its cells to another one.
"""

import asyncio
import hashlib
import pickle
import shutil
import socket
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.experiments.cell import Workplace
from analysis.experiments.compare_methods import LAYOUT_ROWS
from analysis.experiments.grid import FROZEN, Cell
from analysis.experiments.result import LinePlace, Result
from analysis.experiments.run_grid import Place
from core.data.registry import sample_evenly
from core.data.source import DataSource
from core.errors import BadInput, PrefixLabError, StoreError, WrongBackbone
from core.exchange.archive import export_zip, import_zip
from core.models.backbone import Backbone
from core.models.loading import load_backbone
from core.runs.layout import JsonObject, write_text
from core.runs.run import Run, update_run_json
from core.task import Example

if TYPE_CHECKING:
    from distributed import Client, Future

PAUSE = 0.2  # seconds between two looks at what the workers have finished
CONNECT = 10  # seconds to wait for a scheduler
ONE_CELL = threading.Lock()  # a model serves one training at a time
Splits = dict[str, list[Example]]


@dataclass(frozen=True)
class CellTask:
    """What a worker needs to know about a cell, apart from its examples.

    `neutral`: name and content of the text on which forgetting is measured; `first_runs`: see Workplace.
    """

    cell: Cell
    source: DataSource
    backbone: str
    fingerprint: str
    device: str
    command: str
    places: dict[str, LinePlace]
    neutral: tuple[str, str] | None
    first_runs: dict[str, Run | None]


@dataclass(frozen=True)
class CellArchive:
    """A finished cell as bytes: the result, its texts, and its run as a zip (empty if nothing was trained)."""

    result: JsonObject
    texts: str
    run: bytes


@dataclass
class _Job:
    """A cell that runs on a worker; `lock` keeps other processes of this machine from running it."""

    cell: Cell
    lock: ExitStack
    rows: "Future"  # kept, so that the scheduler keeps the rows


def connect(address: str) -> "Client":
    """Connect to a Dask scheduler. Raises BadInput."""
    try:
        from distributed import Client, rpc
    except ImportError as error:
        raise BadInput(
            f'--cluster needs Dask, which is not installed: {sys.executable} -m pip install "dask[distributed]".'
        ) from error

    async def identify() -> None:
        async with rpc(address, timeout=CONNECT) as scheduler:
            await asyncio.wait_for(scheduler.identity(), CONNECT)

    try:
        with ThreadPoolExecutor(1) as thread:  # a Client waits without end for a server of another kind
            thread.submit(asyncio.run, identify()).result()  # in a thread, as this one may run a loop of its own
        return Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError, TypeError, ImportError) as error:  # TypeError: tls without certificates
        raise BadInput(
            f"No Dask scheduler answers at {address}. Start one with `dask scheduler`, and give the address that it prints."
        ) from error


# ---- on this machine


def run_on_cluster(cells: Sequence[Cell], place: Place, client: "Client", device: str = "auto") -> Iterator[Result]:
    """Yield each cell's result when it arrives, until all are done or the work is cancelled.

    The first cell of a line runs before the others, which use the learning rate that it chose. The result file is written after
    the run and the texts. Raises StoreError if workers die repeatedly or the connection is lost, and the errors of `try_run`.
    """
    remaining, jobs = list(cells), dict["Future", _Job]()
    try:
        while remaining and not place(remaining[0]).cancelled:
            for cell in list(remaining):
                if (result := place(cell).result(cell)) is not None:
                    remaining.remove(cell)
                    yield result
            _submit_ready(remaining, jobs, place, client, device)
            finished = [future for future in jobs if future.done()]
            for future in finished:
                job = jobs.pop(future)
                with job.lock:
                    if (archive := _archive_of(future, job.cell)) is not None:
                        _unpack(place(job.cell), job.cell, archive)
            if not finished:
                time.sleep(PAUSE)
    finally:
        client.cancel(list(jobs))
        for job in jobs.values():
            job.lock.close()


def _submit_ready(remaining: list[Cell], jobs: dict["Future", _Job], place: Place, client: "Client", device: str) -> None:
    """Give every free worker a cell."""
    workers, at_work = len(client.nthreads()), {job.cell for job in jobs.values()}
    for cell in dict.fromkeys(_ready(cell, place(cell)) for cell in remaining):
        if len(jobs) >= workers:
            return
        if cell in at_work:
            continue
        here, lock = place(cell), ExitStack()
        if not lock.enter_context(here.lock(cell)) or here.result(cell) is not None:
            lock.close()
            continue
        packed = zlib.compress(pickle.dumps(_splits(here, cell)))
        rows = client.submit(_read_rows, packed, key=f"rows-{hashlib.sha256(packed).hexdigest()[:16]}")
        future = client.submit(run_cell, _task(here, cell, device), rows, key=f"{cell.id}-{time.time_ns()}")
        jobs[future] = _Job(cell, lock, rows)


def _ready(cell: Cell, place: Workplace) -> Cell:
    """Return the cell, or the first one of its line if that has not chosen the learning rate yet."""
    first = cell.first
    return cell if not cell.rates or place.is_trained(first) or place.result(first) is not None else first


def _splits(place: Workplace, cell: Cell) -> Splits:
    """Return the examples that a cell uses."""
    splits: Splits = {"train": [], "test": place.test_examples(cell)}
    if cell.method != FROZEN:
        rows = place.rows(cell)
        return splits | {"train": list(rows.examples), "dev": list(rows.valid)}
    return splits | {"dev": [] if cell.is_article else sample_evenly(place.split(cell, "dev"), LAYOUT_ROWS)}


def _task(place: Workplace, cell: Cell, device: str) -> CellTask:
    spec, first = place.backbone.spec, cell.first
    first_runs = {first.id: place.store.get(first.id) if place.is_trained(first) else None} if cell != first else {}
    neutral = (place.neutral.name, place.neutral.read_text(encoding="utf-8")) if place.neutral else None
    source, command, places = place.sources[cell.data], place.command(cell), place.places(cell)
    return CellTask(
        cell, source, spec.source, spec.fingerprint, device, command, places, neutral, first_runs if cell.rates else {}
    )


def _archive_of(future: "Future", cell: Cell) -> CellArchive | None:
    """Return what a worker sent back. Raises the worker's error as one of ours."""
    from distributed import KilledWorker

    again = "The same command continues with what is left."
    try:
        return future.result()
    except PrefixLabError:
        raise
    except KilledWorker as error:
        reason = "often too little memory; their logs say more"
        raise StoreError(f"Every worker that was given the cell {cell.id} was lost ({reason}). {again}") from error
    except CancelledError as error:
        raise StoreError(f"The connection to the scheduler was lost. {again}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"[:300]
        advice = "Workers need this version of Prefix Lab: start them in its folder, or install it with `pip install -e .`."
        raise StoreError(f"The cell {cell.id} cannot be run on the cluster ({reason}). {advice}") from error


def _unpack(place: Workplace, cell: Cell, archive: CellArchive) -> None:
    """Store a cell's run, its texts and, last, its result."""
    if archive.run:
        shutil.rmtree(place.store.folder / cell.id, ignore_errors=True)  # a training that was interrupted here
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{cell.id}.zip"
            file.write_bytes(archive.run)
            run = import_zip(file, place.store)
        spec = place.backbone.spec
        update_run_json(run.folder, backbone_path=spec.where, backbone_revision=spec.revision)
    if archive.texts:
        write_text(place.texts_file(cell), archive.texts)
    Result.from_json(archive.result).save(place.result_file(cell))
    if not place.keep_weights:
        place.drop_weights(cell)


# ---- on a worker


def run_cell(task: CellTask, splits: Splits) -> CellArchive | None:
    """Run a cell in a temporary folder; None if it was cancelled. Raises WrongBackbone, and the errors of `try_run`."""
    from distributed import get_worker

    with ONE_CELL, tempfile.TemporaryDirectory(prefix="prefix-lab-", dir=get_worker().local_directory) as folder:
        backbone = _backbone(task.backbone, task.device)
        if backbone.spec.fingerprint != task.fingerprint:
            raise WrongBackbone(
                f"{task.backbone} on the worker {socket.gethostname()} has other weights ({backbone.spec.fingerprint}) than here "
                f"({task.fingerprint}). Put the same model there."
            )
        place = _workplace(task, splits, backbone, Path(folder))
        result = place.try_run(task.cell)
        return None if result is None else _pack(place, task.cell, result)


def _workplace(task: CellTask, splits: Splits, backbone: Backbone, folder: Path) -> Workplace:
    cell = task.cell
    neutral = folder / task.neutral[0] if task.neutral else None
    if task.neutral and neutral:
        neutral.write_text(task.neutral[1], encoding="utf-8")
    return Workplace(
        backbone,
        folder,
        {cell.data: task.source},
        lambda _: task.command,
        lambda _: task.places,
        neutral,
        _cancelled(),
        examples={(cell.data, cell.topics, split): rows for split, rows in splits.items()},
        first_runs=task.first_runs,
    )


def _pack(place: Workplace, cell: Cell, result: Result) -> CellArchive:
    """Pack a finished cell. A training that diverged at every rate has no run."""
    run, texts = place.store.folder / cell.id, place.texts_file(cell)
    zipped = b""
    if run.is_dir():
        zipped = export_zip(place.store.get(cell.id), place.root / "run.zip").read_bytes()
    return CellArchive(result.to_json(), texts.read_text(encoding="utf-8") if texts.exists() else "", zipped)


def _cancelled() -> Callable[[], bool]:
    """Return a function that says whether the client has cancelled the task of this thread."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def cancelled() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    return cancelled


@lru_cache(maxsize=2)  # of tables, and of articles
def _backbone(where: str, device: str) -> Backbone:
    return load_backbone(where, device)


def _read_rows(packed: bytes) -> Splits:
    return pickle.loads(zlib.decompress(packed))
