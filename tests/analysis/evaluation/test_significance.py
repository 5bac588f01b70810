import pytest

from analysis.evaluation.significance import compare
from analysis.metrics.base import mean_score
from analysis.metrics.bleu import e2e_bleu
from analysis.metrics.ter import dart_ter
from core.errors import BadInput

WORDS, FOODS = ("old", "red", "small", "big"), ("thai", "fish", "good")
TEXTS = [f"the {word} inn serves {food} food by the river" for word in WORDS for food in FOODS]
REFS = [[text] for text in TEXTS]
WORSE = [text.replace("river", "sea").replace("the ", "a ") for text in TEXTS]


def test_the_better_system_is_named_with_its_interval():
    difference = compare(e2e_bleu(TEXTS, REFS), e2e_bleu(WORSE, REFS), resamples=200)
    assert (
        difference.better == "first"
        and difference.low <= difference.difference <= difference.high
        and difference.low > 0
        and difference.n == len(TEXTS)
    )
    assert difference.sentence("prefix", "fine-tuned").startswith(
        f"BLEU: prefix better by {difference.difference:.2f} (95 % interval "
    )
    assert f"n = {len(TEXTS)}, 200 resamples, seed 0" in difference.sentence("a", "b")


def test_lower_is_better_for_error_rates():
    difference = compare(dart_ter(WORSE, REFS), dart_ter(TEXTS, REFS), resamples=100)
    assert (
        difference.difference > 0
        and difference.better == "second"
        and "TER: good better by" in difference.sentence("bad", "good")
    )


def test_no_difference_where_0_is_inside_the_interval():
    one = mean_score("X", [1.0, 2.0, 3.0, 4.0], True, "s")
    difference = compare(one, mean_score("X", [2.0, 1.0, 4.0, 3.0], True, "s"))
    assert difference.better == "" and difference.difference == 0 and "no clear difference" in difference.sentence("a", "b")


def test_both_are_resampled_by_the_same_rows_and_a_seed_repeats():
    """Two systems that lie 1 apart on every row always lie 1 apart, however much the rows differ."""
    rows = [1.0, 50.0, 3.0, 80.0, 9.0]
    one, other = (mean_score("X", [row + more for row in rows], True, "s") for more in (1, 0))
    difference = compare(one, other)
    assert (difference.low, difference.high) == pytest.approx((1, 1))
    worse = e2e_bleu(WORSE[:6] + TEXTS[6:], REFS)
    assert compare(e2e_bleu(TEXTS, REFS), worse, 50, seed=3) == compare(e2e_bleu(TEXTS, REFS), worse, 50, seed=3)


def test_the_interval_of_a_mean_is_the_textbooks():
    """100 paired differences of 1 and -1 by turns about 0.5: standard error 0.1, so about ±0.196."""
    one = mean_score("X", [0.5 + (-1) ** place for place in range(100)], True, "s")
    difference = compare(one, mean_score("X", [0.0] * 100, True, "s"), resamples=2000)
    assert (difference.low, difference.high) == pytest.approx((0.5 - 0.196, 0.5 + 0.196), abs=0.02)


def test_what_cannot_be_compared_is_refused():
    score = mean_score("X", [1.0, 2.0], True, "s")
    with pytest.raises(BadInput, match="not the same measure"):
        compare(score, mean_score("X", [1.0, 2.0], True, "t"))
    with pytest.raises(BadInput, match="over 2 rows and over 1"):
        compare(score, mean_score("X", [1.0], True, "s"))
