"""Base of the methods that change or add weights: a copy of the model that shares every untrained tensor."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from core.config.train import TrainConfig
from core.errors import BadInput
from core.methods.base import LoadedMethod
from core.models.backbone import Backbone
from core.prefix.attention import attach
from core.runs.run import Run

if TYPE_CHECKING:
    from transformers import PreTrainedModel

M = TypeVar("M", bound=nn.Module)
HINT = "Train the run again, or restore the file."


def share_weights_copy(model: M, trained: Callable[[str], bool]) -> M:
    """Copy a model, sharing all tensors except the weights whose names satisfy `trained`, which are copied.

    Only the copied weights require a gradient. Tied weights stay tied.
    """
    parameters = dict(model.named_parameters())
    shared: dict[int, Tensor] = {id(weight): weight for name, weight in parameters.items() if not trained(name)}
    shared |= {id(buffer): buffer for buffer in model.buffers()}
    result = copy.deepcopy(model, shared)
    for name, weight in result.named_parameters():
        weight.requires_grad_(trained(name))
    return result


class WeightMethod:
    """A method that trains weights: those that require a gradient in the model that `build` returns."""

    name = ""
    length = 0
    infix = False

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        torch.manual_seed(config.seed)
        self.model = self.build(backbone, config)
        for weight in self.parameters():
            weight.data = weight.data.float()

    @classmethod
    def build(cls, backbone: Backbone, config: TrainConfig) -> "PreTrainedModel":
        """Build the method's model, in the backbone's dtype."""
        raise NotImplementedError

    @classmethod
    def config_from_tensors(cls, config: TrainConfig, tensors: dict[str, Tensor]) -> TrainConfig:
        """Return the settings with sizes read from a file's tensors, so that a file cannot claim sizes that it does not have."""
        return config

    def parameters(self) -> list[nn.Parameter]:
        """Return the trained weights; tied weights count once."""
        return [weight for weight in self.model.parameters() if weight.requires_grad]

    @contextmanager
    def attach(self, rows: int, split: Tensor | None = None) -> Iterator[None]:
        """Detach any prefix: the model itself is the method."""
        with attach(self.model, None):
            yield

    @torch.no_grad()
    def tensors(self) -> dict[str, Tensor]:
        """Return the trained weights by name; tied weights count once."""
        return {name: weight.detach().clone() for name, weight in self.model.named_parameters() if weight.requires_grad}

    def prefix(self) -> None:
        """Return None: the method has no virtual tokens."""
        return None

    @classmethod
    def load(cls, run: Run, backbone: Backbone) -> LoadedMethod:
        """Return the model with the run's weights, frozen. Raises BadInput if they are damaged or do not fit."""
        tensors = read_weights(run)
        model = cls.build(backbone, cls.config_from_tensors(TrainConfig.from_dict(run.config), tensors))
        _fill({name: weight for name, weight in model.named_parameters() if weight.requires_grad}, tensors, run.id)
        return LoadedMethod(model.requires_grad_(False).eval())


def read_weights(run: Run) -> dict[str, Tensor]:
    """Read a run's tensors by name. Raises BadInput if the file cannot be read."""
    try:
        return load_file(run.weights)
    except Exception as error:  # safetensors raises its own class, OSError or ValueError
        raise BadInput(f"The weights of {run.id!r} cannot be read ({str(error).strip()}). {HINT}") from error


@torch.no_grad()
def _fill(weights: dict[str, nn.Parameter], tensors: dict[str, Tensor], run_id: str) -> None:
    """Copy a file's tensors into a model's weights; both must have the same names and shapes."""
    for name, weight in weights.items():
        if name not in tensors:
            raise BadInput(f"The weights of {run_id!r} lack {name!r}. {HINT}")
        if tensors[name].shape != weight.shape:
            sizes = f"{tuple(tensors[name].shape)}, and the model takes {tuple(weight.shape)}"
            raise BadInput(f"The weights of {run_id!r} do not fit: size mismatch, {name!r} is {sizes}. {HINT}")
        if not tensors[name].isfinite().all():
            raise BadInput(f"The weights of {run_id!r} contain NaN or infinity. {HINT}")
        weight.copy_(tensors[name])
    if unknown := sorted(set(tensors) - set(weights)):
        raise BadInput(f"The weights of {run_id!r} hold {unknown[0]!r}, which this method does not store. {HINT}")
