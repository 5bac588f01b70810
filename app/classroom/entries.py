"""What guests hand in: a run as a zip, or a short training. Each is checked, trained and scored in the class's own store.

A guest's run never enters the user's store and never replaces anything: its name is chosen here, and its zip may not be larger
than a prefix of this backbone can be.
"""

import logging
import re
import shutil
import tempfile
import threading
import time
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from analysis.evaluation.evaluate import scored
from app.classroom.board import Board, clean
from app.classroom.records import FAILED, READY, SCORING, TRAINING, Entry, Guest
from app.classroom.texts import FORM, write_texts
from app.shared.background import tolerant
from app.shared.context import AppContext
from app.train.jobs import Jobs
from app.train.request import TrainRequest
from core.config.methods import method_info
from core.data.registry import group_by_source, sample_evenly
from core.data.source import DataSource
from core.errors import BadInput, Busy, PrefixLabError, WrongBackbone
from core.exchange.archive import import_zip
from core.methods.loading import LoadedRun
from core.models.backbone import Backbone
from core.prefix.prefix import stored_count
from core.runs.layout import HISTORY, RUN_JSON, SAMPLES, STEPS_CSV, WEIGHTS, JsonObject
from core.runs.manage import delete
from core.runs.store import Store
from core.task import Example
from core.text.checks import counted

LENGTH = 64  # virtual tokens
LENGTHS, ROWS, UPDATES = (1, 2, 5, 10, 20), (10, 30, 0), (25, 50, 100)  # what a guest can choose; 0: all rows
WORDS = 60  # characters of the words that a prefix is initialized with
QUEUE = 40  # trainings in line
LAYOUT = 400  # characters that a run's task may put around a table
HIDDEN, HIDDEN_ROWS = "test", 24  # the split that scores are measured on, and how many of its tables
TICK = 0.5  # seconds between two looks at what is to be done
PREFIX = "class-"  # begins the name of every run of a class
UPLOADS = "uploads"  # folder of zips while they arrive
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingChoice:
    """A training that a guest requests. Raises BadInput for anything but the choices above."""

    length: int
    rows: int
    updates: int
    words: str = ""

    @classmethod
    def from_json(cls, values: JsonObject) -> "TrainingChoice":
        """Parse what a page sent."""
        for name, allowed in (("length", LENGTHS), ("rows", ROWS), ("updates", UPDATES)):
            if isinstance(values.get(name), bool) or values.get(name) not in allowed:
                raise BadInput(f"{name} can be {', '.join(map(str, allowed))}.")
        words = clean(values["words"], WORDS, "The text of words to begin with") if values.get("words") else ""
        return cls(int(values["length"]), int(values["rows"]), int(values["updates"]), words)

    @property
    def about(self) -> str:
        """Describe the choice in a few words."""
        rows = counted(self.rows, "row") if self.rows else "all rows"
        begins = f", from “{self.words}”" if self.words else ""
        return f"{counted(self.length, 'virtual token')}, {rows}, {counted(self.updates, 'update')}{begins}"


