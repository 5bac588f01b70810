"""A rate chosen by validation loss: once, resumable, and recorded."""

import math
from itertools import count

import pytest

from analysis.experiments.compare_methods import run_comparison
from analysis.experiments.learning_rates import (
    SEARCH_FOLDER,
    TrainingData,
    check_rates,
    next_rate,
    train_or_resume,
    tune_learning_rate,
)
from core.config.decode import DecodeConfig
from core.config.train import TrainConfig
from core.errors import BadConfig, BadInput, StoreError
from core.models.inputs import task_for_backbone
from core.models.loading import load_backbone
from core.runs.store import Store
from core.training.trainer import Trainer
from tests.support.tiny_models import EXAMPLES, make_tiny_backbone

ROWS = TrainingData(EXAMPLES[:6], EXAMPLES[6:])
RATES = (1e-4, 3e-2)


@pytest.fixture
def plan(tmp_path):
    backbone = load_backbone(str(make_tiny_backbone(tmp_path / "tiny-gpt2")), "cpu")
    config = TrainConfig(length=2, updates=4, batch=3, init_words="table", rate=1e-4)
    return Trainer(backbone, task_for_backbone(backbone, "e2e"), config, Store(tmp_path / "runs"), "mine")


def test_a_grid_that_was_stopped_goes_on_and_its_best_is_the_run(plan):
    asked = count()
    stopped = TrainingData(ROWS.examples, ROWS.valid, cancel=lambda: next(asked) > 6)  # within the second rate
    assert tune_learning_rate(plan, RATES, stopped) is None
    place = Store(plan.store.folder / SEARCH_FOLDER / "mine")
    first, second = place.get("0.0001"), place.get("0.03")
    assert (first.status, second.status) == ("done", "cancelled") and plan.store.runs() == []
    run = tune_learning_rate(plan, RATES, ROWS)
    assert run.id == "mine" and run.status == "done" and run.updates == 4 and not place.folder.exists()
    assert run.config["rate"] == 3e-2 and run.valid_loss < first.valid_loss
    assert run.notes == f"Rate chosen by validation loss with seed 0. 0.0001: {first.valid_loss:.3f}, 0.03: {run.valid_loss:.3f}."
    assert (
        tune_learning_rate(plan, RATES, ROWS).created == run.created
        and train_or_resume(plan, ROWS, ("rate",)).created == run.created
    )
    for other in (plan.config.replace(updates=5), plan.config.replace(length=3)):
        with pytest.raises(StoreError, match="other settings"):
            tune_learning_rate(Trainer(plan.backbone, plan.task, other, plan.store, "mine"), RATES, ROWS)
    with pytest.raises(StoreError, match=r"^rows is 6 in the run 'mine', .* requested is 5\."):
        tune_learning_rate(plan, RATES, TrainingData(EXAMPLES[:5], ROWS.valid))


GRID = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)


def tried(loss, start=5e-3):
    """The rates that a search tries, in this order."""
    losses = {}
    while (rate := next_rate(GRID[::-1], losses, start)) is not None:
        losses[rate] = loss(rate)
    return list(losses)


def test_a_search_ends_as_soon_as_both_neighbours_of_the_best_rate_are_worse():
    assert tried(lambda rate: abs(math.log(rate / 3e-3))) == [3e-3, 1e-3, 1e-2]
    assert tried(lambda rate: abs(math.log(rate / 0.1))) == [3e-3, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1]
    assert tried(lambda rate: rate) == [3e-3, 1e-3, 3e-4], "the lowest of the grid has one neighbour"
    assert tried(lambda rate: abs(math.log(rate / 3e-3)) if rate < 1e-2 else math.inf, start=0.1) == [
        1e-1,
        3e-2,
        1e-2,
        3e-3,
        1e-3,
    ]
    assert tried(lambda rate: math.inf, start=0.3)[-1] == 3e-4, "every rate is tried before the search gives up"


def test_every_seed_takes_the_chosen_rate_and_a_rate_that_runs_away_is_not_chosen(plan):
    tuned = list(
        run_comparison(plan, ["finetune", "in_context"], lambda method: plan.config.replace(method=method), ROWS, EXAMPLES[:1],
               DecodeConfig(max_new=2), (1e-3, 9.0), 2)
    )  # fmt: skip
    runs = [trial.run for trial in tuned[1:]]
    assert [(run.id, run.seed) for run in runs] == [
        ("mine-finetune", 0), ("mine-finetune-seed1", 1), ("mine-in_context", 0), ("mine-in_context-seed1", 1),
    ]  # fmt: skip
    assert {run.config["rate"] for run in runs[:2]} == {1e-3} and runs[0].valid_loss != runs[1].valid_loss
    assert runs[2].config["context"] != runs[3].config["context"]


def test_a_rate_needs_to_be_one_and_to_be_chosen_by_something():
    with pytest.raises(BadConfig, match="rate"):
        check_rates([1e-3, 0.0], EXAMPLES)
    with pytest.raises(BadInput, match="no split to validate on"):
        check_rates([1e-3], [])
    check_rates([], [])
