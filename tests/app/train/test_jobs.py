"""Trainings in processes of their own: they outlive the app, wait in line, and are found again."""

import json
import os
import signal
import subprocess
import time

import psutil
import pytest

from app.train.jobs import Jobs
from core.errors import StoreError
from core.runs.manage import delete
from core.runs.status import read_status, read_training_log
from core.runs.store import Store
from tests.support.tiny_models import make_tiny_backbone

pytestmark = pytest.mark.slow


@pytest.fixture
def jobs(tmp_path):
    new = Jobs(Store(tmp_path / "home" / "runs"), "cpu")
    yield new
    for job in new.jobs():
        if job.alive:
            os.kill(job.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return str(make_tiny_backbone(tmp_path_factory.mktemp("jobs") / "tiny-gpt2", positions=512))


def words(run, backbone, **options):
    values = {"updates": 50_000, "batch": 2, "length": 2, "mlp": 0, "save_every": 5, "valid_rows": 2, "validate_every": 10_000}
    line = [word for name, value in (values | options).items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return ["train", "--run", run, "--backbone", backbone, *line]


def until(what, seconds=180):
    """Wait for something; what it says is the failure's message."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)


def test_killed_outright_it_is_offered_again_and_the_next_in_line_begins(jobs, backbone):
    folder = jobs.store.folder / "first"
    assert jobs.start("first", words("first", backbone)) == []
    assert jobs.start("second", words("second", backbone, updates=2)) == ["first"]
    with pytest.raises(StoreError, match="already"):
        jobs.start("second", words("second", backbone))
    assert jobs.state("second") == "queued"
    until(lambda: read_status(folder).update > 8)
    again = Jobs(Store(jobs.store.folder), "cpu")  # the app closed and opened again
    assert again.state("first") == "running" and again.ahead("second") == ["first"]
    with pytest.raises(StoreError, match="Another process"):
        delete(again.store, "first")
    os.kill(next(job.pid for job in again.jobs() if job.run == "first"), signal.SIGKILL)
    until(lambda: again.state("first") == "interrupted")
    assert "ended from outside" in again.problem("first") and again.interrupted() == ["first"]
    again.tick()
    until(lambda: again.state("second") == "done")
    assert again.store.get("second").updates == 2
    reached = len(read_training_log(folder).update)
    again.go_on("first")
    assert again.interrupted() == []
    until(lambda: read_status(folder).state == "running" and read_status(folder).update > 10)
    assert read_training_log(folder).update[:3] == [1, 2, 3] and reached > 5
    again.stop("first")
    until(lambda: again.state("first") == "cancelled" and not again.training())
    run = again.store.get("first")
    assert run.updates >= 10 and read_training_log(folder).update == list(range(1, run.updates + 1))
    again.tick()
    assert again.jobs() == []


def test_a_training_that_is_stopped_while_it_loads_leaves_nothing_behind(jobs, backbone):
    jobs.start("early", words("early", backbone))
    jobs.tick()
    assert jobs.state("early") == "loading" and jobs.stop("early") == "loading"
    assert jobs.state("early") == "" and jobs.problem("early") == "" and jobs.training() == []
    assert not (jobs.store.folder / "early").exists() and jobs.stop("early") == ""


def test_what_went_wrong_is_said_and_the_name_is_free_again(jobs, backbone, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"table": "name : Alda"}\n')
    jobs.start("bad", [*words("bad", backbone), "--data", str(tmp_path / "bad.jsonl")])
    jobs.start("waits", words("waits", backbone))
    jobs.stop("waits")
    assert jobs.waiting() == []
    until(lambda: jobs.state("bad") == "failed")
    assert "bad.jsonl, line 1" in jobs.problem("bad") and '"text" is missing' in jobs.problem("bad")
    jobs.forget("bad")
    assert jobs.state("bad") == "" and jobs.store.broken() == []


def test_a_full_disk_begins_no_training_twice_and_the_queue_goes_on_after_it(jobs, backbone, monkeypatch):
    write, failures, started = Jobs._write, iter([False, True, False, True]), []

    def full_at_times(self, job):
        if next(failures, False):
            raise StoreError("The disk is full.")
        write(self, job)

    def start(*arguments, **options):
        started.append(subprocess_popen(*arguments, **options))
        return started[-1]

    subprocess_popen = subprocess.Popen
    monkeypatch.setattr(Jobs, "_write", full_at_times)
    monkeypatch.setattr("app.train.jobs.subprocess.Popen", start)
    with pytest.raises(StoreError, match="full"):  # it is in the queue, and cannot begin
        jobs.start("short", words("short", backbone, updates=2))
    assert started == [] and jobs.state("short") == "queued" and jobs.obstacle == "The disk is full."
    jobs.keep_going()
    until(lambda: jobs.state("short") == "done")
    assert jobs.obstacle == ""
    ended_early, trained = started  # the first process was on no list, and so was ended
    assert ended_early.returncode == -signal.SIGKILL and trained.wait(60) == 0


def test_a_process_id_of_another_time_is_not_taken_for_ours(jobs, tmp_path):
    folder = jobs.store.folder / "old"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(f'{{"pid": {os.getpid()}, "born": 1000.0, "update": 3, "total": 9}}')
    assert jobs.training() == [] and jobs.state("old") == "interrupted" and read_status(folder).fraction == pytest.approx(1 / 3)
    (jobs.folder).mkdir()
    for name, content in {"a.json": "{", "b.json": '{"run": "../b", "words": [], "asked": 1}', "c.json": "[1]"}.items():
        (jobs.folder / name).write_text(content)
    assert jobs.jobs() == []


def test_a_process_that_has_written_its_run_is_finishing_and_one_that_resumes_is_loading(jobs, tmp_path):
    folder, now = jobs.store.folder / "run", time.time()
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"status": "done", "updates": 9}')
    jobs.folder.mkdir()
    me = psutil.Process(os.getpid()).create_time()
    job = {"run": "run", "words": [], "asked": now, "pid": os.getpid(), "born": me}
    (jobs.folder / "run.json").write_text(json.dumps(job))
    assert jobs.state("run") == "finishing"
    os.utime(folder / "run.json", (me - 60, me - 60))
    assert jobs.state("run") == "loading"
    (jobs.folder / "run.json").unlink()  # else the fixture ends this process


def test_a_queue_that_cannot_be_written_is_read_and_what_cannot_be_done_is_said(jobs):
    job = {"run": "waits", "words": ["train"], "asked": 1.0}
    jobs.folder.mkdir(parents=True)
    (jobs.folder / "waits.json").write_text(json.dumps(job))
    (jobs.folder / ".lock").mkdir()  # opening it fails, as where nothing can be written
    jobs.try_tick()
    assert jobs.waiting() == ["waits"] and jobs.obstacle.startswith("Cannot write ")
    with pytest.raises(StoreError, match=r"Cannot write .*Choose a writable folder"):
        jobs.sweep()
    (jobs.folder / "waits.log").mkdir()
    with pytest.raises(StoreError, match=r"Cannot write .*Make it writable"):
        jobs.stop("waits")
    folder = jobs.store.folder / "runs-here"
    folder.mkdir()
    process = psutil.Process()
    (folder / "state.json").write_text(json.dumps({"pid": process.pid, "born": process.create_time(), "host": None}))
    (folder / "stop").symlink_to(folder / "no folder" / "stop")
    with pytest.raises(StoreError, match=r"Cannot write .*stop: .*end the training where it was started"):
        jobs.stop("runs-here")


def test_a_full_disk_is_among_the_reasons_of_a_training_whose_log_is_empty(jobs):
    """What the process says of a full disk goes into a log on that disk."""
    jobs.folder.mkdir(parents=True)
    job = {"run": "full", "words": [], "asked": 1.0, "pid": os.getpid(), "born": 1.0}
    (jobs.folder / "full.json").write_text(json.dumps(job))
    (jobs.folder / "full.log").touch()
    assert "out of memory or of disk space" in jobs.problem("full")
