"""A training seen from outside: one example sampled as it learns, and a stop that needs no signal."""

import json

from analysis.experiments.training_sampler import make_sampler
from core.config.train import TrainConfig
from core.methods.registry import new_method
from core.models.inputs import task_for_backbone
from core.runs.layout import SAMPLES, STOP
from core.runs.store import Store
from core.task import task
from core.training.sample_log import read_samples
from core.training.trainer import Trainer, resume_training
from tests.support.tiny_models import ARTICLES, EXAMPLES

CONFIG = TrainConfig(length=3, batch=4, updates=10, watch=4, init="random", rate=1e-2, save_every=3)


def train(tiny, folder, run_id, config=CONFIG, stop_after=None):
    training = Trainer(tiny, task("e2e"), config, Store(folder), run_id, sampler=make_sampler(tiny, task("e2e"), EXAMPLES[9]))
    for step in training.steps(EXAMPLES[:6], []):
        if step.index == stop_after:
            (folder / run_id / STOP).touch()
    return training.run


def test_one_example_is_sampled_at_the_start_on_the_way_and_at_the_end(tiny, tmp_path):
    run = train(tiny, tmp_path, "r")
    samples = read_samples(run.folder)
    assert [one["update"] for one in samples] == [0, 4, 8, 10]
    assert {one["source"] for one in samples} == {EXAMPLES[9].source} and len({one["text"] for one in samples}) > 1
    assert all(len(one["mass"]) == tiny.spec.layers and all(0 < share < 1 for share in one["mass"]) for one in samples)


def test_watching_changes_nothing_of_what_is_learned(tiny, tmp_path):
    watched, blind = train(tiny, tmp_path, "watched"), train(tiny, tmp_path, "blind", CONFIG.replace(watch=0))
    assert watched.weights.read_bytes() == blind.weights.read_bytes()
    assert not (blind.folder / SAMPLES).exists()


def test_a_fine_tuned_copy_is_watched_too_with_checkpointing(tiny, tmp_path):
    run = train(tiny, tmp_path, "f", CONFIG.replace(method="finetune", checkpointing=True))
    assert len(read_samples(run.folder)) == 4 and "mass" not in read_samples(run.folder)[0]
    assert tiny.model.training is False


def test_of_a_model_with_several_sites_the_layers_of_all_are_reported_by_name(bart):
    form = task_for_backbone(bart, "summarization")
    sample = make_sampler(bart, form, ARTICLES[0])(new_method(bart, CONFIG))
    names = [f"{site} {layer}" for site, depth in (("encoder", 3), ("decoder", 2), ("cross", 2)) for layer in range(1, depth + 1)]
    assert sample["layers"] == names and len(sample["mass"]) == 7 and all(0 < share < 1 for share in sample["mass"])


def test_a_stop_from_outside_keeps_the_run_and_it_goes_on(tiny, tmp_path):
    run = train(tiny, tmp_path, "r", stop_after=5)
    assert (run.status, run.updates) == ("cancelled", 5) and not (run.folder / STOP).exists()
    assert json.loads((run.folder / "state.json").read_text())["pid"] is None
    training = resume_training(Store(tmp_path), "r", lambda name: tiny)
    training.sampler = make_sampler(tiny, task("e2e"), EXAMPLES[9])
    assert [step.index for step in training.steps(EXAMPLES[:6], [])] == [6, 7, 8, 9, 10]
    assert training.run.status == "done" and [one["update"] for one in read_samples(run.folder)] == [0, 4, 8, 10]


def test_half_a_line_of_a_killed_process_is_left_out(tiny, tmp_path):
    run = train(tiny, tmp_path, "r")
    with open(run.folder / SAMPLES, "a") as file:
        file.write('{"update": 11, "te')
    assert [one["update"] for one in read_samples(run.folder)] == [0, 4, 8, 10]
