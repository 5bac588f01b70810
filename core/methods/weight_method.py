"""Methods that change the model itself. Each works on a copy that shares every tensor it does not train."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from core.config.train import TrainConfig
from core.errors import BadInput
from core.methods.base import LoadedMethod
from core.models.backbone import Backbone
from core.prefix.attention import attach
from core.runs.store import Run

HINT = "Train the run again, or restore the file."


def share_weights_copy(model: nn.Module, trained: Callable[[str], bool]) -> Any:
    """A model of its own whose weights are the very tensors of `model`, but for those named by `trained`, which are copied.

    The copies alone require a gradient. A tied weight stays tied.
    """
    named = dict(model.named_parameters())
    shared: dict[int, Any] = {id(weight): weight for name, weight in named.items() if not trained(name)}
    shared |= {id(buffer): buffer for buffer in model.buffers()}
    made = copy.deepcopy(model, shared)
    for name, weight in made.named_parameters():
        weight.requires_grad_(trained(name))
    return made


class WeightMethod:
    """What these methods have in common; each says in `build` what is its own: the weights that require a gradient."""

    name = ""
    length = 0
    infix = False

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        torch.manual_seed(config.seed)
        self.model = self.build(backbone, config)
        for weight in self.parameters():
            weight.data = weight.data.float()

    @classmethod
    def build(cls, backbone: Backbone, config: TrainConfig) -> Any:
        """The method's model, in the backbone's dtype."""
        raise NotImplementedError

    @classmethod
    def config_from_tensors(cls, config: TrainConfig, tensors: dict[str, Tensor]) -> TrainConfig:
        """The settings to load a file with: sizes are those of its tensors, so that it cannot ask for more than it holds."""
        return config

    def parameters(self) -> list[nn.Parameter]:
        """The weights of its own, tied ones once."""
        return [weight for weight in self.model.parameters() if weight.requires_grad]

    @contextmanager
    def attach(self, rows: int, split: Tensor | None = None) -> Iterator[None]:
        """Nothing to put in force: the copy's weights are the method."""
        with attach(self.model, None):
            yield

    @torch.no_grad()
    def tensors(self) -> dict[str, Tensor]:
        """The weights of its own by name; a tied weight is stored once."""
        return {name: weight.detach().clone() for name, weight in self.model.named_parameters() if weight.requires_grad}

    def prefix(self) -> None:
        """No virtual tokens."""
        return None

    @classmethod
    def load(cls, run: Run, backbone: Backbone) -> LoadedMethod:
        """The model with the run's weights, frozen; BadInput where they are damaged or not those of such a model."""
        tensors = read_weights(run)
        model = cls.build(backbone, cls.config_from_tensors(TrainConfig.of(run.config), tensors))
        _fill({name: weight for name, weight in model.named_parameters() if weight.requires_grad}, tensors, run.id)
        return LoadedMethod(model.requires_grad_(False).eval())


def read_weights(run: Run) -> dict[str, Tensor]:
    """What a run's file holds; BadInput where it cannot be read."""
    try:
        return load_file(run.weights)
    except Exception as error:  # safetensors raises its own class, OSError or ValueError
        raise BadInput(f"The weights of {run.id!r} cannot be read ({str(error).strip()}). {HINT}") from error


@torch.no_grad()
def _fill(weights: dict[str, nn.Parameter], tensors: dict[str, Tensor], whose: str) -> None:
    """Copy a file's tensors into a model's weights; both must have the same names and shapes."""
    for name, weight in weights.items():
        if name not in tensors:
            raise BadInput(f"The weights of {whose!r} lack {name!r}. {HINT}")
        if tensors[name].shape != weight.shape:
            sizes = f"{tuple(tensors[name].shape)}, and the model takes {tuple(weight.shape)}"
            raise BadInput(f"The weights of {whose!r} do not fit: size mismatch, {name!r} is {sizes}. {HINT}")
        if not tensors[name].isfinite().all():
            raise BadInput(f"The weights of {whose!r} hold NaN or infinity. {HINT}")
        weight.copy_(tensors[name])
    if unknown := sorted(set(tensors) - set(weights)):
        raise BadInput(f"The weights of {whose!r} hold {unknown[0]!r}, which this method does not store. {HINT}")
