"""Load a run on its backbone."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from core.config.methods import TEXT_PREFIX
from core.errors import WrongBackbone
from core.methods.registry import method_class
from core.models.activations import text_prefix
from core.models.backbone import Backbone
from core.prefix.prefix import Prefix
from core.runs.run import Run
from core.task import Task

TEXT_RUN = "text:"  # begins the id of a run that is a typed text


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A run ready to generate: the model to call (the shared backbone, or its own copy), and its prefix where it has one."""

    run: Run
    model: nn.Module
    prefix: Prefix | None
    task: Task


def load_run(run: Run, backbone: Backbone) -> LoadedRun:
    """Load a run on its backbone.

    WrongBackbone where the weights' fingerprints differ, NotSupported for an unknown method, BadInput for a damaged file.
    """
    if run.fingerprint != backbone.spec.fingerprint:
        raise WrongBackbone(
            f"The run {run.id!r} was trained on {run.backbone} ({run.fingerprint}); "
            f"loaded is {backbone.spec.name} ({backbone.spec.fingerprint}). "
            f"Load {run.backbone}, or train a run on {backbone.spec.name}."
        )
    loaded = method_class(run).load(run, backbone)
    return LoadedRun(run, loaded.model, loaded.prefix, run.task)


def text_run(text: str, backbone: Backbone) -> LoadedRun:
    """Return any text as a run: an untrained prefix (`text_prefix`). Its id is TEXT_RUN + the text.

    A text that does not end with white space gets a line of its own before the input.
    """
    prefix = text_prefix(backbone, end_line(text))
    spec, config = backbone.spec, {"length": prefix.length}
    run = Run(
        id=TEXT_RUN + text, folder=Path(), bundled=False, status="done", backbone=spec.name, fingerprint=spec.fingerprint,
        method=TEXT_PREFIX.id, task=Task(), config=config, trained=0, stored=prefix.parameters, bytes=4 * prefix.parameters,
        seconds=0.0, created="", device=backbone.device.type, seed=0, command="",
    )  # fmt: skip
    return LoadedRun(run, backbone.model, prefix, run.task)


def end_line(text: str) -> str:
    """Add a line break to a text that does not end with white space."""
    return text if not text.strip() or text[-1].isspace() else text + "\n"
