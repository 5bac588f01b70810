"""What the Prefix space tab's events do: read inputs, one call below, draw."""

import csv
import io
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gradio as gr

from analysis.figures import space as figures
from analysis.space.neighbor_analysis import EMBEDDINGS, SITE, NeighborAnalysis
from analysis.space.neighbors import Neighbor, neighbor_rows
from analysis.space.projection import PREFIX, Projection
from analysis.space.spaces import SITE_PHRASES
from analysis.space.vocabulary import vocabulary
from app.shared import plot_widget, shell, urlstate
from app.shared.context import AppContext
from app.shared.html import tag, text
from app.space import view
from app.space.analyses import AnalysisCache, Key
from app.space.components import SpacePage
from app.space.request import ResolvedRequest, SpaceRequest, resolve
from app.space.state import SpaceState, parted
from core.config.methods import method_info
from core.errors import BadInput, PrefixLabError
from core.methods.loading import TEXT_RUN
from core.models.backbone import Backbone

ALL = ("all", 0)  # the choice of all heads
PAUSE = 0.3  # seconds between two looks at whether a map is ready
log = logging.getLogger(__name__)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Seen:
    """A scene with what is chosen in it. `words`: what a search found; `wanted`: the word; `key` names the scene's map."""

    scene: NeighborAnalysis
    key: Key
    resolved: ResolvedRequest
    run: str
    number: int
    wanted: str = ""
    words: tuple[Neighbor, ...] = ()
    note: str = ""

    @property
    def request(self) -> SpaceRequest:
        return self.resolved.request


