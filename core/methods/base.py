"""What every method offers: something to train, something to attach, something to keep, and a way back from the file."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from core.config.train import TrainConfig
from core.models.backbone import Backbone
from core.prefix.prefix import Prefix
from core.runs.store import Run


@dataclass(frozen=True, eq=False)
class LoadedMethod:
    """What generates: the model to call and its virtual tokens, if it has any.

    Where `model` is the backbone's own, requests of different runs share a batch; otherwise the run brings its own.
    """

    model: Any
    prefix: Prefix | None = None


class Method(Protocol):
    """One way to adapt a backbone.

    `model` is what runs the forward call; `length` how many virtual tokens it takes in, and `infix` whether
    they stand after the source, not before it.
    """

    name: str
    model: Any
    length: int
    infix: bool

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        """Ready to train; NotSupported where the method does not fit the backbone."""
        ...

    def parameters(self) -> list[nn.Parameter]:
        """What the optimiser changes."""
        ...

    def attach(self, rows: int, split: Tensor | None = None) -> AbstractContextManager[None]:
        """In force for the forward calls inside; gradients reach `parameters()`. `split`: that of the batch."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """What is stored, and nothing else."""
        ...

    def prefix(self) -> Prefix | None:
        """The virtual tokens as they are now, as generation takes them; None where the method has none."""
        ...

    @classmethod
    def load(cls, run: Run, backbone: Backbone) -> LoadedMethod:
        """A finished run on its backbone; BadInput where its file is damaged or not what this method stores."""
        ...
