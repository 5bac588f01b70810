"""Readings without a page: who reads what, text prefixes as runs, and what is kept for the other tabs."""

import sys
import threading
from types import SimpleNamespace

import pytest
import torch

from analysis.attention.maps import attention_mass
from app.attention import readings
from app.attention.components import AttentionPage
from app.attention.handlers import AttentionHandlers
from app.attention.readings import ReadingCache
from app.attention.state import AttentionState
from app.compare.comparison import CompareRequest, compare, record_of
from app.shared.last_comparison import ColumnRecord, ComparisonRecord, LastComparisons
from core.config.decode import DecodeConfig
from core.errors import BadInput
from core.generation.generate import generate
from core.generation.sequence import decode_text
from core.generation.types import Request
from core.models.activations import text_prefix
from core.prefix.interventions import Intervention

COMPONENTS = AttentionPage(**{name: name for name in AttentionPage.__dataclass_fields__})  # names in place of components
SOURCE, DECODE = "name : Alda | Type : pub", DecodeConfig(max_new=8, min_new=8)


@pytest.fixture(scope="module")
def record(context):
    ask = CompareRequest(SOURCE, "tiny-prefix", "tiny-finetuned", decode=DECODE)
    *_, last = compare(context, context.models.backbone(context.models.default), ask, lambda: False)
    return record_of(last)


def test_every_column_is_remembered_with_what_it_read_and_wrote(context, record):
    backbone = context.models.backbone(context.models.default)
    assert set(record.columns) == {"base", "prefix", "finetuned"} and record.source == SOURCE
    for written in record.columns.values():
        assert written.prompt_ids == tuple(backbone.encode(SOURCE + "\n")) and len(written.ids) == 8
        assert decode_text(backbone, list(written.ids)) == written.text


def test_the_last_comparisons_are_kept_and_a_new_one_takes_the_old_ones_place():
    last, records = LastComparisons(2), [ComparisonRecord("", str(i), DECODE, {}) for i in range(3)]
    for page, one in zip("abc", records, strict=True):
        last.put(page, one)
    assert last.get("a") is None and last.get("c") is records[2] and len({one.number for one in records}) == 3
    last.forget("c")
    assert last.get("c") is None and last.get("b") is records[1]


def test_a_text_is_read_by_the_run_that_wrote_it_and_by_others(context, record):
    backbone, cache = context.models.backbone(context.models.default), ReadingCache(context)
    text = record.columns["prefix"]
    for run in ("tiny-prefix", "tiny-finetuned", "", "text:Describe it."):
        reader = cache.reader(run, backbone)
        mass = cache.mass(backbone, reader, text)
        alone = attention_mass(reader.model, backbone, Request(list(text.prompt_ids), reader.prefix), text.ids)
        assert mass.mass.equal(alone.mass) and mass.virtual == reader.length
        assert cache.mass(backbone, reader, text) is mass  # not read twice
        assert cache.layer(backbone, reader, text, 1, Intervention()).layers == (1,)


def test_written_again_at_one_is_the_same_and_at_another_is_what_generate_gives(context, record):
    backbone, cache = context.models.backbone(context.models.default), ReadingCache(context)
    text, reader = record.columns["prefix"], cache.reader("tiny-prefix", backbone)
    for done in (Intervention(), Intervention(0.25).without(token=1)):
        *_, last = cache.regenerate(backbone, reader, record, text, done, lambda: False)
        request = Request(list(text.prompt_ids), reader.prefix, 0, done)
        alone = generate(backbone.model, backbone, [request], DECODE)[0]
        assert (list(last.ids), last.text, last.state) == (alone.ids, alone.text, alone.finish)
        assert (last.ids == text.ids) == done.is_identity
        assert list(cache.regenerate(backbone, reader, record, text, done, lambda: False)) == [last]


