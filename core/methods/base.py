"""What every method offers: something to train, something to attach, something to keep."""

from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor, nn


class Method(Protocol):
    """One way to adapt a backbone.

    `model` is what runs the forward call; `length` how many virtual tokens stand before the input.
    """

    name: str
    model: Any
    length: int

    def parameters(self) -> list[nn.Parameter]:
        """What the optimiser changes."""
        ...

    def attach(self, rows: int) -> AbstractContextManager[None]:
        """In force for the forward calls inside; gradients reach `parameters()`."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """What is stored, and nothing else."""
        ...
