"""The texts of every example by both runs, without a page."""

import pytest

from analysis.metrics.coverage import cover
from app.compare.gallery import AT_ONCE, Gallery, GalleryText, run_all_examples
from app.compare.gallery_view import gallery, parts
from app.shared.examples import samples
from core.config.decode import DecodeConfig
from core.errors import BadInput
from core.text.detokenize import detokenise

DECODE = DecodeConfig(max_new=8)
RUNS = {"prefix": "triples-prefix", "finetuned": "triples-finetuned"}


def test_every_example_is_written_by_both_runs_as_it_would_be_alone(context):
    from app.compare.comparison import CompareRequest, compare
    from app.compare.source_editor import parse_rows

    backbone = context.models.backbone(context.models.default)
    *_, last = run_all_examples(context, backbone, "webnlg", RUNS, DECODE, lambda: False)
    assert not last.open and last.done == len(last.texts) == 2 * len(samples("webnlg"))
    one = samples("webnlg")[3]
    ask = CompareRequest(parse_rows("webnlg", one.rows).source, *RUNS.values(), decode=DECODE, form="webnlg")
    *_, comparison = compare(context, backbone, ask, lambda: False)
    for kind in RUNS:
        assert last.texts[one.id, kind].text == detokenise(comparison.columns[kind].text)


def test_more_texts_than_the_queue_holds_take_turns_with_those_of_others(context, monkeypatch):
    monkeypatch.setattr(context.models.engine, "limit", 20)
    results = run_all_examples(context, context.models.backbone(context.models.default), "webnlg", RUNS, DECODE, lambda: False)
    waiting = [context.models.engine.waiting() for _ in results]
    assert 2 * len(samples("webnlg")) > 20 and max(waiting) <= AT_ONCE


def test_stopped_it_keeps_what_is_whole_and_says_so(context):
    stop, endless = [False], DecodeConfig(max_new=200, min_new=200)
    growing = run_all_examples(context, context.models.backbone(context.models.default), "webnlg", RUNS, endless, lambda: stop[0])
    next(growing)
    stop[0] = True
    *_, last = growing
    assert not last.open and last.done < len(last.texts)
    assert "stopped" in gallery(last)


def test_without_a_run_or_examples_it_says_what_to_do(context):
    for form, runs in (("webnlg", {}), ("text", RUNS)):
        with pytest.raises(BadInput, match="choose a task that has examples"):
            list(run_all_examples(context, context.models.backbone(context.models.default), form, runs, DECODE, lambda: False))


def test_seen_and_unseen_are_summed_up_apart_and_all_is_escaped(context):
    last = Gallery("webnlg", {"prefix": context.store.get("triples-prefix")}, DECODE)
    for sample in samples("webnlg"):
        answer = sample.references[0] if sample.seen else "<b>Nobody</b> lives in Paris."
        last.texts[sample.id, "prefix"] = GalleryText(answer, cover(list(sample.fields), answer))
    html = gallery(last)
    (_, known), (_, unknown) = parts("webnlg")
    assert last.scores("prefix", known)[0].value == 100 and last.scores("prefix", unknown)[0].value == 0
    assert "Categories seen in training, n=11" in html and "Categories not seen in training, n=7" in html
    assert "<b>Nobody</b>" not in html and "Paris" in html and "unsupported" in html
    assert "Fine-tuned" not in html  # there is no such run
    assert [len(among) for _, among in parts("table", "e2e")] == [5, 68]  # a run on E2E knows cafés only
    assert [[among[0].topic, len(among)] for _, among in parts("table", "tables")] == [["cafés", 53], ["animals", 20]]
