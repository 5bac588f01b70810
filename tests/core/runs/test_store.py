"""Runs on disk: whole or not there, never another backbone's, never unpickled."""

import json
import math
import multiprocessing
import shutil
from pathlib import Path

import pytest
import torch

from core.errors import BadInput, RunNotFound, StoreError, WrongBackbone
from core.methods.loading import load_run
from core.models.loading import load_backbone
from core.runs.run import add_scores
from core.runs.store import Store
from tests.support.tiny_models import make_run, make_tiny_backbone


@pytest.fixture(scope="module")
def root(tmp_path_factory, tiny_folder):
    root = tmp_path_factory.mktemp("store")
    make_run(tiny_folder, root, "one", length=3)
    return root


def test_a_run_is_listed_with_what_it_cost(root, tiny):
    (run,) = Store(root).runs()
    assert (run.id, run.method, run.status, run.backbone) == ("one", "prefix", "done", "tiny-gpt2")
    assert run.trained == run.stored == 2 * 2 * 4 * 3 * 8
    assert run.bytes == run.weights.stat().st_size
    assert run.task.separator == "\n" and run.fingerprint == tiny.spec.fingerprint
    assert not (run.folder / "state.json").exists()
    modes = {path.stat().st_mode for path in (run.weights, run.folder / "history.safetensors", run.folder / "run.json")}
    assert len(modes) == 1  # the weights can be read by whom the rest can


def test_a_run_that_is_not_ones_own_is_said_to_be_bundled_or_not_there(root, tmp_path):
    with pytest.raises(RunNotFound, match=r"'one' comes with Prefix Lab and stays as it is\. You have no runs of your own yet\."):
        Store(tmp_path, root).check_own("one")
    (tmp_path / "mine").mkdir()
    with pytest.raises(RunNotFound, match=r"There is no run 'two' of your own\. Your own runs: mine\."):
        Store(tmp_path, root).check_own("two")


def test_the_path_of_a_prefix_is_kept_from_its_start(root, tiny):
    from safetensors.torch import load_file

    from core.models.activations import words_key_values

    history = load_file(root / "one" / "history.safetensors")
    assert torch.equal(history["0000000.decoder"], words_key_values(tiny, "table", 3)["decoder"].half())
    assert len(history) >= 3 and (root / "one" / "history.safetensors").stat().st_size < 1_000_000


def test_another_backbone_is_refused_by_both_names(root, tmp_path):
    other = load_backbone(str(make_tiny_backbone(tmp_path / "other-gpt2", seed=5)), "cpu")
    with pytest.raises(WrongBackbone, match=r"tiny-gpt2 .*other-gpt2"):
        load_run(Store(root).get("one"), other)


def test_scores_are_added_and_read_back(root):
    add_scores(Store(root).get("one"), "test", {"BLEU": {"value": 12.5, "n": 3}})
    assert Store(root).get("one").scores["test"]["BLEU"]["value"] == 12.5


def test_scores_of_an_earlier_version_are_read_under_their_names_of_today(root, tmp_path):
    shutil.copytree(root / "one", tmp_path / "one")
    values = json.loads((tmp_path / "one" / "run.json").read_text())
    values["scores"] = {"test": {"Told": {"value": 80.0}, "Told-seen": {"value": 90.0}, "Beyond": {"value": 0.2}}}
    (tmp_path / "one" / "run.json").write_text(json.dumps(values))
    run = Store(tmp_path).get("one")
    assert list(run.scores["test"]) == ["Coverage", "Coverage-seen", "Unsupported"]


def test_scores_of_a_split_replace_those_that_it_had_and_leave_other_splits(root, tmp_path):
    shutil.copytree(root / "one", tmp_path / "one")
    run = Store(tmp_path).get("one")
    add_scores(run, "test", {"BLEU": {"value": 12.5, "n": 9}, "NIST": {"value": 2.5, "n": 9}})
    add_scores(run, "dev", {"BLEU": {"value": 11.0, "n": 4}})
    add_scores(run, "test", {"BLEU": {"value": 13.5, "n": 3}})
    scores = {"test": {"BLEU": {"value": 13.5, "n": 3}}, "dev": {"BLEU": {"value": 11.0, "n": 4}}}
    assert run.scores == scores == {split: Store(tmp_path).get("one").scores[split] for split in scores}


def _score(folder: Path, split: str, times: int) -> None:
    for number in range(times):
        add_scores(Store(folder).get("one"), f"{split} {number}", {"BLEU": {"value": 1.0}})


def test_two_processes_that_score_a_run_at_once_lose_nothing(root, tmp_path):
    shutil.copytree(root / "one", tmp_path / "one")
    before = len(Store(tmp_path).get("one").scores)
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_score, args=(tmp_path, split, 30)) for split in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(Store(tmp_path).get("one").scores) == before + 60 and not list((tmp_path / "one").glob("*.tmp"))


