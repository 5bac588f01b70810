"""Rows of `bench` on the tabs that look inside a model: how long they take on the server.

The tabs' own handlers are timed, from the call to the last figure that they send, with runs, tables and caches as a page has
them. What the browser takes to draw comes on top. Tables of words are computed anew, in a temporary folder.
"""

import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from types import SimpleNamespace
from typing import cast

import gradio as gr

from analysis.benchmark.measure import Timing, summarize_times, time_call
from analysis.benchmark.rows import Settings
from analysis.space.neighbor_analysis import KEYS
from analysis.space.projection import pca, umap
from analysis.space.vocabulary_kv import SITE
from app.attention.components import AttentionPage
from app.attention.handlers import AttentionHandlers
from app.attention.state import AttentionState
from app.compare.comparison import CompareRequest, compare, record_of
from app.shared import examples
from app.shared.catalog import mismatch
from app.shared.context import AppContext
from app.shared.events import Components, Inputs, Update
from app.shared.last_comparison import ComparisonRecord
from app.shared.shell import Shell
from app.space.components import SpacePage
from app.space.handlers import SpaceHandlers
from app.space.request import SpaceRequest, resolve
from core.config.decode import DecodeConfig
from core.config.methods import method_info
from core.errors import NotSupported
from core.methods.loading import TEXT_RUN
from core.models.backbone import Backbone
from core.models.locate import DEFAULT
from core.runs.store import store
from core.text.tables import linearise

PAGE_ID = "bench"
PAGE = gr.Request(session_hash=PAGE_ID)  # stands for the request of a browser
FRAME = cast(Shell, SimpleNamespace(status="status", backbone="backbone"))
FILL, SWITCH, FIRST, NEAREST, MAP = 1.5, 0.3, 20.0, 1.0, 1.0  # seconds, the aims


def attention(backbone: Backbone, settings: Settings) -> Iterator[Timing]:
    """The Attention tab of one text: filled, another layer, another head, and the map of knock-outs."""
    context = AppContext(model_name(settings), settings.device)
    with closing(context.models.engine):
        context.comparisons.put(PAGE_ID, _comparison(context, backbone, settings.tokens))
        yield from _attention(context, backbone, settings)


def _attention(context: AppContext, backbone: Backbone, settings: Settings) -> Iterator[Timing]:
    spec, first = backbone.spec, _fill_times(context, [AttentionState()])
    yield summarize_times("attention", "filled, the first time in a process", first, FILL)
    again = [_fill_times(context, [AttentionState()])[0] for _ in range(settings.repeats)]
    yield summarize_times("attention", "filled", again, FILL)
    layers = [AttentionState(layer=layer + 1, head=1) for layer in range(min(spec.layers, settings.repeats + 1))]
    yield summarize_times("attention", "another layer", _fill_times(context, layers)[1:] or first, SWITCH)
    heads = [AttentionState(layer=1, head=head + 1) for head in range(min(spec.heads, settings.repeats + 1))]
    yield summarize_times("attention", "another head", _fill_times(context, heads)[1:] or first, SWITCH)
    do = _attention_handlers(context)
    ticket = do.enter("attention", PAGE)
    filled = _seconds_until(do.fill(ticket, AttentionState(), PAGE), "influence")
    yield summarize_times("attention", "the map of knock-outs, whole", [filled])


def _fill_times(context: AppContext, states: Iterable[AttentionState]) -> list[float]:
    """Seconds to fill the tab for each state, one after another, with an empty cache."""
    do, times = _attention_handlers(context), []
    for state in states:
        ticket = do.enter("attention", PAGE)
        times.append(_seconds_until(do.refresh(ticket, state, PAGE), "steps"))
    return times


def _attention_handlers(context: AppContext) -> AttentionHandlers:
    parts: Components = {part.name: part.name for part in fields(AttentionPage)}
    return AttentionHandlers(context, FRAME, AttentionPage(**parts))


def space(backbone: Backbone, settings: Settings) -> Iterator[Timing]:
    """The Prefix space tab with one run: nearest words, first and from the cache, another layer, and both maps."""
    context, last, run = AppContext(model_name(settings), settings.device), backbone.spec.layers, run_of(backbone)
    with empty_home(), closing(context.models.engine):
        prefix = context.models.load(run, backbone).prefix
        label = f"nearest words of {prefix.length if prefix else 0} virtual tokens"
        yield summarize_times("space", f"{label}, the first time", [_words(_space_handlers(context), settings, run, last)], FIRST)
        cached = [_words(_space_handlers(context), settings, run, last) for _ in range(settings.repeats)]
        yield summarize_times("space", f"{label}, from the cache", cached, NEAREST)
        do = _space_handlers(context)
        _words(do, settings, run, last)
        beside = range(last - 1, max(0, last - 1 - settings.repeats), -1) or [last]
        yield summarize_times("space", "the layer beside", [_words(do, settings, run, layer) for layer in beside], SWITCH)
        yield from _maps(do, backbone, settings, run)


