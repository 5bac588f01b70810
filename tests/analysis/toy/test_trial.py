"""The toy model: what a prefix picks, what it does not learn, and how right answers are counted."""

import pytest
import torch

from analysis.toy.tasks import DIGITS, PRETRAINED, TASKS, rows
from analysis.toy.trial import FINETUNE, PREFIX, _config, accuracy, toy_backbone, trial
from core import paths
from core.methods.registry import new_method

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def backbone():
    return toy_backbone()


def test_the_bundled_model_is_small():
    assert sum(file.stat().st_size for file in paths.TOY.iterdir()) < 3_000_000


@pytest.mark.parametrize(
    "name, answer",
    [("copy", "3 1 4 1 5"), ("reverse", "5 1 4 1 3"), ("sort", "1 1 3 4 5"), ("next", "4 2 5 2 6"), ("triple", "0 4 3 4 6")],
)
def test_a_row_is_the_digits_and_their_answer(backbone, name, answer):
    assert TASKS[name].example([3, 1, 4, 1, 5]) == f"3 1 4 1 5 = {answer}"
    (row,) = rows(backbone, [name], 1, seed=0)
    text = backbone.tokenizer.decode([*row.prompt, *row.answer[:-1]])
    assert text == TASKS[name].example([int(digit) for digit in text.split()[:DIGITS]]) and row.answer[-1] == backbone.eos_id


@torch.no_grad()
def test_an_answer_counts_as_whole_where_greedy_decoding_writes_it(backbone):
    test = rows(backbone, PRETRAINED, 24, seed=3)
    right = 0
    for row in test:
        ids = list(row.prompt)
        for _ in range(DIGITS):
            ids.append(int(backbone.model(torch.tensor([ids])).logits[0, -1].argmax()))
        right += ids[len(row.prompt) :] == list(row.answer[:DIGITS])
    method = new_method(backbone, _config(FINETUNE, 1))
    assert accuracy(method, test)[1] == pytest.approx(right / len(test)) and 0 < right < len(test)


def test_a_prefix_picks_a_task_that_was_met_and_does_not_learn_another_one(backbone):
    sort, triple = ({step.method: step for step in trial(backbone, name, updates=40, every=40)} for name in ("sort", "triple"))
    before = next(step for step in trial(backbone, "sort", updates=40, every=40) if step.method == PREFIX)
    assert before.whole < 0.2 and sort[PREFIX].whole > 0.5
    assert triple[PREFIX].whole < 0.05 and triple[FINETUNE].whole > 0.5
    assert sort[PREFIX].trained == 3 * 2 * 10 * 96
