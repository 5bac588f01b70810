"""Many prefixes on one model, measured."""

import pytest

from analysis.benchmark.multi_prefix import measure_multi_prefix
from core.errors import BadConfig, TooLong
from core.models.loading import load_backbone
from tests.support.tiny_models import make_tiny_backbone, make_tiny_bart


@pytest.mark.parametrize("make", [make_tiny_backbone, make_tiny_bart])
def test_every_text_is_the_same_both_ways(make, tmp_path):
    timing = measure_multi_prefix(load_backbone(str(make(tmp_path / "tiny")), "cpu"), users=5, length=4, tokens=6)
    assert timing.same == timing.users == 5
    assert timing.ratio == timing.one_by_one / timing.together > 0


def test_numbers_that_cannot_be_are_named(tmp_path):
    tiny = load_backbone(str(make_tiny_backbone(tmp_path / "tiny-gpt2")), "cpu")
    with pytest.raises(BadConfig, match="users must be at least 1; given: 0"):
        measure_multi_prefix(tiny, users=0)
    with pytest.raises(BadConfig, match="seed must be"):
        measure_multi_prefix(tiny, users=2, seed=10**20)
    with pytest.raises(TooLong, match=r"tiny-gpt2 has 256 positions, .* Shorten the input or the prefix\."):
        measure_multi_prefix(tiny, users=2, length=2500)
    with pytest.raises(BadConfig, match=r"1,000,000,000 texts with a prefix of 30 each need about [\d,]+ GB of memory"):
        measure_multi_prefix(tiny, users=10**9)
