"""What is loaded: backbones, and runs on them. One of it serves every page; it is never copied into a page's state.

A backbone is shared by all its prefixes. A fine-tuned run is a whole copy of the weights, so few of those are kept.
"""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from app.shared.cache import Cache
from app.shared.last_comparison import Subjects
from app.shared.status import StatusLine
from app.shared.tickets import Tickets
from core.errors import PrefixLabError
from core.methods.loading import TEXT_RUN, LoadedRun, load_run, text_run
from core.models.backbone import DEFAULT, DEFAULTS, Backbone, bundled, fetch, load_backbone
from core.runs.store import Run, Store, store
from core.serving.engine import Engine
from core.task import SUMMARIZATION, task

HUB = ("distilgpt2", "gpt2", "gpt2-medium", "gpt2-large")  # fetched on demand; offered so that it is seen that names work
MODEL, PAGES = "model", 24  # all events that use a model: so many at a time, each of them holds a thread of the web server
BACKBONES_KEPT = 2
MODELS_KEPT = 3  # runs with weights of their own
PAGES_KNOWN = 64  # open ones whose backbone is kept for them
PREFIX_BYTES = 256_000_000  # of prefixes: about 460 of the bundled model's, each of 30 virtual tokens

READY = ("done", "cancelled")  # a run that can be shown

Result = TypeVar("Result")
RunKey = tuple[str, str]  # a run's id, and the fingerprint of the backbone that it is loaded on


@dataclass(frozen=True)
class Choice:
    """A run as a column lists it; `reason` says why it cannot be chosen, and is empty where it can."""

    run: Run
    reason: str = ""


def _leave_a_core() -> None:
    """To the page: torch's threads spin while they wait, and a browser beside them makes each step several times slower."""
    torch.set_num_threads(max(1, torch.get_num_threads() - 1))


