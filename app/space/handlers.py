"""Event handlers of the Prefix space tab: read inputs, make one call, draw."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import gradio as gr
import pandas as pd

from analysis.figures import space as figures
from analysis.space.neighbor_analysis import EMBEDDINGS, SITE, NeighborAnalysis
from analysis.space.neighbors import Neighbor, neighbor_rows
from analysis.space.projection import PREFIX, Projection
from analysis.space.spaces import SITE_PHRASES
from analysis.space.vocabulary import vocabulary
from app.shared import plot_widget, shell, urlstate
from app.shared.context import AppContext
from app.shared.events import Inputs, TabHandlers, Update, errors_to_status
from app.shared.html import tag, text
from app.space import view
from app.space.analyses import AnalysisCache, Key, with_words
from app.space.components import SpacePage
from app.space.headline import headline
from app.space.near_text_view import near_text_sections
from app.space.request import ResolvedRequest, SpaceRequest, compared_run, resolve
from app.space.state import SpaceState, parted
from core.config.methods import method_info
from core.errors import BadInput, PrefixLabError
from core.methods.loading import UNSTORED
from core.models.backbone import Backbone
from core.text.checks import counted

ALL = ("all", 0)  # the choice of all heads
PAUSE = 0.3  # seconds between two checks whether a map is ready


@dataclass(frozen=True)
class SpaceViewModel:
    """An analysis with the choices in it. `key` names its map; `matches`: the neighbors that equal the searched `word`."""

    analysis: NeighborAnalysis
    key: Key
    resolved: ResolvedRequest
    run: str
    number: int
    word: str = ""
    matches: tuple[Neighbor, ...] = ()
    note: str = ""

    @property
    def request(self) -> SpaceRequest:
        return self.resolved.request

    @property
    def word_ids(self) -> list[int]:
        """The words marked on the map."""
        return sorted({match.id for match in self.matches})


class SpaceHandlers(TabHandlers):
    """Handlers with the components that they write."""

    activity = "prefix space"
    tab = "space"

    def __init__(self, context: AppContext, frame: shell.Shell, page: SpacePage) -> None:
        super().__init__(context, frame)
        self.page, self.analyses = page, AnalysisCache(context)

    # ---- choosing

    def restore(self, search: str) -> Update:
        """Read the address when the page is opened."""
        page, state = self.page, urlstate.read(search or "", SpaceState)
        runs = parted(state.runs)
        if state.of and state.of not in runs:
            state = state.without("space-of")
        return {
            page.runs: gr.update(choices=runs, value=runs),
            page.space: state.space,
            page.site: state.site,
            # The names are those of `_controls`: a choice that keeps its value keeps the name that it was first shown by.
            page.layer: gr.update(choices=[state.layer], value=state.layer),
            page.head: gr.update(choices=[ALL, state.head or ALL], value=state.head),
            page.map: state.map,
            page.whole: bool(state.whole),
            page.paths: bool(state.paths),
            page.word: state.word,
            page.token: [state.of, state.token - 1],
            page.ignored: "".join(_note(problem, "meta") for problem in state.problems),
            page.ready: "yes",
        }

    def choose(self, name: str, event: gr.EventData) -> Update:
        """Show the virtual token, or search the word, whose point or row was clicked."""
        points = getattr(event, "points", None)
        point_id = str((points[0].get("data") if points else getattr(event, "id", "")) or "")
        kind, _, rest = point_id.partition(":")
        if kind == "t":
            run, _, number = rest.rpartition(":")
            return {self.page.token: [run, int(number)], self.page.word: ""}
        if kind == "w":
            word = vocabulary(self.context.models.backbone(name or self.context.models.default)).texts[int(rest)].strip()
            return {self.page.word: word or f"#{int(rest)}"}
        return {self.page.word: ""}

    def step(self, by: int, inputs: Inputs) -> int:
        """Move to the layer before or after, for the keys [ and ]; stops at the first and the last."""
        spec, site = self.context.models.backbone(self._backbone_name(inputs)).spec, inputs[self.page.site]
        return min(max(1, int(inputs[self.page.layer]) + by), spec.depth(site if site in spec.sites else SITE))

    # ---- what is shown

    @errors_to_status
    def refresh(self, inputs: Inputs, request: gr.Request) -> Iterator[Update]:
        """Show what the controls say. Does nothing while another tab is open, or before the address is read."""
        if not inputs[self.page.ready] or inputs[self.page.active] != "space":
            yield self.no_update()
            return
        page, tickets = request.session_hash or "", self.context.tickets
        ticket = tickets.take(page, self.activity)

        def stale() -> bool:
            return tickets.is_stale(page, ticket, self.activity)

        search = inputs[self.page.search] or ""
        updates = self._refresh(page, self._backbone_name(inputs), self._request(inputs), search, stale)
        yield from tickets.while_newest(page, ticket, updates, self.activity)

    def _backbone_name(self, inputs: Inputs) -> str:
        return inputs[self.shell.backbone] or self.context.models.default

    def _request(self, inputs: Inputs) -> SpaceRequest:
        return SpaceRequest.of({name: inputs[component] for name, component in self.page.request_inputs.items()})

    def failed(self, page: str, sentence: str, activity: str = "") -> Update:
        """What was drawn before stays, dimmed (space.css), and is not to be saved."""
        return super().failed(page, sentence, activity) | {self.page.csv: gr.update(interactive=False)}

    def _cleared(self) -> Update:
        page = self.page
        empty: Update = dict.fromkeys((page.detail, page.headline, page.near_text, page.all, page.empty), "")
        return empty | {
            page.picture: plot_widget.NOTHING,
            page.first: plot_widget.NOTHING,
            page.csv: gr.update(interactive=False),
        }

    def _refresh(self, page: str, name: str, request: SpaceRequest, search: str, stale: Callable[[], bool]) -> Iterator[Update]:
        began = time.monotonic()
        loaded = self.context.models.is_loaded(name)
        yield self.report(
            page, *(("running", "Comparing with the words…") if loaded else ("loading", f"Loading the model {name}…"))
        )
        backbone = self.context.models.backbone(name)
        resolved = resolve(self.analyses, backbone, request, compared_run(self.context.catalog, backbone, search))
        yield self._controls(backbone, resolved)
        if resolved.reason:
            done = self.report(page, "done", "There is nothing to compare with the words.")
            yield self._cleared() | {self.page.empty: resolved.reason, self.page.lead: ""} | done
            return
        for analysis, count, total in self.analyses.look(backbone, resolved.query):
            if stale():
                return
            if analysis is None:
                where = f"layer {resolved.request.layer}{SITE_PHRASES[resolved.request.site]}"
                progress = f"What {backbone.spec.name} computes for each word at {where}: {count:,} of {total:,}…"
                yield self.report(page, "running", progress)
            else:
                vm = _view_model(analysis, self.analyses.key(backbone, resolved.query), resolved)
                yield from self._render(page, backbone, vm, began, stale)
        self._ahead(backbone, resolved, stale)

    def _ahead(self, backbone: Backbone, resolved: ResolvedRequest, stale: Callable[[], bool]) -> None:
        """Compute the neighbouring layers after the page is complete. Their errors are reported when they are opened."""
        time.sleep(PAUSE)  # the page draws first
        if not stale():
            with suppress(PrefixLabError), self.context.models.background():
                self.analyses.ahead(backbone, resolved.query, stale)

    def _controls(self, backbone: Backbone, resolved: ResolvedRequest) -> Update:
        """Update the controls for the backbone."""
        page, spec, request = self.page, backbone.spec, resolved.request
        runs = [
            (run.id if method_info(run.method).virtual_tokens else f"{run.id} (no virtual tokens)", run.id)
            for run in resolved.available
        ]
        depth, heads = spec.depth(request.site), [ALL, *range(1, spec.kv_heads + 1)]
        deep = request.space != EMBEDDINGS
        return {
            page.runs: gr.update(
                choices=runs + [(run, run) for run in request.runs if run.startswith(UNSTORED)], value=list(request.runs)
            ),
            page.site: gr.update(value=request.site, visible=len(spec.sites) > 1, interactive=deep),
            page.layer: gr.update(
                choices=list(range(1, depth + 1)), value=request.layer, interactive=deep, label=f"Layer (1–{depth})"
            ),
            page.head: gr.update(choices=heads, value=request.head, interactive=deep, label=f"Head (1–{spec.kv_heads})"),
            page.lead: view.lead(request.space, request.site if len(spec.sites) > 1 else ""),
            page.note: _notes(resolved),
        }

    def _render(
        self, session: str, backbone: Backbone, vm: SpaceViewModel, began: float, stale: Callable[[], bool]
    ) -> Iterator[Update]:
        page, analysis, request = self.page, vm.analysis, vm.request
        ready = self.analyses.maps.ask(vm.key, analysis.cloud) if request.map == "umap" else None
        waiting = request.map == "umap" and ready is None
        soon = _note("UMAP is being computed in the background: up to a minute. Until then this is PCA.", "wait")
        summary = (
            f"{analysis.title}: {counted(analysis.cloud.count(PREFIX), 'virtual token')} among {analysis.cloud.words:,} words"
        )
        yield {
            page.empty: "",
            page.token: [vm.run, vm.number],
            page.picture: self._picture(vm, ready or self._pca(vm)),
            page.note: _notes(vm.resolved) + vm.note + (soon if waiting else ""),
            page.detail: view.search_results(analysis, vm.word, vm.matches)
            if vm.matches
            else view.detail(analysis, vm.run, vm.number),
            page.headline: headline(analysis),
            page.near_text: near_text_sections(
                self.analyses.readings(backbone, vm.resolved.on_map), backbone, vm.resolved.on_map
            ),
            page.first: plot_widget.value(figures.first_words(analysis, vm.run, vm.number), "first-words"),
            page.all: view.overview(analysis, vm.run, vm.number),
            page.csv: gr.update(interactive=True),
            page.address: urlstate.write(request.state(vm.run, vm.number)),
        } | self.report(session, "done", f"{summary}, in {time.monotonic() - began:.1f} s.")
        if waiting:
            yield from self._umap_later(vm, stale)

    def _umap_later(self, vm: SpaceViewModel, stale: Callable[[], bool]) -> Iterator[Update]:
        """Replace the map by UMAP when it is ready."""
        began, projection = time.monotonic(), None
        while projection is None:
            time.sleep(PAUSE)
            if stale():
                return
            try:
                projection = self.analyses.maps.ask(vm.key, vm.analysis.cloud)
            except PrefixLabError as error:
                yield {self.page.note: _notes(vm.resolved) + _note(str(error), "pl-problem")}
                return
        note = _note(f"UMAP is ready: it took {time.monotonic() - began:.0f} s, and is kept for the next time.", "meta")
        yield {self.page.picture: self._picture(vm, projection), self.page.note: _notes(vm.resolved) + vm.note + note}

    def _pca(self, vm: SpaceViewModel) -> Projection:
        """Draw the PCA map, with a point for the searched word."""
        cloud = with_words(vm.analysis.cloud, vm.analysis.space, vm.word_ids)
        key = vm.key if cloud is vm.analysis.cloud else (*vm.key, *vm.word_ids)
        return self.analyses.flat(key, cloud)

    @staticmethod
    def _picture(vm: SpaceViewModel, projection: Projection) -> str:
        figure = figures.prefix_map(vm.analysis, projection, (vm.run, vm.number), vm.request.paths, vm.word_ids)
        return plot_widget.value(figure, f"prefix-space-{projection.method.lower()}")

    # ---- download

    def table(self, inputs: Inputs) -> str:
        """Return the words of all virtual tokens as CSV; each row names its space."""
        backbone = self.context.models.backbone(self._backbone_name(inputs))
        resolved = resolve(self.analyses, backbone, self._request(inputs))
        if resolved.reason:
            return ""
        analysis = next(done for done, _, _ in self.analyses.look(backbone, resolved.query) if done is not None)
        request, words = resolved.request, {"near": analysis.nearest, "far": analysis.pushed_down}
        where = {name: getattr(request, name) for name in ("space", "site", "layer")} | {"head": request.head or "all"}
        rows = [
            {"backbone": backbone.spec.name, **where, "direction": direction, **row}
            for direction, neighbors in words.items()
            for row in neighbor_rows(analysis.space, neighbors)
        ]
        return pd.DataFrame(rows, dtype=object).to_csv(index=False, lineterminator="\r\n")


def _view_model(analysis: NeighborAnalysis, key: Key, resolved: ResolvedRequest) -> SpaceViewModel:
    """Return the view model with the chosen virtual token, or the first if the analysis does not have it, and the search
    results."""
    token, lengths = resolved.request.token, {one.run: len(one.vectors) for one in analysis.runs}
    run = token[0] if token and token[0] in lengths else analysis.runs[0].run
    number = int(token[1]) if token and 0 <= int(token[1]) < lengths[run] else 0
    plain, word = SpaceViewModel(analysis, key, resolved, run, number), resolved.request.word
    if token and token[0] in ("", run) and int(token[1]) >= lengths[run]:
        sentence = f"There is no virtual token {int(token[1]) + 1}: {run} has {lengths[run]}. P{number + 1} is shown instead."
        plain = replace(plain, note=_note(sentence, "meta"))
    if not word:
        return plain
    if word.startswith("#") and word[1:].isdigit() and int(word[1:]) < len(analysis.space.vocabulary):
        word = analysis.space.vocabulary.texts[int(word[1:])]
    try:
        return replace(plain, word=word, matches=tuple(analysis.search(word)))
    except BadInput as error:
        return replace(plain, note=plain.note + _note(str(error), "pl-problem"))


def _notes(resolved: ResolvedRequest) -> str:
    return "".join(_note(sentence, "meta") for sentence in resolved.notes)


def _note(sentence: str, cls: str) -> str:
    return tag("p", text(sentence), cls=cls)
