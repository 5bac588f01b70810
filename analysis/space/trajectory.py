"""The trajectory of virtual tokens during training, as stored with a run: in fp16, from initialisation to the last update."""

from safetensors.torch import load_file
from torch import Tensor

from core.config.methods import method_info
from core.errors import BadInput
from core.methods.embedding import fold_embeddings
from core.models.backbone import Backbone
from core.prefix.prefix import Prefix
from core.runs.run import Run

EMBEDDINGS = "embeddings"  # the tensor of a run that trains input vectors; those of others are named after their sites


def prefix_trajectory(run: Run, backbone: Backbone | None = None) -> list[tuple[int, Prefix]]:
    """Return (update, prefix) in order; [] if the run has no virtual tokens or stored no trajectory.

    Input vectors become a prefix through the `backbone` that they were trained on; without it they have no trajectory. Raises
    BadInput if the file is damaged.
    """
    info = method_info(run.method)
    if not info.trajectory or (info.at_input and backbone is None):
        return []
    if info.at_input:
        assert backbone is not None
        return [(update, fold_embeddings(backbone, vectors)) for update, vectors in embedding_trajectory(run, backbone)]
    return [(update, Prefix(past, run.backbone, run.fingerprint)) for update, past in sorted(_read_history(run).items())]


def embedding_trajectory(run: Run, backbone: Backbone) -> list[tuple[int, Tensor]]:
    """Return (update, (P, width)) for a run that trains input vectors; [] for others. Raises BadInput if the file is damaged."""
    info = method_info(run.method)
    if not (info.trajectory and info.at_input):
        return []
    history = [(update, vectors.get(EMBEDDINGS)) for update, vectors in sorted(_read_history(run).items())]
    wide = [
        (update, vectors) for update, vectors in history if vectors is not None and vectors.shape[1:] == (backbone.spec.width,)
    ]
    if len(wide) < len(history):
        raise _damaged(run, f"it has no vectors of width {backbone.spec.width}")
    return wide


def _read_history(run: Run) -> dict[int, dict[str, Tensor]]:
    """Return update -> name -> fp32 tensor; empty if there is no file."""
    path = run.files.history
    history: dict[int, dict[str, Tensor]] = {}
    if not path.exists():
        return history
    try:
        for name, tensor in load_file(path).items():
            update, part = name.split(".", 1)
            history.setdefault(int(update), {})[part] = tensor.float()
    except Exception as error:  # safetensors raises its own class, OSError or ValueError
        raise _damaged(run, str(error)) from error
    return history


def _damaged(run: Run, why: str) -> BadInput:
    return BadInput(
        f"The path of {run.id!r} cannot be read ({why}). Delete history.safetensors to go on without it, or train the run again."
    )
