"""Rows of `bench` on the tabs that look inside a model: how long they take on the server.

The tabs' own handlers are timed, from the call to the last figure that they send, with runs, tables and caches as a page has
them. What the browser takes to draw comes on top. Tables of words are computed anew, in a folder that goes away again.
"""

import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

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
from app.shared.last_comparison import ComparisonRecord
from app.space.components import SpacePage
from app.space.handlers import SpaceHandlers
from app.space.request import SpaceRequest, resolve
from core.config.decode import DecodeConfig
from core.config.methods import method_info
from core.errors import NotSupported
from core.methods.loading import TEXT_RUN
from core.models.backbone import Backbone
from core.models.loading import DEFAULT
from core.runs.store import store
from core.text.tables import linearise

PAGE: Any = SimpleNamespace(session_hash="bench")  # what a handler is told of the page that asks
FRAME: Any = SimpleNamespace(status="status")
FILL, SWITCH, FIRST, NEAREST, MAP = 1.5, 0.3, 20.0, 1.0, 1.0  # seconds that are allowed


def attention(backbone: Backbone, settings: Settings) -> Iterator[Timing]:
    """The Attention tab of one text: filled, another layer, another head, and the map of knock-outs."""
    context = AppContext(model_name(settings), settings.device)
    with closing(context.models.engine):
        context.comparisons.put(PAGE.session_hash, _told(context, backbone, settings.tokens))
        yield from _attention(context, backbone, settings)


def _attention(context: AppContext, backbone: Backbone, settings: Settings) -> Iterator[Timing]:
    spec, first = backbone.spec, _looks(context, [AttentionState()])
    yield summarize_times("attention", "filled, the first time in a process", first, FILL)
    yield summarize_times("attention", "filled", [_looks(context, [AttentionState()])[0] for _ in range(settings.repeats)], FILL)
    layers = [AttentionState(layer=layer + 1, head=1) for layer in range(min(spec.layers, settings.repeats + 1))]
    yield summarize_times("attention", "another layer", _looks(context, layers)[1:] or first, SWITCH)
    heads = [AttentionState(layer=1, head=head + 1) for head in range(min(spec.heads, settings.repeats + 1))]
    yield summarize_times("attention", "another head", _looks(context, heads)[1:] or first, SWITCH)
    do = _attention_handlers(context)
    ticket = do.enter("attention", PAGE)
    filled = _shown(do.fill(ticket, AttentionState(), PAGE), "influence")
    yield summarize_times("attention", "the map of knock-outs, whole", [filled])


def _looks(context: AppContext, states: Iterable[AttentionState]) -> list[float]:
    """How long a page takes for each, one after another; nothing was read before."""
    do, times = _attention_handlers(context), []
    for state in states:
        ticket = do.enter("attention", PAGE)
        times.append(_shown(do.refresh(ticket, state, PAGE), "steps"))
    return times


def _attention_handlers(context: AppContext) -> AttentionHandlers:
    parts: dict[str, Any] = {part.name: part.name for part in fields(AttentionPage)}
    return AttentionHandlers(context, FRAME, AttentionPage(**parts))


def space(backbone: Backbone, settings: Settings) -> Iterator[Timing]:
    """The Prefix space tab with one run: nearest words, first and from the cache, another layer, and both maps."""
    context, last, run = AppContext(model_name(settings), settings.device), backbone.spec.layers, run_of(backbone)
    with elsewhere(), closing(context.models.engine):
        prefix = context.models.load(run, backbone).prefix
        what = f"nearest words of {prefix.length if prefix else 0} virtual tokens"
        yield summarize_times("space", f"{what}, the first time", [_words(_space_handlers(context), settings, run, last)], FIRST)
        cached = [_words(_space_handlers(context), settings, run, last) for _ in range(settings.repeats)]
        yield summarize_times("space", f"{what}, from the cache", cached, NEAREST)
        do = _space_handlers(context)
        _words(do, settings, run, last)
        beside = range(last - 1, max(0, last - 1 - settings.repeats), -1) or [last]
        yield summarize_times("space", "the layer beside", [_words(do, settings, run, layer) for layer in beside], SWITCH)
        yield from _maps(do, backbone, settings, run)


