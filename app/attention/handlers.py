"""What the Attention tab's events do. Errors become sentences in the status bar; a newer request ends an older one."""

import logging
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from analysis.attention.maps import attention_labels
from analysis.attention.sentences import SentenceMap
from analysis.figures import attention as figures
from app.attention import token_view, view
from app.attention.readings import Looking, Reader
from app.attention.state import SAME, AttentionState
from app.compare.comparison import KINDS
from app.shared import plot_widget, shell, urlstate
from app.shared.context import AppContext
from app.shared.last_comparison import ColumnRecord
from app.shared.method_labels import COLUMN_METHODS, methods_of_column
from core.errors import BadInput, PrefixLabError
from core.methods.loading import TEXT_RUN
from core.models.backbone import Backbone
from core.prefix.interventions import UNTOUCHED, Intervention

log = logging.getLogger(__name__)
Update = dict[Any, Any]
Pairs = list[tuple[str, Reader, Intervention]]
TAB = "attention"


@dataclass
class Parts:
    """The tab's components by name."""

    state: gr.State
    ticket: gr.State
    address: gr.Textbox
    nothing: gr.HTML
    bar: gr.HTML
    reads: gr.HTML
    layers: gr.HTML
    heads: gr.HTML
    tokens: gr.HTML
    steps: gr.HTML
    effect: gr.HTML
    influence: gr.HTML

    @property
    def written(self) -> list:
        """What a refresh writes."""
        return [value for name, value in vars(self).items() if name not in ("state", "ticket")]


