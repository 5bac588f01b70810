"""The Attention tab's handlers on a decoder-only model: who reads the text, and what a key or a click changes."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from app.attention.components import AttentionPage
from app.attention.handlers import AttentionHandlers
from app.attention.state import AttentionState
from app.compare.comparison import CompareRequest, compare, record_of
from core.config.decode import DecodeConfig

COMPONENTS = AttentionPage(**{name: name for name in AttentionPage.__dataclass_fields__})  # names in place of components
DECODE = DecodeConfig(max_new=6, min_new=6)
REQUEST = SimpleNamespace(session_hash="attention-handlers")


@pytest.fixture
def do(context):
    """The tab's handlers, with names in place of components, on a page that has written a text."""
    ask = CompareRequest("name : The Eagle | Type : pub", "tiny-prefix", "tiny-finetuned", decode=DECODE)
    *_, last = compare(context, context.models.backbone(context.models.default), ask, lambda: False)
    context.comparisons.put(REQUEST.session_hash, record_of(last))
    yield AttentionHandlers(context, SimpleNamespace(status="status"), COMPONENTS)
    context.comparisons.forget(REQUEST.session_hash)


def outputs_of(do, **state):
    """All that one refresh wrote, by name."""
    outputs: dict = {}
    for update in do._refresh(REQUEST.session_hash, AttentionState(**state)):
        outputs |= update
    return outputs


def readers_of(outputs):
    return [reader["name"] for reader in json.loads(outputs["tokens"])["readers"]]


@pytest.mark.parametrize(
    ("column", "beside"), [("base", "base"), ("prefix", "tiny-prefix"), ("finetuned", "tiny-finetuned"), ("prefix", "same")]
)
def test_the_texts_own_run_is_not_set_beside_itself(do, column, beside):
    outputs = outputs_of(do, column=column, beside=beside, layer=1, head=1)
    assert len(readers_of(outputs)) == 1 and 'data-chosen=""' in outputs["bar"]


@pytest.mark.parametrize("beside", ["tiny-prefix", "same"])
def test_under_an_intervention_the_texts_own_run_stands_beside_it_unchanged(do, beside):
    outputs = outputs_of(do, column="prefix", beside=beside, layer=1, head=1, alpha=0.5)
    changed, unchanged = readers_of(outputs)
    assert "α = ½" in changed and unchanged.endswith(", unchanged")
    assert 'data-chosen="same"' in outputs["bar"]


@pytest.mark.parametrize(("key", "field", "last"), [("step", "layer", 2), ("head-step", "head", 4)])
def test_keys_step_no_further_than_the_last_layer_and_head(do, key, field, last):
    state = AttentionState(layer=1, head=1)
    for _ in range(last + 2):
        state, _ticket = do.change(state, SimpleNamespace(name=key, value=1), REQUEST)
    assert getattr(state, field) == last
    beyond = replace(state, **{field: 900})  # from an address
    for start in (state, beyond):
        back, _ticket = do.change(start, SimpleNamespace(name=key, value=-1), REQUEST)
        assert getattr(back, field) == last - 1


def test_what_the_prefix_has_not_is_not_named_as_knocked_out(do):
    update = outputs_of(do, out="P1.P99")
    assert "without P1<" in update["reads"] and "Not knocked out, as this prefix has none of that name: P99." in update["reads"]
    assert "(without P1)" in update["headline"]


def test_a_text_and_a_site_that_are_not_there_are_named_with_what_is_shown(do):
    reads = outputs_of(do, column="other", site="cross")["reads"]
    assert "There is no text of the column “Another run”; that of “Prefix” is shown instead." in reads
    assert "tiny-gpt2 has nothing called the cross-attention; the decoder&#x27;s own attention is shown instead." in reads
    assert "shown instead" not in outputs_of(do, column="prefix", site="decoder")["reads"]


def test_the_share_beside_alpha_is_the_headlines_under_knock_outs_and_weighted_by_value_norm(do, monkeypatch):
    hidden = outputs_of(do, out="L1.L2")
    assert "drew none" in hidden["headline"] and re.search(r"the prefix's share goes from [1-9]\d?\xa0% to 0\xa0%", hidden["bar"])
    monkeypatch.setattr("app.attention.controls.by_layer", lambda mass, weighted: torch.full((2, 3), 0.5 if weighted else 0.25))
    assert "its share is 25\xa0%" in outputs_of(do)["bar"] and "its share is 50\xa0%" in outputs_of(do, weigh="values")["bar"]


@pytest.mark.parametrize("handler", ["refresh", "fill"])
def test_a_new_text_that_begins_meanwhile_is_no_problem(do, monkeypatch, handler):
    backbone = do.context.models.backbone

    def begins(name):
        do.context.comparisons.forget(REQUEST.session_hash)
        return backbone(name)

    monkeypatch.setattr(do.context.models, "backbone", begins)
    updates = list(getattr(do, handler)(do.take_ticket(REQUEST), AttentionState(), REQUEST))
    assert updates and not any('data-phase="error"' in str(update.get("status")) for update in updates)
