"""The sentence at the head of the tab is computed from what the columns say."""

import pytest

from app.compare.comparison import CompareRequest, Comparison
from app.compare.headline import WAITING, headline

FIELDS = [("name", "Alda"), ("Type", "pub"), ("area", "riverside")]


@pytest.fixture
def comparison(context):
    result = Comparison(CompareRequest("x", order=("base", "prefix")), context.models.backbone(context.models.default))
    for column in result.columns.values():
        column.state = "eos"
    return result


def test_values_and_unsupported_pieces_are_counted_by_column(comparison):
    comparison.columns["base"].text = "Alda is a cinema by the riverside."
    comparison.columns["prefix"].text = "Alda is a pub by the riverside."
    html = headline(comparison, FIELDS)
    assert "The input has 3 values: the frozen model covers 2 (1 unsupported); Prefix covers 3." in html


def test_a_column_that_failed_is_left_out(comparison):
    comparison.columns["prefix"].text = "Alda is a pub."
    comparison.columns["base"].state = "error"
    assert "The input has 3 values: Prefix covers 2." in headline(comparison, FIELDS)


def test_while_a_text_grows_nothing_is_counted(comparison):
    comparison.columns["base"].text = comparison.columns["prefix"].text = "Alda is a pub."
    comparison.columns["prefix"].state = "streaming"
    assert WAITING in headline(comparison, FIELDS)


def test_without_a_text_the_columns_are_named_as_the_place_to_look(comparison):
    assert "No text was written; the columns say why." in headline(comparison, FIELDS)


def test_inputs_without_fields_have_their_words_counted(comparison):
    comparison.columns["base"].text = "Two words"
    assert "Words written: the frozen model 2." in headline(comparison, [])
