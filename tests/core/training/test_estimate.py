"""The estimate of a training: its arithmetic, and that measuring changes nothing."""

from dataclasses import replace

import pytest
import torch

from core.config.train import TrainConfig
from core.models.inputs import task_for_backbone
from core.training.batches import encode_rows
from core.training.estimate import START, Costs, estimate, measure_costs, total_seconds
from tests.support.tiny_models import ARTICLES, EXAMPLES, lock_is_free

COSTS = Costs(batch=2.0, valid_row=0.5, sample=10.0)


@pytest.mark.parametrize(
    ("changes", "valid", "seconds"),
    [
        ({}, 0, 100 * 2),
        ({"accumulate": 3}, 0, 100 * 3 * 2),
        ({"validate_every": 50, "valid_rows": 20}, 8, 100 * 2 + 2 * 8 * 0.5),
        ({"validate_every": 30, "valid_rows": 20}, 500, 100 * 2 + 4 * 20 * 0.5),  # after 30, 60, 90 and 100 updates
        ({"watch": 40}, 0, 100 * 2 + 4 * 10),  # before the first update, after 40, 80 and 100
    ],
)
def test_the_time_is_that_of_batches_validations_and_samples(changes, valid, seconds):
    assert total_seconds(TrainConfig(**changes), 100, valid, COSTS) == START + seconds


def test_a_busy_machine_also_starts_more_slowly():
    assert total_seconds(TrainConfig(), 100, 0, replace(COSTS, share=0.5)) == 2 * START + 100 * 2


@pytest.mark.parametrize("method", ["prefix", "infix", "embedding", "lora", "adapter", "top_layers", "finetune"])
def test_measuring_leaves_the_backbone_as_it_was(tiny, method):
    rows = encode_rows(tiny, task_for_backbone(tiny, "e2e"), EXAMPLES, 4)
    before = {name: weight.clone() for name, weight in tiny.model.named_parameters()}
    config = TrainConfig(method=method, length=4, batch=3, updates=50, mlp=8, init="random")
    costs = measure_costs(tiny, config, rows)
    assert costs.batch > 0 and costs.valid_row > 0 and costs.sample > 0
    assert all(torch.equal(before[name], weight) for name, weight in tiny.model.named_parameters())
    assert not tiny.model.training and lock_is_free(tiny.model)
    assert not any(weight.requires_grad for weight in tiny.model.parameters())


@pytest.mark.slow
def test_an_estimate_counts_what_is_trained_and_stored(tiny, bart):
    config = TrainConfig(length=4, batch=20, epochs=2, mlp=0)
    for backbone, examples in ((tiny, EXAMPLES), (bart, ARTICLES)):
        rows = encode_rows(backbone, task_for_backbone(backbone, "e2e"), examples, 4)
        result = estimate(backbone, config, rows, rows=100, valid=0)
        assert (result.updates, result.rows) == (10, 100) and result.trained == result.stored > 0
        assert result.seconds > START and result.bytes > 4 * result.stored


def test_nothing_is_trained_in_context(tiny):
    rows = encode_rows(tiny, task_for_backbone(tiny, "e2e"), EXAMPLES, 0)
    result = estimate(tiny, TrainConfig(method="in_context"), rows, rows=10, valid=0)
    assert (result.updates, result.trained, result.seconds) == (0, 0, START)
