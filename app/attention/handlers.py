"""Event handlers of the Attention tab: read inputs, make one call, draw."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import gradio as gr

from analysis.attention.maps import SITES, attention_labels
from analysis.attention.sentences import SentenceMap
from analysis.figures import attention as figures
from app.attention import token_view, view
from app.attention.components import AttentionPage
from app.attention.controls import AT, controls, group_of
from app.attention.read_ahead import ReadAhead
from app.attention.readings import AttentionSource, ReadingCache
from app.attention.state import MOST, SAME, AttentionState
from app.compare.comparison import SLOTS
from app.compare.state import CompareState
from app.shared import plot_widget, shell, urlstate
from app.shared.cache import Cache
from app.shared.context import AppContext
from app.shared.events import TabHandlers, Update, errors_to_status
from app.shared.last_comparison import ColumnRecord, ComparisonRecord
from app.shared.method_labels import COLUMN_METHODS, COLUMN_TITLES, methods_of_column
from core.errors import PrefixLabError
from core.methods.loading import UNSTORED
from core.models.backbone import Backbone
from core.prefix.interventions import NO_INTERVENTION, Intervention

Sources = list[tuple[str, AttentionSource, Intervention]]
TAB = "attention"
KNOCKOUTS = "knock-outs"  # what the status line calls the map of knock-outs
PAGES = 256


class AttentionHandlers(TabHandlers):
    """Handlers with the components that they write."""

    activity = TAB
    tab = "attention"

    def __init__(self, context: AppContext, frame: shell.Shell, components: AttentionPage) -> None:
        super().__init__(context, frame)
        self.components, self.readings = components, ReadingCache(context)
        self.read_ahead = ReadAhead(self._fill_cache)
        self._filling: Cache[str, tuple] = Cache(PAGES)  # page -> key of the influence map that is shown or being filled

    # ---- what is asked for

    def restore(self, search: str) -> AttentionState:
        """Read the address when the page is opened; unusable values are named beside the text."""
        state, runs = urlstate.read(search or "", AttentionState), urlstate.read(search or "", CompareState)
        known = {run.id for run in self.context.store.runs()}
        requested = {"prefix": runs.prefix, "finetuned": runs.finetuned}
        unavailable = [name for name, run in requested.items() if run and not run.startswith(UNSTORED) and run not in known]
        return state.without(*unavailable)

    def enter(self, tab: str, request: gr.Request) -> int:
        """Refresh when the tab is opened, or a comparison starts or ends. Returns 0, which refreshes nothing, on another tab.

        What this tab shows first is then computed in advance, so that it is ready at a click. The state does not change: when a
        link is opened, it may be restored at the same moment.
        """
        page = request.session_hash or ""
        if tab != TAB and self.context.comparisons.get(page) is not None:
            self.read_ahead.add(page)
        return self.take_ticket(request) if tab == TAB else 0

    def _fill_cache(self, page: str) -> None:
        """Compute what the tab shows first, and load what draws figures. Errors are reported when the tab is opened."""
        with suppress(Exception), self.context.models.background():
            next(self._refresh(page, AttentionState()))

    def change(self, state: AttentionState, event: gr.EventData, request: gr.Request) -> tuple[AttentionState, int]:
        """Apply the use of a control."""
        layers, heads = self._last(state, request.session_hash or "")
        return state.turned(str(event.name), event.value, layers, heads).settled(), self.take_ticket(request)

    def _last(self, state: AttentionState, page: str) -> tuple[int, int]:
        """Return the number of the last layer and head of the site shown; MOST if the model is not loaded."""
        record = self.context.comparisons.get(page)
        backbone = record and self.context.models.get(record.name)
        if not backbone:
            return MOST, MOST
        depths = backbone.spec.depths
        return depths[site_of(state, depths)], backbone.spec.heads

    def select_head(self, state: AttentionState, event: gr.EventData, request: gr.Request) -> tuple[AttentionState, int]:
        """Select the head whose tile was clicked."""
        points = event.points
        if not points:
            return state, 0
        layer, head = int(points[0]["y"]), int(points[0]["x"])
        return replace(state.settled(), layer=layer, head=head), self.take_ticket(request)

    # ---- what is shown

    def comparison(self, page: str) -> ComparisonRecord | None:
        """Return the page's comparison; None if it has no text, or while a new one is being generated."""
        record = self.context.comparisons.get(page)
        return record if record is not None and record.columns else None

    @errors_to_status
    def refresh(self, ticket: int, state: AttentionState, request: gr.Request) -> Iterator[Update]:
        """Show everything, fast parts first; stop as soon as there is a newer request."""
        page = request.session_hash or ""
        if not ticket or self.context.tickets.is_stale(page, ticket, TAB):
            yield self.no_update()
            return
        yield from self.context.tickets.while_newest(page, ticket, self._refresh(page, state), TAB)

    def _refresh(self, page: str, state: AttentionState) -> Iterator[Update]:
        components, record = self.components, self.comparison(page)
        if record is None:
            yield {components.nothing: view.waiting()}  # what was shown before stays, dimmed
            return
        backbone = self.context.models.backbone(record.name)
        vm, intervention = self.view_model(backbone, state, record)
        state = self._within(state, vm, backbone)
        sources, labels, weighted = self._sources(vm, state, intervention), vm.labels, state.weigh == "values"
        masses = {name: self.readings.mass(backbone, source, vm.text, how, vm.site) for name, source, how in sources}
        vm.masses = masses
        vm.plain = self.readings.mass(backbone, vm.reader, vm.text, site=vm.site)
        vm.changed = None if intervention.is_identity else masses[sources[0][0]]
        if vm.site == "cross" and vm.parts:
            vm.sentence_map = self._sentences(backbone, vm, sources[:1])[sources[0][0]]
        group = group_of(state, list(masses.values()))
        cell = (state.layer - 1, state.head - 1) if state.layer and state.head else None
        at: tuple[int | None, int | None] = cell or (None, None)
        cleared: Update = {} if self._filling.get(page) == _key(vm, intervention) else {components.influence: plot_widget.NOTHING}
        yield {
            components.nothing: "",
            components.headline: view.headline(state, vm),
            components.bar: controls(state, vm),
            components.reads: view.reads(state, vm, None if intervention.is_identity else _empty_text(vm)),
            components.layers: plot_widget.value(figures.mass_by_layer(masses, weighted, labels), "attention-by-layer"),
            components.heads: plot_widget.value(figures.heads(masses, group, cell, weighted, labels), "attention-by-head"),
            components.steps: plot_widget.value(figures.mass_by_step(masses, *at, weighted, labels), "attention-by-step"),
            components.tokens: self._tokens(backbone, state, vm, sources),
            components.address: urlstate.write(state),
        } | cleared
        yield from self._effect(backbone, state, vm, intervention, page)

    def view_model(
        self, backbone: Backbone, state: AttentionState, record: ComparisonRecord
    ) -> tuple[view.AttentionViewModel, Intervention]:
        """Return what is read of a comparison, which may be another one than the page's by now, and the intervention."""
        column = state.column if state.column in record.columns else first_column(list(record.columns))
        column_record = record.columns[column]
        reader = self.readings.reader(column_record.run, backbone, column)
        vm = self._at(backbone, state, view.AttentionViewModel(record, column, reader, column_record, backbone.spec.depths))
        vm.notes += _absent(state, vm, backbone.spec.name)
        intervention = state.intervention(reader.length, vm.depths) if reader.length else NO_INTERVENTION
        if reader.length and (missing := state.missing(reader.length, vm.depths)):
            vm.notes.append(f"Not knocked out, as this prefix has none of that name: {', '.join(missing)}.")
        vm.notes += state.problems
        layers, heads = vm.depths[vm.site], backbone.spec.heads
        if state.layer > layers or state.head > heads:
            where = f", {vm.labels.site_name}," if vm.labels.site_name else ""
            place = f"layer {state.layer}" + (f", head {state.head}" if state.head else "")
            vm.notes.append(f"There is no {place}: {backbone.spec.name}{where} has {layers} layers of {heads} heads.")
        vm.beside_choices = self._beside_choices(backbone, vm, intervention)
        vm.beside = self._beside(state, vm, backbone)
        return vm, intervention

    def _at(self, backbone: Backbone, state: AttentionState, vm: view.AttentionViewModel) -> view.AttentionViewModel:
        """Set the site, and what depends on it."""
        site = site_of(state, vm.depths)
        article = vm.record.form == "article"
        vm.site, vm.labels = site, attention_labels(backbone, site, "the article" if article else "the input")
        if backbone.is_encoder_decoder and article:
            vm.parts = self.readings.sentences(backbone, vm.record.source, vm.text)
            vm.notes += [AT[site]] if vm.reader.length else []
        return vm

    def _within(self, state: AttentionState, vm: view.AttentionViewModel, backbone: Backbone) -> AttentionState:
        """Limit layer and head to those of the model; the text's own run beside it is SAME, however it was named."""
        beside = SAME if vm.beside is not None and vm.beside.run == vm.reader.run else state.beside
        return replace(
            state, beside=beside, layer=min(state.layer, vm.depths[vm.site]), head=min(state.head, backbone.spec.heads)
        )

    def _beside_choices(
        self, backbone: Backbone, vm: view.AttentionViewModel, intervention: Intervention
    ) -> list[tuple[str, str]]:
        """Return who else can read the text: (value, name)."""
        choices = [(SAME, view.beside_name(SAME))] if not intervention.is_identity else []
        if vm.reader.run:
            choices.append(("base", view.beside_name("base")))
        runs = (run.id for column in COLUMN_METHODS for run in self.context.catalog.usable(methods_of_column(column), backbone))
        return choices + [(run, run) for run in runs if run != vm.reader.run]

    def _beside(self, state: AttentionState, vm: view.AttentionViewModel, backbone: Backbone) -> AttentionSource | None:
        """Return the second reader. The text's own run is one only under an intervention: without one, it reads the same."""
        run = {SAME: vm.reader.run, "base": ""}.get(state.beside, state.beside)
        if not state.beside or (run == vm.reader.run and (SAME, view.beside_name(SAME)) not in vm.beside_choices):
            return None
        try:
            return self.readings.reader(run, backbone)
        except PrefixLabError as error:
            vm.notes.append(f"There is no second model beside it: {error}")
            return None

    def _sources(self, vm: view.AttentionViewModel, state: AttentionState, intervention: Intervention) -> Sources:
        """Return (name, source, intervention): the text's own model, then the one beside it, which has no intervention."""
        name = vm.reader.title if intervention.is_identity else f"{vm.reader.title}, {view.name_of(state, vm)}"
        sources = [(name, vm.reader, intervention)]
        if vm.beside is not None:
            title = f"{vm.beside.title}, unchanged" if state.beside == SAME else vm.beside.title
            sources.append((title, vm.beside, NO_INTERVENTION))
        return sources

    def _tokens(self, backbone: Backbone, state: AttentionState, vm: view.AttentionViewModel, sources: Sources) -> str:
        """Draw the chosen head token by token; an article by sentences, unless the state says tokens."""
        kinds = [source.kind for _, source, _ in sources]
        if vm.by_sentence and state.unit != "tokens":
            return token_view.sentences(state, self._sentences(backbone, vm, sources), kinds, vm.labels)
        if not (state.layer and state.head):
            return ""
        read = partial(self.readings.layer, backbone, text=vm.text, layer=state.layer - 1, site=vm.site)
        maps = {name: read(source, intervention=how) for name, source, how in sources}
        return token_view.tokens(state, maps, kinds, vm.labels, vm.parts)

    def _sentences(self, backbone: Backbone, vm: view.AttentionViewModel, sources: Sources) -> dict[str, SentenceMap]:
        read = partial(self.readings.by_sentence, backbone, text=vm.text, article=vm.article, site=vm.site)
        return {name: read(source, intervention=how) for name, source, how in sources}

    def _effect(
        self, backbone: Backbone, state: AttentionState, vm: view.AttentionViewModel, intervention: Intervention, page: str
    ) -> Iterator[Update]:
        """Show the next word, and the text regenerated under the intervention as it grows."""
        components, readings = self.components, self.readings
        if intervention.is_identity:
            yield {components.effect: ""}
            return
        before, after = (readings.words(backbone, vm.reader, vm.text, how) for how in (NO_INTERVENTION, intervention))
        yield {components.effect: view.effect(state, vm, before, after)}
        is_stale = lambda: self.context.comparisons.get(page) is not vm.record  # noqa: E731
        for text in readings.regenerate(backbone, vm.reader, vm.record, vm.text, intervention, is_stale, page):
            yield {components.reads: view.reads(state, vm, text)}

    # ---- knock-outs

    @errors_to_status
    def fill(self, ticket: int, state: AttentionState, request: gr.Request) -> Iterator[Update]:
        """Show the map of knock-outs as it fills. It continues while another view of the same text is open."""
        page = request.session_hash or ""
        record = self.comparison(page)
        if not ticket or record is None:
            yield self.no_update()
            return
        backbone = self.context.models.backbone(record.name)
        vm, intervention = self.view_model(backbone, state, record)
        key = _key(vm, intervention)
        if self._filling.get(page) == key:  # complete, or being filled by an earlier call
            yield self.no_update()
            return
        self._filling.put(page, key)
        if not vm.reader.length:
            yield {self.components.influence: plot_widget.NOTHING}
            return
        mass = self.readings.mass(backbone, vm.reader, vm.text, intervention, vm.site)
        yield self.report(page, "running", "Knocking out each virtual token in each layer…", KNOCKOUTS)
        for influence, count, total in self.readings.influence(backbone, vm.reader, vm.text, intervention, vm.site):
            if self._filling.get(page) != key:  # a later call fills another map, and reports
                return
            if self.context.comparisons.get(page) is not record:
                break
            figure = figures.ablation_map(mass, influence, count, total, vm.labels)
            update: Update = {self.components.influence: plot_widget.value(figure, "influence")}
            if count == total:
                update[self.shell.status] = self.context.status.clear(page, KNOCKOUTS)
            yield update
        else:
            return
        yield {self.shell.status: self.context.status.clear(page, KNOCKOUTS)}


