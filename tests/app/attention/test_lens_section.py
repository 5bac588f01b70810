"""The layer grid and the prefix set aside, as the Attention tab fills them after a text was written."""

import json
import re
from dataclasses import fields
from types import SimpleNamespace

import pytest

from app.attention.components import AttentionPage
from app.attention.handlers import AttentionHandlers
from app.attention.lens_section import LensHandlers, LensSection, LensState
from app.attention.state import AttentionState
from app.compare.comparison import CompareRequest, compare, record_of
from app.shared import urlstate
from core.config.decode import DecodeConfig
from core.generation.generate import next_token_probs
from core.generation.types import Request
from tests.support.tiny_models import ARTICLES

REQUEST = SimpleNamespace(session_hash="lens")
DECODE, NONE = DecodeConfig(max_new=6, min_new=6), LensState()


def handlers(context, asked):
    *_, last = compare(context, context.models.backbone(context.models.default), asked, lambda: False)
    context.comparisons.put("lens", record_of(last))
    page = AttentionPage(**{name: name for name in AttentionPage.__dataclass_fields__})
    section = LensSection(**{field.name: field.name for field in fields(LensSection)})
    return LensHandlers(AttentionHandlers(context, SimpleNamespace(status="status"), page), section)


@pytest.fixture
def do(context):
    return handlers(context, CompareRequest("name : Alda | Type : pub", "tiny-prefix", "tiny-finetuned", decode=DECODE))


def filled(do, cell=NONE, **state):
    result: dict = {}
    for update in do.fill(do.attention.take_ticket(REQUEST), AttentionState(**state), cell, REQUEST):
        result |= update
    return result


def test_the_grid_the_sentence_and_the_caveat_stand_there(do):
    update = filled(do)
    grid = json.loads(update["grid"])["data"][0]
    assert len(grid["z"]) == 2 and len(grid["z"][0]) == 6
    assert "the models differ most after layer" in update["head"] and "not a prediction that the model makes" in update["head"]
    assert update["cell"] == "" and update["address"] == ""


def test_the_last_layer_of_a_cell_is_the_models_own_next_word(do):
    update = do.move(AttentionState(), LensState(), SimpleNamespace(move="right"), REQUEST)  # the last layer, the first token
    assert update["state"] == LensState(2, 1) and update["address"] == "lens-layer=2&lens-token=1"
    written = do.context.comparisons.get("lens").columns["prefix"]
    backbone = do.context.models.backbone(do.context.models.default)
    loaded = do.context.models.load("tiny-prefix", backbone)
    for prefix in (None, loaded.prefix):
        best = next_token_probs(backbone.model, backbone, Request(list(written.prompt_ids), prefix), 5)
        assert all(f"{100 * share:.1f} %" in update["cell"] for _, share in best)
    assert "after the last layer" in update["cell"] and json.loads(update["grid"])["layout"]["shapes"]
    update = do.move(AttentionState(), update["state"], SimpleNamespace(move="up"), REQUEST)
    assert update["state"] == LensState(1, 1) and "stopped after layer 1" in update["cell"]
    clicked = SimpleNamespace(points=[{"data": [1, 4]}])
    assert do.choose(AttentionState(), clicked, REQUEST)["state"] == LensState(2, 5)
    assert do.choose(AttentionState(), SimpleNamespace(points=[]), REQUEST) == do.no_update()


def test_an_address_names_a_cell_and_one_beyond_the_grid_is_the_last(do):
    assert urlstate.read("?lens-layer=2&lens-token=3", LensState) == LensState(2, 3)
    assert urlstate.read("?lens-layer=x&lens-token=-1", LensState).ignored == ("lens-layer", "lens-token")
    update = filled(do, LensState(9, 99))
    assert update["state"] == LensState(2, 6)
    there = "There is no layer 9, token 99: the grid has 2 layers and 6 tokens. Layer 2, token 6 is shown instead."
    assert there in update["cell"] and there in filled(do, update["state"])["cell"]
    assert "There is no" not in do.move(AttentionState(), update["state"], SimpleNamespace(move="right"), REQUEST)["cell"]
    assert do.restore("?lens-layer=2").ignored == ("lens-layer",) and not do.restore("?lens-layer=2&lens-token=3").ignored
    bad = urlstate.read("?lens-layer=x&lens-token=-1", LensState)
    for _ in range(2):  # a page that opens is filled more than once
        update = filled(do, bad)
        assert "no usable value for: lens-layer, lens-token." in update["cell"]
        bad = update["state"]
    moved = do.move(AttentionState(), bad, SimpleNamespace(move="right"), REQUEST)
    assert "no usable value" not in moved["cell"]


def test_the_page_states_that_the_first_layer_is_the_same_without_the_prefix(do):
    aside = filled(do)["aside"]
    assert (
        re.search(r"no weight differs by more than (0|\d × 10⁻[⁶⁷⁸⁹])\. ", aside)
        and "the first layer attends as it does without it" in aside
        and "Petrov" in aside
    )
    assert filled(do, alpha=0.0)["aside"] == ""  # nothing to set aside


@pytest.mark.parametrize(
    ("state", "change"), [({"out": "P1"}, "without P1"), ({"alpha": 4.0, "out": "L1"}, "α = 4 and without L1")]
)
def test_what_was_done_to_the_prefix_stands_in_both_sentences_and_in_the_figure(do, state, change):
    update = filled(do, LensState(1, 1), **state)
    assert (
        f"With and without the prefix ({change}), " in update["head"]
        and f"With the prefix ({change}) set aside" in update["aside"]
    )
    assert change in update["cell"] and change in str(json.loads(update["grid"]))
    assert "(without" not in filled(do)["head"]


def test_there_is_no_grid_of_the_frozen_model_and_no_prefix_of_a_fine_tuned_one(do):
    assert filled(do, column="base")["head"] == "" and filled(do, column="base")["grid"] == ""
    update = filled(do, column="finetuned")
    assert update["head"] and update["aside"] == ""
    assert list(do.fill(0, AttentionState(), LensState(), REQUEST)) == [do.no_update()]


def test_an_encoder_decoder_model_shows_its_decoder_and_says_why_its_cross_attention_differs(newsroom):
    do = handlers(newsroom, CompareRequest(ARTICLES[0].source, "news-prefix", decode=DECODE, form="article"))
    update = filled(do, site="cross")
    assert len(json.loads(update["grid"])["data"][0]["z"]) == 2
    assert "have prefixes of their own" in update["aside"] and "attends as it does" not in update["aside"]
    assert "attends as it does without it" in filled(do, site="encoder")["aside"]


def test_a_new_text_that_begins_meanwhile_is_no_problem(do, monkeypatch):
    backbone = do.context.models.backbone

    def begins(name):
        do.context.comparisons.forget("lens")
        return backbone(name)

    monkeypatch.setattr(do.context.models, "backbone", begins)
    update = filled(do)
    assert update["grid"] and "status" not in update
    assert do.choose(AttentionState(), SimpleNamespace(points=[{"data": [1, 4]}]), REQUEST) == do.no_update()
