"""The record of a finished run, as stored in run.json."""

import json
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Required, Self, TypedDict

from core.backbone_spec import BackboneSpec
from core.runs.layout import JsonObject, RunFiles, locked, write_json
from core.task import Task

WAIT = 10  # seconds for another process that changes the same run.json
NEXT = "renamed"  # field of run.json: the id that the run is being given


class ScoreRecord(TypedDict, total=False):
    """A corpus value: `low` and `high` bound its 95 % interval over resampled rows; `sd` is over several seeds."""

    value: Required[float]
    n: int
    signature: str
    higher_is_better: bool
    low: float
    high: float
    sd: float
    decoding: JsonObject


Scores = dict[str, ScoreRecord]  # by metric


@dataclass(frozen=True)
class Run:
    """A run. `trained` and `stored` count parameters, `bytes` is the size of weights.safetensors, `seconds` the training time.

    `status`: "done", "cancelled" or "failed"; `scores[split][metric]`: see `add_scores`. `backbone_path`: the absolute path of
    a folder, or a hub name, whose commit is `backbone_revision`; both are empty in runs of older versions.
    """

    id: str
    folder: Path
    bundled: bool
    status: str
    backbone: str
    fingerprint: str
    method: str
    task: Task
    config: dict[str, object]
    trained: int
    stored: int
    bytes: int
    seconds: float
    created: str
    device: str
    seed: int
    command: str
    updates: int = 0
    rows: int = 0
    valid_loss: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    scores: dict[str, Scores] = field(default_factory=dict)
    notes: str = ""
    backbone_path: str = ""
    backbone_revision: str = ""

    @classmethod
    def new(cls, folder: Path, spec: BackboneSpec, method: str, task: Task, config: dict[str, object], **values: object) -> Self:
        """Create the record of a run made now, on this machine; its id is the folder's name.

        `values`: the fields that differ from the defaults.
        """
        defaults: JsonObject = {
            "id": folder.name,
            "bundled": False,
            "status": "done",
            "trained": 0,
            "stored": 0,
            "bytes": 0,
            "seconds": 0.0,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "device": "cpu",
            "seed": 0,
            "command": "",
            "versions": {name: version(name) for name in ("torch", "transformers")},
        }
        of_model = {"backbone": spec.name, "fingerprint": spec.fingerprint}
        of_model |= {"backbone_path": spec.where, "backbone_revision": spec.revision}
        return cls(**defaults | of_model | {"folder": folder, "method": method, "task": task, "config": config} | values)

    @property
    def files(self) -> RunFiles:
        """The paths of its files."""
        return RunFiles(self.folder)

    @property
    def weights(self) -> Path:
        """The file of trained tensors."""
        return self.files.weights

    @property
    def backbone_source(self) -> str:
        """The argument with which `load_backbone` loads the run's backbone: an absolute path, or a hub name with its revision."""
        revision = f"@{self.backbone_revision}" if self.backbone_revision else ""
        return (self.backbone_path or self.backbone) + revision

    def to_json(self) -> dict[str, object]:
        """The content of run.json."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("folder", "bundled")}
        return values | {"task": self.task.to_dict()}

    def save(self) -> None:
        """Write run.json, which makes the run complete."""
        write_json(self.files.run_json, self.to_json())


def command_words(command: str) -> list[str]:
    """Split a run's command into its words; one with a quotation mark that is not closed, which no verb writes, at its spaces."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def update_run_json(folder: Path, **values: object) -> None:
    """Change some fields of a run.json. A note of `name_next` on a rename under way is dropped. Raises StoreError."""
    _change_run_json(folder, lambda known: values)


def _change_run_json(folder: Path, change: Callable[[JsonObject], JsonObject]) -> None:
    """Replace the fields of a run.json that `change` returns; another process that does the same waits meanwhile."""
    path = RunFiles(folder).run_json
    with locked(folder, WAIT):
        known = json.loads(path.read_text(encoding="utf-8"))
        write_json(path, {name: value for name, value in known.items() if name != NEXT} | change(known))


def name_next(folder: Path, new: str) -> None:
    """Note in a run.json the id that its folder is about to get: after a kill on the way, the run is read under either name."""
    update_run_json(folder, **{"id": folder.name, NEXT: new})


def add_scores(run: Run, split: str, scores: Scores) -> Run:
    """Store the scores of a split as `scores.<split>.<METRIC>` in run.json, in place of those that the split had: they are of
    one set of texts. Raises StoreError."""
    _change_run_json(run.folder, lambda known: {"scores": known.get("scores", {}) | {split: scores}})
    run.scores[split] = scores
    return run
