"""What a prefix generates on its own: texts sampled with it and with the frozen model, both without any input."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.config.decode import DecodeConfig
from core.generation.generate import generate
from core.generation.types import Request, make_request
from core.models.backbone import Backbone
from core.prefix.interventions import NO_INTERVENTION, Intervention
from core.prefix.prefix import Prefix
from core.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TEXTS = 20
SAMPLING = DecodeConfig(mode="sample", max_new=40)
NO_WORD = "(nothing)"  # in place of the first word of an empty text


@dataclass(frozen=True)
class PrefixAlone:
    """Texts sampled without an input. `prompt`: the text that the models read, which is the task's own separators."""

    prefix: tuple[str, ...]
    frozen: tuple[str, ...]
    prompt: str
    decode: DecodeConfig
    seed: int

    def describe(self, name: str) -> str:
        """Describe how often the most frequent first word starts the texts of each model. `name`: the title of the run."""
        parts = []
        for who, texts in ((name, self.prefix), ("the frozen model", self.frozen)):
            word, count = Counter(map(_first_word, texts)).most_common(1)[0]
            parts.append(f"{count} of {len(texts)} texts of {who} begin with “{word}”")
        return f"{'; '.join(parts)}."

    def first_words(self, top: int = 10) -> list[tuple[str, float, float]]:
        """Return (word, share of the prefix's texts, share of the frozen model's texts) for the most frequent first words of
        either.

        Ordered by the share of the prefix's texts, then of the frozen model's, then alphabetically.
        """
        ours, theirs = (Counter(map(_first_word, texts)) for texts in (self.prefix, self.frozen))
        shares = [(word, ours[word] / len(self.prefix), theirs[word] / len(self.frozen)) for word in ours | theirs]
        shares.sort(key=lambda row: (-row[1], -row[2], row[0]))
        most_frequent = sorted(shares, key=lambda row: -max(row[1:]))[:top]
        return [row for row in shares if row in most_frequent]


def sample_alone(
    model: "PreTrainedModel",
    backbone: Backbone,
    task: Task,
    prefix: Prefix | None,
    n: int = TEXTS,
    decode: DecodeConfig = SAMPLING,
    seed: int = 0,
    intervention: Intervention = NO_INTERVENTION,
    cancel: Callable[[], bool] | None = None,
) -> PrefixAlone:
    """Sample `n` texts from `model` with a prefix, and `n` from the frozen backbone without one, from the same seeds.

    The source is empty, so the models read only the task's own text around it. Text i of both has the seed `seed + i`. If
    `cancel` ends the sampling, texts may be incomplete. Raises BadInput if the task has no text around a source, TooLong if the
    texts do not fit the model.
    """
    ours, theirs = requests_alone(backbone, task, prefix, n, seed, intervention)
    return PrefixAlone(
        _texts(model, backbone, ours, decode, cancel),
        _texts(backbone.model, backbone, theirs, decode, cancel),
        backbone.decode(theirs[0].prompt_ids, special=True),
        decode,
        seed,
    )


def requests_alone(
    backbone: Backbone,
    task: Task,
    prefix: Prefix | None,
    n: int,
    seed: int,
    intervention: Intervention = NO_INTERVENTION,
) -> tuple[list[Request], list[Request]]:
    """Return `n` requests with a prefix and `n` without, all with an empty source; request i of both has the seed `seed + i`."""
    ours = [replace(make_request(backbone, task, "", prefix, seed + i), intervention=intervention) for i in range(n)]
    return ours, [make_request(backbone, task, "", None, seed + i) for i in range(n)]


def _texts(
    model: "PreTrainedModel",
    backbone: Backbone,
    requests: Sequence[Request],
    decode: DecodeConfig,
    cancel: Callable[[], bool] | None,
) -> tuple[str, ...]:
    return tuple(generation.text.strip() for generation in generate(model, backbone, requests, decode, cancel))


def _first_word(text: str) -> str:
    return text.split(maxsplit=1)[0] if text.split() else NO_WORD