def first_column(kinds: Sequence[str]) -> str:
    """Return the column to show if none is chosen."""
    return next(kind for kind in ("prefix", "finetuned", *SLOTS) if kind in kinds)


def _absent(state: AttentionState, vm: view.AttentionViewModel, name: str) -> list[str]:
    """Sentences that name a requested text, site or sentence that there is not, and what is shown instead."""
    sentences = []
    if state.column not in ("", vm.column):
        shown = COLUMN_TITLES[vm.column]
        sentences.append(f"There is no text of the column “{COLUMN_TITLES[state.column]}”; that of “{shown}” is shown instead.")
    if state.site not in ("", vm.site):
        sentences.append(f"{name} has nothing called {SITES[state.site]}; {SITES[vm.site]} is shown instead.")
    if vm.parts and state.sentence > len(vm.parts.spans):
        sentences.append(
            f"There is no sentence {state.sentence}: the article has {len(vm.parts.spans)}. The first is shown instead."
        )
    return sentences


def site_of(state: AttentionState, depths: Mapping[str, int]) -> str:
    """Return the site to show: the requested one or, for an encoder's text, the last."""
    return state.site if state.site in depths else list(depths)[-1]


def _key(vm: view.AttentionViewModel, intervention: Intervention) -> tuple:
    """Return the cache key of a map of knock-outs."""
    return vm.record.number, vm.column, intervention, vm.site


def _empty_text(vm: view.AttentionViewModel) -> ColumnRecord:
    return replace(vm.text, ids=(), text="", state="streaming")
