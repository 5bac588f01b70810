"""Load a run back onto its backbone; note its scores."""

import json
from dataclasses import dataclass

from torch import nn

from core.backbone import Backbone
from core.errors import NotSupported, WrongBackbone
from core.methods.table import METHODS
from core.prefix import Prefix
from core.store import Run, write_json
from core.tasks import Task


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A run ready to generate: the model to call (the shared backbone, or its own copy) and its prefix, if it has one."""

    run: Run
    model: nn.Module
    prefix: Prefix | None
    task: Task


def load_run(run: Run, backbone: Backbone) -> LoadedRun:
    """Put a run on its backbone; WrongBackbone names both where the weights' fingerprints differ."""
    if run.fingerprint != backbone.spec.fingerprint:
        raise WrongBackbone(
            f"The run {run.id!r} was trained on {run.backbone} ({run.fingerprint}); "
            f"loaded is {backbone.spec.name} ({backbone.spec.fingerprint}). "
            f"Load {run.backbone}, or train a run on {backbone.spec.name}."
        )
    if run.method not in METHODS:
        raise NotSupported(f"The run {run.id!r} is of the method {run.method!r}. Known: {', '.join(METHODS)}. Give one of those.")
    served = METHODS[run.method].served(run, backbone)
    return LoadedRun(run, served.model, served.prefix, run.task)


def add_scores(run: Run, split: str, scores: dict[str, dict]) -> Run:
    """Note scores under `scores.<split>.<METRIC>` in run.json."""
    path = run.folder / "run.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values.setdefault("scores", {}).setdefault(split, {}).update(scores)
    write_json(path, values)
    run.scores.setdefault(split, {}).update(scores)
    return run
