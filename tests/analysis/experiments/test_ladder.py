"""The search for words and the ladder from words to a prefix, on a tiny model."""

from itertools import pairwise

import pytest
import torch

from analysis.experiments.ladder import DISCRETE, EMBEDDING, PREFIX, RUNGS, TEXT, ladder
from analysis.experiments.token_search import TokenPrompt, search_tokens, whole_words
from core.models.inputs import task_for_backbone
from core.models.loading import load_backbone
from core.training.batches import IGNORE, collate, encode_rows
from tests.support.tiny_models import EXAMPLES, make_tiny_backbone

WORDS = " abc"


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return load_backbone(str(make_tiny_backbone(tmp_path_factory.mktemp("ladder") / "tiny")), "cpu")


@pytest.fixture(scope="module")
def rows(backbone):
    return encode_rows(backbone, task_for_backbone(backbone, "e2e"), EXAMPLES[:3], len(WORDS))


def typed_loss(backbone, rows, ids):
    """The loss where the tokens are simply typed in front: a slow reference without any prefix."""
    batch = collate([row.__class__((*ids, *row.prompt), row.answer) for row in rows], backbone.device)
    with torch.no_grad():
        logits = backbone.model(batch.ids).logits
    return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORE))


def test_the_search_goes_down_in_steps_and_every_loss_is_that_of_the_typed_words(backbone, rows):
    steps = list(search_tokens(backbone, rows, WORDS, candidates=4, sweeps=1))
    losses = [step.loss for step in steps]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]
    assert steps[-1].finished and steps[-1].improved and [step.tried for step in steps[:-1]] == list(range(1, len(steps)))
    for step in (steps[0], steps[-1]):
        assert step.loss == pytest.approx(typed_loss(backbone, rows, step.ids), rel=1e-4)
    assert all((after.loss < before.loss) == after.improved for before, after in pairwise(steps[:-1]))


def test_the_search_says_when_nothing_better_is_proposed(backbone, rows):
    *_, last = search_tokens(backbone, rows, WORDS, candidates=2, sweeps=50)
    assert last.finished and not last.improved
    prompt, allowed = TokenPrompt(backbone, rows, last.ids), whole_words(backbone)
    for place, _ in enumerate(last.ids):
        for token in prompt.candidates(place, allowed, 2):
            assert prompt.loss([*last.ids[:place], token, *last.ids[place + 1 :]]) >= last.loss


def test_candidates_are_those_of_the_gradient(backbone, rows):
    prompt, allowed = TokenPrompt(backbone, rows, backbone.encode(WORDS)), whole_words(backbone)
    table = backbone.model.get_input_embeddings().weight.detach()
    batch = collate([row.__class__((*prompt.ids, *row.prompt), row.answer) for row in rows], backbone.device)
    vectors = table[batch.ids].clone().requires_grad_()
    logits = backbone.model(inputs_embeds=vectors).logits
    summed = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORE, reduction="sum")
    gradient = torch.autograd.grad(summed, vectors)[0].sum(0)[1]  # (width,), at the second token
    expected = (table @ gradient).topk(5, largest=False).indices.tolist()
    assert prompt.candidates(1, allowed, 5) == [token for token in expected if token != prompt.ids[1]]


def test_all_rungs_begin_at_one_loss_and_the_trained_ones_go_lower(backbone, rows):
    steps = list(ladder(backbone, rows, rows[:1], WORDS, updates=6, candidates=2))
    first = {rung: next(step for step in steps if step.rung == rung) for rung in RUNGS}
    last = {step.rung: step for step in steps}
    assert all(first[rung].loss == pytest.approx(first[TEXT].loss, rel=1e-4) for rung in RUNGS)
    assert last[EMBEDDING].loss < first[TEXT].loss and last[PREFIX].loss < first[TEXT].loss
    assert all(last[rung].share == 1.0 and last[rung].other is not None for rung in RUNGS)
    assert last[DISCRETE].trained == 0 and last[PREFIX].trained == 2 * 2 * last[EMBEDDING].trained
