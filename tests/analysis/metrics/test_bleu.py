import pytest

from analysis.metrics.bleu import e2e_bleu, original_bleu
from core.errors import BadInput

HYP = "The old inn by the river serves good thai food ."
REF = "the old inn by the river serves Thai food ."


def test_value_by_hand() -> None:
    """11 tokens against 10, so no brevity penalty; n-grams in common 10/11, 8/10, 6/9, 4/8; case does not count."""
    score = e2e_bleu([HYP], [[REF]])
    assert score.value == pytest.approx(100 * (10 / 11 * 8 / 10 * 6 / 9 * 4 / 8) ** 0.25)
    assert score.per_example == pytest.approx((score.value,))
    assert (score.name, score.n, score.higher_is_better) == ("BLEU", 1, True)
    assert all(part in score.signature for part in ("case:lc", "tok:13a", "version:"))


def test_examples_may_have_different_numbers_of_references() -> None:
    """A missing reference must not count as an empty one: its length would enter the brevity penalty."""
    short = "a tea room"
    uneven = e2e_bleu([HYP, short], [[REF, HYP], ["a tea room"]])
    assert uneven.value == pytest.approx(100)
    assert e2e_bleu([HYP, short], [[REF], ["a tea room", REF]]).value < 100


def test_sentence_scores_use_the_orders_there_are() -> None:
    assert e2e_bleu(["a tea room", ""], [["a tea room"], ["a tea room"]]).per_example == pytest.approx((100, 0))


def test_original_references_are_met_by_detokenised_output() -> None:
    hyp, original = "It 's a family - friendly inn for £ 20 - 25 .", "It's a family-friendly inn for £20-25."
    score = original_bleu([hyp], [[original]])
    assert score.value == pytest.approx(100) and "prefixlab-detok-1" in score.signature
    assert e2e_bleu([hyp], [[original]]).value < 90


@pytest.mark.parametrize(("hyps", "refs"), [([], []), (["a"], []), (["a"], [["a"], ["b"]]), (["a", "b"], [["a"], []])])
def test_lists_that_do_not_match_are_refused(hyps: list[str], refs: list[list[str]]) -> None:
    with pytest.raises(BadInput):
        e2e_bleu(hyps, refs)
