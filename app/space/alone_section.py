"""A section of the Prefix space tab: texts sampled without an input, with the prefix and without it."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import gradio as gr

from analysis.experiments.prefix_alone import SAMPLING, TEXTS, PrefixAlone, requests_alone
from analysis.figures.first_words import first_words_figure
from analysis.named_runs import frozen_task, task_of
from app.shared import plot_widget, urlstate
from app.shared.catalog import PREFIX_METHODS
from app.shared.context import AppContext
from app.shared.events import LATEST, QUIET, TabHandlers, Update, errors_to_status, streaming
from app.shared.html import area, notes, table, tag, text
from app.shared.method_labels import mix_label
from app.shared.numbers import typed_seed
from app.shared.run_select import run_select
from app.shared.shell import Shell
from app.shared.urlstate import SEEDS, State, url_field
from app.space.request import compared_run
from core.config.decode import DecodeConfig
from core.errors import BadInput
from core.methods.loading import UNSTORED, LoadedRun
from core.models.backbone import Backbone
from core.prefix.mix import MIX

ALONE = "prefix alone"
WAIT = 0.2  # seconds between two pictures
LEAD = (
    "No input at all: twenty texts sampled with the prefix alone, and twenty of the frozen model, from the same seeds. What the "
    "prefix has learned of the task shows without a table or an article."
)


@dataclass(frozen=True)
class AloneState(State):
    """`run`: empty if nothing was sampled."""

    run: str = url_field("", lambda value: len(value) <= 2000, key="alone-run")
    seed: int = url_field(0, lambda value: value in SEEDS, key="alone-seed")
    temperature: float = url_field(1.0, lambda value: 0.01 <= value <= 100, key="alone-temperature")


@dataclass
class AloneSection:
    """The components that handlers read and write."""

    state: gr.State
    address: gr.Textbox
    run: gr.HTML
    seed: gr.Number
    temperature: gr.Number
    sample: gr.Button
    verdict: gr.HTML
    words: gr.HTML
    texts: gr.HTML


class AloneHandlers(TabHandlers):
    """Handlers with the components that they write."""

    activity = ALONE
    tab = "space"

    def __init__(self, context: AppContext, frame: Shell, section: AloneSection) -> None:
        super().__init__(context, frame)
        self.section = section

    def restore(self, search: str) -> Update:
        """Read the address when the page is opened."""
        state = urlstate.read(search or "", AloneState)
        section = self.section
        return {
            section.state: state,
            section.seed: state.seed,
            section.temperature: state.temperature,
            section.verdict: notes(state.problems),
        }

    @errors_to_status
    def choices(self, state: AloneState, tab: str, name: str, search: str, request: gr.Request) -> Update:
        """List the backbone's prefixes when the tab is opened or the backbone changes; Compare's prefix is chosen at first."""
        if tab != "space":
            return self.no_update()
        backbone = self.context.models.backbone(name or self.context.models.default)
        listed, run = self._listed(backbone, state, search or "")
        return {self.section.run: run_select(listed, run, "Prefix", "alone")}

    def _listed(self, backbone: Backbone, state: AloneState, search: str) -> tuple[list[str], str]:
        """The backbone's prefixes, and the chosen one: the state's, the address's, Compare's, else the first."""
        listed = [run.id for run in self.context.catalog.usable(PREFIX_METHODS, backbone)]
        run = state.run or urlstate.read(search, AloneState).run
        if not (run in listed or run.startswith(UNSTORED)):
            run = compared_run(self.context.catalog, backbone, search)
        return listed, run if run in listed or run.startswith(UNSTORED) else next(iter(listed), "")

    def choose(self, state: AloneState, event: gr.EventData) -> AloneState:
        """Choose the prefix for the next press of the button."""
        return AloneState(str(event.id), state.seed, state.temperature)

    @errors_to_status
    def open(self, state: AloneState, name: str, request: gr.Request) -> Iterator[Update]:
        """Sample at once if the address names a prefix."""
        if not state.run:
            yield self.no_update()
            return
        backbone = self.context.models.backbone(name or self.context.models.default)
        if self._listed(backbone, state, "")[1] != state.run:
            yield {self.section.verdict: notes(state.without("alone-run").problems)}
        yield from self._sample(state, name, request)  # of an unusable run, the status line says what is wrong with it

    @errors_to_status
    def sample(
        self, state: AloneState, seed: float | None, temperature: float | None, name: str, search: str, request: gr.Request
    ) -> Iterator[Update]:
        """Sample, and write the settings into the address."""
        backbone = self.context.models.backbone(name or self.context.models.default)
        _, run = self._listed(backbone, state, search or "")
        if not run:
            raise BadInput(f"No run on {backbone.spec.name} has virtual tokens yet. Train a prefix, or choose “text prefix…”.")
        state = AloneState(run, typed_seed(seed or 0), 1.0 if temperature is None else float(temperature))
        yield from self._sample(state, name, request)

    def _sample(self, state: AloneState, name: str, request: gr.Request) -> Iterator[Update]:
        page, tickets, section = request.session_hash or "", self.context.tickets, self.section
        ticket = tickets.take(page, ALONE)
        decode = SAMPLING.replace(seed=state.seed, temperature=state.temperature)
        backbone = self.context.models.backbone(name or self.context.models.default)
        loaded = self.context.models.load(state.run, backbone)
        if loaded.prefix is None:
            raise BadInput(f"{state.run} has no virtual tokens, so there is no prefix to sample from alone. Choose a prefix.")
        yield {section.state: state, section.address: urlstate.write(state)} | self.report(page, "running", "Sampling…")
        for alone in tickets.while_newest(page, ticket, self._texts(loaded, backbone, decode, page), ALONE):
            done = sum(bool(one) for one in (*alone.prefix, *alone.frozen))
            yield {section.texts: texts_table(alone, title(state.run))} | self.report(
                page, "running", f"Sampling: {done} of {2 * TEXTS}…"
            )
        if not tickets.is_stale(page, ticket, ALONE):
            figure = first_words_figure(alone, title(state.run))
            message = f"{2 * TEXTS} texts: {decode.describe()}."
            update = {
                section.words: plot_widget.value(figure, "first-words-alone"),
                section.verdict: verdict(alone, title(state.run)),
            }
            yield update | self.report(page, "done", message)

    def _texts(self, loaded: LoadedRun, backbone: Backbone, decode: DecodeConfig, who: str) -> Iterator[PrefixAlone]:
        """Yield the texts so far, "" for unfinished ones."""
        task = task_of(loaded, frozen_task(backbone))
        ours, theirs = requests_alone(backbone, task, loaded.prefix, TEXTS, decode.seed)
        prompt = str(backbone.tokenizer.decode(theirs[0].prompt_ids))
        with ExitStack() as stack:
            submit = self.context.models.engine.submit
            streams = [stack.enter_context(submit(loaded.model, backbone, one, decode, who)) for one in (*ours, *theirs)]
            while True:
                waiting = [stream for stream in streams if not stream.wait(0)]
                texts = ["" if stream in waiting else stream.result().text.strip() for stream in streams]
                yield PrefixAlone(tuple(texts[:TEXTS]), tuple(texts[TEXTS:]), prompt, decode, decode.seed)
                if not waiting:
                    return
                waiting[0].wait(WAIT)


def title(run: str) -> str:
    """Return a run's title beside the frozen model."""
    return mix_label(run) if run.startswith(MIX) else run


