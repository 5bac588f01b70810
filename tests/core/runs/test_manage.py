"""Runs put in order: nothing is lost on the way, and nothing happens to a run that is being trained."""

import json
import os
import shutil
import time
import zipfile

import pytest

from core.errors import BadInput, RunNotFound, StoreError
from core.exchange.archive import export_zip, import_zip
from core.exchange.export_peft import export_peft
from core.methods.loading import load_run
from core.runs.layout import locked
from core.runs.manage import annotate, delete, empty_trash, list_trash, rename, restore
from core.runs.run import update_run_json
from core.runs.store import Store
from tests.support.tiny_models import make_run


@pytest.fixture
def store(tmp_path, tiny_folder):
    make_run(tiny_folder, tmp_path / "runs", "one", updates=1)
    return Store(tmp_path / "runs")


def test_a_renamed_run_is_the_same_run(store, tiny):
    before = store.get("one").weights.read_bytes()
    run = rename(store, "one", "two")
    assert [run.id for run in store.runs()] == ["two"] and run.weights.read_bytes() == before
    assert load_run(run, tiny).prefix.length == 4


def test_a_rename_that_breaks_off_leaves_the_run_whole_under_one_of_the_names(store, tiny, monkeypatch):
    def broken(folder, **values):
        raise StoreError("Cannot write run.json: No space left on device.")

    monkeypatch.setattr("core.runs.manage.update_run_json", broken)  # after the folder has its new name
    with pytest.raises(StoreError, match="No space"):
        rename(store, "one", "two")
    monkeypatch.undo()
    assert [run.id for run in store.runs()] == ["two"] and store.broken() == []
    assert load_run(rename(store, "two", "one"), tiny).run.id == "one"
    assert "renamed" not in json.loads((store.folder / "one" / "run.json").read_text())


def test_a_deleted_run_comes_back_whole(store):
    before = sorted(path.name for path in (store.folder / "one").iterdir())
    delete(store, "one")
    assert store.runs() == [] and store.broken() == [] and [one.id for one in list_trash(store)] == ["one"]
    assert restore(store, "one") == "one"
    assert [run.id for run in store.runs()] == ["one"] and list_trash(store) == []
    assert set(path.name for path in (store.folder / "one").iterdir()) <= set(before)


def test_a_run_does_not_come_back_over_another(store, tiny_folder):
    delete(store, "one")
    make_run(tiny_folder, store.folder, "one", updates=1)
    with pytest.raises(StoreError, match="already"):
        restore(store, "one")
    assert empty_trash(store) == 1 and [run.id for run in store.runs()] == ["one"]
    with pytest.raises(RunNotFound, match="the trash is empty"):
        restore(store, "one")


def test_a_name_deleted_again_within_a_second_leaves_the_first_copy_in_the_trash(store, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_000_000_000.5)
    whole = store.folder / "one"
    for number in range(12):
        shutil.copytree(whole, store.folder / "again", dirs_exist_ok=True)
        (store.folder / "again" / "mark").write_text(str(number))
        delete(store, "again")
    assert [run.id for run in list_trash(store)] == ["again"] * 12
    for number in (11, 10, 9):  # the last one first
        assert restore(store, "again") == "again" and (store.folder / "again" / "mark").read_text() == str(number)
        shutil.rmtree(store.folder / "again")
    assert empty_trash(store) == 9


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone cannot be set here")
def test_the_time_of_deletion_is_right_in_summer(store, monkeypatch):
    july = 1_783_000_000.0
    monkeypatch.setattr("time.time", lambda: july)
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        delete(store, "one")
        assert [run.when for run in list_trash(store)] == [july]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_run_in_training_is_left_alone(store):
    for change in (lambda: delete(store, "one"), lambda: rename(store, "one", "two")):
        with locked(store.folder / "one"), pytest.raises(StoreError, match="Another process"):
            change()
    assert [run.id for run in store.runs()] == ["one"]


def test_a_run_whose_lock_cannot_be_written_is_said_to_be_read_only(store):
    """A file system that is read-only, or full, gives another error than a folder without the right to write."""
    lock = store.folder / "one" / ".lock"
    lock.unlink()
    lock.mkdir()  # opening it fails
    for change in (lambda: delete(store, "one"), lambda: rename(store, "one", "two"), lambda: annotate(store, "one", "x")):
        with pytest.raises(StoreError, match=r"Cannot write .*lock: .*\. Make the runs folder writable"):
            change()


def test_bundled_runs_are_read_only(store, tmp_path):
    bundled = Store(tmp_path / "one", bundled=store.folder)
    for change in (lambda: delete(bundled, "one"), lambda: rename(bundled, "one", "b"), lambda: annotate(bundled, "one", "x")):
        with pytest.raises(RunNotFound, match="comes with Prefix Lab"):
            change()


def test_notes_are_kept_and_end_somewhere(store):
    assert annotate(store, "one", " first try\nof <b>many</b> ").notes == "first try\nof <b>many</b>"
    with pytest.raises(BadInput, match="2,000"):
        annotate(store, "one", "x" * 2001)


def test_bytes_of_a_file_name_that_is_not_utf_8_are_kept_in_a_runs_files(store, tmp_path):
    """Linux allows such names, of old disks for example: a training on one ended in a traceback."""
    name = os.fsdecode(b"/data/m\xfcsik.csv")
    update_run_json(store.folder / "one", command=f"train --data {name}")
    assert json.loads((store.folder / "one" / "run.json").read_text())["command"] == f"train --data {name}"
    assert store.get("one").command == "train --data /data/m?sik.csv"  # as a page can show it
    file = export_zip(store.get("one"), tmp_path / "one.zip")
    assert "m?sik.csv" in import_zip(file, store, "again").command
    assert export_peft(store.get("one"), tmp_path / "adapter", base=name).is_dir()


def test_an_exported_run_comes_in_the_same_beside_the_first(store, tmp_path, tiny):
    annotate(store, "one", "kept")
    file = export_zip(store.get("one"), tmp_path / "one.zip")
    with pytest.raises(StoreError, match="already"):
        import_zip(file, store)
    run = import_zip(file, store, "again")
    first = store.get("one")
    assert run.weights.read_bytes() == first.weights.read_bytes() and (run.notes, run.updates) == ("kept", first.updates)
    assert sorted(path.name for path in store.folder.iterdir()) == ["again", "one"]
    assert load_run(run, tiny).prefix.length == 4
    assert (run.folder / "steps.csv").read_bytes() == (first.folder / "steps.csv").read_bytes()
    with pytest.raises(BadInput, match="exists already"):
        export_zip(first, file)


def test_a_zip_made_by_hand_without_a_folder_is_taken(store, tmp_path):
    run = store.get("one")
    with zipfile.ZipFile(tmp_path / "flat.zip", "w") as archive:
        for name in ("run.json", "weights.safetensors"):
            archive.write(run.folder / name, name)
    assert import_zip(tmp_path / "flat.zip", store, "flat").stored == run.stored
    assert json.loads((store.folder / "flat" / "run.json").read_text())["id"] == "flat"