class Entries:
    """Takes in the prefixes of a class in `folder`, on one backbone. `context.store` also reads the class's runs."""

    def __init__(self, context: AppContext, board: Board, store: Store) -> None:
        self.context, self.board, self.store = context, board, store
        self.jobs = Jobs(store, context.models.device)
        self._taking = threading.Lock()  # one zip is unpacked at a time
        self._leaving: set[str] = set()  # runs that are to be deleted
        self._thread: threading.Thread | None = None

    @property
    def backbone(self) -> Backbone:
        """The model of all prefixes of the class."""
        return self.context.models.backbone(self.context.models.default)

    # ---- handed in

    def upload_limit(self) -> int:
        """The maximal size of a zip in bytes: a prefix of LENGTH virtual tokens, with its history."""
        return sum(self._limits().values())

    def _limits(self) -> dict[str, int]:
        size = 4 * stored_count(self.backbone.spec, LENGTH) + 100_000
        return {RUN_JSON: 64_000, WEIGHTS: size, HISTORY: 6 * size, STEPS_CSV: 2_000_000, SAMPLES: 1_000_000}

    def new_upload(self) -> Path:
        """Return a path for an arriving zip, in a new empty folder."""
        folder = self.store.folder.parent / UPLOADS
        folder.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=folder)) / "your.zip"  # its name stands in messages

    def take_zip(self, guest: Guest, file: Path) -> Entry:
        """Put a run's zip on the board. Raises BadInput with the reason if it is refused; then nothing of it is kept."""
        with self._taking:
            self.board.check_room(guest)
            run_id = self._free_id(guest)
            import_zip(file, self.store, run_id, self._limits())
            try:
                loaded = self._check(run_id)
                sizes = _sizes(loaded)
                length = counted(sizes["length"], "virtual token")
                about = f"{method_info(loaded.run.method).title}, {length}, handed in"
                return self.board.add_entry(guest, run_id, about=about, **sizes)
            except PrefixLabError:
                shutil.rmtree(self.store.folder / run_id, ignore_errors=True)
                raise

    def _check(self, run_id: str) -> LoadedRun:
        """Load a run that was handed in. Raises BadInput if it is not a prefix for the board."""
        try:
            loaded = self.context.models.load(run_id, self.backbone)
        except WrongBackbone:
            run, own = self.store.get(run_id), self.backbone.spec
            trained = f"on other weights of {run.backbone}" if run.backbone == own.name else f"on {run.backbone}"
            raise BadInput(
                f"This run was trained {trained}, and the class uses {own.name}. Hand in one that was trained on it."
            ) from None
        if loaded.prefix is None:
            raise BadInput(f"This run is of the method {loaded.run.method}. The board takes prefixes, which share one batch.")
        if loaded.prefix.length > LENGTH or loaded.prefix.shift > LENGTH:
            raise BadInput(f"This prefix has {loaded.prefix.length} virtual tokens, and the board takes up to {LENGTH}.")
        task = loaded.task
        if task.input_format != FORM:
            raise BadInput(f"This run reads inputs of the form {task.input_format!r}. The board compares texts from tables.")
        if len(task.lead + task.separator + task.target_lead + task.end) > LAYOUT:
            raise BadInput(f"This run puts more than {LAYOUT} characters around a table. Train one with the usual layout.")
        return loaded

    def train(self, guest: Guest, choice: TrainingChoice) -> Entry:
        """Queue a training for a guest. Raises Busy if the queue is full, BadInput if the guest is training already."""
        with self._taking:
            self.board.check_room(guest)
            if any(entry.guest == guest.id and entry.state == TRAINING for entry in self.board.entries()):
                raise BadInput("Your last training is not over. Wait for it, then train the next one.")
            if len(self.jobs.waiting()) >= QUEUE:
                raise Busy(f"{QUEUE} trainings are waiting already, which is the limit. Try again in some minutes.")
            run_id = self._free_id(guest)
            own: dict[str, object] = {"length": choice.length, "updates": choice.updates}
            own |= {"init_words": choice.words} if choice.words else {}
            request = TrainRequest(run_id, "demo", backbone=self.context.models.default, rows=choice.rows, own=own)
            entry = self.board.add_entry(guest, run_id, state=TRAINING, about=choice.about, length=choice.length)
            try:
                self.jobs.start(run_id, request.to_argv())
            except PrefixLabError:
                self.board.remove_entry(run_id)
                raise
            return entry

    def remove(self, run_id: str) -> None:
        """Remove a run from the board, and move it to the class's trash. A training is stopped first."""
        self.board.remove_entry(run_id)
        self.discard(run_id)

    def discard(self, run_id: str) -> None:
        """Stop a run that is no longer on the board, and move it to the class's trash, at a later `tick` if it is training."""
        try:
            self.jobs.stop(run_id)
            if self.jobs.state(run_id) in ("loading", "running", "finishing"):
                self._leaving.add(run_id)
                return
            if (self.store.folder / run_id).is_dir():
                delete(self.store, run_id)
            self.jobs.forget(run_id)
            self._leaving.discard(run_id)
        except PrefixLabError:
            self._leaving.add(run_id)

    def _free_id(self, guest: Guest) -> str:
        plain = unicodedata.normalize("NFKD", guest.name).encode("ascii", "ignore").decode()
        name = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "guest"
        ids = {run.id for run in self.context.store.runs()} | {entry.id for entry in self.board.entries()}
        ids |= {path.name for path in self.store.folder.glob("*")} | {job.run for job in self.jobs.jobs()}
        return next(each for number in range(1, 10_000) if (each := f"{PREFIX}{name}-{number}") not in ids)

    # ---- what goes on in the background

    def start(self) -> None:
        """Follow trainings and compute scores until the app ends."""
        self._thread = threading.Thread(target=self._attend, name="class", daemon=True)
        self._thread.start()
        if self.jobs.jobs():
            self.jobs.keep_going()

    def _attend(self) -> None:
        tick = tolerant(self.tick, "following the trainings and scores of the class")
        while True:
            tick()
            time.sleep(TICK)

    def tick(self) -> None:
        """Handle every training that has ended, and score one prefix."""
        for run_id in [*self._leaving]:
            self.discard(run_id)
        for entry in self.board.entries():
            if entry.state == TRAINING:
                self._follow(entry)
        waiting = [entry for entry in self.board.entries() if entry.state == SCORING]
        if waiting:
            self._score(waiting[0])

    def _follow(self, entry: Entry) -> None:
        state = self.jobs.state(entry.id)
        if state == "queued":
            ahead = len(self.jobs.ahead(entry.id))
            note = f"waiting for {counted(ahead, 'training')}" if ahead else "about to begin"
        elif state in ("loading", "running", "finishing"):
            note = "in training…"
        elif state in ("done", "cancelled"):
            self._trained(entry)
            return
        else:
            self.board.update_entry(entry.id, state=FAILED, note="The training failed. Train again, or ask the presenter.")
            return
        if note != entry.note:
            self.board.update_entry(entry.id, note=note)

    def _trained(self, entry: Entry) -> None:
        try:
            values = {"state": SCORING, "note": ""} | _sizes(self._check(entry.id))
        except Exception as error:
            values = {"state": FAILED, "note": _sentence(error)}
        self.board.update_entry(entry.id, **values)

    def _score(self, entry: Entry) -> None:
        try:
            values = {"state": READY, "note": ""} | self.scores(entry.id)
        except Exception as error:
            values = {"state": FAILED, "note": _sentence(error)}
        self.board.update_entry(entry.id, **values)

    def scores(self, run_id: str) -> JsonObject:
        """Return coverage, BLEU and unsupported statements on the hidden rows, rounded."""
        examples = hidden_rows()
        *_, texts = write_texts(self.context, self.backbone, [(run_id, each.source) for each in examples], "scores")
        if failed := next((text for text in texts if text.state != "written"), None):
            raise BadInput(failed.note)
        scores = scored("records", [text.text for text in texts], examples, FORM).scores
        values = {"coverage": scores["Coverage"].value, "bleu": scores["BLEU"].value, "unsupported": scores["Unsupported"].value}
        return {name: round(value, 1) for name, value in values.items()} | {"rows": len(examples)}


def _sentence(error: Exception) -> str:
    """Return the public reason why a prefix is refused; messages with paths or names of other runs go to the log only."""
    if isinstance(error, BadInput):
        return str(error)
    log.error("a prefix of the class cannot be used", exc_info=error)
    return "This prefix could not be used; the presenter's terminal says why."


def _sizes(loaded: LoadedRun) -> JsonObject:
    assert loaded.prefix is not None
    return {"length": loaded.prefix.length, "stored": loaded.prefix.parameters, "bytes": loaded.run.bytes}


@cache
def hidden_rows() -> tuple[Example, ...]:
    """Return bundled tables with references on which the app trains nothing: first those of the trained topics, then others."""
    examples = group_by_source(DataSource("records").load_split(HIDDEN, []))
    trained, others = ([each for each in examples if each.seen is seen] for seen in (True, False))
    return (*trained, *sample_evenly(others, max(1, HIDDEN_ROWS - len(trained))))
