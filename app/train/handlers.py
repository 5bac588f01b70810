"""Event handlers of the Train tab: read inputs, make one call, format."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import gradio as gr

from app.shared import shell
from app.shared.context import AppContext
from app.shared.events import Inputs, TabHandlers, Update, errors_to_status, sentence_of
from app.shared.html import notes, problem
from app.shared.urlstate import read as read_address
from app.train import view
from app.train.components import TrainPage, train_request
from app.train.jobs import Jobs
from app.train.progress import RunProgressView
from app.train.request import (
    FEW_ARTICLES,
    PRESET_DESCRIPTIONS,
    TrainRequest,
    command,
    estimate_request,
    free_name,
    guess_columns,
    is_encoder_decoder,
    is_suggested,
    settings_of,
    store_upload,
)
from app.train.state import RunAddress
from core.config.presets import preset
from core.data.uploads import preview_file, write_pasted
from core.errors import BadInput, PrefixLabError
from core.exchange.archive import export_zip, import_zip
from core.models.unknown_words import describe_unknown_in
from core.runs.layout import ID, JsonObject
from core.runs.manage import annotate, delete, empty_trash, rename, restore
from core.task import SUMMARIZATION
from core.text.checks import counted

ESTIMATE = "estimate"  # the tickets of estimates
WHERE = [("A file", "file"), ("Pasted rows", "paste")]  # the user's own data


class TrainHandlers(RunProgressView, TabHandlers):
    """Handlers with the components that they write. `inputs` of a handler: the values of its components."""

    activity = "training"
    tab = "train"

    def __init__(self, context: AppContext, frame: shell.Shell, page: TrainPage, jobs: Jobs) -> None:
        RunProgressView.__init__(self, context, page, jobs)
        self.shell = frame
        self.temporary = tempfile.TemporaryDirectory(prefix="prefix-lab-", ignore_cleanup_errors=True)  # goes when the app does

    def _new_folder(self) -> Path:
        """Create a folder for pasted or downloaded files."""
        return Path(tempfile.mkdtemp(dir=self.temporary.name))

    # ---- what is to be trained

    def choose_preset(self, inputs: Inputs) -> Update:
        """Show the chosen preset and method: a description, a name for the run, and the settings."""
        page, kind, backbone = self.page, inputs[self.page.preset], inputs[self.shell.backbone]
        settings = settings_of(inputs[page.method])
        values = preset("fast" if kind == "own" else kind, inputs[page.method], self._task(backbone)).to_dict()
        update: Update = {
            page.lead: self._description(kind, backbone),
            page.rows: gr.update(visible=kind == "low"),
            page.own_box: gr.update(visible=kind == "own"),
        }
        if is_suggested(inputs[page.name]):  # a typed name stays
            update[page.name] = free_name(self.context.store, self._queued_ids(), kind)
        for key, field in page.own.items():
            value = 200 if key == "updates" and not values[key] else values[key]
            update[field] = gr.update(value=value, visible=key in settings)
        return update

    def enter(self, inputs: Inputs) -> Update:
        """Fill the form when the tab is first opened; typed values stay."""
        return gr.skip() if inputs[self.page.name] else self.choose_preset(inputs)

    def where(self, where: str) -> Update:
        """Show the fields for bundled tables, a file, or pasted rows."""
        page = self.page
        return {
            page.own_data: gr.update(visible=where != "bundled"),
            page.file: gr.update(visible=where == "file"),
            page.paste: gr.update(visible=where == "paste"),
            page.mapping: gr.update(visible=False),
            page.preview: "",
            page.upload_path: "",
        }

    def bundled_data(self, backbone: str) -> Update:
        """Offer the bundled data of a backbone, and the words that initialize a prefix."""
        page, task = self.page, self._task(backbone)
        bundled = ("Bundled articles" if task else "Bundled tables", "bundled")
        return {page.where: gr.update(choices=[bundled, *WHERE]), page.own["init_words"]: preset("fast", task=task).init_words}

    def change_backbone(self, inputs: Inputs, request: gr.Request) -> Update:
        """Follow the choice of a backbone, once the tab has been opened."""
        if not inputs[self.page.change_token]:
            return gr.skip()
        backbone = inputs[self.shell.backbone]
        lead = {self.page.lead: self._description(inputs[self.page.preset], backbone)}
        return self.bundled_data(backbone) | lead | self._newest_estimate(inputs, request)

    def _description(self, kind: str, backbone: str) -> str:
        few = kind == "demo" and self._encoder_decoder(backbone)
        return view.tag("p", FEW_ARTICLES if few else PRESET_DESCRIPTIONS[kind], cls="meta")

    def _encoder_decoder(self, backbone: str) -> bool:
        return is_encoder_decoder(self.context, backbone or self.context.models.default)

    def _task(self, backbone: str) -> str:
        """Return the task of a backbone's bundled data; empty for tables."""
        return SUMMARIZATION if self._encoder_decoder(backbone) else ""

    def _request(self, inputs: Inputs) -> TrainRequest:
        backbone = inputs[self.shell.backbone] or self.context.models.default
        values = {name: inputs[component] for name, component in self.page.request_inputs.items()}
        return train_request(values, backbone, self._encoder_decoder(backbone))

    def uploaded(self, file: str | None) -> Update:
        """Preview an uploaded file, and guess its columns."""
        return self._preview(Path(file)) if file else self._no_data()

    def pasted(self, text: str) -> Update:
        """Preview pasted rows, and guess their columns."""
        if not (text or "").strip():
            return self._no_data()
        try:
            return self._preview(write_pasted(text, self._new_folder()))
        except PrefixLabError as error:
            return self._no_data(str(error))

    def _no_data(self, sentence: str = "") -> Update:
        page = self.page
        preview = problem(sentence, role="alert") if sentence else ""
        return {page.upload_path: "", page.preview: preview, page.mapping: gr.update(visible=False)}

    def _preview(self, file: Path) -> Update:
        page = self.page
        try:
            preview = preview_file(file)
        except (PrefixLabError, OSError) as error:
            return self._no_data(str(error))
        source, target, form = guess_columns(preview.columns)
        return {
            page.upload_path: str(file),
            page.source: gr.update(choices=list(preview.columns), value=source),
            page.target: gr.update(choices=list(preview.columns), value=target),
            page.form: form,
            page.mapping: gr.update(visible=True),
            page.preview: view.preview(preview),
        }

    # ---- before starting

    def estimate(self, inputs: Inputs, request: gr.Request) -> Update:
        """Show the training's parameters, size, time and command line, or what is wrong; of two estimates the later one."""
        return self._newest_estimate(inputs, request) or gr.skip()

    def _newest_estimate(self, inputs: Inputs, request: gr.Request) -> Update:
        """Return the estimate, or nothing if the page asked for another one meanwhile: the first waits for its model."""
        page, tickets = request.session_hash or "", self.context.tickets
        ticket = tickets.take(page, ESTIMATE)
        update = self._estimate(inputs)
        return {} if tickets.is_stale(page, ticket, ESTIMATE) else update

    def _estimate(self, inputs: Inputs) -> Update:
        page, request = self.page, self._request(inputs)
        update: Update = {page.facts: "", page.command: "", page.start: gr.update(interactive=False)}
        if not request.data.file and inputs[page.where] != "bundled":
            return update | {page.facts: view.tag("p", "Choose a file, or paste rows.", cls="meta")}
        try:
            examples, valid, bad = request.examples()
            if request.data.file:
                update[page.preview] = view.preview(preview_file(Path(request.data.file)), bad, request.usable(), request.odd())
            self._check_free(request)
            request.config()
        except Exception as error:  # `start` finds it, too: the click that leaves a corrected field can be the one on Start
            return update | {page.facts: problem(sentence_of(error), role="alert"), page.start: gr.update(interactive=True)}
        try:
            models = self.context.models
            if not models.is_loaded(request.backbone) and not models.is_local(request.backbone):
                raise BadInput(f"The model {request.backbone} is not loaded yet. Generate with it on Compare first.")
            estimate, model = estimate_request(self.context, request, examples, valid)
        except Exception as error:
            return update | {page.facts: problem(sentence_of(error), role="alert")}
        fewer = f", all there are: fewer than {request.rows}" if request.rows > len(examples) else ""
        noun = "article" if request.on_articles else "row" if request.data.file else "table"
        data = f"{counted(len(examples), noun)}{fewer}, {counted(estimate.rows, 'text')}; {valid:,} to validate on"
        update[page.facts] = view.facts(estimate, model, data, self.context.models.run_job(describe_unknown_in, model, examples))
        update[page.command] = view.command_box(command(request.to_argv()))
        label = "Start training" if estimate.trained else "Save as a run"
        return update | {page.start: gr.update(interactive=True, value=label)}

    def _check_free(self, request: TrainRequest) -> None:
        self.context.store.check_free(request.run)
        if request.run in self._queued_ids():
            raise BadInput(f"There is a training {request.run!r} already. Give another name.")

    def _queued_ids(self) -> set[str]:
        return {job.run for job in self.jobs.jobs()}

    # ---- starting, and what can be done with a run

    @errors_to_status
    def start(self, inputs: Inputs, request: gr.Request) -> Update:
        """Start a training, or queue it, and show it."""
        page, training = self.page, self._request(inputs)
        self._check_free(training)
        training.config()
        training.examples()
        with self.jobs.alone():  # uploaded rows that no training names yet must not be swept away
            ahead = self.jobs.start(training.run, training.to_argv(store_upload(self.context.store, training)))
        sentence = (
            f"{training.run} waits behind {', '.join(ahead)}."
            if ahead
            else f"{training.run} has started, in a process of its own."
        )
        name = free_name(self.context.store, self._queued_ids() | {training.run}, training.preset)
        self.context.tickets.take(request.session_hash or "", ESTIMATE)  # one of before the start finds its own run
        return {page.name: name} | self._done(request, sentence, training.run)

    def act(self, current: str, event: gr.EventData, request: gr.Request) -> Update:
        """Do what a run's button says. `current`: the id of the run on the page."""
        fields: JsonObject = event._data if isinstance(event._data, dict) else {}
        what, run_id = str(fields.get("do", "")), str(fields.get("run", ""))
        if what == "open":
            return self.show(run_id) | {self.page.zip: gr.update(visible=False)}
        acts: dict[str, Callable[[str, JsonObject], tuple[str, Update]]] = {
            "stop": self._stop,
            "go": self._resume,
            "delete": self._delete,
            "restore": self._restore,
            "empty": self._empty_trash,
            "save": self._save,
            "export": self._export,
        }
        if what not in acts:
            return gr.skip()
        try:
            sentence, update = acts[what](run_id, fields)
        except Exception as error:
            return self.failed(request.session_hash or "", sentence_of(error)) | self.show(current)
        return {self.page.zip: gr.update(visible=False)} | self.report(request.session_hash or "", "done", sentence) | update

    def _done(self, request: gr.Request, sentence: str, run_id: str) -> Update:
        return self.report(request.session_hash or "", "done", sentence) | self.show(run_id)

    def _stop(self, run_id: str, fields: JsonObject) -> tuple[str, Update]:
        sentences = {
            "queued": f"{run_id} was removed from the queue.",
            "loading": f"{run_id} was stopped while it was loading: it has made no update.",
            "running": f"{run_id} stops after this update; what it has learned is saved.",
        }
        sentence = sentences.get(self.jobs.stop(run_id), f"{run_id} is not being trained.")
        return sentence, self.show(run_id if (self.context.store.folder / run_id).exists() else "")

    def _resume(self, run_id: str, fields: JsonObject) -> tuple[str, Update]:
        ahead = self.jobs.go_on(run_id)
        waits = f"It waits behind {', '.join(ahead)}." if ahead else "Its last checkpoint is being read."
        return f"{run_id} resumes. {waits}", self.show(run_id)

    def _delete(self, run_id: str, fields: JsonObject) -> tuple[str, Update]:
        never_began = self.jobs.state(run_id) == "failed" and not (self.context.store.folder / run_id).exists()
        if not never_began:
            delete(self.context.store, run_id)
        self.jobs.forget(run_id)
        self.jobs.sweep()
        if never_began:  # there is nothing to keep
            return f"{run_id} is off the list.", self.show("")
        return f"{run_id} was moved to the trash.", self.show("") | {self.page.head: view.deleted(run_id)}

    def _restore(self, run_id: str, fields: JsonObject) -> tuple[str, Update]:
        restored = restore(self.context.store, run_id)
        return f"{restored} is restored.", self.show(run_id)

    def _empty_trash(self, run_id: str, fields: JsonObject) -> tuple[str, Update]:
        count = empty_trash(self.context.store)
        self.jobs.sweep()
        return f"Runs deleted for good: {count}.", self.show(run_id)

    def _save(self, run_id: str, fields: JsonObject) -> tuple[str, Update]:
        run = annotate(self.context.store, run_id, str(fields.get("notes", "")))
        name = str(fields.get("name", "")).strip()
        if name and name != run_id:
            run = rename(self.context.store, run_id, name)
        return f"The name and the notes of {run.id} are saved.", self.show(run.id)

    def _export(self, run_id: str, fields: JsonObject) -> tuple[str, Update]:
        file = export_zip(self.context.store.get(run_id), self._new_folder() / f"{run_id}.zip")
        return f"Your browser saves {file.name}.", {self.page.zip: gr.update(value=str(file), visible=True)}

    @errors_to_status
    def imported(self, file: str | None, request: gr.Request) -> Update:
        """Import an uploaded zip."""
        if not file:
            return gr.skip()
        try:
            run = import_zip(Path(file), self.context.store)
        finally:
            shutil.rmtree(Path(file).parent, ignore_errors=True)
        return self._done(request, f"{run.id} is among your runs.", run.id)

    # ---- what is shown

    def open(self, search: str, current: str) -> Update:
        """Show the run of the address when the tab is opened, else one that is training, interrupted or waiting."""
        self.jobs.try_tick()
        if self.jobs.waiting():
            self.jobs.keep_going()
        address = read_address(search or "", RunAddress)
        run_id = current or address.run
        if not (ID.fullmatch(run_id or "") and ".." not in run_id and self._state(run_id)):
            address = address.without("job") if run_id and not current else address
            run_id = next(iter([*self.jobs.training(), *self.jobs.interrupted(), *self.jobs.waiting()]), "")
        update = self.show(run_id) | {self.page.timer: gr.update(active=True)}
        problems = notes(address.problems)
        return update | {self.page.headline: problems + str(update[self.page.headline])} if problems else update

    def tick(self, current: str, change_token: str) -> Update:
        """Update what has changed, every few seconds; if a training has only made more updates, only its heading.

        The chosen run is not an output: the user may have chosen another one meanwhile, which the next tick shows. Where no run
        is chosen, one that was just deleted can be restored from its place, and still can after a change.
        """
        self.jobs.try_tick()
        if self._change_token(current) != change_token:
            update = self.show(current)
            kept = {self.page.run_id, self.page.address} | (set() if current else {self.page.head})
            return {part: value for part, value in update.items() if part not in kept}
        return {self.page.head: self._head(current, None)} if self._state(current) == "running" else gr.skip()
