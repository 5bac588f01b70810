"""What the Compare tab's events do: read inputs, one call below, format. Errors become sentences in the status bar."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app.compare import article_panels, example_buttons, run_picker, source_editor
from app.compare.columns import columns, empty
from app.compare.comparison import KINDS, Ask, Comparison, compare, subject
from app.compare.components import Page
from app.compare.gallery import tell_all
from app.compare.gallery_view import gallery, progress
from app.compare.panels import panels
from app.shared import examples, shell, urlstate
from app.shared.catalog import RunChoice, for_task
from app.shared.context import AppContext
from app.shared.events import TabHandlers, Update, errors_to_status
from app.shared.html import tag
from app.shared.method_labels import COLUMN_METHODS, lanes
from core.config.decode import DecodeConfig
from core.config.decoding_defaults import default_decoding
from core.config.methods import METHODS, TEXT_PREFIX
from core.errors import BadInput, BadTable, PrefixLabError
from core.methods.loading import TEXT_RUN
from core.models.backbone import Backbone
from core.models.inputs import task_for_backbone
from core.runs.run import Run
from core.task import SUMMARIZATION, Task
from core.text.tables import Fields
from core.text.triples import SOURCES

EXAMPLES = "examples"  # what the status line calls the gallery; it is asked for, and stopped, apart from the columns


@dataclass(frozen=True)
class Plan:
    """Which runs a comparison uses, of which there are."""

    task: str
    tasks: list[str]
    chosen: dict[str, str]
    listed: list[RunChoice]

    def method(self, kind: str) -> str:
        """The method of a column's run; "" where it has none."""
        if self.chosen[kind].startswith(TEXT_RUN):
            return TEXT_PREFIX.id
        return next((choice.run.method for choice in self.listed if choice.run.id == self.chosen[kind]), "")


def _rank(run: Run, wanted: dict[str, str]) -> tuple[bool, bool, bool]:
    """Whose task is shown first: that of a run asked for, of a prefix, of a fine-tuned model, of any other."""
    return run.id not in wanted.values(), run.method != COLUMN_METHODS["prefix"], run.method != COLUMN_METHODS["finetuned"]