def _maps(do: SpaceHandlers, backbone: Backbone, settings: Settings, run: str) -> Iterator[Timing]:
    request = SpaceRequest.of(_controls(run, backbone.spec.layers))
    results = do.analyses.look(backbone, resolve(do.analyses, backbone, request).query)
    cloud = next(analysis for analysis, _, _ in results if analysis is not None).cloud
    points = f"{len(cloud.points):,} points"
    yield summarize_times("space", f"PCA of {points}", [time_call(lambda: pca(cloud)) for _ in range(settings.repeats)], MAP)
    yield summarize_times("space", f"UMAP of {points}, in a process of its own", [time_call(lambda: umap(cloud))])


def _words(do: SpaceHandlers, settings: Settings, run: str, layer: int) -> float:
    """Seconds that the tab takes to show a run at a layer, the PCA map included."""
    inputs = {"backbone": model_name(settings), "ready": "yes", "search": "", "active": "space"} | _controls(run, layer)
    return _seconds_until(do.refresh(cast(Inputs, inputs), PAGE), "picture")


def _controls(run: str, layer: int) -> Components:
    """Values of the tab's controls, by name: all heads, PCA, and both switches off."""
    values = {"runs": [run], "space": KEYS, "layer": layer, "head": 0, "map": "pca", "site": SITE}
    return values | {"whole": False, "paths": False, "word": "", "token": []}


def _space_handlers(context: AppContext) -> SpaceHandlers:
    parts: Components = {part.name: part.name for part in fields(SpacePage)}
    return SpaceHandlers(context, FRAME, SpacePage(**parts))


def _seconds_until(updates: Iterable[Update], part: str) -> float:
    """Seconds until a handler has last sent a part of the page. The handler runs to its end, as it does for a browser.

    Raises NotSupported with the handler's message if it reports an error.
    """
    began, seconds = time.perf_counter(), 0.0
    for update in updates:
        status = update.get(FRAME.status)
        if isinstance(status, str) and 'data-phase="error"' in status:
            raise NotSupported("The tab could not be filled: " + re.sub(r"<b>.*?</b>|<[^>]+>", "", status))
        if part in update:
            seconds = time.perf_counter() - began
    return seconds


def model_name(settings: Settings) -> str:
    """The name of the model in the app."""
    return DEFAULT if settings.model == "mini" else settings.model


def run_of(backbone: Backbone) -> str:
    """The first run with virtual tokens, else a text prefix. Raises NotSupported if neither fits the backbone."""
    for run in store().runs():
        if method_info(run.method).virtual_tokens and not mismatch(run, backbone):
            return run.id
    if backbone.is_encoder_decoder:
        raise NotSupported(f"No run on {backbone.spec.name} has a prefix to look into. Train one, or name another --backbone.")
    return f"{TEXT_RUN}Tell the table in a sentence:"


def source_of(backbone: Backbone) -> str:
    """The first example, as the model reads it."""
    sample = examples.samples("article" if backbone.is_encoder_decoder else "table")[0]
    return sample.text or linearise(sample.fields)


def _comparison(context: AppContext, backbone: Backbone, tokens: int) -> ComparisonRecord:
    """The first example, written by the run and by the frozen model, as Compare records it."""
    form = "table" if not backbone.is_encoder_decoder else "article"
    request = CompareRequest(
        source_of(backbone), run_of(backbone), "", context.models.default, DecodeConfig(max_new=tokens), form
    )
    *_, last = compare(context, context.models.backbone(context.models.default), request, lambda: False)
    return record_of(last)


@contextmanager
def empty_home() -> Iterator[str]:
    """An empty, temporary user folder: caches on disk must not make anything quicker."""
    before = os.environ.get("PREFIX_LAB_HOME")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["PREFIX_LAB_HOME"] = folder
        try:
            yield folder
        finally:
            if before is None:
                del os.environ["PREFIX_LAB_HOME"]
            else:
                os.environ["PREFIX_LAB_HOME"] = before