def test_a_name_taken_is_refused_and_nothing_lost(root, tiny_folder):
    before = (root / "one" / "weights.safetensors").read_bytes()
    with pytest.raises(StoreError, match="already"):
        make_run(tiny_folder, root, "one")
    assert (root / "one" / "weights.safetensors").read_bytes() == before


def test_what_a_page_shows_of_a_run_can_be_sent_to_it(tiny_folder, tmp_path):
    """A command with a file name that is not UTF-8 came as half a character, over which no page could be written."""
    folder = make_run(tiny_folder, tmp_path, "odd").folder
    values = json.loads((folder / "run.json").read_text())
    values |= {"command": "train --data caf\udce9.csv", "notes": "\udce9", "task": values["task"] | {"name": "caf\udce9"}}
    (folder / "run.json").write_text(json.dumps(values))
    run = Store(tmp_path).get("odd")
    assert (run.command, run.notes, run.task.name) == ("train --data caf?.csv", "?", "caf?")


@pytest.mark.parametrize(
    "field",
    [
        {"scores": {"test": {"BLEU": {"value": "<b>"}}}},
        {"scores": {"test": {"BLEU": {"value": math.nan}}}},
        {"valid_loss": math.inf},
        {"seconds": math.nan},
    ],
)
def test_a_number_that_is_none_is_reported_before_a_table_of_all_runs_meets_it(field, tiny_folder, tmp_path):
    folder = make_run(tiny_folder, tmp_path, "odd").folder
    values = json.loads((folder / "run.json").read_text()) | field
    (folder / "run.json").write_text(json.dumps(values))
    (sentence,) = Store(tmp_path).broken()
    assert f"'odd' cannot be read (ValueError: {'the scores of' if 'scores' in field else next(iter(field))}" in sentence


def test_an_unfinished_or_damaged_folder_is_reported_and_does_not_hide_the_others(root):
    (root / "half").mkdir()
    (root / "half" / "state.json").write_text("{}")
    (root / "bad").mkdir()
    (root / "bad" / "run.json").write_text('{"id": "bad", "task"')
    try:
        store = Store(root)
        assert [run.id for run in store.runs()] == ["one"]
        assert any("'half' is not finished" in sentence for sentence in store.broken())
        assert any("'bad' cannot be read" in sentence for sentence in store.broken())
    finally:
        (root / "half" / "state.json").unlink()
        (root / "half").rmdir()
        (root / "bad" / "run.json").unlink()
        (root / "bad").rmdir()


@pytest.mark.parametrize("run_id", ["../one", "", "a/b", ".hidden", "x" * 90, "a b", "a..b"])
def test_hostile_ids_are_refused(root, run_id):
    with pytest.raises(BadInput, match="cannot be the name of a run"):
        Store(root).get(run_id)


def test_an_unknown_id_lists_what_there_is(root):
    with pytest.raises(RunNotFound, match="Runs: one"):
        Store(root).get("two")


def test_a_linked_folder_is_not_followed(root, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere")
    try:
        assert [run.id for run in Store(root).runs()] == ["one"]
    finally:
        (root / "link").unlink()


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 64])
def test_broken_weights_are_one_sentence(root, tiny, tiny_folder, content):
    run = make_run(tiny_folder, root, "broken")
    try:
        run.weights.write_bytes(content)
        with pytest.raises(BadInput, match="not a readable safetensors file"):
            load_run(run, tiny)
    finally:
        for path in run.folder.iterdir():
            path.unlink()
        run.folder.rmdir()


def test_bundled_runs_come_first_and_are_marked(root, tmp_path, tiny_folder):
    make_run(tiny_folder, tmp_path, "zed")
    store = Store(root, bundled=tmp_path)
    assert [(run.id, run.bundled) for run in store.runs()] == [("zed", True), ("one", False)]


def test_run_json_holds_plain_values_only(root):
    run = Store(root).get("one")
    run.save()
    values = json.loads((run.folder / "run.json").read_text())
    assert values["task"]["separator"] == "\n" and values["config"]["length"] == 3


def test_a_store_that_was_read_before_sees_what_has_changed_since(root, tmp_path):
    for name in ("a", "b", "c"):
        shutil.copytree(root / "one", tmp_path / name)
        values = json.loads((root / "one" / "run.json").read_text()) | {"id": name, "created": f"2026-01-0{ord(name) - 96}"}
        (tmp_path / name / "run.json").write_text(json.dumps(values))
    reader = Store(tmp_path)
    before = reader.runs()
    assert [run.id for run in before] == ["c", "b", "a"]
    assert all(again is run for again, run in zip(reader.runs(), before, strict=True)), "nothing changed, so nothing is read anew"
    add_scores(reader.get("a"), "test", {"TER": {"value": 0.5, "n": 3}})
    shutil.rmtree(tmp_path / "b")
    (tmp_path / "c" / "extra").symlink_to(tmp_path)
    (reread,) = reader.runs()
    assert reread.scores["test"]["TER"]["value"] == 0.5
    with pytest.raises(StoreError, match="is a link"):
        reader.get("c")
