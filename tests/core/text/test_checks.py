import pytest

from core.text.checks import whole_percents


@pytest.mark.parametrize(
    ("shares", "percents"),
    [
        ([0.004, 0.357, 0.639], [0, 36, 64]),
        ([0.0049, 0.3551, 0.64], [0, 36, 64]),
        ([1 / 3] * 3, [34, 33, 33]),
        ([0.5, 0.1], [50, 10]),
    ],
)
def test_percents_of_a_whole_add_up(shares: list[float], percents: list[int]) -> None:
    assert whole_percents(shares) == percents