class SpaceHandlers:
    """Bound to the components they write."""

    def __init__(self, context: AppContext, frame: shell.Shell, page: SpacePage) -> None:
        self.context, self.shell, self.page, self.analyses = context, frame, page, AnalysisCache(context)
        self._newest: dict[str, int] = {}

    # ---- choosing

    def restore(self, search: str) -> Update:
        """What the address says, on opening the page."""
        page, state = self.page, urlstate.read(search or "", SpaceState)
        runs = parted(state.runs)
        said = f"Left out, as the address has no readable value for: {', '.join(state.ignored)}."
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
            page.lost: _note(said, "meta") if state.ignored else "",
            page.ready: "yes",
        }

    def choose(self, name: str, event: gr.EventData) -> Update:
        """A point of the map or a row was clicked: a virtual token is looked at, a word searched for."""
        points = getattr(event, "points", None)
        chosen = str((points[0].get("data") if points else getattr(event, "id", "")) or "")
        kind, _, rest = chosen.partition(":")
        if kind == "t":
            run, _, number = rest.rpartition(":")
            return {self.page.token: [run, int(number)], self.page.word: ""}
        if kind == "w":
            word = vocabulary(self.context.models.backbone(name or self.context.models.default)).texts[int(rest)].strip()
            return {self.page.word: word or f"#{int(rest)}"}
        return {self.page.word: ""}

    def step(self, by: int, name: str, layer: int, site: str = SITE) -> int:
        """The layer before or after, as the keys [ and ] ask for it; where there is none, it stays."""
        spec = self.context.models.backbone(name or self.context.models.default).spec
        return min(max(1, int(layer) + by), spec.depth(site if site in spec.sites else SITE))

    # ---- looking

    def refresh(self, request: gr.Request, name, ready, active, *chosen) -> Iterator[Update]:
        """Look again, and say what went wrong where it did. Nothing where the tab is not on show."""
        if not ready or active != "space":
            yield {self.shell.status: gr.skip()}  # an empty update is taken for a missing one
            return
        who = request.session_hash or ""
        ticket = self._newest[who] = self._newest.get(who, 0) + 1
        try:
            for update in self._look(
                name or self.context.models.default, SpaceRequest.of(*chosen), lambda: self._newest[who] > ticket
            ):
                if self._newest[who] > ticket:
                    return
                yield update
        except PrefixLabError as error:
            yield self._failed(str(error))
        except Exception as error:
            log.exception("a look at a prefix failed")
            yield self._failed(
                f"Something unexpected went wrong ({type(error).__name__}: {error}). The terminal has the details."
            )

    def _failed(self, sentence: str) -> Update:
        return self._cleared() | {self.shell.status: shell.say("error", sentence)}

    def _cleared(self) -> Update:
        page = self.page
        empty: Update = dict.fromkeys((page.detail, page.verdict, page.all, page.empty), "")
        return empty | {
            page.picture: plot_widget.NOTHING,
            page.first: plot_widget.NOTHING,
            page.csv: gr.update(interactive=False),
        }

    def _look(self, name: str, request: SpaceRequest, stale: Callable[[], bool]) -> Iterator[Update]:
        began = time.monotonic()
        if not self.context.models.is_loaded(name):
            yield {self.shell.status: shell.say("loading", f"Loading the model {name}…")}
        backbone = self.context.models.backbone(name)
        resolved = resolve(self.analyses, backbone, request)
        yield self._controls(backbone, resolved)
        if resolved.reason:
            said = shell.say("done", "There is nothing to set among the words.")
            yield self._cleared() | {self.page.empty: resolved.reason, self.page.told: "", self.shell.status: said}
            return
        for scene, done, total in self.analyses.look(backbone, resolved.view):
            if stale():
                return
            if scene is None:
                where = f"layer {resolved.request.layer}{SITE_PHRASES[resolved.request.site]}"
                said = f"What {backbone.spec.name} computes for each word at {where}: {done:,} of {total:,}…"
                yield {self.shell.status: shell.say("running", said)}
            else:
                yield from self._shown(_seen(scene, self.analyses.key(backbone, resolved.view), resolved), began, stale)
        self._ahead(backbone, resolved, stale)

    def _ahead(self, backbone: Backbone, resolved: ResolvedRequest, stale: Callable[[], bool]) -> None:
        """Once the page has everything. What goes wrong here was not asked for; where it is, it is told."""
        time.sleep(PAUSE)  # the page draws first
        if not stale():
            with suppress(PrefixLabError):
                self.analyses.ahead(backbone, resolved.view, stale)

    def _controls(self, backbone: Backbone, resolved: ResolvedRequest) -> Update:
        """The controls as the backbone has them."""
        page, spec, request = self.page, backbone.spec, resolved.request
        runs = [
            (run.id if method_info(run.method).virtual_tokens else f"{run.id} (no virtual tokens)", run.id)
            for run in resolved.listed
        ]
        depth, heads = spec.depth(request.site), [ALL, *range(1, spec.kv_heads + 1)]
        deep = request.space != EMBEDDINGS
        return {
            page.runs: gr.update(
                choices=runs + [(run, run) for run in request.runs if run.startswith(TEXT_RUN)], value=list(request.runs)
            ),
            page.site: gr.update(value=request.site, visible=len(spec.sites) > 1, interactive=deep),
            page.layer: gr.update(
                choices=list(range(1, depth + 1)), value=request.layer, interactive=deep, label=f"Layer (1–{depth})"
            ),
            page.head: gr.update(choices=heads, value=request.head, interactive=deep, label=f"Head (1–{spec.kv_heads})"),
            page.told: view.told(request.space, request.site if len(spec.sites) > 1 else ""),
            page.note: _notes(resolved),
        }

    def _shown(self, seen: Seen, began: float, stale: Callable[[], bool]) -> Iterator[Update]:
        page, scene, request = self.page, seen.scene, seen.request
        ready = self.analyses.maps.ask(seen.key, scene.cloud) if request.map == "umap" else None
        waiting = request.map == "umap" and ready is None
        found = view.found(scene, seen.wanted, seen.words)
        soon = _note("UMAP is being computed in the background: up to a minute. Until then this is PCA.", "wait")
        said = f"{scene.title}: {scene.cloud.count(PREFIX)} virtual tokens among {scene.cloud.words:,} words"
        yield {
            page.empty: "",
            page.token: [seen.run, seen.number],
            page.picture: self._picture(seen, ready or self.analyses.flat(seen.key, scene.cloud)),
            page.note: _notes(seen.resolved) + seen.note + (soon if waiting else ""),
            page.detail: found if seen.words else view.detail(scene, seen.run, seen.number),
            page.verdict: view.verdict(scene),
            page.first: plot_widget.value(figures.first_words(scene, seen.run, seen.number), "first-words"),
            page.all: view.overview(scene, seen.run, seen.number),
            page.csv: gr.update(interactive=True),
            page.address: urlstate.write(request.state(seen.run, seen.number)),
            self.shell.status: shell.say("done", f"{said}, in {time.monotonic() - began:.1f} s."),
        }
        if waiting:
            yield from self._later(seen, stale)

    def _later(self, seen: Seen, stale: Callable[[], bool]) -> Iterator[Update]:
        """UMAP takes over when it is ready."""
        began, made = time.monotonic(), None
        while made is None:
            time.sleep(PAUSE)
            if stale():
                return
            try:
                made = self.analyses.maps.ask(seen.key, seen.scene.cloud)
            except PrefixLabError as error:
                yield {self.page.note: _notes(seen.resolved) + _note(str(error), "pl-problem")}
                return
        note = _note(f"UMAP is ready: it took {time.monotonic() - began:.0f} s, and is kept for the next time.", "meta")
        yield {self.page.picture: self._picture(seen, made), self.page.note: _notes(seen.resolved) + seen.note + note}

    @staticmethod
    def _picture(seen: Seen, made: Projection) -> str:
        words = sorted({one.id for one in seen.words})
        drawn = figures.prefix_map(seen.scene, made, (seen.run, seen.number), seen.request.paths, words)
        return plot_widget.value(drawn, f"prefix-space-{made.method.lower()}")

    # ---- taking away

    def table(self, name, *chosen) -> str:
        """The words of all virtual tokens as CSV; each row says which space it is from."""
        backbone = self.context.models.backbone(name or self.context.models.default)
        resolved = resolve(self.analyses, backbone, SpaceRequest.of(*chosen))
        if resolved.reason:
            return ""
        scene = next(scene for scene, _, _ in self.analyses.look(backbone, resolved.view) if scene is not None)
        request, kept = resolved.request, io.StringIO()
        where = [backbone.spec.name, request.space, request.site, request.layer, request.head or "all"]
        writer = csv.writer(kept)
        for direction, words in (("near", scene.nearest), ("far", scene.pushed_down)):
            for row in neighbor_rows(scene.space, words):
                if not kept.tell():
                    writer.writerow(["backbone", "space", "site", "layer", "head", "direction", *row])
                writer.writerow([*where, direction, *row.values()])
        return kept.getvalue()


def _seen(scene: NeighborAnalysis, key: Key, resolved: ResolvedRequest) -> Seen:
    """The chosen virtual token where it is in the scene, else the first; what the search finds."""
    token, lengths = resolved.request.token, {one.run: len(one.vectors) for one in scene.runs}
    run = token[0] if token and token[0] in lengths else scene.runs[0].run
    number = int(token[1]) if token and 0 <= int(token[1]) < lengths[run] else 0
    plain, word = Seen(scene, key, resolved, run, number), resolved.request.word
    if not word:
        return plain
    if word.startswith("#") and word[1:].isdigit() and int(word[1:]) < len(scene.space.vocabulary):
        word = scene.space.vocabulary.texts[int(word[1:])]
    try:
        return Seen(scene, key, resolved, run, number, word, tuple(scene.search(word)))
    except BadInput as error:
        return Seen(scene, key, resolved, run, number, note=_note(str(error), "pl-problem"))


def _notes(resolved: ResolvedRequest) -> str:
    return "".join(_note(sentence, "meta") for sentence in resolved.said)


def _note(sentence: str, look: str) -> str:
    return tag("p", text(sentence), cls=look)
