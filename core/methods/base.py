"""The interface of a method: parameters to train, a way to attach them, tensors to store, and a way to load them again."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor, nn

from core.config.train import TrainConfig
from core.errors import NotSupported
from core.models.backbone import Backbone
from core.prefix.prefix import Prefix
from core.runs.run import Run

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, eq=False)
class LoadedMethod:
    """A run that is ready to generate: the model to call, and its prefix, if any.

    If `model` is the backbone's own, requests of different runs share a batch.
    """

    model: "PreTrainedModel"
    prefix: Prefix | None = None


class Method(Protocol):
    """A way to adapt a backbone.

    `name`: its id in core/config/methods.py. `model`: the model to call. `length`: its number of virtual tokens; `infix`:
    whether they follow the source instead of preceding it.
    """

    name: str
    model: "PreTrainedModel"
    length: int
    infix: bool

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        """Initialise the parameters. Raises NotSupported if the method does not fit the backbone."""
        ...

    def parameters(self) -> list[nn.Parameter]:
        """Return the parameters that the optimizer updates."""
        ...

    def attach(self, rows: int, split: Tensor | None = None) -> AbstractContextManager[None]:
        """Apply the method to the forward calls in the `with` block, on a batch of `rows` rows; gradients reach `parameters()`.

        `split`: (rows,), the position of an infix in each row.
        """
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors to store, by name."""
        ...

    def prefix(self) -> Prefix | None:
        """Return the current virtual tokens for generation; None if the method has none."""
        ...

    @classmethod
    def load(cls, run: Run, backbone: Backbone) -> LoadedMethod:
        """Load a finished run on its backbone. Raises BadInput if its file is damaged or does not hold what this method
        stores."""
        ...


@runtime_checkable
class NearTextMethod(Protocol):
    """A method whose vectors may be kept near a text: what the training adds to the loss, and reports beside it."""

    def distance(self) -> Tensor | None:
        """Return d of the current vectors (core/methods/near_text.py), (), differentiable; None where there is no text."""
        ...


def check_decoder_only(backbone: Backbone, method: str, why: str = "") -> None:
    """Raise NotSupported for an encoder-decoder model."""
    if backbone.is_encoder_decoder:
        raise NotSupported(
            f"{method} does not fit {backbone.spec.name}, an encoder-decoder model{why}. Use prefix-tuning, or GPT-2."
        )
