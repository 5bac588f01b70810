"""Event handlers of the Compare tab: read inputs, make one call, format. Errors become sentences in the status line."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from app.compare import address, article_panels, example_buttons, headline, run_picker, source_editor
from app.compare.columns import columns, empty
from app.compare.comparison import RUN_SLOTS, CompareRequest, Comparison, compare, rearranged, record_of
from app.compare.components import CompareComponents
from app.compare.gallery import run_all_examples
from app.compare.gallery_view import gallery, progress
from app.compare.page_inputs import Inputs, PageInputs, decode_for, read_decoding, read_inputs
from app.compare.panels import panels
from app.compare.prompting import prompts_for
from app.compare.run_picker import RunSelection, select_runs
from app.compare.state import add_column, move_column
from app.shared import examples, shell
from app.shared.cache import Cache
from app.shared.context import AppContext
from app.shared.events import TabHandlers, Update, errors_to_status
from app.shared.html import tag
from app.shared.last_comparison import PAGES
from app.shared.method_labels import column_braces
from core.errors import BadInput, BadTable, PrefixLabError
from core.models.backbone import Backbone
from core.models.inputs import task_for_backbone
from core.task import SUMMARIZATION, Task
from core.text.triples import SOURCES

EXAMPLES = "examples"  # what the status line calls the gallery; it is requested, and stopped, apart from the columns


@dataclass(frozen=True)
class Prepared:
    """A comparison that is ready to start: its backbone, the runs to choose from, the input and the request.

    `sample`: the bundled example that equals the input; `changes`: other updates of the page.
    """

    backbone: Backbone
    selection: RunSelection
    parsed: source_editor.ParsedInput
    request: CompareRequest
    sample: examples.Sample | None
    changes: Update


class Handlers(TabHandlers):
    """Handlers with the components that they write."""

    activity = "comparison"
    tab = "compare"

    def __init__(self, context: AppContext, frame: shell.Shell, page: CompareComponents) -> None:
        super().__init__(context, frame)
        self.page = page
        self._finished: Cache[str, Comparison] = Cache(PAGES)  # the last one of each page
        context.models.on_unload.append(lambda fingerprint: self._finished.remove_if(lambda page: True))  # they hold a backbone

    # ---- the input

    def sample(self, table: source_editor.EditorValue, task: str | None, event: gr.EventData) -> Update:
        """Show the example that was clicked."""
        sample = examples.find(str(event.id))
        return address.show_example(self.page, sample, table["form"], task or "") if sample else {}

    def read(self, table: source_editor.EditorValue, name: str, prefix: str) -> tuple[object, str, str]:
        """Check the edited table or article: update its other view, and the notes about it."""
        answer, note = source_editor.read(table)
        value = gr.skip() if answer["form"] == "article" else answer  # no other view, and it may be too long to send back
        try:
            source = source_editor.parse_value(table).source
        except BadInput:
            return value, note, ""
        if not self.context.models.is_loaded(name):
            return value, note, ""
        backbone = self.context.models.backbone(name)
        if answer["form"] == "article":
            note = article_panels.note(backbone, self._article_task(backbone, prefix), source)
        return value, note, source_editor.unknown_note(backbone, source)

    def text_left(self, table: source_editor.EditorValue) -> object:
        """Rewrite the text when it loses focus. An article is left alone: a late answer could overwrite a newer input."""
        return gr.skip() if table["form"] == "article" else source_editor.normalize_text(table)

    def _article_task(self, backbone: Backbone, prefix: str) -> Task:
        """Return the task of the page's prefix if it reads articles; it determines how much of them is read."""
        run = next((run for run in self.context.store.runs() if run.id == prefix and run.task.input_format == "article"), None)
        return run.task if run and run.fingerprint == backbone.spec.fingerprint else task_for_backbone(backbone, SUMMARIZATION)

    # ---- choosing

    def chooser(self, slot: str) -> Callable:
        """Return the handler of a column's head, where a run or a prompt is chosen and the column is moved."""

        def choose(order: str, event: gr.EventData) -> Update:
            if move := str(getattr(event, "move", "")):
                return {self.page.order: move_column(order, slot, move)}
            return {self.page.prompt if slot == "base" else self.page.runs[slot]: str(event.id)}

        return choose

    def add_column(self, order: str) -> str:
        """Add a column."""
        return add_column(order)

    def show_settings(self, mode: str) -> list:
        """Show seed, temperature and top-p for sampled text only."""
        return [gr.update(visible=mode == "sample")] * 3

    def restore(self, search: str) -> Update:
        """Show what the address says when the page is opened; an example if it says nothing."""
        return address.restore(self.context, self.page, self.shell, search)

    # ---- running

    def ask(self, request: gr.Request) -> tuple[int, object, object]:
        """Take a number for a request, and show at once that it has started."""
        page, tickets = request.session_hash or "", self.context.tickets
        self.context.status.begin(page, self.activity)
        status = self.context.status.report(page, self.activity, "loading", "Request sent…", self.tab)
        return tickets.take(page), status, gr.update(interactive=True)

    def ask_if_new(self, name: str, task: str, current: list[str | None], request: gr.Request) -> tuple[int, object, object]:
        """Take a number if the backbone or the task has changed; else 0, which runs nothing."""
        return (0, gr.skip(), gr.skip()) if [name, task] == current else self.ask(request)

    def stop(self, request: gr.Request) -> None:
        """Stop this page's request; the request itself writes the status."""
        for what in ("", EXAMPLES):
            self.context.tickets.stop(request.session_hash or "", what)

    def leave(self, request: gr.Request) -> None:
        """Stop what a closed page has asked for, and release what it used."""
        self.context.tickets.stop_all(request.session_hash or "")
        self.context.models.release(request.session_hash or "")

    @errors_to_status(activity=EXAMPLES)
    def run_all_examples(self, inputs: Inputs, request: gr.Request) -> Iterator[Update]:
        """Generate every example of the page's task with the current runs; a newer request ends an older one."""
        page, who, tickets = self.page, request.session_hash or "", self.context.tickets
        ticket = tickets.take(who, EXAMPLES)
        name, task = inputs[page.current] or (self.context.models.default, "")
        runs = {slot: inputs[page.runs[slot]] for slot in inputs[page.order].split("-") if slot in RUN_SLOTS}
        form = self.context.catalog.input_format(task or "")
        decode = decode_for(form, read_decoding(inputs, page))
        yield {page.stop: gr.update(interactive=True)} | self.report(who, "running", "Running all examples…", EXAMPLES)
        stopped = lambda: tickets.is_stopped(who, ticket, EXAMPLES)  # noqa: E731
        backbone = self.context.models.backbone(name)
        results = run_all_examples(self.context, backbone, form, runs, decode, stopped, f"{who} {EXAMPLES}", task or "")
        for result in tickets.while_newest(who, ticket, results, EXAMPLES):
            yield {page.gallery: gallery(result)} | self.report(who, *progress(result), EXAMPLES)
        if not tickets.is_stale(who, ticket, EXAMPLES):
            yield {page.stop: gr.update(interactive=False)}

    @errors_to_status
    def run(self, inputs: Inputs, request: gr.Request) -> Iterator[Update]:
        """Compare; errors are shown in the status line."""
        who, ticket, tickets = request.session_hash or "", inputs[self.page.ticket], self.context.tickets
        if not ticket or tickets.is_stale(who, ticket):
            yield self.no_update()
            return
        yield from tickets.while_newest(who, ticket, self._run(ticket, who, inputs))  # a newer run writes to the same places

    def failed(self, page: str, sentence: str, activity: str = "") -> Update:
        return super().failed(page, sentence, activity) | {self.page.stop: gr.update(interactive=False)}

    def _run(self, ticket: int, who: str, inputs: Inputs) -> Iterator[Update]:
        values = read_inputs(inputs, self.page, self.shell, self.context.models.default)
        name = self.context.catalog.backbone_for(values.task, values.name) if values.is_other_task else values.name
        if values.table["form"] == self.context.catalog.input_format(values.task) and values.current[:1] in ([], [name]):
            source_editor.parse_value(values.table)  # a bad table is reported before a model is loaded
        if not self.context.models.is_loaded(name):
            yield self.report(who, "loading", self._loading(name, values))
        try:
            backbone = self.context.models.assign(who, name)
        except PrefixLabError:
            if values.current and values.task != values.current[1]:  # the page keeps its task
                yield {self.shell.task: values.current[1]}
            raise
        prepared = self._prepare(backbone, name, values)
        current = [name, prepared.selection.task or None]
        if current != values.current:  # gallery and panels are another task's
            self.context.tickets.take(who, EXAMPLES)
            self.context.status.clear(who, EXAMPLES)
            prepared.changes.update({self.page.gallery: "", self.page.panels: ""})
        yield self._frame_update(prepared, values.runs_for(name)) | prepared.changes | {self.page.current: current}
        self.context.comparisons.forget(who)
        yield from self._texts(prepared, ticket, who)

    def _loading(self, name: str, values: PageInputs) -> str:
        """Say what is being loaded, and why if the page changes to it for a task."""
        fetched = "" if self.context.models.is_local(name) else " It may have to be fetched first, which can take minutes."
        changes = values.current and values.current[0] != name and values.task != values.current[1]
        why = f", for the task {values.task}, in place of {values.current[0]}" if changes else ""
        return f"Loading the model {name}{why}…{fetched}"

    def _prepare(self, backbone: Backbone, name: str, values: PageInputs) -> Prepared:
        """Choose the runs and read the input for them. Raises BadTable, or BadInput for text that cannot be an article."""
        catalog, order = self.context.catalog, values.order.split("-")
        selection = select_runs(catalog, backbone, values.task, values.runs_for(name), order)
        parsed, changes = self._input_for(values.table, catalog.input_format(selection.task))
        changes[self.page.unknown] = source_editor.unknown_note(backbone, parsed.source)
        if parsed.form == "article":
            task = self._article_task(backbone, selection.run_ids["prefix"])
            changes[self.page.note] = article_panels.note(backbone, task, parsed.source)
        request = CompareRequest(
            parsed.source,
            name=name,
            decode=decode_for(parsed.form, values.decoding),
            form=parsed.form,
            order=tuple(order),
            prompt=values.prompt if values.prompt in prompts_for(backbone, parsed.form) else "",
            **selection.run_ids,
        )
        sample = examples.matching(parsed.fields, parsed.form, parsed.source)
        return Prepared(backbone, selection, parsed, request, sample, changes)

    def _texts(self, prepared: Prepared, ticket: int, who: str) -> Iterator[Update]:
        """Yield the columns as they grow, then the panels."""
        page, request, fields, tickets = self.page, prepared.request, prepared.parsed.fields, self.context.tickets
        try:
            for comparison in self._comparisons(prepared, lambda: tickets.is_stopped(who, ticket), who):
                outputs = {page.outputs[slot]: html for slot, html in columns(comparison, fields).items()}
                yield outputs | self.report(who, comparison.phase, comparison.sentence)
        except Exception:  # reported by `run`; no half-begun column and no panel of an older table stays beside it
            yield {page.panels: "", page.headline: "", **{page.outputs[slot]: empty(slot) for slot in request.order}}
            raise
        if not tickets.is_stale(who, ticket):
            self._finished.put(who, comparison)
            record = record_of(comparison)
            self.context.comparisons.put(who, record)
            yield {
                page.panels: panels(comparison, fields, prepared.sample),
                page.headline: headline.headline(comparison, fields),
                page.stop: gr.update(interactive=False),
                self.shell.comparison: str(record.number),
            }

    def _comparisons(self, prepared: Prepared, cancel: Callable[[], bool], who: str) -> Iterator[Comparison]:
        """Yield the comparison as it grows; at once where the page's last one has the same texts, in another order."""
        last = self._finished.get(who)
        if last is not None and last.backbone is prepared.backbone and (same := rearranged(self.context, last, prepared.request)):
            yield same
        else:
            yield from compare(self.context, prepared.backbone, prepared.request, cancel, who)

    def _input_for(self, table: source_editor.EditorValue, form: str) -> tuple[source_editor.ParsedInput, Update]:
        """Return the input for a form.

        If the page has another form: the pasted text if it can be parsed, else the first example, and the update that shows it.
        """
        if table["form"] == form:
            return source_editor.parse_value(table), {}
        known = examples.samples(form)
        if form == "article":
            parsed, value = _pasted_article(table) or source_editor.parse_article(known[0].text)
            return parsed, {self.page.table: value, self.page.note: ""}
        pasted = _pasted_triples(table, form)
        if pasted is None and not known:
            raise BadTable("This task needs a text of its own: write or paste one on Compare.")
        parsed = pasted or source_editor.parse_rows(form, known[0].rows)
        return parsed, {self.page.table: source_editor.editor_value(parsed.rows, form), self.page.note: ""}

    def _frame_update(self, prepared: Prepared, runs: dict[str, str]) -> Update:
        """Update everything around the columns at the start; `runs`: the requested ones by slot."""
        page, request, parsed, selection = self.page, prepared.request, prepared.parsed, prepared.selection
        sample_id = prepared.sample.id if prepared.sample else ""
        update = self._heads(prepared, runs)
        update |= {state: selection.run_ids[slot] for slot, state in page.runs.items()}
        return update | {
            page.prompt: request.prompt,
            page.order: "-".join(request.order),
            page.headline: tag("p", headline.WAITING, cls="pl-headline"),
            page.braces: column_braces(selection.methods(request.order)),
            page.glance: example_buttons.source_table(parsed.rows) if parsed.rows else article_panels.glance(parsed.source),
            page.samples: example_buttons.sample_buttons(sample_id, parsed.form, selection.task),
            page.stop: gr.update(interactive=True),
            self.shell.facts: shell.facts(prepared.backbone),
            self.shell.backbone: request.name,
            self.shell.task: gr.update(choices=self._tasks(request.name, selection), value=selection.task or None),
            self.shell.address: address.address_of(request, selection.task, sample_id, self.context.models.default),
            self.shell.comparison: "",
        }

    def _heads(self, prepared: Prepared, runs: dict[str, str]) -> Update:
        """Update the heads of the columns."""
        backbone, selection, form = prepared.backbone, prepared.selection, prepared.parsed.form
        off_topic = prepared.sample is not None and form == "table" and not examples.in_domain(prepared.sample, "e2e")
        choices = [run_picker.off_topic(choice) for choice in selection.listed] if off_topic else selection.listed
        heads: Update = {self.page.heads["base"]: run_picker.base_head(backbone, form, prepared.request.prompt)}
        for slot in RUN_SLOTS:
            head = run_picker.run_head(slot, choices, selection.run_ids[slot], runs[slot], backbone)
            heads[self.page.heads[slot]] = head
        return heads

    def _tasks(self, name: str, selection: RunSelection) -> list[tuple[str, str]]:
        """Return the choices of tasks as (label, task); those of other backbones name them, and say if they are missing."""
        offered = [(task, task) for task in selection.tasks]
        for task, other in self.context.catalog.tasks_elsewhere(name).items():
            missing = "" if self.context.models.is_local(other) else " is missing"
            offered.append((f"{task} ({Path(other).name}{missing})", task))
        return offered


def _pasted_article(table: source_editor.EditorValue) -> tuple[source_editor.ParsedInput, source_editor.EditorValue] | None:
    """Return the pasted text if it is not a table but may be an article, else None."""
    try:
        source_editor.parse_value(table)
    except BadInput:
        try:
            return source_editor.parse_article(table["text"])
        except BadInput:
            pass
    return None


def _pasted_triples(table: source_editor.EditorValue, form: str) -> source_editor.ParsedInput | None:
    """Return the pasted text if the form takes triples and it can be parsed as such, else None."""
    try:
        return source_editor.parse_text(form, table["text"]) if form in SOURCES else None
    except BadTable:
        return None