class Handlers(TabHandlers):
    """Bound to the components they write."""

    activity = "comparison"

    def __init__(self, context: AppContext, frame: shell.Shell, page: Page) -> None:
        super().__init__(context, frame)
        self.page = page

    # ---- the table

    def sample(self, table, event: gr.EventData) -> Update:
        """An example was clicked."""
        found = examples.find(str(event.id))
        return self._table(found, table["form"]) if found else {}

    def _table(self, sample: examples.Sample, form: str) -> Update:
        page = self.page
        table = source_editor.of_article(sample.text)[1] if form == "article" else source_editor.table_of(sample.rows, form)
        return {page.table: table, page.note: "", page.samples: example_buttons.sample_buttons(sample.id, form)}

    def read(self, table, name: str, prefix: str) -> tuple:
        """The table or the article was edited: its other view, and what there is to say of it."""
        answer, note = source_editor.read(table)
        if answer["form"] != "article":
            return answer, note
        if not note and self.context.models.is_loaded(name):
            backbone = self.context.models.backbone(name)
            note = article_panels.note(backbone, self._learned(backbone, prefix), source_editor.current(table).source)
        return gr.skip(), note  # an article has no other view, and a long one is not sent back

    def settled(self, table) -> Any:
        """The text was left. An article stays as it was pasted: an answer could come after another table and undo it."""
        return gr.skip() if table["form"] == "article" else source_editor.settled(table)

    def _learned(self, backbone: Backbone, prefix: str) -> Task:
        """The task of the prefix shown, where it is one on articles; it says how much of them is read."""
        run = next((run for run in self.context.store.runs() if run.id == prefix and run.task.form == "article"), None)
        return run.task if run and run.fingerprint == backbone.spec.fingerprint else task_for_backbone(backbone, SUMMARIZATION)

    # ---- choosing

    def choose(self, event: gr.EventData) -> str:
        """A run was chosen in the head of a column."""
        return str(event.id)

    def show_settings(self, mode: str) -> list:
        """Seed, temperature and top-p matter to sampled text only."""
        return [gr.update(visible=mode == "sample")] * 3

    def restore(self, search: str) -> Update:
        """What the address says, on opening the page; the first example where it says nothing."""
        page, address = self.page, urlstate.read(search or "", urlstate.Address)
        task = address.task or (SUMMARIZATION if address.article else "")
        name = address.backbone or self.context.catalog.backbone_for(task, self.context.models.default)
        shown = address.task or self._usual(name, {"prefix": address.prefix, "finetuned": address.finetuned})
        update: Update = {
            self.shell.backbone: name,
            self.shell.task: gr.update(choices=[shown] if shown else [], value=shown or None),
            page.prefix: address.prefix,
            page.finetuned: address.finetuned,
            page.mode: address.mode
            or default_decoding("article" if address.article else self.context.catalog.input_format(address.task)).mode,
            page.seed: gr.update(value=address.seed, visible=address.mode == "sample"),
            page.temperature: gr.update(value=address.temperature, visible=address.mode == "sample"),
            page.top_p: gr.update(value=address.top_p, visible=address.mode == "sample"),
            self.shell.status: shell.say("loading", "Opening the page…"),
        } | self._first_table(address)
        if address.ignored:
            said = f"Left out, as the address has no readable value for: {', '.join(address.ignored)}."
            update[page.note] = tag("p", said, cls="meta") + update[page.note]
        return update

    def _usual(self, name: str, wanted: dict[str, str]) -> str:
        """The task that a page begins with; "" where the backbone has no run.

        It is sent at once: a chooser that is emptied while another tab than Compare opens stays empty.
        """
        return next(
            (run.task.name for run in sorted(self.context.catalog.trained_on(name), key=lambda run: _rank(run, wanted))), ""
        )

    def _first_table(self, address: urlstate.Address) -> Update:
        form = "article" if address.article else self.context.catalog.input_format(address.task)
        source = address.article or address.source
        known = {sample.id: sample for sample in examples.samples(form)}
        if not source and known:
            return self._table(known.get(address.example) or next(iter(known.values())), form)
        table, note = source_editor.table_of_text(source, form)
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

    @errors_to_status
    def tell_all(self, shown, prefix, finetuned, mode, seed, temperature, top_p, request: gr.Request) -> Iterator[Update]:
        """Every example of the task on the page, told by both runs; a newer request ends an older one."""
        page, who, tickets = self.page, request.session_hash or "", self.context.tickets
        ticket = tickets.take(who, EXAMPLES)
        name, task = shown or (self.context.models.default, "")
        runs, form = {"prefix": prefix, "finetuned": finetuned}, self.context.catalog.input_format(task or "")
        decode = default_decoding(form).replace(**_chosen(mode, seed, temperature, top_p))
        yield {page.stop: gr.update(interactive=True)} | self.report(who, "running", "Running all examples…", EXAMPLES)
        stopped = lambda: tickets.is_stopped(who, ticket, EXAMPLES)  # noqa: E731
        galleries = tell_all(self.context, self.context.models.backbone(name), form, runs, decode, stopped, f"{who} {EXAMPLES}")
        for seen in tickets.while_newest(who, ticket, galleries, EXAMPLES):
            yield {page.gallery: gallery(seen)} | self.report(who, *progress(seen), EXAMPLES)
        if not tickets.is_stale(who, ticket, EXAMPLES):
            yield {page.stop: gr.update(interactive=False)}

    @errors_to_status
    def run(
        self, ticket, table, name, task, prefix, finetuned, mode, seed, temperature, top_p, shown, request: gr.Request
    ) -> Iterator[Update]:
        """Compare, and say what went wrong where it did."""
        who, tickets = request.session_hash or "", self.context.tickets
        if not ticket or tickets.is_stale(who, ticket):
            yield self.no_update()
            return
        given = (ticket, who, table, name, task, prefix, finetuned, (mode, seed, temperature, top_p), shown)
        yield from tickets.while_newest(who, ticket, self._run(*given))  # a newer run writes to the same places

    def failed(self, page: str, sentence: str) -> Update:
        return super().failed(page, sentence) | {self.page.stop: gr.update(interactive=False)}

    def _run(self, ticket: int, who: str, table, name, task, prefix, finetuned, settings, shown) -> Iterator[Update]:
        name, chosen = name or self.context.models.default, _chosen(*settings)
        DecodeConfig(**chosen)  # a bad number is told before a model is loaded
        if shown and name == shown[0] and task != shown[1]:  # another task was chosen, which may need another backbone
            name = self.context.catalog.backbone_for(task or "", name)
        if shown and [name, task] != shown:  # runs of before are not asked for any more
            prefix, finetuned = (run if run.startswith(TEXT_RUN) else "" for run in (prefix, finetuned))
        if table["form"] == self.context.catalog.input_format(task or "") and (not shown or shown[0] == name):
            source_editor.current(table)  # a bad table is told before a model is loaded
        if not self.context.models.is_loaded(name):
            yield self.report(who, "loading", self._loading(name, task or "", shown))
        try:
            backbone = self.context.models.assign(who, name)
        except PrefixLabError:
            if shown and task != shown[1]:  # the page keeps its task
                yield {self.shell.task: shown[1]}
            raise
        plan = self._plan(backbone, task or "", prefix, finetuned)
        given, switched = self._given(table, self.context.catalog.input_format(plan.task))
        usual = default_decoding(given.form)
        if chosen["mode"] == default_decoding(table["form"]).mode != usual.mode:
            switched[self.page.mode] = chosen["mode"] = usual.mode
        if [name, plan.task or None] != shown:  # gallery and panels are another task's
            self.context.tickets.take(who, EXAMPLES)
            switched |= {self.page.gallery: "", self.page.panels: ""}
        if given.form == "article":
            switched[self.page.note] = article_panels.note(backbone, self._learned(backbone, plan.chosen["prefix"]), given.source)
        sample = examples.matching(given.fields, given.form, given.source)
        ask = Ask(given.source, plan.chosen["prefix"], plan.chosen["finetuned"], name, usual.replace(**chosen), given.form)
        yield (
            self._begun(backbone, plan, {"prefix": prefix, "finetuned": finetuned}, given, sample)
            | switched
            | {
                self.page.shown: [name, plan.task or None],
                self.shell.backbone: name,
                self.shell.task: gr.update(choices=self._tasks(name, plan), value=plan.task or None),
                self.shell.address: self._address(name, plan, ask, sample.id if sample else ""),
                self.shell.subject: "",
            }
        )
        self.context.comparisons.forget(who)
        try:
            for seen in compare(self.context, backbone, ask, lambda: self.context.tickets.is_stopped(who, ticket), who):
                yield self._shown(seen, given.fields) | self.report(who, seen.phase, seen.say)
        except Exception:  # told by `run`; no half-begun column and no panel of an older table stays beside it
            yield {self.page.panels: ""} | {self.page.outputs[kind]: empty(kind) for kind in KINDS}
            raise
        if not self.context.tickets.is_stale(who, ticket):
            found = subject(seen)
            self.context.comparisons.put(who, found)
            yield {
                self.page.panels: panels(seen, given.fields, sample),
                self.page.stop: gr.update(interactive=False),
                self.shell.subject: str(found.number),
            }

    def _loading(self, name: str, task: str, shown: list) -> str:
        """What is being loaded, and why where the page changes to it for a task."""
        fetched = "" if self.context.models.is_local(name) else " It may have to be fetched first, which can take minutes."
        why = f", for the task {task}, in place of {shown[0]}" if shown and shown[0] != name and task != shown[1] else ""
        return f"Loading the model {name}{why}…{fetched}"

    def _given(self, table, form: str) -> tuple[source_editor.Given, Update]:
        """The table; where the task wants another form: what was pasted, if it reads as that, else the task's first example."""
        if table["form"] == form:
            return source_editor.current(table), {}
        try:
            given = source_editor.of_text(form, table["text"]) if form in SOURCES else None
        except BadTable:
            given = None
        known = examples.samples(form)
        if form == "article":
            given, shown = _article_in(table) or source_editor.of_article(known[0].text)
            return given, {self.page.table: shown, self.page.note: ""}
        if given is None and known:
            given = source_editor.of_rows(form, known[0].rows)
        if given is None:
            raise BadTable("This task is told from a text of its own: write or paste one on the left.")
        return given, {self.page.table: source_editor.table_of(given.rows, form), self.page.note: ""}

    def _plan(self, backbone: Backbone, task: str, prefix: str, finetuned: str) -> Plan:
        wanted = {"prefix": prefix, "finetuned": finetuned}
        there = self.context.catalog.choices(tuple(METHODS), backbone)
        fit = [choice.run for choice in there if not choice.reason]
        own = SUMMARIZATION if backbone.is_encoder_decoder else ""  # what a model that reads and writes apart is for
        tasks = sorted({run.task.name for run in fit} | {own} - {""})
        if task not in tasks:
            task = next((run.task.name for run in sorted(fit, key=lambda run: _rank(run, wanted))), own)
        listed = for_task(there, task)
        chosen = {kind: run_picker.pick(kind, listed, wanted[kind]) for kind in COLUMN_METHODS}
        return Plan(task, tasks, chosen, listed)

    def _begun(
        self, backbone: Backbone, plan: Plan, wanted: dict[str, str], given: source_editor.Given, sample: examples.Sample | None
    ) -> Update:
        page = self.page
        heads = {page.heads["base"]: run_picker.base_head(backbone)}
        for kind in COLUMN_METHODS:
            heads[page.heads[kind]] = run_picker.run_head(kind, plan.listed, plan.chosen[kind], wanted[kind], backbone)
        return heads | {
            page.prefix: plan.chosen["prefix"],
            page.finetuned: plan.chosen["finetuned"],
            page.lanes: lanes(*(plan.method(kind) for kind in COLUMN_METHODS)),
            page.glance: example_buttons.source_table(given.rows) if given.rows else article_panels.glance(given.source),
            page.samples: example_buttons.sample_buttons(sample.id if sample else "", given.form),
            page.stop: gr.update(interactive=True),
            self.shell.facts: shell.facts(backbone),
        }

    def _tasks(self, name: str, plan: Plan) -> list[tuple[str, str]]:
        """What the chooser of tasks offers, as (shown, task): those of other backbones say which, and whether it is missing."""
        shown = [(task, task) for task in plan.tasks]
        for task, other in self.context.catalog.tasks_elsewhere(name).items():
            called = Path(other).name
            shown.append((f"{task} ({called})" if self.context.models.is_local(other) else f"{task} ({called} is missing)", task))
        return shown

    def _address(self, name: str, plan: Plan, ask: Ask, sample_id: str) -> str:
        decode = ask.decode
        return urlstate.write(
            urlstate.Address(
                backbone="" if name == self.context.models.default else name,
                task=plan.task,
                prefix=plan.chosen["prefix"],
                finetuned=plan.chosen["finetuned"],
                example=sample_id,
                source="" if sample_id or ask.form == "article" else ask.source,
                article="" if sample_id or ask.form != "article" else ask.source,
                mode="" if decode.mode == default_decoding(ask.form).mode else decode.mode,
                seed=decode.seed,
                temperature=decode.temperature,
                top_p=decode.top_p,
            )
        )

    def _shown(self, seen: Comparison, fields: Fields) -> Update:
        shown = columns(seen, fields)
        return {self.page.outputs[kind]: html for kind, html in zip(KINDS, shown, strict=True)}


def _article_in(table) -> tuple[source_editor.Given, source_editor.Table] | None:
    """What was pasted, where it is no table but could be an article; None otherwise."""
    try:
        source_editor.current(table)
    except BadInput:
        try:
            return source_editor.of_article(table["text"])
        except BadInput:
            pass
    return None


def _chosen(mode: str, seed: float | None, temperature: float | None, top_p: float | None) -> dict[str, Any]:
    """What the page lets a person choose of the decoding; the rest goes by what is told. A number emptied is its default."""
    given = {"seed": None if seed is None else int(seed), "temperature": temperature, "top_p": top_p}
    return {"mode": mode} | {name: value for name, value in given.items() if value is not None}
