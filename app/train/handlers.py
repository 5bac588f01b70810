"""What the Train tab's events do: read inputs, one call below, format. Errors become sentences in the status bar."""

import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app.shared import shell
from app.shared.context import AppContext
from app.shared.urlstate import read as read_address
from app.train import view as pieces
from app.train.components import TrainPage, wish
from app.train.jobs import Jobs
from app.train.progress import RunAddress, Shown, Update
from app.train.request import FEW, LEADS, Wish, command, fields_of, free_name, guessed, kept, planned, reads_apart
from core.config.presets import preset
from core.data.uploads import preview_file, write_pasted
from core.errors import BadInput, PrefixLabError
from core.exchange.archive import export_zip, import_zip
from core.runs.layout import ID
from core.runs.manage import annotate, delete, empty_trash, rename, restore
from core.task import SUMMARIZATION

WHERE = [("A file", "file"), ("Pasted rows", "paste")]  # data of one's own
log = logging.getLogger(__name__)


class TrainHandlers(Shown):
    """Bound to the components they write."""

    def __init__(self, context: AppContext, frame: shell.Shell, page: TrainPage, jobs: Jobs) -> None:
        super().__init__(context, page, jobs)
        self.shell = frame
        self.spare = tempfile.TemporaryDirectory(prefix="prefix-lab-", ignore_cleanup_errors=True)  # goes when the app does

    def _spare(self) -> Path:
        """A new folder for what a page pastes or takes away."""
        return Path(tempfile.mkdtemp(dir=self.spare.name))

    # ---- what is to be trained

    def preset(self, kind: str, method: str, name: str, backbone: str) -> Update:
        """A preset was chosen: its lead, its name for the run, and the settings that can be changed."""
        page, has = self.page, fields_of(method)
        plain = preset("fast" if kind == "own" else kind, method, self._task(backbone)).to_dict()
        update: Update = {
            page.lead: self._lead(kind, backbone),
            page.rows: gr.update(visible=kind == "low"),
            page.own_box: gr.update(visible=kind == "own"),
            page.name: free_name(self.context.store, self._taken(), kind),
        }
        for key, field in page.own.items():
            value = 200 if key == "updates" and not plain[key] else plain[key]
            update[field] = gr.update(value=value, visible=key in has)
        return update

    def begin(self, kind: str, method: str, name: str, backbone: str) -> Update:
        """The tab was opened: what was typed into it stays."""
        return gr.skip() if name else self.preset(kind, method, name, backbone)

    def where(self, where: str) -> Update:
        """Bundled tables, a file, or pasted rows."""
        page = self.page
        return {
            page.own_data: gr.update(visible=where != "bundled"),
            page.file: gr.update(visible=where == "file"),
            page.paste: gr.update(visible=where == "paste"),
            page.mapping: gr.update(visible=False),
            page.preview: "",
            page.given: "",
        }

    def kind(self, backbone: str) -> Update:
        """Another backbone was chosen: what is bundled for it, and the words that a prefix begins with."""
        page, task = self.page, self._task(backbone)
        bundled = ("Bundled articles" if task else "Bundled tables", "bundled")
        return {page.where: gr.update(choices=[bundled, *WHERE]), page.own["init_words"]: preset("fast", task=task).init_words}

    def moved(self, seen: str, backbone: str, *asked) -> Update:
        """The same while the tab may be open; before it was ever opened there is nothing to tell."""
        if not seen:
            return gr.skip()
        return self.kind(backbone) | {self.page.lead: self._lead(asked[0], backbone)} | self.plan(backbone, *asked)

    def _lead(self, kind: str, backbone: str) -> str:
        return pieces.tag("p", FEW if kind == "demo" and self._apart(backbone) else LEADS[kind], cls="meta")

    def _apart(self, backbone: str) -> bool:
        return reads_apart(self.context, backbone or self.context.models.default)

    def _task(self, backbone: str) -> str:
        """What a backbone is bundled data for, where that is not tables."""
        return SUMMARIZATION if self._apart(backbone) else ""

    def _wish(self, backbone: str, *asked) -> Wish:
        return wish(backbone or self.context.models.default, self._apart(backbone), *asked)

    def uploaded(self, file: str | None) -> Update:
        """A file came: its columns, to be named, and its first rows."""
        return self._peeked(Path(file)) if file else self._no_data()

    def pasted(self, text: str) -> Update:
        """Rows were pasted."""
        if not (text or "").strip():
            return self._no_data()
        try:
            return self._peeked(write_pasted(text, self._spare()))
        except PrefixLabError as error:
            return self._no_data(str(error))

    def _no_data(self, sentence: str = "") -> Update:
        page = self.page
        said = pieces.problem(sentence) if sentence else ""
        return {page.given: "", page.preview: said, page.mapping: gr.update(visible=False)}

    def _peeked(self, file: Path) -> Update:
        page = self.page
        try:
            found = preview_file(file)
        except (PrefixLabError, OSError) as error:
            return self._no_data(str(error))
        source, target, form = guessed(found.columns)
        return {
            page.given: str(file),
            page.source: gr.update(choices=list(found.columns), value=source),
            page.target: gr.update(choices=list(found.columns), value=target),
            page.form: form,
            page.mapping: gr.update(visible=True),
            page.preview: pieces.preview(found),
        }

    # ---- before starting

    def plan(self, backbone: str, *asked) -> Update:
        """What it will take, and the command line; what is wrong, where something is."""
        page, want = self.page, self._wish(backbone, *asked)
        shown: Update = {page.facts: "", page.command: "", page.start: gr.update(interactive=False)}
        if not want.data.file and asked[4] != "bundled":
            return shown | {page.facts: pieces.tag("p", "Give a file, or paste rows.", cls="meta")}
        try:
            found, valid, bad = want.examples()
            shown |= self._checked(want, bad, len(found))
            self._free(want)
            if not self.context.models.is_loaded(want.backbone) and not self.context.models.is_local(want.backbone):
                raise BadInput(f"The model {want.backbone} is not loaded yet. Generate with it on Compare first.")
            took, model = planned(self.context, want, found, valid)
        except PrefixLabError as error:
            return shown | {page.facts: pieces.problem(str(error))}
        except Exception as error:
            log.exception("a plan failed")
            return shown | {page.facts: pieces.problem(f"Something unexpected went wrong ({type(error).__name__}: {error}).")}
        few = f", all there are: fewer than {want.rows}" if want.rows > len(found) else ""
        noun = "articles" if want.on_articles else "rows" if want.data.file else "tables"
        data = f"{len(found):,} {noun}{few}, {took.rows:,} texts; {valid:,} to validate on"
        shown[page.facts] = pieces.facts(took, model, data)
        shown[page.command] = pieces.command_box(command(want.words("your-data")))
        return shown | {page.start: gr.update(interactive=True, value="Start training" if took.trained else "Make it a run")}

    def _checked(self, want: Wish, bad: list[str], good: int) -> Update:
        return {self.page.preview: pieces.preview(preview_file(Path(want.data.file)), bad, good)} if want.data.file else {}

    def _free(self, want: Wish) -> None:
        self.context.store.check_free(want.run)
        if want.run in self._taken():
            raise BadInput(f"There is a training {want.run!r} already. Give another name.")

    def _taken(self) -> set[str]:
        return {job.run for job in self.jobs.jobs()}

    # ---- starting, and what can be done with a run

    def start(self, backbone: str, *asked) -> Update:
        """Start, or wait in line; the page shows the new training."""
        page, want = self.page, self._wish(backbone, *asked)
        try:
            self._free(want)
            want.config()
            want.examples()
            with self.jobs.alone():  # kept rows that no training names yet are not to be swept away
                ahead = self.jobs.start(want.run, want.words(kept(self.context.store, want)))
        except PrefixLabError as error:
            return {self.shell.status: shell.say("error", str(error))}
        said = f"{want.run} waits behind {', '.join(ahead)}." if ahead else f"{want.run} begins in a process of its own."
        named = free_name(self.context.store, self._taken() | {want.run}, want.preset)
        return {page.name: named, self.shell.status: shell.say("done", said)} | self.show(want.run)

    def act(self, chosen: str, event: gr.EventData) -> Update:
        """A button of a run was pressed."""
        given: dict[str, Any] = event._data if isinstance(event._data, dict) else {}
        what, run_id = str(given.get("do", "")), str(given.get("run", ""))
        acts: dict[str, Callable[[str, dict[str, Any]], Update]] = {
            "open": lambda run, _: self.show(run),
            "stop": self._stop,
            "go": self._go,
            "delete": self._delete,
            "restore": self._restore,
            "empty": self._empty,
            "save": self._save,
            "export": self._export,
        }
        if what not in acts:
            return gr.skip()
        try:
            return {self.page.zip: gr.update(visible=False)} | acts[what](run_id, given)
        except PrefixLabError as error:
            return {self.shell.status: shell.say("error", str(error))} | self.show(chosen)

    def _say(self, phase: str, sentence: str, run_id: str) -> Update:
        return {self.shell.status: shell.say(phase, sentence)} | self.show(run_id)

    def _stop(self, run_id: str, given: dict[str, Any]) -> Update:
        self.jobs.stop(run_id)
        return self._say("done", f"{run_id} stops after this update; what it has learned is kept.", run_id)

    def _go(self, run_id: str, given: dict[str, Any]) -> Update:
        ahead = self.jobs.go_on(run_id)
        waits = f"It waits behind {', '.join(ahead)}." if ahead else "Its last checkpoint is read."
        return self._say("done", f"{run_id} goes on. {waits}", run_id)

    def _delete(self, run_id: str, given: dict[str, Any]) -> Update:
        if self.jobs.state(run_id) == "failed" and not (self.context.store.folder / run_id).exists():
            self.jobs.forget(run_id)  # it never began: there is nothing to keep
            self.jobs.sweep()
            return self._say("done", f"{run_id} is off the list.", "")
        delete(self.context.store, run_id)
        self.jobs.forget(run_id)
        self.jobs.sweep()
        return self._say("done", f"{run_id} is in the trash. Bring it back from below the runs.", "")

    def _restore(self, run_id: str, given: dict[str, Any]) -> Update:
        return self._say("done", f"{restore(self.context.store, run_id)} is back.", run_id)

    def _empty(self, run_id: str, given: dict[str, Any]) -> Update:
        gone = empty_trash(self.context.store)
        self.jobs.sweep()
        return self._say("done", f"Runs deleted for good: {gone}.", run_id)

    def _save(self, run_id: str, given: dict[str, Any]) -> Update:
        run = annotate(self.context.store, run_id, str(given.get("notes", "")))
        name = str(given.get("name", "")).strip()
        if name and name != run_id:
            run = rename(self.context.store, run_id, name)
        return self._say("done", f"The name and the notes of {run.id} are kept.", run.id)

    def _export(self, run_id: str, given: dict[str, Any]) -> Update:
        file = export_zip(self.context.store.get(run_id), self._spare() / f"{run_id}.zip")
        ready: Update = {self.page.zip: gr.update(value=str(file), visible=True)}
        return ready | {self.shell.status: shell.say("done", f"{file.name} is ready: click its size to save it.")}

    def imported(self, file: str | None) -> Update:
        """A zip was uploaded."""
        if not file:
            return gr.skip()
        try:
            run = import_zip(Path(file), self.context.store)
        except PrefixLabError as error:
            return {self.shell.status: shell.say("error", str(error))}
        finally:
            shutil.rmtree(Path(file).parent, ignore_errors=True)
        return self._say("done", f"{run.id} is among your runs.", run.id)

    # ---- what is shown

    def open(self, search: str, chosen: str) -> Update:
        """The tab was opened: the run of the address, else what trains, was interrupted or waits."""
        self.jobs.tick()
        if self.jobs.waiting():
            self.jobs.keep_going()
        wanted = chosen or read_address(search or "", RunAddress).run
        if not (ID.fullmatch(wanted or "") and ".." not in wanted and self.jobs.state(wanted)):
            wanted = next(iter([*self.jobs.training(), *self.jobs.interrupted(), *self.jobs.waiting()]), "")
        return self.show(wanted) | {self.page.timer: gr.update(active=True)}

    def tick(self, chosen: str, seen: str) -> Update:
        """Every few seconds: all that the tab shows where it has changed; of a training that only goes on, its head line.

        Which run is chosen is not written: another may have been chosen since, and the next tick then shows that one.
        """
        self.jobs.tick()
        if self._mark(chosen) != seen:
            shown = self.show(chosen)
            return {part: value for part, value in shown.items() if part not in (self.page.chosen, self.page.address)}
        return {self.page.head: self._head(chosen, None)} if self._state(chosen) == "running" else gr.skip()
