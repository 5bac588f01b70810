"""The processes of one training, as torchrun starts them: each computes its share of every batch, and gradients are summed."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed, nn

from core.errors import BadConfig

Item = TypeVar("Item")


@dataclass(frozen=True)
class ProcessGroup:
    """One of `size` processes that train together, each on its own device. All call the same methods in the same order.

    `rank` 0 is the process that reports and writes. A training without torchrun is a group of one.
    """

    rank: int = 0
    size: int = 1
    device: str = "auto"

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this process's part of a batch, which may be empty."""
        return items[self.rank :: self.size]

    def sum_numbers(self, *numbers: float) -> list[float]:
        """Return the sums over all processes."""
        if self.size == 1:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return total.tolist()

    def any(self, flag: bool) -> bool:
        """Whether the flag is true in any process."""
        return self.sum_numbers(flag)[0] > 0

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum gradients over all processes, in place. A process with an empty share has none, which counts as zeros."""
        if self.size == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)

    def copy_first(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the first process's parameters."""
        if self.size > 1:
            for parameter in parameters:
                distributed.broadcast(parameter.data, 0)

    def wait(self) -> None:
        """Wait for all processes."""
        self.sum_numbers(0)


ALONE = ProcessGroup()


@contextmanager
def process_group(device: str) -> Iterator[ProcessGroup]:
    """Return the group described by torchrun's environment; a group of one without it.

    `device`: "auto" or "cuda" gives each process on a machine a GPU of its own. Raises BadConfig if there are too few.
    """
    size = int(os.environ.get("WORLD_SIZE", 1)) if "RANK" in os.environ else 1
    if size == 1:
        yield ProcessGroup(device=device)
        return
    place = _own_device(device, int(os.environ.get("LOCAL_RANK", 0)))
    distributed.init_process_group("nccl" if place.startswith("cuda") else "gloo")
    try:
        yield ProcessGroup(distributed.get_rank(), size, place)
    finally:
        distributed.destroy_process_group()


def _own_device(device: str, local_rank: int) -> str:
    if device not in ("auto", "cuda", "cpu"):
        raise BadConfig(f"--device {device} cannot be shared by the processes of torchrun. Use auto, cuda or cpu.")
    gpus = torch.cuda.device_count()
    if device == "cpu" or (device == "auto" and not gpus):
        return "cpu"
    if local_rank >= gpus:
        raise BadConfig(
            f"torchrun started more processes than this machine has GPUs ({gpus}). Start that many, or use --device cpu."
        )
    torch.cuda.set_device(local_rank)
    return f"cuda:{local_rank}"
