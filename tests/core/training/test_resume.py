"""Training that survives: going on ends where an unbroken run would have ended."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import core.tensor_file
from core.config.train import TrainConfig
from core.errors import BadConfig, RunNotFound, StoreError, TrainingFailed
from core.methods.loading import load_run
from core.models.backbone import Backbone
from core.models.loading import load_backbone
from core.runs.layout import locked
from core.runs.status import read_status
from core.runs.store import Store
from core.task import task
from core.training.trainer import Trainer, resume_training
from tests.support.tiny_models import EXAMPLES, make_tiny_backbone

ROOT = Path(__file__).parents[3]
CONFIG = TrainConfig(length=3, batch=4, updates=12, validate_every=3, save_every=4, init="random", rate=1e-2)


def trained(tiny, store, run_id, config, stop_after=None):
    training, steps = Trainer(tiny, task("e2e"), config, Store(store), run_id), []
    for step in training.steps(EXAMPLES, EXAMPLES[:3], lambda: len(steps) == stop_after):
        steps.append(step)
    return training.run


def gone_on(tiny, store, run_id):
    training = resume_training(Store(store), run_id, lambda name: tiny)
    return training, list(training.steps(EXAMPLES, EXAMPLES[:3]))


@pytest.mark.parametrize("changes", [{"mlp": 8}, {"mlp": 0}, {"method": "finetune"}, {"accumulate": 2}])
def test_a_stopped_run_goes_on_to_the_same_bits(tiny, tmp_path, changes):
    config = CONFIG.replace(**changes)
    whole = trained(tiny, tmp_path, "whole", config)
    assert trained(tiny, tmp_path, "parts", config, stop_after=7).status == "cancelled"
    training, steps = gone_on(tiny, tmp_path, "parts")
    assert [step.index for step in steps] == [8, 9, 10, 11, 12] and training.run.status == "done"
    one, other = load_file(whole.weights), load_file(training.run.weights)
    assert all(torch.equal(one[name], other[name]) for name in one) and training.run.valid_loss == whole.valid_loss
    for name in ("history.safetensors",) if config.method == "prefix" else ():
        one, other = load_file(whole.folder / name), load_file(training.run.folder / name)
        assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    lines = [(run.folder / "steps.csv").read_text().splitlines() for run in (whole, training.run)]
    assert [line.rsplit(",", 1)[0] for line in lines[0]] == [line.rsplit(",", 1)[0] for line in lines[1]]
    assert not any((training.run.folder / name).exists() for name in ("state.json", "resume.safetensors"))


@pytest.mark.slow
def test_killed_outright_it_says_so_and_goes_on_from_the_last_checkpoint(tmp_path):
    folder = make_tiny_backbone(tmp_path / "tiny")
    script = f"""
from core.models.loading import load_backbone
from core.runs.layout import locked
from core.runs.status import read_status
from core.runs.store import Store
from core.task import task
from core.training.trainer import Trainer
from core.config.train import TrainConfig
from tests.support.tiny_models import EXAMPLES
from pathlib import Path
config = TrainConfig.from_dict({CONFIG.replace(updates=20000).to_dict()!r})
data = EXAMPLES, EXAMPLES[:3]
store = Store(Path({str(tmp_path / "store")!r}))
training = Trainer(load_backbone({str(folder)!r}, "cpu"), task("e2e"), config, store, "killed")
list(training.steps(*data))
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    state = tmp_path / "store" / "killed" / "state.json"
    while process.poll() is None and not (state.exists() and json.loads(state.read_text())["update"] > 8):
        time.sleep(0.05)
    store = Store(tmp_path / "store")
    with pytest.raises(StoreError, match="Another process is training 'killed'"):
        gone_on(load_backbone(str(folder), "cpu"), tmp_path / "store", "killed")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert store.runs() == [] and "--resume --run killed" in store.broken()[0]
    half_written = [store.folder / "killed" / name for name in (".tmpAb3x", "weights.safetensors.tmp")]
    for path in half_written:
        path.write_bytes(b"half")
    training = resume_training(store, "killed", lambda name: load_backbone(name, "cpu"))
    step = next(training.steps(EXAMPLES, EXAMPLES[:3]))
    assert step.index > 4 and step.index % CONFIG.save_every == 1
    assert not any(path.exists() for path in half_written)


def test_other_rows_are_refused(tiny, tmp_path):
    trained(tiny, tmp_path, "r", CONFIG, stop_after=5)
    training = resume_training(Store(tmp_path), "r", lambda name: tiny)
    with pytest.raises(StoreError, match="other rows"):
        list(training.steps(EXAMPLES[:5], []))


def test_a_finished_run_and_an_unknown_one_cannot_go_on(tiny, tmp_path):
    trained(tiny, tmp_path, "r", CONFIG)
    with pytest.raises(StoreError, match="is finished"):
        resume_training(Store(tmp_path), "r", lambda name: tiny)
    with pytest.raises(RunNotFound, match="Your own runs: r"):
        resume_training(Store(tmp_path), "s", lambda name: tiny)


