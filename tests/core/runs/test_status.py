"""The status of a training, from its folder: its own process, another host's, a stopped one."""

import json
import os
import socket

import psutil
import pytest

from core.runs.layout import RunFiles
from core.runs.status import HEARTBEAT, read_status

STATE = {"update": 30, "total": 120, "backbone": "tiny", "command": "train", "config": {}}


@pytest.fixture
def files(tmp_path):
    files = RunFiles(tmp_path / "run")
    files.folder.mkdir()
    files.checkpoint.write_bytes(b"")
    return files


def write(files, **values):
    files.state.write_text(json.dumps(STATE | values))
    return read_status(files.folder)


def test_a_training_of_this_host_runs_as_long_as_its_process(files):
    here = {"pid": os.getpid(), "born": psutil.Process().create_time(), "host": socket.gethostname()}
    status = write(files, **here)
    assert (status.state, status.resumable, status.fraction) == ("running", False, 0.25)
    status = write(files, **here | {"born": 1.0})
    assert (status.state, status.resumable) == ("interrupted", True)
    assert write(files, pid=os.getpid(), born=here["born"]).state == "running", "runs from before the host was noted"


def test_a_training_of_another_host_is_not_taken_for_interrupted(files):
    """Its process cannot be seen from here, and its id may be one of ours."""
    there = {"pid": 2**22 - 1, "born": 1.0, "host": socket.gethostname() + "-other"}
    status = write(files, **there)
    assert (status.state, status.resumable) == ("running", False)
    written = files.state.stat().st_mtime
    os.utime(files.state, (written, written - 2 * HEARTBEAT))
    status = read_status(files.folder)
    assert (status.state, status.resumable) == ("interrupted", True), "it has written nothing for long"
    assert write(files, **there | {"pid": None}).state == "interrupted"


def test_a_stopped_run_says_so_and_can_be_resumed(files):
    files.run_json.write_text(json.dumps({"status": "cancelled"}))
    status = write(files, pid=None, host=socket.gethostname())
    assert (status.state, status.resumable) == ("cancelled", True)


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"pid": "x", "host": 5, "update": "many", "error": 7, "config": 3}', "[" * 100_000]
)
def test_whatever_the_file_holds_nothing_is_raised(files, content):
    files.state.write_text(content)
    assert read_status(files.folder).state in ("", "interrupted", "running")
