"""What the Compare tab's events do: read inputs, one call below, format. Errors become sentences in the status line."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from app.compare import article_panels, example_buttons, headline, run_picker, source_editor
from app.compare.columns import columns, empty
from app.compare.comparison import ORDER, RUN_SLOTS, CompareRequest, compare, record_of
from app.compare.components import CompareComponents
from app.compare.gallery import run_all_examples
from app.compare.gallery_view import gallery, progress
from app.compare.panels import panels
from app.compare.prompting import prompts_for
from app.compare.run_picker import RunSelection, select_runs
from app.compare.state import CompareState, add_column, move_column
from app.shared import examples, shell, urlstate
from app.shared.context import AppContext
from app.shared.events import TabHandlers, Update, errors_to_status
from app.shared.html import tag
from app.shared.method_labels import column_braces
from core.config.decode import DecodeConfig
from core.config.decoding_defaults import default_decoding
from core.errors import BadInput, BadTable, PrefixLabError
from core.methods.loading import TEXT_RUN
from core.models.backbone import Backbone
from core.models.inputs import task_for_backbone
from core.task import SUMMARIZATION, Task
from core.text.triples import SOURCES

EXAMPLES = "examples"  # what the status line calls the gallery; it is asked for, and stopped, apart from the columns
Inputs = Mapping[Any, Any]  # component -> its value


class Handlers(TabHandlers):
    """Bound to the components they write."""

    activity = "comparison"

    def __init__(self, context: AppContext, frame: shell.Shell, page: CompareComponents) -> None:
        super().__init__(context, frame)
        self.page = page

    # ---- the input

    def sample(self, table: source_editor.EditorValue, event: gr.EventData) -> Update:
        """An example was clicked."""
        found = examples.find(str(event.id))
        return self._table(found, table["form"]) if found else {}

    def _table(self, sample: examples.Sample, form: str) -> Update:
        page = self.page
        table = (
            source_editor.parse_article(sample.text)[1] if form == "article" else source_editor.editor_value(sample.rows, form)
        )
        return {page.table: table, page.note: "", page.samples: example_buttons.sample_buttons(sample.id, form)}

    def read(self, table: source_editor.EditorValue, name: str, prefix: str) -> tuple[object, str]:
        """The table or the article was edited: its other view, and what there is to say of it."""
        answer, note = source_editor.read(table)
        if answer["form"] != "article":
            return answer, note
        if not note and self.context.models.is_loaded(name):
            backbone = self.context.models.backbone(name)
            note = article_panels.note(backbone, self._learned(backbone, prefix), source_editor.parse_value(table).source)
        return gr.skip(), note  # an article has no other view, and a long one is not sent back

    def settled(self, table: source_editor.EditorValue) -> object:
        """The text was left. An article stays as it was pasted: an answer could come after another table and undo it."""
        return gr.skip() if table["form"] == "article" else source_editor.normalize_text(table)

    def _learned(self, backbone: Backbone, prefix: str) -> Task:
        """The task of the prefix shown, where it is one on articles; it says how much of them is read."""
        run = next((run for run in self.context.store.runs() if run.id == prefix and run.task.input_format == "article"), None)
        return run.task if run and run.fingerprint == backbone.spec.fingerprint else task_for_backbone(backbone, SUMMARIZATION)

    # ---- choosing

    def chooser(self, slot: str) -> Callable:
        """The handler of a column's head, where a run or a way to prompt the frozen model is chosen and the column is moved."""

        def choose(order: str, event: gr.EventData) -> Update:
            if move := str(getattr(event, "move", "")):
                return {self.page.order: move_column(order, slot, move)}
            return {self.page.prompt if slot == "base" else self.page.runs[slot]: str(event.id)}

        return choose

    def add_column(self, order: str) -> str:
        """ "+ Run" was clicked."""
        return add_column(order)

    def show_settings(self, mode: str) -> list:
        """Seed, temperature and top-p matter to sampled text only."""
        return [gr.update(visible=mode == "sample")] * 3

    def restore(self, search: str) -> Update:
        """What the address says, on opening the page; an example where it says nothing."""
        page, address = self.page, urlstate.read(search or "", CompareState)
        task = address.task or (SUMMARIZATION if address.article else "")
        name = address.backbone or self.context.catalog.backbone_for(task, self.context.models.default)
        wanted = {slot: getattr(address, slot) for slot in RUN_SLOTS}
        shown, sampled = address.task or self._usual(name, wanted), address.mode == "sample"
        form = "article" if address.article else self.context.catalog.input_format(address.task)
        update: Update = {
            self.shell.backbone: name,
            self.shell.task: gr.update(choices=[shown] if shown else [], value=shown or None),
            page.prompt: address.prompt,
            page.order: "-".join(address.order),
            page.mode: address.mode or default_decoding(form).mode,
            page.seed: gr.update(value=address.seed, visible=sampled),
            page.temperature: gr.update(value=address.temperature, visible=sampled),
            page.top_p: gr.update(value=address.top_p, visible=sampled),
            self.shell.status: shell.say("loading", "Opening the page…"),
        } | {state: wanted[slot] for slot, state in page.runs.items()}
        update |= self._first_table(address, form)
        if address.ignored:
            sentence = f"Left out, as the address has no readable value for: {', '.join(address.ignored)}."
            update[page.note] = tag("p", sentence, cls="meta") + update[page.note]
        return update

    def _usual(self, name: str, wanted: dict[str, str]) -> str:
        """The task that a page begins with; "" where the backbone has no run.

        It is sent at once: a chooser that is emptied while another tab than Compare opens stays empty.
        """
        runs = self.context.catalog.trained_on(name)
        return next((run.task.name for run in sorted(runs, key=lambda run: run_picker.rank(run, wanted))), "")

    def _first_table(self, address: CompareState, form: str) -> Update:
        source, known = address.article or address.source, {sample.id: sample for sample in examples.samples(form)}
        if not source and known:
            return self._table(known.get(address.example) or examples.opening(form), form)
        table, note = source_editor.editor_value_of_text(source, form)
        return {self.page.table: table, self.page.note: note, self.page.samples: example_buttons.sample_buttons("", form)}

    # ---- running

    def ask(self, request: gr.Request) -> tuple[int, str]:
        """Something is to be run: take a number, and say so at once."""
        page = request.session_hash or ""
        return self.context.tickets.take(page), self.context.status.report(page, self.activity, "loading", "Asked the model…")

    def ask_if_new(self, name: str, task: str, shown: list, request: gr.Request) -> tuple:
        """The backbone or the task may have been changed: run if so, else number 0, which runs nothing."""
        return (0, gr.skip()) if [name, task] == shown else self.ask(request)

    def stop(self, request: gr.Request) -> None:
        """Stop what this page asked for; the run itself says so, as the last to write the status."""
        for what in ("", EXAMPLES):
            self.context.tickets.stop(request.session_hash or "", what)

    def leave(self, request: gr.Request) -> None:
        """The page was closed."""
        self.context.models.release(request.session_hash or "")

    @errors_to_status(activity=EXAMPLES)
    def run_all_examples(self, inputs: Inputs, request: gr.Request) -> Iterator[Update]:
        """Every example of the task on the page, written by the runs shown; a newer request ends an older one."""
        page, who, tickets = self.page, request.session_hash or "", self.context.tickets
        ticket = tickets.take(who, EXAMPLES)
        name, task = inputs[page.shown] or (self.context.models.default, "")
        runs = {slot: inputs[page.runs[slot]] for slot in inputs[page.order].split("-") if slot in RUN_SLOTS}
        form = self.context.catalog.input_format(task or "")
        decode = default_decoding(form).replace(**_decoding(inputs, page))
        yield {page.stop: gr.update(interactive=True)} | self.report(who, "running", "Running all examples…", EXAMPLES)
        stopped = lambda: tickets.is_stopped(who, ticket, EXAMPLES)  # noqa: E731
        backbone = self.context.models.backbone(name)
        results = run_all_examples(self.context, backbone, form, runs, decode, stopped, f"{who} {EXAMPLES}")
        for result in tickets.while_newest(who, ticket, results, EXAMPLES):
            yield {page.gallery: gallery(result)} | self.report(who, *progress(result), EXAMPLES)
        if not tickets.is_stale(who, ticket, EXAMPLES):
            yield {page.stop: gr.update(interactive=False)}

    @errors_to_status
    def run(self, inputs: Inputs, request: gr.Request) -> Iterator[Update]:
        """Compare, and say what went wrong where it did."""
        who, ticket, tickets = request.session_hash or "", inputs[self.page.ticket], self.context.tickets
        if not ticket or tickets.is_stale(who, ticket):
            yield self.no_update()
            return
        yield from tickets.while_newest(who, ticket, self._run(ticket, who, inputs))  # a newer run writes to the same places

    def failed(self, page: str, sentence: str, activity: str = "") -> Update:
        return super().failed(page, sentence, activity) | {self.page.stop: gr.update(interactive=False)}

    def _run(self, ticket: int, who: str, inputs: Inputs) -> Iterator[Update]:
        page, models, catalog = self.page, self.context.models, self.context.catalog
        table, shown, task = inputs[page.table], inputs[page.shown], inputs[self.shell.task] or ""
        name, decoding, order = (
            inputs[self.shell.backbone] or models.default,
            _decoding(inputs, page),
            inputs[page.order] or "-".join(ORDER),
        )
        wanted = {slot: inputs[state] for slot, state in page.runs.items()}
        DecodeConfig(**decoding)  # a bad number is reported before a model is loaded
        if shown and name == shown[0] and task != (shown[1] or ""):  # another task was chosen, which may need another backbone
            name = catalog.backbone_for(task, name)
        if shown and [name, task or None] != shown:  # runs of before are not asked for any more
            wanted = {slot: run if run.startswith(TEXT_RUN) else "" for slot, run in wanted.items()}
        if table["form"] == catalog.input_format(task) and (not shown or shown[0] == name):
            source_editor.parse_value(table)  # a bad table is reported before a model is loaded
        if not models.is_loaded(name):
            yield self.report(who, "loading", self._loading(name, task, shown))
        try:
            backbone = models.assign(who, name)
        except PrefixLabError:
            if shown and task != shown[1]:  # the page keeps its task
                yield {self.shell.task: shown[1]}
            raise
        selection = select_runs(catalog, backbone, task, wanted, order.split("-"))
        parsed, switched = self._given(table, catalog.input_format(selection.task))
        usual = default_decoding(parsed.form)
        if decoding["mode"] == default_decoding(table["form"]).mode != usual.mode:
            switched[page.mode] = decoding["mode"] = usual.mode
        if [name, selection.task or None] != shown:  # gallery and panels are another task's
            self.context.tickets.take(who, EXAMPLES)
            self.context.status.clear(who, EXAMPLES)
            switched |= {page.gallery: "", page.panels: ""}
        if parsed.form == "article":
            switched[page.note] = article_panels.note(
                backbone, self._learned(backbone, selection.chosen["prefix"]), parsed.source
            )
        sample = examples.matching(parsed.fields, parsed.form, parsed.source)
        prompt = inputs[page.prompt] if inputs[page.prompt] in prompts_for(backbone, parsed.form) else ""
        asked = CompareRequest(
            parsed.source,
            name=name,
            decode=usual.replace(**decoding),
            form=parsed.form,
            order=tuple(order.split("-")),
            prompt=prompt,
            **selection.chosen,
        )
        yield (
            self._begun(backbone, selection, wanted, parsed, sample, asked)
            | switched
            | {
                page.shown: [name, selection.task or None],
                self.shell.backbone: name,
                self.shell.task: gr.update(choices=self._tasks(name, selection), value=selection.task or None),
                self.shell.address: self._address(selection.task, asked, sample.id if sample else ""),
                self.shell.comparison: "",
            }
        )
        self.context.comparisons.forget(who)
        try:
            for comparison in compare(self.context, backbone, asked, lambda: self.context.tickets.is_stopped(who, ticket), who):
                outputs = {page.outputs[slot]: html for slot, html in columns(comparison, parsed.fields).items()}
                yield outputs | self.report(who, comparison.phase, comparison.sentence)
        except Exception:  # reported by `run`; no half-begun column and no panel of an older table stays beside it
            yield {page.panels: "", page.headline: ""} | {page.outputs[slot]: empty(slot) for slot in asked.order}
            raise
        if not self.context.tickets.is_stale(who, ticket):
            record = record_of(comparison)
            self.context.comparisons.put(who, record)
            yield {
                page.panels: panels(comparison, parsed.fields, sample),
                page.headline: headline.headline(comparison, parsed.fields),
                page.stop: gr.update(interactive=False),
                self.shell.comparison: str(record.number),
            }

    def _loading(self, name: str, task: str, shown: list) -> str:
        """What is being loaded, and why where the page changes to it for a task."""
        fetched = "" if self.context.models.is_local(name) else " It may have to be fetched first, which can take minutes."
        why = f", for the task {task}, in place of {shown[0]}" if shown and shown[0] != name and task != shown[1] else ""
        return f"Loading the model {name}{why}…{fetched}"

    def _given(self, table: source_editor.EditorValue, form: str) -> tuple[source_editor.ParsedInput, Update]:
        """The table; where the task wants another form: what was pasted, if it reads as that, else the task's first example."""
        if table["form"] == form:
            return source_editor.parse_value(table), {}
        try:
            given = source_editor.parse_text(form, table["text"]) if form in SOURCES else None
        except BadTable:
            given = None
        known = examples.samples(form)
        if form == "article":
            given, shown = _article_in(table) or source_editor.parse_article(known[0].text)
            return given, {self.page.table: shown, self.page.note: ""}
        if given is None and known:
            given = source_editor.parse_rows(form, known[0].rows)
        if given is None:
            raise BadTable("This task needs a text of its own: write or paste one on the left.")
        return given, {self.page.table: source_editor.editor_value(given.rows, form), self.page.note: ""}

    def _begun(
        self,
        backbone: Backbone,
        selection: RunSelection,
        wanted: dict[str, str],
        parsed: source_editor.ParsedInput,
        sample: examples.Sample | None,
        asked: CompareRequest,
    ) -> Update:
        page, listed = self.page, selection.listed
        off_topic = sample is not None and parsed.form == "table" and not example_buttons.in_domain(sample)
        heads = {page.heads["base"]: run_picker.base_head(backbone, parsed.form, asked.prompt)}
        for slot in RUN_SLOTS:
            choices = [run_picker.off_topic(choice) for choice in listed] if off_topic else listed
            heads[page.heads[slot]] = run_picker.run_head(slot, choices, selection.chosen[slot], wanted[slot], backbone)
        return heads | {
            **{state: selection.chosen[slot] for slot, state in page.runs.items()},
            page.prompt: asked.prompt,
            page.order: "-".join(asked.order),
            page.headline: tag("p", headline.WAITING, cls="pl-headline"),
            page.braces: column_braces(selection.methods(asked.order)),
            page.glance: example_buttons.source_table(parsed.rows) if parsed.rows else article_panels.glance(parsed.source),
            page.samples: example_buttons.sample_buttons(sample.id if sample else "", parsed.form),
            page.stop: gr.update(interactive=True),
            self.shell.facts: shell.facts(backbone),
        }

    def _tasks(self, name: str, selection: RunSelection) -> list[tuple[str, str]]:
        """What the chooser of tasks offers, as (label, task): those of other backbones say which, and whether it is missing."""
        offered = [(task, task) for task in selection.tasks]
        for task, other in self.context.catalog.tasks_elsewhere(name).items():
            called = Path(other).name
            label = f"{task} ({called})" if self.context.models.is_local(other) else f"{task} ({called} is missing)"
            offered.append((label, task))
        return offered

    def _address(self, task: str, asked: CompareRequest, sample_id: str) -> str:
        decode, own = asked.decode, "" if sample_id else asked.source
        return urlstate.write(
            CompareState(
                backbone="" if asked.name == self.context.models.default else asked.name,
                task=task,
                prefix=asked.prefix,
                finetuned=asked.finetuned,
                other=asked.other if "other" in asked.order else "",
                columns="" if asked.order == ORDER else "-".join(asked.order),
                prompt=asked.prompt,
                example=sample_id,
                source=own if asked.form != "article" else "",
                article=own if asked.form == "article" else "",
                mode="" if decode.mode == default_decoding(asked.form).mode else decode.mode,
                seed=decode.seed,
                temperature=decode.temperature,
                top_p=decode.top_p,
            )
        )


def _article_in(table: source_editor.EditorValue) -> tuple[source_editor.ParsedInput, source_editor.EditorValue] | None:
    """What was pasted, where it is no table but could be an article; None otherwise."""
    try:
        source_editor.parse_value(table)
    except BadInput:
        try:
            return source_editor.parse_article(table["text"])
        except BadInput:
            pass
    return None


def _decoding(inputs: Inputs, page: CompareComponents) -> dict[str, Any]:
    """What the page lets a person choose of the decoding; the rest goes by the form. A number that was emptied is its default."""
    seed = inputs[page.seed]
    values = {"seed": None if seed is None else int(seed), "temperature": inputs[page.temperature], "top_p": inputs[page.top_p]}
    return {"mode": inputs[page.mode]} | {name: value for name, value in values.items() if value is not None}
