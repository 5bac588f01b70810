"""Rows that leave and join a batch in the middle: nobody's text or logits notice."""

from dataclasses import replace

import pytest
import torch

from core.generation.decoding_batch import make_batch
from core.generation.types import Request
from tests.support.tiny_models import random_prefix

PROMPTS = ["name : Alda", "a much longer prompt than the others have", "x", "name : Brio | Type : inn"]


def requests(backbone, infix=False):
    """Prefixes of several lengths and none, prompts of several lengths; infixes in the middle of some prompts."""
    prefixes = [random_prefix(backbone, 3), None, random_prefix(backbone, 7, seed=1), random_prefix(backbone, 1, seed=2)]
    if infix:
        prefixes = [replace(prefix, infix=True) if prefix else None for prefix in prefixes]
    asked = [(backbone.encode(text), prefix) for text, prefix in zip(PROMPTS, prefixes, strict=True)]
    return [Request(ids, prefix, split=len(ids) // 2 if infix else 0) for ids, prefix in asked]


def steps(batch, count):
    """Greedy steps; each one's logits (B, vocabulary)."""
    tokens = []
    for _ in range(count):
        tokens.append(batch.logits())
        batch.append(tokens[-1].argmax(-1).tolist())
    return tokens


@pytest.mark.parametrize("model", ["tiny", "llama", "bart"])
def test_rows_leave_and_join_unnoticed(model, request):
    backbone = request.getfixturevalue(model)
    asked = requests(backbone)
    alone = [torch.cat(steps(make_batch(backbone.model, backbone, [one]), 12)) for one in asked]  # (12, vocabulary) each
    batch = make_batch(backbone.model, backbone, asked[:2])
    columns = [[], [], [], []]
    rows = [0, 1]

    def run(count):
        for step in steps(batch, count):
            for place, row in enumerate(rows):
                columns[row].append(step[place])

    run(4)
    late = make_batch(backbone.model, backbone, asked[2:])
    for step in steps(late, 2):
        columns[2].append(step[0])
        columns[3].append(step[1])
    batch.merge(late)
    rows = [0, 1, 2, 3]
    run(3)
    batch.select([3, 0])  # the longest leaves, and the order changes
    rows = [3, 0]
    first, last = (len(backbone.decoder_start_ids or one.prompt_ids) for one in (asked[0], asked[3]))
    assert batch.mask.shape[1] == max(first + 7, last + 5), "its padding is still there"
    run(5)
    for row, tokens in enumerate(columns):
        torch.testing.assert_close(torch.stack(tokens), alone[row][: len(tokens)], atol=2e-5, rtol=1e-5)
        assert [step.argmax().item() for step in tokens] == alone[row][: len(tokens)].argmax(-1).tolist()
