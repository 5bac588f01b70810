"""Load a run on its backbone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.config.methods import MIX_RUN, TEXT_PREFIX
from core.errors import BadInput, WrongBackbone
from core.methods.registry import check_split, method_class
from core.models.activations import text_prefix
from core.models.backbone import Backbone
from core.prefix.mix import MIX, Mix, apply_to, mix_prefixes
from core.prefix.prefix import Prefix
from core.runs.run import Run
from core.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TEXT_RUN = "text:"  # begins the id of a run that is a typed text
UNSTORED = (TEXT_RUN, MIX)  # begin the ids of runs that no store holds


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A run that is ready to generate: the model to call (the shared backbone, or its own copy), and its prefix, if any."""

    run: Run
    model: "PreTrainedModel"
    prefix: Prefix | None
    task: Task


def load_run(run: Run, backbone: Backbone) -> LoadedRun:
    """Load a run on its backbone.

    Raises WrongBackbone if the fingerprints of the weights differ, NotSupported for an unknown method, BadInput for a damaged
    file.
    """
    if run.fingerprint != backbone.spec.fingerprint:
        raise WrongBackbone(
            f"The run {run.id!r} was trained on {run.backbone} ({run.fingerprint}); "
            f"loaded is {backbone.spec.name} ({backbone.spec.fingerprint}). "
            f"Load {run.backbone}, or train a run on {backbone.spec.name}."
        )
    check_split(backbone, run.method)
    loaded = method_class(run).load(run, backbone)
    return LoadedRun(run, loaded.model, loaded.prefix, run.task)


def text_run(text: str, backbone: Backbone) -> LoadedRun:
    """Return a text as a run: an untrained prefix (`text_prefix`) whose id is TEXT_RUN + the text.

    A text that does not end with white space gets a line break, so that the input starts on a new line.
    """
    return _unstored(TEXT_RUN + text, TEXT_PREFIX.id, text_prefix(backbone, end_line(text)), Task(), backbone, created="")


def mix_run(mix: Mix, members: Sequence[LoadedRun], backbone: Backbone, path: Sequence[tuple[int, Prefix]]) -> LoadedRun:
    """Return a mix of loaded runs as a run whose id is the mix's name. `path`: see `mix_prefixes`, whose errors it raises.

    Its task is that of the member with the greatest weight; among equals, of the first trained one.
    """
    prefixes = [member.prefix for member in members if member.prefix is not None]
    if len(prefixes) < len(members):
        names = ", ".join(member.run.id for member in members if member.prefix is None)
        raise BadInput(f"{names} has no virtual tokens to mix. Choose runs that are prefixes.")
    steps = [(update, replace(prefix, infix=prefixes[0].infix)) for update, prefix in path]
    prefix = apply_to(*mix_prefixes(mix, prefixes, steps))
    weights = mix.weights if len(mix.weights) == len(members) else (1.0,) * len(members)
    first = max(range(len(members)), key=lambda i: (weights[i], members[i].run.method != TEXT_PREFIX.id))
    created = " ".join(member.run.created for member in members)
    return _unstored(mix.name, MIX_RUN.id, prefix, members[first].task, backbone, created)


def _unstored(run_id: str, method: str, prefix: Prefix, task: Task, backbone: Backbone, created: str) -> LoadedRun:
    spec, tensors = backbone.spec, prefix.tensors().values()
    run = Run(
        id=run_id, folder=Path(), bundled=False, status="done", backbone=spec.name, fingerprint=spec.fingerprint, method=method,
        task=task, config={"length": prefix.length}, trained=0, stored=sum(each.numel() for each in tensors),
        bytes=sum(each.nbytes for each in tensors), seconds=0.0, created=created, device=backbone.device.type, seed=0, command="",
    )  # fmt: skip
    return LoadedRun(run, backbone.model, prefix, task)


def end_line(text: str) -> str:
    """Add a line break to a text that does not end with white space."""
    return text if not text.strip() or text[-1].isspace() else text + "\n"
