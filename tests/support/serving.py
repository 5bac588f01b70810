"""Requests, the texts that each of them gets alone, and a comparison of the two."""

import pytest

from core.generation.generate import generate
from core.generation.types import Request
from tests.support.tiny_models import random_prefix


def asked(backbone, count):
    """Requests of different lengths; no prefix, and prefixes of different lengths, in turn."""
    prefixes = [None, random_prefix(backbone, 3), random_prefix(backbone, 8, seed=1), random_prefix(backbone, 5, seed=2)]
    return [Request(backbone.encode("name : Alda " + "x" * (i % 7)), prefixes[i % 4], seed=i) for i in range(count)]


def alone(backbone, request, decode, model=None):
    return generate(model or backbone.model, backbone, [request], decode)[0]


def same(generation, expected):
    assert (generation.text, generation.ids, generation.finish) == (expected.text, expected.ids, expected.finish)
    assert generation.logprobs == pytest.approx(expected.logprobs, abs=1e-4)
