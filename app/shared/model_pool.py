"""What is loaded: backbones, and runs on them. One of it serves every page; it is never copied into a page's state.

A backbone is shared by all its prefixes. A fine-tuned run is a whole copy of the weights, so few of those are kept.
"""

import gc
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from app.shared.last_comparison import Subjects
from core.errors import PrefixLabError
from core.methods.loading import TEXT, LoadedRun, load_run, text_run
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
        self._backbones: OrderedDict[str, Backbone] = OrderedDict()
        self._runs: OrderedDict[tuple[str, str], LoadedRun] = OrderedDict()
        self.subjects = Subjects()
        self.on_drop: list[Callable[[str], None]] = []  # told the fingerprint of a backbone that is forgotten
        self._shown: OrderedDict[str, str] = OrderedDict()  # page -> the backbone it shows
        self._newest: dict[str, int] = {}
        self._stopped: dict[str, int] = {}

    def work(self, job: Callable[..., Result], *given) -> Result:
        """Run a job on the one thread that owns the device, and wait for it. Texts are written between jobs: keep each short.

        The web server takes any of its threads for each step, and every thread that touches torch starts a team of
        its own: with one thread a step costs what it should, and no two steps overlap.
        """
        return self.engine.run(job, *given)

    def names(self) -> list[tuple[str, str]]:
        """Backbones to offer as (shown, name): the default, bundled, loaded and some hub names; a folder shows its last part."""
        here = dict.fromkeys([self.default, *bundled(), *self._backbones])
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
        if name not in self._backbones:
            self._backbones[name] = load_backbone(name, self.device)
        self._backbones.move_to_end(name)
        while len(self._backbones) > BACKBONES_KEPT:
            self._drop(next(iter(self._backbones)))
        return self._backbones[name]

    def _drop(self, name: str) -> None:
        """Forget a backbone with the runs on it, and all that was computed with it."""
        fingerprint = self._backbones.pop(name).spec.fingerprint
        for key in [key for key in self._runs if key[1] == fingerprint]:
            del self._runs[key]
        for forget in self.on_drop:
            forget(fingerprint)

    def show(self, page: str, name: str) -> Backbone:
        """The backbone that a page shows from now on; errors of `backbone`. Those that no page shows give their memory back."""
        before = self._shown.get(page)
        self._shown[page] = name  # before it is loaded, so that no other page's change takes it away
        try:
            found = self.backbone(name)
        except PrefixLabError:
            self._shown[page] = before or name
            raise
        self._shown.move_to_end(page)
        while len(self._shown) > PAGES_KNOWN:
            self._shown.popitem(last=False)
        if set(self._backbones) - set(self._shown.values()):
            self.work(self._give_back)
        return found

    def leave(self, page: str) -> None:
        """A page was closed. What it showed stays until another backbone is shown: a reload comes back to it."""
        self._shown.pop(page, None)

    def _give_back(self) -> None:
        for name in [name for name in self._backbones if name not in self._shown.values()]:
            self._drop(name)
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
        for other in dict.fromkeys([*reversed(self._backbones), self.default, *bundled()]):
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
        if run_id.startswith(TEXT):
            return self._runs.get(key) or self._keep(key, text_run(run_id.removeprefix(TEXT), backbone))
        run = self.store.get(run_id)
        if key not in self._runs or self._runs[key].run.created != run.created:  # trained anew under the same name
            return self._keep(key, load_run(run, backbone))
        return self._keep(key, self._runs[key])

    def _keep(self, key: tuple[str, str], loaded: LoadedRun) -> LoadedRun:
        """Loaded runs by when they were used: whole models beyond a few, and prefixes beyond some memory, are forgotten."""
        self._runs[key] = loaded
        self._runs.move_to_end(key)
        models = held = 0
        for place, kept in reversed(list(self._runs.items())):
            models, held = models + (kept.prefix is None), held + (kept.prefix.parameters * 4 if kept.prefix else 0)
            if models > MODELS_KEPT if kept.prefix is None else held > PREFIX_BYTES:
                del self._runs[place]
        return loaded

    def choices(self, methods: Sequence[str], backbone: Backbone, task: str = "") -> list[Choice]:
        """Runs of some methods, those that fit first; the others say why they do not."""
        listed = [Choice(run, unfit(run, backbone)) for run in self.store.runs() if run.method in methods]
        return of_task(listed, task)

    def form(self, name: str) -> str:
        """What the sources of a task are: as its first run says, else as its name does."""
        run = next((run for run in self.store.runs() if run.task.name == name), None)
        return run.task.form if run else task(name).form

    def ask(self, page: str) -> int:
        """A page asks for a new run; its number. What the page asked for before is no longer wanted."""
        self._newest[page] = self._newest.get(page, 0) + 1
        return self._newest[page]

    def stop(self, page: str) -> None:
        """A page stops what it asked for, begun or still waiting."""
        self._stopped[page] = self._newest.get(page, 0)

    def is_stopped(self, page: str, ticket: int) -> bool:
        """Whether run `ticket` was stopped, or a newer one was asked for."""
        return self._stopped.get(page, 0) >= ticket or self.is_stale(page, ticket)

    def is_stale(self, page: str, ticket: int) -> bool:
        """Whether the page has asked for something newer than `ticket`."""
        return self._newest.get(page, 0) > ticket


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
