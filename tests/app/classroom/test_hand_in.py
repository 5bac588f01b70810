"""What guests hand in: a good run gets its scores, anything else gets a sentence and leaves nothing behind."""

import json
import stat
import struct
import threading
import zipfile

import pytest

from app.classroom.records import FAILED, READY, TRAINING
from app.classroom.texts import SOURCE
from core.errors import StoreError

ZIP = {"Content-Type": "application/zip"}


def hand_in(client, content, headers=ZIP):
    return client.post("/class/api/hand-in", content=content, headers=headers)


def left_behind(classroom):
    """Files of the class beside the board and the secrets."""
    return [path for path in classroom.folder.rglob("*") if path.is_file() and path.name not in ("board.json", "secrets.json")]


def rewritten(source, target, change=lambda values: values, extra=(), compression=zipfile.ZIP_STORED):
    """A copy of a run's zip with another run.json and further entries."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("run.json"):
                content = json.dumps(change(json.loads(content))).encode()
            new.writestr(name, content)
        for entry, content in extra:
            new.writestr(entry, content)
    return target.read_bytes()


def entry_of(name, mode):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


HOSTILE = {
    "no zip": lambda good, file: b"not a zip" * 50,
    "half a zip": lambda good, file: good.read_bytes()[: good.stat().st_size // 2],
    "nothing": lambda good, file: b"",
    "a bomb": lambda good, file: rewritten(
        good, file, extra=[("tiny-prefix/watch.jsonl", b"\0" * 30_000_000)], compression=zipfile.ZIP_DEFLATED
    ),
    "a link": lambda good, file: rewritten(
        good, file, extra=[(entry_of("tiny-prefix/watch.jsonl", stat.S_IFLNK | 0o777), "/etc/passwd")]
    ),
    "../": lambda good, file: rewritten(good, file, extra=[("../../steps.csv", "x")]),
    "a path from the root": lambda good, file: rewritten(good, file, extra=[("/etc/steps.csv", "x")]),
    "a program": lambda good, file: rewritten(good, file, extra=[("tiny-prefix/run.sh", "x")]),
    "ten thousand files": lambda good, file: rewritten(good, file, extra=[(f"tiny-prefix/{n}", "") for n in range(10_000)]),
    "a lie about a size": lambda good, file: lying(rewritten(good, file, extra=[("tiny-prefix/watch.jsonl", "x" * 5000)])),
    "a run.json of megabytes": lambda good, file: rewritten(good, file, lambda run: run | {"notes": "x" * 2_000_000}),
    "a book around each table": lambda good, file: rewritten(
        good, file, lambda run: run | {"task": run["task"] | {"lead": "x" * 5000}}
    ),
    "a task of triples": lambda good, file: rewritten(good, file, lambda run: run | {"task": run["task"] | {"form": "webnlg"}}),
    "an unknown method": lambda good, file: rewritten(good, file, lambda run: run | {"method": "magic"}),
    "another model's name": lambda good, file: rewritten(good, file, lambda run: run | {"fingerprint": "0" * 16}),
}


def lying(content):
    """The directory says that the last file has 5 bytes; it has more."""
    changed = bytearray(content)
    at = changed.rindex(b"PK\x01\x02")
    changed[at + 24 : at + 28] = struct.pack("<I", 5)
    return bytes(changed)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_zips_get_a_sentence_and_leave_nothing(room, zipped, tmp_path, kind):
    answer = hand_in(room.ask("guest"), HOSTILE[kind](zipped["tiny-prefix"], tmp_path / "given.zip"))
    assert answer.status_code == 400 and len(answer.json()["error"]) > 20 and str(tmp_path) not in answer.text
    assert left_behind(room.classroom) == [] and room.classroom.board.entries() == []


@pytest.mark.parametrize(
    ("run", "word"), [("tiny-finetuned", "bytes"), ("other-prefix", "other-gpt2"), ("triples-prefix", "tables")]
)
def test_runs_that_do_not_go_on_the_board(room, zipped, run, word):
    answer = hand_in(room.ask("guest"), zipped[run].read_bytes())
    assert answer.status_code in (400, 413) and word in answer.json()["error"]
    assert left_behind(room.classroom) == [] and room.classroom.board.entries() == []


def test_a_body_that_is_too_large_is_not_kept(room):
    limit = room.classroom.upload_limit

    def endless():
        for _ in range(limit // 100_000 + 20):
            yield b"x" * 100_000

    assert hand_in(room.ask("guest"), endless()).status_code == 413
    assert hand_in(room.ask("guest"), b"x", ZIP | {"Content-Length": str(limit + 1)}).status_code == 413
    assert left_behind(room.classroom) == []


def test_another_kind_of_body_is_refused(room, zipped):
    assert hand_in(room.ask("guest"), zipped["tiny-prefix"].read_bytes(), {"Content-Type": "text/plain"}).status_code == 400


def test_a_run_is_scored_on_hidden_rows_and_takes_no_name_of_others(room, zipped, tmp_path):
    home = room.classroom.store.folder.parents[2]
    client = room.ask("guest", "<img src=x onerror=a>")
    content = rewritten(zipped["tiny-prefix"], tmp_path / "x.zip", lambda run: run | {"id": "e2e-prefix", "notes": "<script>"})
    runs = [hand_in(client, content).json()["run"] for _ in range(2)]
    assert runs == ["class-img-src-x-onerror-a-1", "class-img-src-x-onerror-a-2"]
    assert not (home / "runs").exists()
    room.classroom.entries.tick()
    room.classroom.entries.tick()
    first, second = room.classroom.board.entries()
    assert first.state == second.state == READY and first.rows == 24 and first.coverage == second.coverage is not None
    assert first.stored == 2 * 2 * 4 * 8 * 4 and first.bytes > 0 and first.length == 4
    assert room.classroom.context.store.get(runs[0]).id == runs[0]  # the app's tabs can open it


def test_the_presenter_takes_an_entry_off_and_the_run_is_in_the_trash(room, zipped):
    client, presenter = room.ask("guest"), room.ask("presenter")
    run = hand_in(client, zipped["tiny-prefix"].read_bytes()).json()["run"]
    presenter.post("/class/api/remove", json={"entry": "../../runs"})
    assert room.classroom.board.entry(run)
    presenter.post("/class/api/remove", json={"entry": run})
    assert room.classroom.board.entries() == [] and [path.name for path in room.classroom.store.folder.glob("*")] == [".trash"]


def test_a_guest_trains_only_what_is_offered(room, monkeypatch):
    started = []
    monkeypatch.setattr(room.classroom.entries.jobs, "start", lambda run, words: started.append((run, words)) or [])
    client = room.ask("guest", "Ada")
    good = {"length": 5, "rows": 30, "updates": 25, "words": "--backbone=/etc"}
    for bad in (
        {"length": 1000},
        {"updates": 10**9},
        {"rows": -1},
        {"length": True},
        {"length": "5"},
        {"words": "x" * 61},
        {"updates": None},
    ):
        assert client.post("/class/api/train", json=good | bad).status_code == 400
    assert started == []
    answer = client.post("/class/api/train", json=good | {"backbone": "/etc", "run": "e2e-prefix", "data": "/etc/passwd"})
    assert answer.json() == {"run": "class-ada-1"}
    run, words = started[0]
    assert run == "class-ada-1" and "--init-words=--backbone=/etc" in words and "/etc/passwd" not in words
    assert words[words.index("--backbone") + 1] == room.classroom.context.models.default
    assert words[words.index("--updates") + 1] == "25" and words[words.index("--rows") + 1] == "30"
    assert client.post("/class/api/train", json=good).status_code == 400  # one at a time


def test_a_training_that_failed_says_so_and_makes_room(room, monkeypatch):
    jobs = room.classroom.entries.jobs
    monkeypatch.setattr(jobs, "start", lambda run, words: [])
    client = room.ask("guest", "Ada")
    client.post("/class/api/train", json={"length": 5, "rows": 30, "updates": 25})
    monkeypatch.setattr(jobs, "state", lambda run: "queued")
    monkeypatch.setattr(jobs, "ahead", lambda run: ["a", "b"])
    room.classroom.entries.tick()
    entry = room.classroom.board.entries()[0]
    assert entry.state == TRAINING and entry.note == "waiting for 2 trainings"
    monkeypatch.setattr(jobs, "state", lambda run: "failed")
    room.classroom.entries.tick()
    assert entry.state == FAILED and "failed" in entry.note


def test_a_comparison_streams_the_frozen_model_and_prefixes_of_the_board(room, zipped):
    client = room.ask("guest")
    run = hand_in(client, zipped["tiny-prefix"].read_bytes()).json()["run"]
    answer = client.post("/class/api/compare", json={"table": "name: The Eagle\nfood: Chinese", "runs": [run, run]})
    columns = json.loads(answer.text.splitlines()[-1])["columns"]
    assert [column["run"] for column in columns] == ["", run] and {column["state"] for column in columns} == {"written"}
    again = client.post("/class/api/compare", json={"table": "name : The Eagle | food : Chinese", "runs": [run]})
    assert json.loads(again.text.splitlines()[-1])["columns"] == columns


@pytest.mark.parametrize(
    "values",
    [
        {"table": "", "runs": []},
        {"table": "x" * (SOURCE + 1), "runs": []},
        {"table": 5, "runs": []},
        {"table": "name : x", "runs": "x"},
        {"table": "name : x", "runs": ["e2e-prefix"]},
        {"table": "name : x", "runs": ["mix:fade:0.5,0.5:a,b"]},
        {"table": "name : x", "runs": ["text:x"]},
        {"table": "name : x", "runs": ["../../etc"]},
        {"table": "name : x", "runs": ["a", "b", "c", "d"]},
        {"table": "name : x"},
    ],
)
def test_a_comparison_takes_tables_and_the_boards_prefixes_only(room, values):
    answer = room.ask("guest").post("/class/api/compare", json=values)
    assert answer.status_code == 400 and answer.json()["error"]


def test_a_round_is_one_batch_with_marks_and_attention(room, zipped):
    clients = [room.ask("guest", name) for name in ("Ada", "Ben")]
    for client in clients:
        hand_in(client, zipped["tiny-prefix"].read_bytes())
    for _ in clients:
        room.classroom.entries.tick()
    board, runs = room.classroom.board, [entry.id for entry in room.classroom.board.entries()]
    round_ = board.begin_round(
        "name : The Eagle | food : Chinese", [("name", "The Eagle"), ("food", "Chinese")], runs, False, True
    )
    room.classroom.rounds.start(round_).join()
    assert round_.state == "closed" and {line.state for line in round_.lines} == {"written"}
    one, other, frozen = round_.lines
    assert one.text == other.text and len(one.present) + len(one.missing) == 2
    assert sum(one.shares) == pytest.approx(1, abs=0.01) and one.shares[0] > 0 and frozen.shares[0] == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_does_not_leave_the_trainings_of_a_class_unattended(room, monkeypatch):
    entries, again, calls = room.classroom.entries, threading.Event(), []

    def tick():
        calls.append(1)
        if len(calls) == 1:
            raise StoreError("The disk is full.")
        again.set()
        raise SystemExit  # ends the thread

    monkeypatch.setattr(entries, "tick", tick)
    monkeypatch.setattr("app.classroom.entries.TICK", 0.01)
    entries.start()
    assert again.wait(20)
