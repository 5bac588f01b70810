"""Which runs and tasks the page offers for a backbone, and why others do not fit."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.shared.model_pool import ModelPool
from core import paths
from core.config.methods import METHODS, method_info
from core.models.backbone import Backbone
from core.models.locate import DEFAULTS, bundled
from core.runs.run import Run
from core.runs.store import Store
from core.task import SUMMARIZATION, task

HUB = ("distilgpt2", "gpt2", "gpt2-medium", "gpt2-large")  # fetched on demand; offered so that it is seen that names work
DOMAINS = {
    "e2e": "restaurants",
    "tables": "tables of many topics",
    "webnlg": "WebNLG's facts",
    "dart": "DART's facts",
    "summarization": "news articles",
}
PREFIX_METHODS = tuple(name for name in METHODS if method_info(name).virtual_tokens)
USABLE = ("done", "cancelled")  # the status of a run that can be used


@dataclass(frozen=True)
class RunChoice:
    """A run in a column's list.

    `reason`: why it cannot be chosen; `domain`: its training data, if it can be chosen but the page has something else. Both
    are empty for a run that fits.
    """

    run: Run
    reason: str = ""
    domain: str = ""


class RunCatalog:
    """The runs of a store, and which backbone of a pool each of them fits."""

    def __init__(self, store: Store, models: ModelPool) -> None:
        self.store, self._models = store, models

    def backbone_names(self) -> list[tuple[str, str]]:
        """Return the backbones to offer as (label, name): default, bundled, loaded, those of runs in folders, and some hub names.

        The label of a folder is its last path component, or the whole path if that is not unique.
        """
        folders = [run.backbone_path for run in self.store.runs() if Path(run.backbone_path).is_absolute()]
        here = dict.fromkeys([self._models.default, *bundled(), *self._models.loaded(), *filter(os.path.isdir, folders)])
        last = [Path(name).name for name in here]
        labels = [(Path(name).name if os.path.isdir(name) and last.count(Path(name).name) == 1 else name, name) for name in here]
        return labels + [(f"{name} (hub)", name) for name in HUB if name not in here]

    def _tasks(self, name: str, runs: Sequence[Run]) -> set[str]:
        """Return the tasks of a backbone: those of its runs, and its family's own; by its name if it is not loaded."""
        if loaded := self._models.get(name):
            own = {SUMMARIZATION} if loaded.is_encoder_decoder else set()
            return own | {run.task.name for run in runs if not mismatch(run, loaded)}
        own = {SUMMARIZATION} if name == DEFAULTS["article"] and name in bundled() else set()
        return own | {run.task.name for run in self.trained_on(name, runs)}

    def trained_on(self, name: str, runs: Sequence[Run] | None = None) -> list[Run]:
        """Return the store's finished runs on a backbone, which need not be loaded."""
        runs = self.store.runs() if runs is None else runs
        return [run for run in runs if is_trained_on(run, name) and run.status in USABLE]

    def tasks_elsewhere(self, name: str) -> dict[str, str]:
        """Return tasks that need another backbone, each with one that has it: a loaded one, the page's first, or a bundled one.

        Summarization is always among them, though its backbone may be missing.
        """
        backbones: dict[str, str] = {}
        runs = self.store.runs()
        for other in dict.fromkeys([*reversed(self._models.loaded()), self._models.default, *bundled()]):
            for one in self._tasks(other, runs) if other != name else ():
                backbones.setdefault(one, other)
        backbones.setdefault(SUMMARIZATION, DEFAULTS["article"])
        own = self._tasks(name, runs)
        return {one: other for one, other in sorted(backbones.items()) if one not in own}

    def backbone_for(self, task: str, name: str) -> str:
        """Return the backbone for a task: `name` if it has it, or if no other does."""
        return self.tasks_elsewhere(name).get(task, name)

    def choices(self, methods: Sequence[str], backbone: Backbone, task: str = "") -> list[RunChoice]:
        """Return the runs of some methods, those that fit first; the others have the reason why they do not."""
        listed = [RunChoice(run, mismatch(run, backbone)) for run in self.store.runs() if run.method in methods]
        return for_task(listed, task)

    def usable(self, methods: Sequence[str], backbone: Backbone) -> list[Run]:
        """Return the runs of some methods that can be chosen on a backbone."""
        return [choice.run for choice in self.choices(methods, backbone) if not choice.reason]

    def input_format(self, name: str) -> str:
        """Return a task's input format: that of its first run, else by its name."""
        run = next((run for run in self.store.runs() if run.task.name == name), None)
        return run.task.input_format if run else task(name).input_format


def for_task(listed: Sequence[RunChoice], task: str) -> list[RunChoice]:
    """Sort choices for a task ("" for any): those trained on it, those of other tasks, then those that cannot be chosen."""
    choices = [
        replace(choice, domain=domain(choice.run)) if task and not choice.reason and choice.run.task.name != task else choice
        for choice in listed
    ]
    return sorted(choices, key=lambda choice: (bool(choice.reason), bool(choice.domain)))


def domain(run: Run) -> str:
    """Describe a run's training data in a few words."""
    return f"trained on {DOMAINS.get(run.task.name, f'the task {run.task.name}')}"


def is_trained_on(run: Run, name: str) -> bool:
    """Whether a run was trained on a backbone, by the folder's whole path if that is known, else by its last component."""
    if run.backbone_path:
        return run.backbone_path in (name, str(Path(name).resolve()), str((paths.MODELS / name).resolve()))
    return run.backbone == (Path(name).name if Path(name).is_dir() else name)


def mismatch(run: Run, backbone: Backbone) -> str:
    """Say in a few words why a run does not fit a backbone; "" if it does."""
    spec = backbone.spec
    if run.fingerprint != spec.fingerprint:
        same = run.backbone == spec.name
        return f"trained on other weights of {run.backbone}" if same else f"trained on {run.backbone}, not on {spec.name}"
    if run.status not in USABLE:
        return f"its training {run.status}"
    return ""
