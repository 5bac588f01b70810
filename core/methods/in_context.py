"""In-context learning (paper §1): an instruction and k examples as text before the input. Nothing is trained.

The frozen model reads the text once; its keys and values then serve as a prefix, which equals typing it before every input.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from core.config.train import TrainConfig
from core.errors import BadInput, NotSupported, TooLong
from core.methods.base import LoadedMethod
from core.models.backbone import Backbone
from core.prefix.attention import PrefixState, attach
from core.prefix.prefix import Prefix, text_prefix
from core.runs.store import Run
from core.task import Example, Task

CONTEXT_SHARE = 0.5  # of the model's positions is the most that the text takes


class InContextMethod:
    """The text of `config.context`, or one made by `build_context`; `set_context` before use."""

    name = "in_context"
    infix = False

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        check_family(backbone)
        self.backbone, self.model, self.length = backbone, backbone.model, 0
        self.virtual: Prefix | None = None

    def set_context(self, text: str) -> None:
        """Take a text in force; TooLong where it leaves too little room."""
        self.virtual = text_prefix(self.backbone, text)
        self.length = self.virtual.length

    def parameters(self) -> list[nn.Parameter]:
        """None."""
        return []

    @contextmanager
    def attach(self, rows: int, split: Tensor | None = None) -> Iterator[None]:
        """The text before every row."""
        with attach(self.model, PrefixState.of([self.virtual] * rows, self.backbone.device, self.backbone.dtype)):
            yield

    def tensors(self) -> dict[str, Tensor]:
        """None: what is kept is the text, in the run's settings."""
        return {}

    def prefix(self) -> Prefix | None:
        """The text as a prefix."""
        return self.virtual

    @classmethod
    def load(cls, run: Run, backbone: Backbone) -> LoadedMethod:
        """The shared model and the text."""
        check_family(backbone)
        text = run.config.get("context")
        if not isinstance(text, str) or not text.strip():
            raise BadInput(f"The run {run.id!r} holds no context. Make it again: python launch.py train --method in_context")
        return LoadedMethod(backbone.model, text_prefix(backbone, text))


def check_family(backbone: Backbone) -> None:
    """NotSupported for an encoder-decoder: its encoder reads text and input together, so the text cannot be read once for all."""
    if backbone.opening is not None:
        raise NotSupported(
            f"In-context learning does not fit {backbone.spec.name}, an encoder-decoder model. Use prefix-tuning, or GPT-2."
        )


def build_context(backbone: Backbone, task: Task, config: TrainConfig, examples: Sequence[Example]) -> str:
    """The instruction, and up to `config.shots` examples in the form of the task, drawn by the seed; those that do not fit are
    left out. TooLong where not one fits, BadInput where there is nothing to say."""
    if config.context:
        return config.context
    parts = [f"{config.instruction}\n"] if config.instruction else []
    room, taken, seen = int(CONTEXT_SHARE * backbone.spec.positions), 0, set()
    for example in random.Random(config.seed).sample(list(examples), len(examples)) if config.shots else []:
        shot = task.prompt(example.source) + task.answer(example.targets[0])
        if example.source not in seen and len(backbone.encode("".join([*parts, shot]))) <= room:
            parts.append(shot)
            seen.add(example.source)
            taken += 1
        if taken == config.shots:
            break
    if config.shots and not taken:
        raise TooLong(
            f"Not one example fits: instruction and examples may take {room} tokens, half of {backbone.spec.name}'s "
            f"{backbone.spec.positions} positions. Shorten the instruction, or give shorter examples."
        )
    if not parts:
        raise BadInput("There is neither an instruction nor an example. Give --instruction, or --shots of at least 1.")
    return "".join(parts)