def _maps(do: SpaceHandlers, backbone: Backbone, settings: Settings, run: str) -> Iterator[Timing]:
    found = do.analyses.look(
        backbone, resolve(do.analyses, backbone, SpaceRequest.of(*_chosen(do, run, backbone.spec.layers))).view
    )
    cloud = next(scene for scene, _, _ in found if scene is not None).cloud
    points = f"{len(cloud.points):,} points"
    yield summarize_times("space", f"PCA of {points}", [time_call(lambda: pca(cloud)) for _ in range(settings.repeats)], MAP)
    yield summarize_times("space", f"UMAP of {points}, in a process of its own", [time_call(lambda: umap(cloud))])


def _words(do: SpaceHandlers, settings: Settings, run: str, layer: int) -> float:
    """How long the tab takes for all that it shows of a run at a layer, the map by PCA included."""
    return _shown(do.refresh(PAGE, model_name(settings), "yes", "space", *_chosen(do, run, layer)), "picture")


def _chosen(do: SpaceHandlers, run: str, layer: int) -> list[Any]:
    """What the page's controls say, in their order."""
    said = {"runs": [run], "space": KEYS, "layer": layer, "map": "pca", "site": SITE, "word": "", "token": []}
    return [said.get(name, 0) for name in do.page.controls]  # 0: all heads, and switches that are off


def _space_handlers(context: AppContext) -> SpaceHandlers:
    parts: dict[str, Any] = {part.name: part.name for part in fields(SpacePage)}
    return SpaceHandlers(context, FRAME, SpacePage(**parts))


def _shown(updates: Iterable[dict[Any, Any]], part: str) -> float:
    """Seconds until a handler has sent a part of the page for the last time; then it goes on to its end, as it does for a page.

    NotSupported where it sends what went wrong.
    """
    began, found = time.perf_counter(), 0.0
    for update in updates:
        said = update.get(FRAME.status)
        if isinstance(said, str) and 'data-phase="error"' in said:
            raise NotSupported("The tab could not be filled: " + re.sub(r"<b>.*?</b>|<[^>]+>", "", said))
        if part in update:
            found = time.perf_counter() - began
    return found


def model_name(settings: Settings) -> str:
    """The model as the app knows it."""
    return DEFAULT if settings.model == "mini" else settings.model


def run_of(backbone: Backbone) -> str:
    """The first run that has virtual tokens; else a text. NotSupported where neither fits."""
    for run in store().runs():
        if method_info(run.method).virtual_tokens and not mismatch(run, backbone):
            return run.id
    if backbone.is_encoder_decoder:
        raise NotSupported(f"No run on {backbone.spec.name} has a prefix to look into. Train one, or name another --backbone.")
    return f"{TEXT_RUN}Tell the table in a sentence:"


def source_of(backbone: Backbone) -> str:
    """The first example, as the model reads it."""
    sample = examples.samples("article" if backbone.is_encoder_decoder else "table")[0]
    return sample.text or linearise(list(sample.fields))


def _told(context: AppContext, backbone: Backbone, tokens: int) -> ComparisonRecord:
    """The first example, told by the run and by the frozen model, as Compare leaves it."""
    form = "table" if not backbone.is_encoder_decoder else "article"
    ask = CompareRequest(source_of(backbone), run_of(backbone), "", context.models.default, DecodeConfig(max_new=tokens), form)
    *_, last = compare(context, context.models.backbone(context.models.default), ask, lambda: False)
    return record_of(last)


@contextmanager
def elsewhere() -> Iterator[str]:
    """A user's folder that is empty and goes away again: what is kept on disk by now must not make anything quicker."""
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
