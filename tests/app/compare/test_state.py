"""Which columns are shown: added, moved, removed, and kept in links."""

from dataclasses import replace

import pytest

from app.compare.comparison import CompareRequest, compare, record_of
from app.compare.run_picker import off_topic, run_head, select_runs
from app.compare.state import CompareState, add_column, move_column
from app.shared.urlstate import read, write
from core.config.decode import DecodeConfig
from core.config.methods import METHODS

SOURCE = "name : Alda | Type : pub | area : north"


@pytest.mark.parametrize(
    ("columns", "slot", "move", "expected"),
    [
        ("base-prefix-finetuned", "prefix", "left", "prefix-base-finetuned"),
        ("base-prefix-finetuned", "prefix", "right", "base-finetuned-prefix"),
        ("base-prefix-finetuned", "base", "left", "base-prefix-finetuned"),
        ("base-prefix-finetuned", "finetuned", "right", "base-prefix-finetuned"),
        ("base-prefix-finetuned", "base", "remove", "prefix-finetuned"),
        ("base-prefix", "base", "remove", "base-prefix"),
        ("base-prefix", "other", "remove", "base-prefix"),
    ],
)
def test_columns_move_and_go_and_two_stay(columns, slot, move, expected):
    assert move_column(columns, slot, move) == expected


def test_columns_are_added_up_to_four():
    assert add_column("prefix-finetuned") == "prefix-finetuned-base"
    assert add_column("base-prefix-finetuned") == "base-prefix-finetuned-other"
    assert add_column("other-base-prefix-finetuned") == "other-base-prefix-finetuned"


@pytest.mark.parametrize("columns", ["prefix-base", "other-finetuned-prefix", "base-prefix-finetuned-other"])
def test_a_link_holds_two_to_four_columns_and_the_prompt(columns):
    state = CompareState(columns=columns, prompt="3", other="a-run")
    address = write(state)
    assert f"columns={columns}" in address and "base=3" in address
    assert read("?" + address, CompareState) == state and state.order == tuple(columns.split("-"))


def test_a_link_without_room_for_an_article_says_so_and_brings_back_the_rest():
    address = write(CompareState(task="summary", article="Ää" * 3000, seed=3))
    assert len(address) < 200
    state = read("?" + address, CompareState)
    assert state == CompareState(task="summary", seed=3)
    assert state.problems == ["This link does not contain the article: too long for a link. Paste it here."]
    assert not state.settled().problems  # after a change on the page


@pytest.mark.parametrize("columns", ["base", "base-base", "base-nowhere", "base-prefix-base"])
def test_an_address_with_other_columns_is_said_to_be_unreadable(columns):
    state = read(f"?columns={columns}&base=9", CompareState)
    assert state == CompareState() and state.ignored == ("columns", "base")
    assert state.order == ("base", "prefix", "finetuned")


@pytest.mark.parametrize(
    "order", [("prefix", "base"), ("finetuned", "other", "prefix"), ("base", "prefix", "finetuned", "other")]
)
def test_any_runs_stand_side_by_side_in_their_order(context, order):
    backbone = context.models.backbone(context.models.default)
    runs = {"prefix": "tiny-prefix", "finetuned": "tiny-finetuned", "other": "triples-prefix"}
    request = CompareRequest(SOURCE, decode=DecodeConfig(max_new=4), order=order, **runs)
    *_, last = compare(context, backbone, request, lambda: False)
    assert tuple(last.columns) == order == tuple(record_of(last).columns)
    for slot in set(order) - {"base"}:
        assert last.columns[slot].run.id == runs[slot] and last.columns[slot].text


def test_another_column_takes_a_run_that_no_column_shows(context):
    backbone = context.models.backbone(context.models.default)
    selection = select_runs(context.catalog, backbone, "e2e", {}, ("base", "prefix", "other"))
    assert selection.run_ids == {"prefix": "tiny-prefix", "finetuned": "tiny-finetuned", "other": "triples-prefix"}
    assert selection.methods(("base", "prefix", "other")) == ["", "prefix", "prefix"]
    expected = {"prefix": "triples-prefix", "other": "tiny-prefix"}
    chosen = select_runs(context.catalog, backbone, "e2e", expected, ("prefix", "other")).run_ids
    assert (chosen["prefix"], chosen["other"]) == ("triples-prefix", "tiny-prefix")


def test_a_run_of_another_domain_can_be_chosen_and_carries_a_note(context):
    backbone = context.models.backbone(context.models.default)
    listed = select_runs(context.catalog, backbone, "webnlg", {}).listed
    head = run_head("prefix", listed, "tiny-prefix", "tiny-prefix", backbone)
    assert '<p class="pl-note pl-domain meta">trained on restaurants</p>' in head
    assert (
        '<option value="tiny-prefix" selected="selected">tiny-prefix, ' in head and "%, trained on restaurants</option>" in head
    )
    assert "pl-domain" not in run_head("prefix", listed, "triples-prefix", "", backbone)


def test_on_other_topics_only_runs_of_the_restaurant_set_carry_a_note(context):
    backbone = context.models.backbone(context.models.default)
    choices = {choice.run.id: choice for choice in context.catalog.choices(tuple(METHODS), backbone)}
    own_rows = choices["tiny-prefix"]
    on_the_set = replace(own_rows, run=replace(own_rows.run, command="python launch.py train --data e2e-folder"))
    assert off_topic(on_the_set).domain == "trained on restaurants"
    assert off_topic(own_rows) == own_rows and not off_topic(choices["triples-prefix"]).domain