def verdict(alone: PrefixAlone, name: str) -> str:
    """Describe how the texts of both start, and what was read before them."""
    reads = f"What both read: {text(repr(alone.prompt))}, the separators of the task and nothing else."
    return tag("p", text(alone.describe(name)), cls="pl-sentence") + tag("p", reads, cls="meta")


def texts_table(alone: PrefixAlone, name: str) -> str:
    """Show the texts in pairs of one seed."""
    rows = "".join(
        tag("tr", tag("th", str(alone.seed + i)) + tag("td", text(ours)) + tag("td", text(theirs)))
        for i, (ours, theirs) in enumerate(zip(alone.prefix, alone.frozen, strict=True))
    )
    return tag("div", table(("seed", text(name), "frozen model"), rows), cls="pl-alone")


def build(context: AppContext, shell: Shell, tab: gr.Tab) -> None:
    """Draw the section and wire it; call inside the tab, below the map and its tables."""
    area(tag("h3", "The prefix on its own") + tag("p", LEAD, cls="meta"), elem_id="pl-alone-head")
    chooser = "PrefixLab.chooser(element, trigger, watch) /* 'select' */"
    with gr.Row(elem_id="pl-alone-bar"):
        run = area("", js_on_load=chooser, elem_id="pl-alone-run")
        seed = gr.Number(0, label="Seed", elem_id="pl-alone-seed", min_width=80)
        temperature = gr.Number(1.0, label="Temperature", step=0.1, elem_id="pl-alone-temperature", min_width=80)
        sample = gr.Button(f"Sample {TEXTS} texts", elem_id="pl-alone-start", min_width=140)
    verdict_area = area("", elem_id="pl-alone-verdict")
    words = plot_widget.plot("pl-alone-words", 360, name="First words of the texts, with the prefix and without it")
    texts = area("", elem_id="pl-alone-texts")
    address = urlstate.address_box("pl-alone-address", AloneState)
    section = AloneSection(gr.State(AloneState()), address, run, seed, temperature, sample, verdict_area, words, texts)
    _wire(AloneHandlers(context, shell, section), shell, section, tab)


def _wire(do: AloneHandlers, shell: Shell, section: AloneSection, tab: gr.Tab) -> None:
    slow = streaming(ALONE)
    here = "(state, tab, name, search) => [state, PrefixLab.tabs.now(), name, location.search]"
    for event in (tab.select, shell.backbone.change):
        inputs = [section.state, section.address, shell.backbone, shell.search]
        event(do.choices, inputs, [section.run, shell.status], js=here, **LATEST)
    section.run.select(do.choose, section.state, section.state, **LATEST)
    outputs = [section.state, section.address, section.verdict, section.words, section.texts, shell.status]
    settings = [section.state, section.seed, section.temperature, shell.backbone, shell.search]
    section.sample.click(do.sample, settings, outputs, js="(...inputs) => [...inputs.slice(0, -1), location.search]", **slow)
    restored = [section.state, section.seed, section.temperature, section.verdict]
    load = shell.page.load(do.restore, shell.search, restored, js="() => [location.search]", queue=False, **QUIET)
    load.then(do.open, [section.state, shell.backbone], outputs, **slow)