def test_a_finished_text_is_read_ahead_while_another_tab_is_shown(context, record, monkeypatch):
    do = AttentionHandlers(context, SimpleNamespace(status="status"), COMPONENTS)
    page = SimpleNamespace(session_hash="ahead")
    context.comparisons.put("ahead", record)
    assert do.enter("compare", page) == 0
    do.read_ahead.join()
    monkeypatch.setattr(readings, "attention_mass", None)
    update = next(do.refresh(do.enter("attention", page), AttentionState(), page))
    assert "the prefix drew" in update["headline"]


def test_unusable_values_of_an_address_are_named_and_the_tab_shows_what_it_shows_without(context, record):
    do = AttentionHandlers(context, SimpleNamespace(status="status"), COMPONENTS)
    page = SimpleNamespace(session_hash="vain")
    context.comparisons.put("vain", record)
    state = do.restore("?layer=99&head=x&alpha=7&beside=nobody&prefix=ghost&finetuned=tiny-finetuned")
    update = next(do.refresh(do.enter("attention", page), state, page))
    assert "no usable value for: head, alpha, prefix." in update["reads"]
    assert "There is no layer 99: tiny-gpt2 has 2 layers of 4 heads." in update["reads"] and not update["tokens"]
    assert "There is no run" in update["reads"] and "nobody" in update["reads"] and 'value="" selected' in update["bar"]
    state, ticket = do.change(state, SimpleNamespace(name="layer", value=1), page)
    assert "usable" not in next(do.refresh(ticket, state, page))["reads"]


def test_a_stopped_rewriting_is_not_kept(context, record):
    backbone, cache = context.models.backbone(context.models.default), ReadingCache(context)
    text, reader, done = record.columns["prefix"], cache.reader("tiny-prefix", backbone), Intervention(0.5)
    assert [one.state for one in cache.regenerate(backbone, reader, record, text, done, lambda: True)] == ["streaming"]
    *_, whole = cache.regenerate(backbone, reader, record, text, done, lambda: False)
    assert len(whole.ids) == 8 and whole.state == "length"


def test_influence_fills_once(context, record):
    backbone, cache = context.models.backbone(context.models.default), ReadingCache(context)
    text, reader = record.columns["prefix"], cache.reader("tiny-prefix", backbone)
    *_, (effect, done, total) = cache.influence(backbone, reader, text)
    assert done == total == 8 and bool(effect.kl.isfinite().all())
    assert [part[0] for part in cache.influence(backbone, reader, text)] == [effect]


def test_any_text_is_a_run_on_a_line_of_its_own(context):
    backbone = context.models.backbone(context.models.default)
    loaded = context.models.load("text:Describe it.", backbone)
    plain = text_prefix(backbone, "Describe it.\n")
    torch.testing.assert_close(loaded.prefix.past["decoder"], plain.past["decoder"])
    assert loaded.run.trained == 0 and loaded.run.stored == plain.parameters
    assert context.models.load("text:Describe it.", backbone) is loaded
    assert context.models.load("text:It is ", backbone).prefix.length == len("It is ")
    with pytest.raises(BadInput, match="empty"):
        context.models.load("text: ", backbone)


def test_readings_stay_whole_while_pages_read_evict_and_forget_at_once(monkeypatch):
    """Once KeyError, and "OrderedDict mutated during iteration", where several pages read and the cache was full."""
    monkeypatch.setattr(readings, "CACHE_BYTES", 8 * 4096)
    monkeypatch.setattr(readings, "attention_mass", lambda model, backbone, request, ids, site: SimpleNamespace(ids=ids))
    models = SimpleNamespace(on_unload=[], run_job=lambda job, *values: job(*values))
    cache, errors = ReadingCache(SimpleNamespace(models=models)), []
    source = readings.AttentionSource("base", "", None, None)

    def read(page: int) -> None:
        backbone = SimpleNamespace(spec=SimpleNamespace(fingerprint=str(page % 2)))
        try:
            for number in range(1500):
                text = ColumnRecord("", (page,), (number % 11,), "", "done")
                assert cache.mass(backbone, source, text).ids == text.ids
                if number % 50 == 0:
                    models.on_unload[0](str(page % 2))
        except Exception as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=read, args=(page,)) for page in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert errors == []
