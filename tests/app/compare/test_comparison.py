"""Three columns from one table, without a page."""

from dataclasses import replace

import pytest

from app.compare.comparison import CompareRequest, compare, rearranged
from app.shared.catalog import for_task
from app.shared.context import AppContext
from core.config.decode import DecodeConfig
from core.generation.generate import generate
from core.generation.types import Request
from tests.support.held_engine import held

SOURCE = "name : Alda | Type : pub | area : north"
DECODE = DecodeConfig(max_new=12)
LONG = DecodeConfig(max_new=400, min_new=400)


def finished(context: AppContext, ask: CompareRequest, cancel=lambda: False):
    *_, last = compare(context, context.models.backbone(context.models.default), ask, cancel)
    return last


def test_columns_are_what_each_method_writes_alone(context):
    for decode in (DECODE, DecodeConfig("sample", max_new=12, seed=3), DecodeConfig("beam", max_new=12)):
        comparison = finished(context, CompareRequest(SOURCE, "tiny-prefix", "tiny-finetuned", decode=decode))
        backbone = context.models.backbone(context.models.default)
        prefix, tuned = context.models.load("tiny-prefix", backbone), context.models.load("tiny-finetuned", backbone)
        ids = backbone.encode(prefix.task.prompt(SOURCE))
        alike = [
            ("base", backbone.model, None),
            ("prefix", backbone.model, prefix.prefix),
            ("finetuned", tuned.model, None),
        ]
        for kind, model, past in alike:
            alone = generate(model, backbone, [Request(ids, past, decode.seed)], decode)[0]
            assert comparison.columns[kind].text == alone.text, (decode.mode, kind)
        assert comparison.phase == "done" and all(len(column.words) == 5 for column in comparison.columns.values())


def test_columns_in_another_order_or_fewer_are_not_generated_again(context):
    ask = CompareRequest(SOURCE, "tiny-prefix", "tiny-finetuned", decode=DECODE)
    last = finished(context, ask)
    other = rearranged(context, last, replace(ask, order=("finetuned", "base", "prefix")))
    assert list(other.columns) == ["finetuned", "base", "prefix"] and other.columns == last.columns
    fewer = rearranged(context, last, replace(ask, order=("prefix", "base"), finetuned=""))
    assert list(fewer.columns) == ["prefix", "base"] and fewer.phase == "done"
    for new in (
        ask,  # Generate was pressed again
        replace(ask, order=("finetuned", "base", "prefix"), source="name : Brio"),
        replace(ask, order=("base", "prefix", "finetuned", "other"), other="triples-prefix"),
    ):
        assert rearranged(context, last, new) is None
    last.columns["prefix"].run = replace(last.columns["prefix"].run, created="before")  # since then it was trained again
    assert rearranged(context, last, replace(ask, order=("finetuned", "base", "prefix"))) is None


def test_a_run_that_cannot_be_used_is_reported_in_its_column(context):
    comparison = finished(context, CompareRequest(SOURCE, "other-prefix", "", decode=DECODE))
    assert comparison.columns["base"].text and comparison.phase == "done"
    assert comparison.columns["prefix"].state == "error" and "other-gpt2" in comparison.columns["prefix"].note
    assert comparison.columns["finetuned"].state == "missing"


def test_stop_keeps_the_text_and_says_so(context):
    growing = compare(
        context,
        context.models.backbone(context.models.default),
        CompareRequest(SOURCE, "tiny-prefix", "tiny-finetuned", decode=LONG),
        lambda: stop,
    )
    stop = False
    for comparison in growing:
        stop = stop or all(column.text for column in comparison.columns.values())
    assert comparison.phase == "cancelled" and "What was written so far is kept" in comparison.sentence
    for column in comparison.columns.values():
        assert column.state == "cancelled" and 0 < column.tokens == len(column.ids) < 400 and not column.words


def test_a_page_that_goes_away_frees_its_places(context):
    growing = compare(
        context,
        context.models.backbone(context.models.default),
        CompareRequest(SOURCE, "tiny-prefix", "tiny-finetuned", decode=LONG),
        lambda: False,
    )
    while next(growing).phase != "running":
        pass
    growing.close()
    context.models.run_job(int)  # a turn of every model
    context.models.run_job(int)
    assert (context.models.engine.running(), context.models.engine.waiting()) == (0, 0)


def test_a_page_that_waits_shows_how_many_texts_come_before(context):
    ask, backbone = CompareRequest(SOURCE, decode=DECODE), context.models.backbone(context.models.default)
    with held(context.models.engine):
        first, second = (compare(context, backbone, ask, lambda: False, who) for who in ("first", "second"))
        assert [next(page).sentence for page in (first, second)] == ["Loading the runs…"] * 2
        assert next(first).sentence == "Writing…"
        assert next(second).sentence == "Waiting for the model: 1 text of other pages before yours."
    *_, comparison = second
    assert comparison.phase == "done"
    first.close()


def test_runs_that_do_not_fit_say_why(context):
    backbone = context.models.backbone(context.models.default)
    choices = {choice.run.id: choice.reason for choice in context.catalog.choices(["prefix"], backbone)}
    other = "trained on other-gpt2, not on tiny-gpt2"
    assert choices == {"tiny-prefix": "", "triples-prefix": "", "other-prefix": other}
    listed = context.catalog.choices(["prefix"], backbone)
    assert for_task(listed, "webnlg")[0].run.id == "triples-prefix" and not for_task(listed, "webnlg")[0].reason
    domains = {choice.run.id: choice.domain or choice.reason for choice in for_task(listed, "another")}
    assert domains == {
        "tiny-prefix": "trained on restaurants",
        "triples-prefix": "trained on WebNLG's facts",
        "other-prefix": other,
    }


def test_a_newer_request_or_a_stop_ends_those_before_it(context):
    tickets = context.tickets
    first, second = tickets.take("page"), tickets.take("page")
    assert tickets.is_stopped("page", first) and tickets.is_stale("page", first) and not tickets.is_stopped("page", second)
    tickets.stop("page")
    assert tickets.is_stopped("page", second) and not tickets.is_stale("page", second)
    assert not tickets.is_stopped("page", tickets.take("page"))


@pytest.mark.parametrize("mode", ["greedy", "beam", "rerank"])
def test_the_frozen_model_with_examples_stops_where_the_next_example_would_begin(context, monkeypatch, mode):
    decode = DecodeConfig(mode, beams=2, max_new=12)
    whole = finished(context, CompareRequest(SOURCE, "tiny-prefix", decode=decode, prompt="1")).columns["base"]
    stop = whole.text.lstrip()[4:6]  # stands for the blank line, which a model of random weights does not write
    monkeypatch.setattr("app.compare.comparison.BETWEEN_EXAMPLES", stop)
    cut = finished(context, CompareRequest(SOURCE, "tiny-prefix", decode=decode, prompt="1")).columns
    assert cut["base"].text == whole.text[: whole.text.index(stop, len(whole.text) - len(whole.text.lstrip()))]
    assert cut["base"].state == "eos" and cut["base"].text
    asis = finished(context, CompareRequest(SOURCE, "tiny-prefix", decode=decode)).columns
    assert asis["base"].stop == asis["prefix"].stop == cut["prefix"].stop == ""
