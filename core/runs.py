"""Load a run back onto its backbone; note its scores."""

import copy
import json
from dataclasses import dataclass

from safetensors.torch import load_file
from torch import nn

from core.backbone import Backbone
from core.errors import BadInput, NotSupported, WrongBackbone
from core.methods.table import METHODS
from core.prefix import Prefix, check_shape
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
        prefix = Prefix.load(run.weights, run.backbone, run.fingerprint)
        check_shape(prefix, backbone.spec, f"The run {run.id!r}")
        return LoadedRun(run, backbone.model, prefix, run.task)
    if run.method not in METHODS:
        raise NotSupported(f"The run {run.id!r} is of the method {run.method!r}. Known: {', '.join(METHODS)}. Give one of those.")
    return LoadedRun(run, _tuned(run, backbone), None, run.task)


def _tuned(run: Run, backbone: Backbone) -> nn.Module:
    """A copy of the backbone with the run's own weights; BadInput where they are damaged or not those of such a model."""
    model, do = copy.deepcopy(backbone.model), "Train the run again, or restore the file."
    try:
        weights = load_file(run.weights)
        missing = model.load_state_dict(weights, strict=False).missing_keys
    except Exception as error:  # safetensors raises its own class; torch lists every tensor that does not fit
        said = " ".join(line.strip() for line in str(error).strip().splitlines()[:2])
        raise BadInput(f"The weights of {run.id!r} cannot be read ({said}). {do}") from error
    if not all(weight.isfinite().all() for weight in weights.values()):
        raise BadInput(f"The weights of {run.id!r} hold NaN or infinity. {do}")
    tied = set(dict(model.named_parameters()))
    if any(name in tied for name in missing):
        raise BadInput(f"The weights of {run.id!r} lack {missing[0]!r}. {do}")
    return model


def add_scores(run: Run, split: str, scores: dict[str, dict]) -> Run:
    """Note scores under `scores.<split>.<METRIC>` in run.json."""
    path = run.folder / "run.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values.setdefault("scores", {}).setdefault(split, {}).update(scores)
    write_json(path, values)
    run.scores.setdefault(split, {}).update(scores)
    return run
