"""Load a run back onto its backbone; note its scores."""

import copy
import json
from dataclasses import dataclass

from safetensors.torch import load_file
from torch import nn

from core.backbone import Backbone
from core.errors import BadInput, WrongBackbone
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
    if run.method == "prefix":
        return LoadedRun(run, backbone.model, Prefix.load(run.weights, run.backbone, run.fingerprint), run.task)
    model = copy.deepcopy(backbone.model)
    try:
        missing = model.load_state_dict(load_file(run.weights), strict=False).missing_keys
    except Exception as error:  # safetensors raises its own class
        raise BadInput(
            f"The weights of {run.id!r} cannot be read ({error}). Train the run again, or restore the file."
        ) from error
    tied = set(dict(model.named_parameters()))
    if any(name in tied for name in missing):
        raise BadInput(f"The weights of {run.id!r} lack {missing[0]!r}. Train the run again, or restore the file.")
    return LoadedRun(run, model, None, run.task)


def add_scores(run: Run, split: str, scores: dict[str, dict]) -> Run:
    """Note scores under `scores.<split>.<METRIC>` in run.json."""
    path = run.folder / "run.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values.setdefault("scores", {}).setdefault(split, {}).update(scores)
    write_json(path, values)
    run.scores.setdefault(split, {}).update(scores)
    return run