class Handlers:
    """Bound to the components they write."""

    def __init__(self, context: AppContext, frame: shell.Shell, parts: Parts) -> None:
        self.context, self.shell, self.parts = context, frame, parts
        self.looking = Looking(context)
        self._filling: dict[str, object] = {}  # page -> the influence map that is being filled

    # ---- what is asked for

    def restore(self, search: str) -> AttentionState:
        """What the address says, on opening the page; what it says in vain is told with the text."""
        state, runs = urlstate.read(search or "", AttentionState), urlstate.read(search or "", urlstate.Address)
        known = {run.id for run in self.context.store.runs()}
        asked = {"prefix": runs.prefix, "finetuned": runs.finetuned}
        lost = [name for name, run in asked.items() if run and not run.startswith(TEXT_RUN) and run not in known]
        return replace(state, ignored=(*state.ignored, *lost))

    def come(self, tab: str, request: gr.Request) -> int:
        """The tab is opened, or a comparison was begun or finished: number 0, which does nothing, where another tab is shown.

        Then what this one shows first is read ahead, so that it is there at a click. The state is left alone: on opening a link
        it may be restored at the same moment.
        """
        page = request.session_hash or ""
        if tab != TAB and self.context.comparisons.get(page) is not None:
            threading.Thread(target=self._ahead, args=(page,), name="ahead", daemon=True).start()
        return self._ask(request) if tab == TAB else 0

    def _ahead(self, page: str) -> None:
        """The readings are kept, and what draws figures is loaded. What goes wrong is told when the tab is opened."""
        with suppress(Exception):
            next(self._refresh(page, AttentionState()))

    def turn(self, state: AttentionState, event: gr.EventData, request: gr.Request) -> tuple[AttentionState, int]:
        """A control was used."""
        return replace(state.turned(str(event.name), event.value), ignored=()), self._ask(request)

    def tile(self, state: AttentionState, event: gr.EventData, request: gr.Request) -> tuple[AttentionState, int]:
        """A tile of the heads was clicked."""
        points = event.points
        if not points:
            return state, 0
        return replace(state, layer=int(points[0]["y"]), head=int(points[0]["x"]), ignored=()), self._ask(request)

    def _ask(self, request: gr.Request) -> int:
        return self.context.tickets.take(request.session_hash or "", TAB)

    # ---- what is shown

    def refresh(self, ticket: int, state: AttentionState, request: gr.Request) -> Iterator[Update]:
        """Everything the tab shows, the quickest first; ends at once when something newer is asked for."""
        page = request.session_hash or ""
        stale = lambda: self.context.tickets.is_stale(page, ticket, TAB)  # noqa: E731
        if not ticket or stale():
            yield {self.shell.status: gr.skip()}
            return
        try:
            for update in self._refresh(page, state):
                if stale():
                    return
                yield update
        except PrefixLabError as error:
            yield {self.shell.status: shell.say("error", str(error))}
        except Exception as error:
            log.exception("the Attention tab failed")
            sentence = f"Something unexpected went wrong ({type(error).__name__}: {error}). The terminal has the details."
            yield {self.shell.status: shell.say("error", sentence)}

    def _refresh(self, page: str, state: AttentionState) -> Iterator[Update]:
        parts, subject = self.parts, self.context.comparisons.get(page)
        if subject is None or not subject.columns:
            yield self._nothing()
            return
        backbone = self.context.models.backbone(subject.name or self.context.models.default)
        seen, done = self._seen(backbone, state, page)
        state = self._within(state, seen, backbone)
        pairs, looking, named = self._readers(seen, state, done), self.looking, seen.named
        seen.masses = {name: looking.mass(backbone, reader, seen.written, how, seen.site) for name, reader, how in pairs}
        weighted, masses = state.weigh == "values", seen.masses
        turned = masses[pairs[0][0]] if not done.idle else None
        plain = looking.mass(backbone, seen.reader, seen.written, site=seen.site)
        leaning = self._sentences(backbone, seen, pairs[:1])[pairs[0][0]] if seen.site == "cross" and seen.parts else None
        group = view.group_of(state, list(masses.values()))
        chosen = (state.layer - 1, state.head - 1) if state.layer and state.head else None
        at: tuple[int | None, int | None] = chosen or (None, None)
        emptied: Update = {} if self._filling.get(page) == _key(seen, done) else {parts.influence: plot_widget.NOTHING}
        yield {
            parts.nothing: "",
            parts.bar: view.controls(state, seen),
            parts.reads: view.reads(
                state, replace(seen, masses={"": plain}), None if done.idle else _begun(seen), turned, leaning
            ),
            parts.layers: plot_widget.value(figures.mass_by_layer(masses, weighted, named), "attention-by-layer"),
            parts.heads: plot_widget.value(figures.heads(masses, group, chosen, weighted, named), "attention-by-head"),
            parts.steps: plot_widget.value(figures.mass_by_step(masses, *at, weighted, named), "attention-by-step"),
            parts.tokens: self._tokens(backbone, state, seen, pairs),
            parts.address: urlstate.write(state),
        } | emptied
        yield from self._effect(backbone, state, replace(seen, masses={"": plain}), done, (turned, leaning), page)

    def _nothing(self) -> Update:
        parts = self.parts
        blank = {part: "" for part in parts.written if part is not parts.address}
        return blank | {parts.nothing: view.empty_page()}

    def _seen(self, backbone: Backbone, state: AttentionState, page: str) -> tuple[view.Seen, Intervention]:
        subject = self.context.comparisons.get(page)
        if subject is None:
            raise BadInput("The text is gone: a new one is being written. Wait for it.")
        column = state.column if state.column in subject.columns else _first(list(subject.columns))
        written = subject.columns[column]
        reader = self.looking.reader(written.run, backbone, column)
        seen = self._at(backbone, state, view.Seen(subject, column, reader, written, _depths(backbone)))
        done = state.intervention(reader.length, seen.depths) if reader.length else UNTOUCHED
        if reader.length and (gone := state.missing(reader.length, seen.depths)):
            seen.notes.append(f"Not knocked out, as this prefix has none of that name: {', '.join(gone)}.")
        if state.ignored:
            seen.notes.append(f"Left out, as the address has no usable value for: {', '.join(state.ignored)}.")
        layers, heads = seen.depths[seen.site], backbone.spec.heads
        if state.layer > layers or state.head > heads:
            where = f", {seen.named.site_name}," if seen.named.site_name else ""
            asked = f"layer {state.layer}" + (f", head {state.head}" if state.head else "")
            seen.notes.append(f"There is no {asked}: {backbone.spec.name}{where} has {layers} layers of {heads} heads.")
        seen.beside_choices = self._beside(backbone, seen, done)
        seen.beside = self._reader_beside(state, seen, backbone)
        return seen, done

    def _at(self, backbone: Backbone, state: AttentionState, seen: view.Seen) -> view.Seen:
        """With the site that is shown: the one asked for, else the last, where an encoder's text is read."""
        site = state.site if state.site in seen.depths else list(seen.depths)[-1]
        article = seen.subject.form == "article"
        seen.site, seen.named = site, attention_labels(backbone, site, "the article" if article else "the input")
        if backbone.opening is not None and article:
            seen.parts = self.looking.sentences(backbone, seen.subject.source, seen.written)
            seen.notes.append(view.AT[site])
        return seen

    def _within(self, state: AttentionState, seen: view.Seen, backbone: Backbone) -> AttentionState:
        """As much of it as the model has."""
        return replace(state, layer=min(state.layer, seen.depths[seen.site]), head=min(state.head, backbone.spec.heads))

    def _beside(self, backbone: Backbone, seen: view.Seen, done: Intervention) -> list[tuple[str, str]]:
        """Who else can read the text: (value, name)."""
        found = [(SAME, view.beside_name(SAME))] if not done.idle else []
        if seen.reader.run:
            found.append(("base", view.beside_name("base")))
        listed = [
            choice for column in COLUMN_METHODS for choice in self.context.catalog.choices(methods_of_column(column), backbone)
        ]
        fit = [choice.run.id for choice in listed if not choice.reason]
        return found + [(run, run) for run in fit if run != seen.reader.run]

    def _reader_beside(self, state: AttentionState, seen: view.Seen, backbone: Backbone) -> Reader | None:
        if not state.beside or (state.beside == SAME and (SAME, view.beside_name(SAME)) not in seen.beside_choices):
            return None
        try:
            run = {SAME: seen.reader.run, "base": ""}.get(state.beside, state.beside)
            return self.looking.reader(run, backbone)
        except PrefixLabError as error:
            seen.notes.append(f"Nothing stands beside it: {error}")
            return None

    def _readers(self, seen: view.Seen, state: AttentionState, done: Intervention) -> Pairs:
        """(name, reader, what is done to it): the text's own, with the intervention; and the one beside it, as it is."""
        name = seen.reader.title if done.idle else f"{seen.reader.title}, {view.name_of(state, seen)}"
        found = [(name, seen.reader, done)]
        if seen.beside is not None:
            found.append(
                (f"{seen.beside.title}, untouched" if state.beside == SAME else seen.beside.title, seen.beside, UNTOUCHED)
            )
        return found

    def _tokens(self, backbone: Backbone, state: AttentionState, seen: view.Seen, pairs: Pairs) -> str:
        """The chosen head token by token; an article by its sentences unless tokens are asked for."""
        kinds = [reader.kind for _, reader, _ in pairs]
        if seen.by_sentence and state.unit != "tokens":
            return token_view.sentences(state, self._sentences(backbone, seen, pairs), kinds, seen.named)
        if not (state.layer and state.head):
            return ""
        read = partial(self.looking.layer, backbone, text=seen.written, layer=state.layer - 1, site=seen.site)
        maps = {name: read(reader, done=how) for name, reader, how in pairs}
        return token_view.tokens(state, maps, kinds, seen.named, seen.parts)

    def _sentences(self, backbone: Backbone, seen: view.Seen, pairs: Pairs) -> dict[str, SentenceMap]:
        read = partial(self.looking.by_sentence, backbone, text=seen.written, article=seen.article, site=seen.site)
        return {name: read(reader, done=how) for name, reader, how in pairs}

    def _effect(
        self, backbone: Backbone, state: AttentionState, seen: view.Seen, done: Intervention, turned: tuple, page: str
    ) -> Iterator[Update]:
        """The next word, and the text written again under the intervention, as it grows."""
        parts, looking = self.parts, self.looking
        if done.idle:
            yield {parts.effect: ""}
            return
        before, after = (looking.words(backbone, seen.reader, seen.written, how) for how in (UNTOUCHED, done))
        yield {parts.effect: view.effect(state, seen, before, after)}
        gone = lambda: self.context.comparisons.get(page) is not seen.subject  # noqa: E731
        for again in looking.again(backbone, seen.reader, seen.subject, seen.written, done, gone, page):
            yield {parts.reads: view.reads(state, seen, again, *turned)}

    # ---- knock-outs

    def fill(self, ticket: int, state: AttentionState, request: gr.Request) -> Iterator[Update]:
        """The map of knock-outs as it fills; it goes on while only the view of the same reading changes."""
        page = request.session_hash or ""
        subject = self.context.comparisons.get(page)
        if not ticket or subject is None or not subject.columns:
            yield {self.shell.status: gr.skip()}
            return
        try:
            yield from self._fill(page, state)
        except PrefixLabError as error:
            yield {self.shell.status: shell.say("error", str(error))}

    def _fill(self, page: str, state: AttentionState) -> Iterator[Update]:
        subject = self.context.comparisons.get(page)
        assert subject is not None
        backbone = self.context.models.backbone(subject.name or self.context.models.default)
        seen, done = self._seen(backbone, state, page)
        key = _key(seen, done)
        if self._filling.get(page) == key:  # shown, or being filled by an earlier call
            yield {self.shell.status: gr.skip()}
            return
        self._filling[page] = key
        if not seen.reader.length:
            yield {self.parts.influence: plot_widget.NOTHING}
            return
        mass = self.looking.mass(backbone, seen.reader, seen.written, done, seen.site)
        for found, count, total in self.looking.influence(backbone, seen.reader, seen.written, done, seen.site):
            if self._filling.get(page) != key or self.context.comparisons.get(page) is not subject:
                return
            yield {
                self.parts.influence: plot_widget.value(figures.ablation_map(mass, found, count, total, seen.named), "influence")
            }


def _first(kinds: list[str]) -> str:
    """The column that is shown unless one is chosen."""
    return next(kind for kind in ("prefix", "finetuned", *KINDS) if kind in kinds)


def _depths(backbone: Backbone) -> dict[str, int]:
    """Layers of each site."""
    return {site: backbone.spec.depth(site) for site in backbone.spec.sites}


def _key(seen: view.Seen, done: Intervention) -> tuple:
    """What a map of knock-outs is of."""
    return seen.subject.number, seen.column, done, seen.site


def _begun(seen: view.Seen) -> ColumnRecord:
    return replace(seen.written, ids=(), text="", state="streaming")
