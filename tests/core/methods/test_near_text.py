"""Embedding-only tuning near a text: the penalty pulls to it, is reported beside the task's loss, and survives a stop."""

import pytest
import torch
from safetensors.torch import load_file

from core.config.train import TrainConfig
from core.errors import BadConfig
from core.methods.near_text import NearText, stored_distance
from core.methods.registry import new_method
from core.models.architectures import input_embeddings
from core.runs.status import read_training_log
from core.runs.store import Store
from core.task import task
from core.training.batches import encode_rows
from core.training.estimate import estimate
from core.training.loop import evaluate_loss
from core.training.trainer import Trainer, resume_training
from tests.support.tiny_models import EXAMPLES

TEXT = "cats"  # four tokens of a tokenizer of bytes
PLAIN = TrainConfig(method="embedding", rate=3e-2, updates=12, batch=4, validate_every=4, save_every=4, autocast="off")
NEAR = PLAIN.replace(near_text=TEXT, near_weight=3.0)


def train(tiny, folder, run_id, config, stop_after=None):
    training, steps = Trainer(tiny, task("e2e"), config, Store(folder), run_id), []
    for step in training.steps(EXAMPLES, EXAMPLES[:3], lambda: len(steps) == stop_after):
        steps.append(step)
    return training.run, steps


def test_the_distance_is_that_of_the_formula(tiny):
    table = input_embeddings(tiny.model, range(tiny.spec.vocabulary))
    near, vectors = NearText(tiny, TEXT), torch.randn(4, tiny.spec.width, requires_grad=True)
    words, centre = table[tiny.encode(TEXT)], table.mean(0)
    numerator = sum(float((vector - word) @ (vector - word)) for vector, word in zip(vectors.detach(), words, strict=True)) / 4
    denominator = sum(float((word - centre) @ (word - centre)) for word in table) / len(table)
    assert near.distance(vectors).item() == pytest.approx(numerator / denominator, rel=1e-5)
    assert near.distance(words).item() == 0
    pairs = torch.randint(len(table), (2, 20_000), generator=torch.Generator().manual_seed(0))
    far = (table[pairs[0]] - table[pairs[1]]).square().sum(1).mean() / near.variance
    assert far.item() == pytest.approx(2, rel=0.05)
    near.distance(vectors).backward()
    assert torch.allclose(vectors.grad, 2 * (vectors - words).detach() / 4 / denominator, rtol=1e-4)


def test_the_penalty_pulls_to_the_text(tiny, tmp_path):
    free, steps = train(tiny, tmp_path, "free", NEAR.replace(near_weight=0))
    held, held_steps = train(tiny, tmp_path, "held", NEAR)
    assert steps[0].distance == held_steps[0].distance == 0  # they start from the text itself
    assert held_steps[-1].distance < steps[-1].distance / 2
    near = NearText(tiny, TEXT)
    distances = {run.id: near.distance(load_file(run.weights)["embeddings"]).item() for run in (free, held)}
    assert distances["held"] < distances["free"] / 2 and held.valid_loss > free.valid_loss
    method = new_method(tiny, NEAR)
    method.vectors.data += 0.1
    before = method.distance()
    optimizer = torch.optim.SGD(method.parameters(), lr=0.1)
    before.backward()
    optimizer.step()
    assert method.distance() < before


def test_without_weight_it_is_the_training_from_the_words_to_the_bit(tiny, tmp_path):
    free, steps = train(tiny, tmp_path, "free", NEAR.replace(near_weight=0))
    words, others = train(tiny, tmp_path, "words", PLAIN.replace(init="words", init_words=TEXT, length=4))
    assert torch.equal(load_file(free.weights)["embeddings"], load_file(words.weights)["embeddings"])
    assert [(step.loss, step.valid_loss) for step in steps] == [(step.loss, step.valid_loss) for step in others]
    assert {step.distance for step in others} == {None}


def test_the_losses_are_the_tasks_alone_and_the_distance_stands_beside_them(tiny, tmp_path):
    run, steps = train(tiny, tmp_path, "run", NEAR)
    method = new_method(tiny, NEAR)
    method.vectors.data.copy_(load_file(run.weights)["embeddings"])
    rows = encode_rows(tiny, task("e2e"), EXAMPLES[:3], 4)
    assert run.valid_loss == pytest.approx(evaluate_loss(method, rows, NEAR), rel=1e-5)
    log = read_training_log(run.folder)
    assert log.distance == pytest.approx([step.distance for step in steps], abs=1e-5) and len(log.distance) == len(log.loss)


@pytest.mark.parametrize("reduction, stored", [("token", 4), ("sentence", 12)])
def test_the_lowest_loss_plus_penalty_is_stored_and_not_the_lowest_loss(tiny, tmp_path, monkeypatch, reduction, stored):
    validations = iter([2.0, 1.995, 1.99])  # falls by less than the penalty rises, and by more than its share of a sentence
    monkeypatch.setattr("core.training.loop.evaluate_loss", lambda *_args, **_named: next(validations))
    run, steps = train(tiny, tmp_path, "run", NEAR.replace(near_weight=0.5, reduction=reduction))
    assert [step.index for step in steps if step.best][-1] == stored
    assert run.valid_loss == {4: 2.0, 12: 1.99}[stored]  # the task's loss of what is stored
    after = [step.distance for step in steps[1:]]  # a step's distance is that before it
    distance = stored_distance(run, tiny)
    assert distance == pytest.approx(after[3], rel=1e-4) if stored == 4 else distance > after[7]


@pytest.mark.parametrize("mlp", [0, 8])
def test_a_stopped_run_goes_on_to_the_same_bits(tiny, tmp_path, mlp):
    config = NEAR.replace(mlp=mlp)
    whole, _ = train(tiny, tmp_path, "whole", config)
    assert train(tiny, tmp_path, "parts", config, stop_after=7)[0].status == "cancelled"
    training = resume_training(Store(tmp_path), "parts", lambda name: tiny)
    list(training.steps(EXAMPLES, EXAMPLES[:3]))
    assert torch.equal(load_file(whole.weights)["embeddings"], load_file(training.run.weights)["embeddings"])
    assert read_training_log(training.run.folder).distance == read_training_log(whole.folder).distance


def test_the_length_follows_the_text(tiny, tmp_path):
    run, _ = train(tiny, tmp_path, "run", NEAR.replace(length=9, updates=1))
    assert run.config["length"] == 4 and run.config["near_text"] == TEXT and run.config["near_weight"] == 3
    assert run.stored == 4 * tiny.spec.width
    rows = encode_rows(tiny, task("e2e"), EXAMPLES, 9)
    assert estimate(tiny, NEAR.replace(length=9), rows, len(rows), 3).stored == run.stored


def test_a_text_that_cannot_be_used_is_one_sentence(tiny):
    with pytest.raises(BadConfig, match="near_text is 300 tokens long for tiny-gpt2, and there is room for 1 to 255"):
        new_method(tiny, NEAR.replace(near_text="x" * 300))
    with pytest.raises(BadConfig, match="near_text must be a text of at least one word"):
        NEAR.replace(near_text="  ")
    with pytest.raises(BadConfig, match="near_text must be empty with the method 'prefix'"):
        NEAR.replace(method="prefix")
    with pytest.raises(BadConfig, match="near_weight must be a number from 0"):
        NEAR.replace(near_weight=-1)
