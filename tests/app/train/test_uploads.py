"""Rows of one's own are kept while a training may read them again, and no longer."""

import json
import threading

import pytest
from filelock import Timeout

from app.train.jobs import Jobs
from app.train.uploads import FOLDER
from core.data.uploads import save_split
from core.runs.manage import delete, empty_trash
from core.runs.store import Store
from tests.support.tiny_models import EXAMPLES


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def rows(store, name):
    """Kept rows, and how a run or a command line names them."""
    return str(save_split(EXAMPLES, name, store.folder / FOLDER))


def left(store):
    return sorted(path.name.rsplit("-", 1)[0] for path in (store.folder / FOLDER).iterdir())


def test_rows_are_deleted_when_no_run_and_no_waiting_training_names_them(store, monkeypatch):
    monkeypatch.setattr(Jobs, "_begin", lambda jobs, job: None)  # the line stands still
    jobs = Jobs(store, "cpu")
    for name, file in (("stopped", "state.json"), ("done", "run.json")):
        (store.folder / name).mkdir(parents=True)
        command = (
            {"source": {"data": rows(store, name)}} if file == "state.json" else {"command": f"train --data {rows(store, name)}"}
        )
        (store.folder / name / file).write_text(json.dumps(command))
    jobs.start("waits", ["train", "--run", "waits", "--data", rows(store, "waiting")])
    rows(store, "forgotten")
    jobs.sweep()
    assert left(store) == ["done", "stopped", "waiting"]
    jobs.stop("waits")
    delete(store, "stopped")
    jobs.sweep()
    assert left(store) == ["done", "stopped"]  # what is in the trash can come back and go on
    empty_trash(store)
    jobs.sweep()
    assert left(store) == ["done"]


def test_rows_that_were_just_kept_are_not_swept_before_their_training_is_in_line(store, monkeypatch):
    monkeypatch.setattr(Jobs, "_begin", lambda jobs, job: None)
    jobs, other = Jobs(store, "cpu"), Jobs(store, "cpu")
    with jobs.alone():
        values = rows(store, "new")
        sweeping = threading.Thread(target=other.sweep)
        sweeping.start()
        with pytest.raises(Timeout):
            other._lock.acquire(timeout=0.1)
        jobs.start("new", ["train", "--run", "new", "--data", values])
    sweeping.join()
    assert left(store) == ["new"]