def test_a_full_disk_is_one_sentence_and_the_store_stays_readable(tiny, tmp_path, monkeypatch):
    trained(tiny, tmp_path, "before", CONFIG)
    save, calls = core.tensor_file.save_file, []

    def full(*args, **kwargs):
        calls.append(1)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        return save(*args, **kwargs)

    monkeypatch.setattr(core.tensor_file, "save_file", full)
    with pytest.raises(StoreError, match=r"No space left on device.*Free some space"):
        trained(tiny, tmp_path, "full", CONFIG)
    monkeypatch.setattr(core.tensor_file, "save_file", save)
    store = Store(tmp_path)
    assert [run.id for run in store.runs()] == ["before"] and "'full' is not finished" in store.broken()[0]
    training, steps = gone_on(tiny, tmp_path, "full")
    assert steps[0].index == 5 and training.run.status == "done"


def test_early_stopping_ends_after_patience_runs_out(tiny, tmp_path):
    config = CONFIG.replace(updates=400, rate=5.0, clip=0, validate_every=2, patience=3)
    run = trained(tiny, tmp_path, "patient", config)
    losses = [line.split(",")[2] for line in (run.folder / "steps.csv").read_text().splitlines()[1:]]
    losses = [float(loss) for loss in losses if loss]
    assert run.status == "done" and run.updates < 400
    assert losses.index(min(losses)) == len(losses) - 4 and run.valid_loss == pytest.approx(min(losses), abs=1e-4)


def test_patience_needs_rows_to_validate_on(tiny, tmp_path):
    config = CONFIG.replace(patience=3, valid_rows=0)
    with pytest.raises(BadConfig, match="no row to validate on"):
        trained(tiny, tmp_path, "patient", config)
    assert not (tmp_path / "patient").exists()


def test_a_gradient_that_is_no_number_changes_nothing(tiny, tmp_path, monkeypatch):
    import core.training.loop

    clip, calls = core.training.loop.nn.utils.clip_grad_norm_, []

    def broken(*args):
        calls.append(1)
        return torch.tensor(float("nan")) if len(calls) == 6 else clip(*args)

    monkeypatch.setattr(core.training.loop.nn.utils, "clip_grad_norm_", broken)
    with pytest.raises(TrainingFailed, match="What was learned before is kept"):
        trained(tiny, tmp_path, "nan", CONFIG.replace(validate_every=100))
    monkeypatch.undo()
    five = trained(tiny, tmp_path, "five", CONFIG.replace(validate_every=100), stop_after=5)
    failed = Store(tmp_path).get("nan")
    assert failed.status == "failed"
    assert torch.equal(load_run(failed, tiny).prefix.past["decoder"], load_run(five, tiny).prefix.past["decoder"])


def test_the_lock_goes_with_its_owner(tmp_path):
    with locked(tmp_path), pytest.raises(StoreError, match="Another process"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_an_error_of_the_model_is_noted_and_the_run_is_not_offered_again(tiny, tmp_path):
    def broken(method):
        if len(method.tensors()) and (tmp_path / "r" / "steps.csv").read_text().count("\n") > 1:
            raise RuntimeError("this family has no such cache")
        return {"text": ""}

    training = Trainer(tiny, task("e2e"), CONFIG.replace(watch=5), Store(tmp_path), "r", sampler=broken)
    with pytest.raises(RuntimeError, match="no such cache"):
        list(training.steps(EXAMPLES, EXAMPLES[:3]))
    status = read_status(tmp_path / "r")
    assert (status.state, status.resumable, status.update) == ("failed", False, 5)
    assert status.error == "RuntimeError: this family has no such cache"
    assert "failed at update 5 of 12: RuntimeError" in Store(tmp_path).broken()[0]
    with pytest.raises(StoreError, match="would fail again"):
        resume_training(Store(tmp_path), "r", lambda name: tiny)


def test_a_training_on_a_hub_model_is_resumed_on_the_commit_that_it_was_begun_on(tiny, tmp_path):
    spec = replace(tiny.spec, where="someone/tiny", revision="abc123")
    backbone = Backbone(spec, tiny.model, tiny.tokenizer, tiny.device)
    training = Trainer(backbone, task("e2e"), CONFIG, Store(tmp_path), "r")
    assert training.to_json()["backbone"] == "someone/tiny@abc123"


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), OSError(5, "broken disk")]
)
def test_an_error_of_the_machine_leaves_the_run_to_be_resumed(tiny, tmp_path, error):
    def broken(method):
        if (tmp_path / "r" / "steps.csv").read_text().count("\n") > 1:
            raise error
        return {"text": ""}

    training = Trainer(tiny, task("e2e"), CONFIG.replace(watch=5), Store(tmp_path), "r", sampler=broken)
    with pytest.raises((MemoryError, RuntimeError, StoreError)):
        list(training.steps(EXAMPLES, EXAMPLES[:3]))
    state = json.loads((tmp_path / "r" / "state.json").read_text())
    (tmp_path / "r" / "state.json").write_text(json.dumps(state | {"pid": None}))  # as if this process had ended
    assert (read_status(tmp_path / "r").state, read_status(tmp_path / "r").resumable) == ("interrupted", True)
    training, steps = gone_on(tiny, tmp_path, "r")
    assert steps[0].index == 5 and training.run.status == "done"


def test_a_run_that_was_killed_after_its_last_file_was_written_is_said_to_be_finished(tiny, tmp_path):
    """Resuming it was refused for want of a checkpoint."""
    folder = trained(tiny, tmp_path, "whole", CONFIG).folder
    (folder / "state.json").write_text(json.dumps({"pid": None, "update": 12, "total": 12}))  # it is deleted last
    assert read_status(folder).state == "done"
    with pytest.raises(StoreError, match="'whole' is finished, and there is nothing to resume"):
        resume_training(Store(tmp_path), "whole", lambda name: tiny)
