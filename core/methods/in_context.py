"""In-context learning (paper §1): an instruction and k examples as text before the input. Nothing is trained.

The frozen model reads the text once, and its keys and values are used as a prefix. This equals typing the text before each
input.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from core.config.train import TrainConfig
from core.errors import BadInput, TooLong
from core.methods.base import LoadedMethod, check_decoder_only
from core.models.activations import text_prefix
from core.models.backbone import Backbone
from core.prefix.attention import PrefixState, attach
from core.prefix.prefix import Prefix
from core.runs.run import Run
from core.task import Example, Task

METHOD = "In-context learning"
CONTEXT_SHARE = 0.5  # of the model's positions that the text may take


class InContextMethod:
    """A text before the input. Call `set_context` first; `build_context` composes the text."""

    name = "in_context"
    infix = False

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        check_decoder_only(backbone, METHOD)  # an encoder reads text and input together, so the text cannot be read in advance
        self.backbone, self.model, self.length = backbone, backbone.model, 0
        self.virtual: Prefix | None = None

    def set_context(self, text: str) -> None:
        """Set the text. Raises TooLong if it leaves too little room."""
        self.virtual = text_prefix(self.backbone, text)
        self.length = self.virtual.length

    def parameters(self) -> list[nn.Parameter]:
        """Return an empty list: nothing is trained."""
        return []

    @contextmanager
    def attach(self, rows: int, split: Tensor | None = None) -> Iterator[None]:
        """Attach the text in front of every row."""
        with attach(self.model, PrefixState.of([self.virtual] * rows, self.backbone.device, self.backbone.dtype)):
            yield

    def tensors(self) -> dict[str, Tensor]:
        """Return no tensors: the text is stored with the run's settings."""
        return {}

    def prefix(self) -> Prefix | None:
        """Return the text as a prefix."""
        return self.virtual

    @classmethod
    def load(cls, run: Run, backbone: Backbone) -> LoadedMethod:
        """Return the shared model, with the text as a prefix."""
        check_decoder_only(backbone, METHOD)
        text = run.config.get("context")
        if not isinstance(text, str) or not text.strip():
            raise BadInput(
                f"The run {run.id!r} has no context. Create it again: python launch.py train --method in_context --run NAME"
            )
        return LoadedMethod(backbone.model, text_prefix(backbone, text))


def build_context(backbone: Backbone, task: Task, config: TrainConfig, examples: Sequence[Example]) -> str:
    """Return `config.context`, or the instruction and up to `config.shots` random examples in the task's format.

    Examples that do not fit are left out. Raises TooLong if none fits, BadInput without an instruction and examples.
    """
    if config.context:
        return config.context
    parts = [f"{config.instruction}\n"] if config.instruction else []
    room, sources = int(CONTEXT_SHARE * backbone.spec.positions), set()
    for example in random.Random(config.seed).sample(list(examples), len(examples)) if config.shots else []:
        shot = task.prompt(example.source) + task.answer(example.targets[0])
        if example.source not in sources and len(backbone.encode("".join([*parts, shot]))) <= room:
            parts.append(shot)
            sources.add(example.source)
        if len(sources) == config.shots:
            break
    if config.shots and not sources:
        raise TooLong(
            f"Not one example fits: instruction and examples may take {room} tokens, half of {backbone.spec.name}'s "
            f"{backbone.spec.positions} positions. Shorten the instruction, or give shorter examples."
        )
    if not parts:
        raise BadInput("There is neither an instruction nor an example. Give --instruction, or --shots of at least 1.")
    return "".join(parts)