class Lab:
    """Loads on demand, keeps the last few, and remembers what each page asked for last and what it stopped."""

    def __init__(self, default: str = DEFAULT, device: str = "auto", runs: Store | None = None) -> None:
        self.default, self.device = default, device
        self.store = runs or store()
        self.engine = Engine(prepare=_leave_a_core)
        self._backbones: Cache[str, Backbone] = Cache(BACKBONES_KEPT, on_evict=self._dropped)
        self._prefixes: Cache[RunKey, LoadedRun] = Cache(PREFIX_BYTES, getsizeof=_prefix_bytes)
        self._models: Cache[RunKey, LoadedRun] = Cache(MODELS_KEPT)
        self._shown: Cache[str, str] = Cache(PAGES_KNOWN)  # page -> the backbone it shows
        self.subjects = Subjects()
        self.tickets = Tickets()
        self.status = StatusLine()
        self.on_drop: list[Callable[[str], None]] = []  # called with the fingerprint of a backbone that is dropped

    def work(self, job: Callable[..., Result], *given) -> Result:
        """Run a job on the one thread that owns the device, and wait for it. Texts are written between jobs: keep each short.

        The web server takes any of its threads for each step, and every thread that touches torch starts a team of
        its own: with one thread a step costs what it should, and no two steps overlap.
        """
        return self.engine.run(job, *given)

    def names(self) -> list[tuple[str, str]]:
        """Backbones to offer as (shown, name): the default, bundled, loaded and some hub names; a folder shows its last part."""
        here = dict.fromkeys([self.default, *bundled(), *self._loaded()])
        shown = [(Path(name).name if Path(name).is_dir() else name, name) for name in here]
        return shown + [(f"{name} (hub)", name) for name in HUB if name not in here]

    def is_loaded(self, name: str) -> bool:
        """Whether `backbone(name)` returns at once."""
        return name in self._backbones

    def is_here(self, name: str) -> bool:
        """Whether a backbone is on this machine for sure; another name may have to be fetched."""
        return name in bundled() or Path(name).expanduser().is_dir()

    def backbone(self, name: str) -> Backbone:
        """Load a backbone, or return the one that is there; errors of `load_backbone`.

        A download takes minutes, and so goes on beside the model's work, not in between.
        """
        if name not in self._backbones:
            fetch(name)
        return self.work(self._backbone, name)

    def _backbone(self, name: str) -> Backbone:
        backbone = self._backbones.get(name) or load_backbone(name, self.device)
        self._backbones.put(name, backbone)
        return backbone

    def _loaded(self) -> list[str]:
        """The names of the loaded backbones, the one used last at the end."""
        return [name for name, _ in self._backbones.items()]

    def _dropped(self, name: str, backbone: Backbone) -> None:
        """Forget a backbone's runs too, and all that was computed with it."""
        fingerprint = backbone.spec.fingerprint
        for runs in (self._prefixes, self._models):
            runs.remove_if(lambda key: key[1] == fingerprint)
        for forget in self.on_drop:
            forget(fingerprint)

    def show(self, page: str, name: str) -> Backbone:
        """The backbone that a page shows from now on; errors of `backbone`. Those that no page shows give their memory back."""
        before = self._shown.get(page)
        self._shown.put(page, name)  # before it is loaded, so that no other page's change takes it away
        try:
            backbone = self.backbone(name)
        except PrefixLabError:
            self._shown.put(page, before or name)
            raise
        if self._unused():
            self.work(self._give_back)
        return backbone

    def leave(self, page: str) -> None:
        """A page was closed. What it showed stays until another backbone is shown: a reload comes back to it."""
        self._shown.pop(page)

    def _unused(self) -> list[str]:
        shown = {name for _, name in self._shown.items()}
        return [name for name in self._loaded() if name not in shown]

    def _give_back(self) -> None:
        for name in self._unused():
            if backbone := self._backbones.pop(name):
                self._dropped(name, backbone)
        gc.collect()  # a model is full of circles
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _tasks(self, name: str, runs: Sequence[Run]) -> set[str]:
        """What a backbone can be shown with: the tasks of its runs, and its family's own. If it is not loaded, by its name."""
        if loaded := self._backbones.get(name):
            own = {SUMMARIZATION} if loaded.opening is not None else set()
            return own | {run.task.name for run in runs if not unfit(run, loaded)}
        own = {SUMMARIZATION} if name == DEFAULTS["article"] and name in bundled() else set()
        return own | {run.task.name for run in self.on(name, runs)}

    def on(self, name: str, runs: Sequence[Run] | None = None) -> list[Run]:
        """The runs (of the store) that can be shown and say that they were trained on a backbone, which need not be loaded."""
        called = Path(name).name if Path(name).is_dir() else name
        return [run for run in (self.store.runs() if runs is None else runs) if run.backbone == called and run.status in READY]

    def elsewhere(self, name: str) -> dict[str, str]:
        """Tasks that a backbone cannot be shown with, and one that can: loaded, the page's first, or bundled.

        Summarization is always among them, though its backbone may be missing.
        """
        found: dict[str, str] = {}
        runs = self.store.runs()
        for other in dict.fromkeys([*reversed(self._loaded()), self.default, *bundled()]):
            for one in self._tasks(other, runs) if other != name else ():
                found.setdefault(one, other)
        found.setdefault(SUMMARIZATION, DEFAULTS["article"])
        own = self._tasks(name, runs)
        return {one: other for one, other in sorted(found.items()) if one not in own}

    def home(self, task: str, name: str) -> str:
        """The backbone to show a task with: `name` where it can, or where none else can."""
        return self.elsewhere(name).get(task, name)

    def load(self, run_id: str, backbone: Backbone) -> LoadedRun:
        """Put a run on a backbone, or return the one that is there; errors of `load_run` and the store."""
        return self.work(self._load, run_id, backbone)

    def _load(self, run_id: str, backbone: Backbone) -> LoadedRun:
        key = (run_id, backbone.spec.fingerprint)
        loaded = self._prefixes.get(key) or self._models.get(key)
        if run_id.startswith(TEXT_RUN):
            loaded = loaded or text_run(run_id.removeprefix(TEXT_RUN), backbone)
        else:
            run = self.store.get(run_id)
            if loaded is None or loaded.run.created != run.created:  # trained anew under the same name
                loaded = load_run(run, backbone)
        (self._models if loaded.prefix is None else self._prefixes).put(key, loaded)
        return loaded

    def choices(self, methods: Sequence[str], backbone: Backbone, task: str = "") -> list[Choice]:
        """Runs of some methods, those that fit first; the others say why they do not."""
        listed = [Choice(run, unfit(run, backbone)) for run in self.store.runs() if run.method in methods]
        return of_task(listed, task)

    def form(self, name: str) -> str:
        """What the sources of a task are: as its first run says, else as its name does."""
        run = next((run for run in self.store.runs() if run.task.name == name), None)
        return run.task.form if run else task(name).form


def _prefix_bytes(loaded: LoadedRun) -> int:
    return loaded.prefix.parameters * 4 if loaded.prefix else 0


def of_task(listed: Sequence[Choice], task: str) -> list[Choice]:
    """The same choices for a task ("" for any), those that fit first; runs of other tasks say so."""
    told = []
    for choice in listed:
        other = task and not choice.reason and choice.run.task.name != task
        told.append(Choice(choice.run, f"its task is {choice.run.task.name}") if other else choice)
    return sorted(told, key=lambda choice: bool(choice.reason))


def unfit(run: Run, backbone: Backbone) -> str:
    """Why a run cannot stand on a backbone, in a few words; empty where it can."""
    spec = backbone.spec
    if run.fingerprint != spec.fingerprint:
        same = run.backbone == spec.name
        return f"trained on other weights of {run.backbone}" if same else f"trained on {run.backbone}, not on {spec.name}"
    if run.status not in READY:
        return f"its training {run.status}"
    return ""
