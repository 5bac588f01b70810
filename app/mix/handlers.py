"""Event handlers of the Mix tab: read inputs, make one call, draw."""

from collections.abc import Callable, Iterator

import gradio as gr

from analysis.experiments.mix_curve import MixPoint, slider
from analysis.figures.mix_curve import mix_curve_figure
from app.mix import view
from app.mix.components import MixPage
from app.mix.mixing import Mixer, MixInput, bundled_examples
from app.mix.request import Compared, input_for, input_on_compare, settle, tasks_of
from app.mix.state import MixState
from app.shared import plot_widget, shell, urlstate
from app.shared.cache import Cache
from app.shared.context import AppContext
from app.shared.events import TabHandlers, Update, errors_to_status
from app.shared.html import problem, tag, text
from app.shared.last_comparison import PAGES
from app.shared.method_labels import mix_label
from core.config.decoding_defaults import batch_decoding
from core.errors import BadInput
from core.exchange.import_checkpoint import store_prefix
from core.models.backbone import Backbone
from core.prefix.mix import MIX

TAB = "mix"
CURVE, KEEPING = "curve of the mix", "keeping a mix"  # what the status line calls them


class MixHandlers(TabHandlers):
    """Handlers with the components that they write."""

    activity = TAB
    tab = "mix"

    def __init__(self, context: AppContext, frame: shell.Shell, page: MixPage) -> None:
        super().__init__(context, frame)
        self.page, self.mixer = page, Mixer(context.models)
        self._compared: Cache[str, Compared] = Cache(PAGES)  # each page's input on Compare at its last refresh

    # ---- what is asked for

    def restore(self, search: str) -> MixState:
        """Read the address when the page is opened."""
        return urlstate.read(search or "", MixState)

    def enter(self, tab: str, request: gr.Request) -> int:
        """Refresh when the tab is opened or the backbone has changed; 0, which refreshes nothing, on another tab."""
        return self.take_ticket(request) if tab == TAB else 0

    def follow(self, tab: str, request: gr.Request) -> int:
        """Refresh when Compare's texts are finished and come from another input than at the last refresh, else 0."""
        page = request.session_hash or ""
        record = self.context.comparisons.get(page)
        if record is None or (record.form, record.source) == self._compared.get(page):
            return 0
        return self.enter(tab, request)

    def change(self, state: MixState, event: gr.EventData, request: gr.Request) -> tuple[MixState, int]:
        """Apply the choice of a kind."""
        return state.changed(str(event.name), event.value), self._take_other_mix(request)

    def choose(self, place: int) -> Callable:
        """Return the handler of a run's chooser."""

        def update_member(state: MixState, event: gr.EventData, request: gr.Request) -> tuple[MixState, int]:
            return state.with_member(place, str(event.id)), self._take_other_mix(request)

        return update_member

    def _take_other_mix(self, request: gr.Request) -> int:
        """Return the number of a request for another mix, under which the curve of the one before is not drawn on."""
        self.stop_measuring(request)
        return self.take_ticket(request)

    def choose_example(self, state: MixState, event: gr.EventData, request: gr.Request) -> tuple[MixState, int]:
        """Apply the choice of an input."""
        return state.changed("example", event.id), self.take_ticket(request)

    def slide(self, state: MixState, event: gr.EventData) -> Update:
        """Put the slider's stop into the address; the page itself shows it."""
        state = state.changed("stop", event.stop)
        return {self.page.state: state, self.page.address: urlstate.write(state)}

    # ---- what is shown

    @errors_to_status
    def refresh(self, ticket: int, state: MixState, name: str, search: str, request: gr.Request) -> Iterator[Update]:
        """Show the text at every stop as it grows; ends as soon as there is a newer request."""
        page, tickets = request.session_hash or "", self.context.tickets
        if not ticket or tickets.is_stale(page, ticket, TAB):
            yield self.no_update()
            return
        cancel = lambda: tickets.is_stale(page, ticket, TAB)  # noqa: E731
        yield from tickets.while_newest(page, ticket, self._refresh(state, name, search, page, cancel), TAB)

    def failed(self, page: str, sentence: str, activity: str = "") -> Update:
        update: Update = {}
        if not activity:  # nothing of the mix before it stays: what can be done with that, and its curve
            update = {self.page.headline: view.headline(sentence), self.page.stage: "", self.page.acts: ""}
            update |= {self.page.curve: plot_widget.NOTHING, self.page.note: ""}
        if activity == KEEPING:
            update = {self.page.note: problem(sentence, role="alert")}
        return super().failed(page, sentence, activity) | update

    def _refresh(self, state: MixState, name: str, search: str, page: str, cancel: Callable[[], bool]) -> Iterator[Update]:
        name = name or self.context.models.default
        if not self.context.models.is_loaded(name):
            yield self.report(page, "loading", f"Loading the model {name}…")
        backbone = self.context.models.backbone(name)
        state, listed, notes = settle(state, self.context.catalog, backbone)
        yield self._controls(state, listed)
        self._compared.put(page, compared := input_on_compare(self.context, search, page))
        vm = self._view_model(state, backbone, name, listed, notes, compared)
        yield {
            self.page.example: view.example(vm),
            self.page.acts: view.acts(),
            self.page.note: view.notes(vm),
            self.page.curve: self._measured(vm, backbone),
        } | self.report(page, "running", "Writing at every stop…")
        for texts in self.mixer.texts(backbone, vm.stops, vm.mix_input, cancel, page):
            sentence = view.verdict(vm, texts)
            yield {self.page.stage: view.stage(vm, texts), self.page.headline: view.headline(sentence)}
        yield self.report(page, "done", f"{len(vm.stops)} texts, the same input and decoding.")

    def _controls(self, state: MixState, listed: list[str]) -> Update:
        choosers: Update = {chooser: view.member(state, place, listed) for place, chooser in enumerate(self.page.members)}
        return choosers | {self.page.state: state, self.page.bar: view.bar(state), self.page.address: urlstate.write(state)}

    def _view_model(
        self, state: MixState, backbone: Backbone, name: str, listed: list[str], notes: list[str], compared: Compared
    ) -> view.MixViewModel:
        loaded = [self.context.models.load(run, backbone) for run in state.members]
        tasks = tasks_of(loaded, backbone)
        stops = slider(state.kind, state.members, max(backbone.spec.depths.values()))
        own = compared is not None and compared[0] in tasks
        link_backbone = "" if name == self.context.models.default else name
        mix_input = input_for(state, tasks, compared)
        notes = [*notes, *_absent(state, mix_input, len(stops))]
        return view.MixViewModel(state, link_backbone, listed, loaded, stops, mix_input, tasks, own, notes)

    # ---- loss and coverage

    @errors_to_status(activity=CURVE)
    def measure(self, state: MixState, name: str, search: str, request: gr.Request) -> Iterator[Update]:
        """Measure loss and coverage at every stop on bundled examples, and draw the curve as it grows."""
        page, tickets, name = request.session_hash or "", self.context.tickets, name or self.context.models.default
        ticket = tickets.take(page, CURVE)
        backbone = self.context.models.backbone(name)
        state, listed, notes = settle(state, self.context.catalog, backbone)
        vm = self._view_model(state, backbone, name, listed, notes, input_on_compare(self.context, search, page))
        measured = bundled_examples(vm.mix_input.form, vm.tasks[vm.mix_input.form])
        if not measured:
            raise BadInput("There are no bundled examples of this kind of input to measure on.")
        yield {self.page.stop: gr.update(interactive=True)} | self.report(page, "running", "Measuring the first stop…", CURVE)
        stopped = lambda: tickets.is_stopped(page, ticket, CURVE)  # noqa: E731
        for points in self.mixer.curve(backbone, vm.stops, vm.mix_input.form, measured, stopped, f"{page} {CURVE}"):
            if tickets.is_stale(page, ticket, CURVE):
                return
            if stopped():
                break
            message = f"Loss and coverage: {len(points)} of {len(vm.stops)} stops are measured."
            phase = "done" if len(points) == len(vm.stops) else "running"
            yield {self.page.curve: _curve(vm, points, len(measured))} | self.report(page, phase, message, CURVE)
        yield {self.page.stop: gr.update(interactive=False)}
        if stopped():
            yield {self.shell.status: self.context.status.clear(page, CURVE)}

    def stop_measuring(self, request: gr.Request) -> None:
        """Stop measuring; the measured stops stay."""
        self.context.tickets.stop(request.session_hash or "", CURVE)

    def _measured(self, vm: view.MixViewModel, backbone: Backbone) -> str:
        """Show the curve if it is measured already."""
        measured = bundled_examples(vm.mix_input.form, vm.tasks[vm.mix_input.form])
        if not measured or not self.mixer.is_measured(backbone, vm.stops, vm.mix_input.form, measured):
            return plot_widget.NOTHING
        *_, points = self.mixer.curve(backbone, vm.stops, vm.mix_input.form, measured, lambda: False)
        return _curve(vm, points, len(measured))

    # ---- keeping

    @errors_to_status(activity=KEEPING)
    def keep(self, name: str, state: MixState, event: gr.EventData, request: gr.Request) -> Update:
        """Save the mix at the current stop as a run of the store."""
        mix, run_id = str(event.run), str(event.name).strip()
        if not mix.startswith(MIX):
            raise BadInput(f"This stop of the slider is the run {mix} itself, which is kept already. Choose another stop.")
        backbone = self.context.models.backbone(name)
        loaded = self.context.models.load(mix, backbone)
        if loaded.prefix is None or loaded.prefix.bos:
            raise BadInput(
                "A mix with a text prefix cannot be kept on this model, which begins every text with a special token. "
                "Copy its link instead."
            )
        if not run_id:
            raise BadInput("Give the run a name first.")
        store_prefix(loaded.prefix, run_id, backbone, self.context.store, loaded.task, {}, notes=f"Mixed, not trained: {mix}")
        page = request.session_hash or ""
        _, listed, _ = settle(state, self.context.catalog, backbone)
        sentence = f"{run_id} is kept as a run: {mix_label(mix)}. It can be chosen on every tab."
        update = self.report(page, "done", sentence, KEEPING) | {self.page.note: tag("p", text(sentence), cls="meta")}
        return update | {chooser: view.member(state, place, listed) for place, chooser in enumerate(self.page.members)}


def _absent(state: MixState, mix_input: MixInput, stops: int) -> list[str]:
    """Sentences that name a requested stop or example that there is not, and what is shown instead."""
    sentences = []
    if state.stop >= stops:
        sentences.append(f"There is no stop {state.stop}: the slider’s are 0 to {stops - 1}. The last is shown instead.")
    if state.example not in ("", mix_input.example):
        sentences.append(f"These runs have no example “{state.example}”. Another input is shown.")
    return sentences


def _curve(vm: view.MixViewModel, points: list[MixPoint], count: int) -> str:
    names = [view.short(run.run.id) for run in vm.members]
    title = f"{view.NAMES[vm.state.kind][0]}: {', '.join(names)}"
    axis = {"fade": f"share of {names[-1]}", "average": f"share of {names[-1]}", "path": "share of the training"}
    decoding = batch_decoding(vm.mix_input.form).describe()
    figure = mix_curve_figure(points, vm.stops, title, count, decoding, axis.get(vm.state.kind, "") if len(names) < 3 else "")
    return plot_widget.value(figure, "mix-curve")
