"""mini-gpt2's fast training arithmetic, beside plain fp32."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from core.pretraining.bf16 import train_in_bf16
from core.pretraining.config import PRESETS
from core.pretraining.next_token import NextToken


@pytest.fixture
def twins(tmp_path):
    """Two models with the same weights, the second with the fast arithmetic, and the second's loss."""
    config = replace(PRESETS["mini-gpt2"], layers=2, width=64, heads=2, vocabulary=300, positions=64)
    plain, fast = (NextToken(config, tmp_path).new_model(torch.device("cpu")) for _ in range(2))
    with torch.no_grad():
        for parameter, other in zip(plain.parameters(), fast.parameters(), strict=True):
            parameter.add_(torch.randn_like(parameter) * 0.05)
            other.copy_(parameter)
    return plain, fast, train_in_bf16(fast)


def hidden_states(model, ids):
    return model.transformer(input_ids=ids, use_cache=False).last_hidden_state.flatten(0, 1)


def test_loss_and_gradients_are_the_plain_ones(twins):
    """Within bf16's rounding; more rows than one slice and one part of the softmax."""
    plain, fast, cross_entropy = twins
    torch.manual_seed(0)
    ids = torch.randint(0, 300, (24, 49))
    targets = ids[:, 1:].flatten()
    expected = F.cross_entropy(plain.lm_head(hidden_states(plain, ids[:, :-1])), targets)
    loss = cross_entropy(hidden_states(fast, ids[:, :-1]), targets)
    assert abs(loss.item() - expected.item()) < 2e-3
    expected.backward()
    loss.backward()
    for (name, parameter), other in zip(plain.named_parameters(), fast.parameters(), strict=True):
        assert parameter.grad is not None and other.grad is not None and other.grad.dtype == torch.float32
        error = (parameter.grad - other.grad).norm() / parameter.grad.norm()
        assert error < 0.05, (name, float(error))


def test_changed_weights_are_cast_again(twins):
    _, fast, cross_entropy = twins
    ids = torch.randint(0, 300, (2, 17))
    losses = []
    optimizer = torch.optim.SGD(fast.parameters(), lr=0.5)
    for _ in range(4):
        loss = cross_entropy(hidden_states(fast, ids[:, :-1]), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.2


def test_no_token_sees_a_later_one(twins):
    _, fast, _ = twins
    ids = torch.randint(0, 300, (1, 20))
    other = ids.clone()
    other[0, 12:] = (other[0, 12:] + 1) % 300
    with torch.no_grad():
        one, two = hidden_states(fast, ids), hidden_states(fast, other)
    assert torch.equal(one[:12], two[:12]) and not torch.allclose(one[12:], two[12:])
