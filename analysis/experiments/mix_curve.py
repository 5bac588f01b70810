"""Loss and coverage along the slider of a mix: how two prefixes blend, measured on a few examples."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from analysis.attention.maps import teacher_forced_inputs
from analysis.metrics.coverage import Coverage, cover
from core.config.decode import DecodeConfig
from core.data.registry import table_of_source
from core.generation.generate import generate
from core.generation.types import Request, make_request
from core.models.architectures import unembed
from core.models.backbone import Backbone
from core.models.inputs import encode_answer
from core.prefix.attention import PrefixState, attach
from core.prefix.mix import Mix, mix_prefixes
from core.prefix.prefix import Prefix
from core.task import Example, Task
from core.text.tables import Fields

EXAMPLES = 20
STOPS = tuple(stop / 10 for stop in range(11))


@dataclass(frozen=True)
class MixPoint:
    """One stop of the slider. `loss`: nats per target token, over all tokens of the examples' first references.

    `covered` of `values` table values are in the texts, and `unsupported` statements are not in the tables; both 0 for inputs
    without a table.
    """

    mix: Mix
    loss: float
    texts: tuple[str, ...]
    covered: int = 0
    values: int = 0
    unsupported: int = 0


def slide(kind: str, members: Sequence[str], stop: float) -> Mix:
    """The mix at a stop between 0 (the first prefix, or a training's start) and 1 (the second, or its end)."""
    weights = (stop,) if kind == "path" else (1 - stop, stop) if kind in ("fade", "average") else ()
    return Mix(kind, tuple(members), weights)


def mix_curve(
    backbone: Backbone,
    task: Task,
    mixes: Sequence[Mix],
    prefixes: Sequence[Prefix],
    examples: Sequence[Example],
    decode: DecodeConfig,
    path: Sequence[tuple[int, Prefix]] = (),
    cancel: Callable[[], bool] | None = None,
) -> Iterator[MixPoint]:
    """Yield a point for each mix, measured on all `examples` with the frozen backbone.

    `prefixes`, `path`: see `mix_prefixes`.    Ends early if `cancel` returns true. Raises the errors of `mix_prefixes`.
    """
    tables = (
        [] if task.input_format == "article" else [table_of_source(task.input_format, example.source) for example in examples]
    )
    for mix in mixes:
        prefix, intervention = mix_prefixes(mix, prefixes, path)
        requests = [
            Request(plain.prompt_ids, prefix, plain.seed, intervention, plain.split)
            for plain in (make_request(backbone, task, example.source, prefix, decode.seed) for example in examples)
        ]
        answers = [encode_answer(backbone, task, example.targets[0]) for example in examples]
        loss = mean_loss(backbone.model, backbone, requests, answers)
        texts = tuple(generation.text for generation in generate(backbone.model, backbone, requests, decode, cancel))
        if cancel is not None and cancel():
            return
        yield _point(mix, loss, texts, tables)


@torch.no_grad()
def mean_loss(model: PreTrainedModel, backbone: Backbone, requests: Sequence[Request], answers: Sequence[Sequence[int]]) -> float:
    """Cross-entropy of answers given their requests, in nats per token, the mean over all tokens."""
    total, count = 0.0, 0
    for request, answer in zip(requests, answers, strict=True):
        reading, inputs = teacher_forced_inputs(backbone, request, answer)
        dtype, split = next(model.parameters()).dtype, torch.tensor([request.split], device=backbone.device)
        state = PrefixState.of([request.prefix], backbone.device, dtype, [request.intervention], split)
        with attach(model, state):
            hidden = model.base_model(**inputs, use_cache=False).last_hidden_state[0, list(reading.step_queries)]
        targets = torch.tensor(answer, device=backbone.device)
        total += torch.nn.functional.cross_entropy(unembed(model, hidden).float(), targets, reduction="sum").item()
        count += len(answer)
    return total / count


def _point(mix: Mix, loss: float, texts: tuple[str, ...], tables: Sequence[Fields]) -> MixPoint:
    coverage: list[Coverage] = [cover(table, text) for table, text in zip(tables, texts, strict=True)] if tables else []
    covered = sum(len(each.present) for each in coverage)
    values = covered + sum(len(each.missing) for each in coverage)
    return MixPoint(mix, loss, texts, covered, values, sum(len(each.unsupported) for each in coverage))


def describe_curve(points: Sequence[MixPoint]) -> str:
    """Say what mixing cost: the worst stop against the better end."""
    worst = max(points, key=lambda point: point.loss)
    ends = min(points[0].loss, points[-1].loss), max(points[0].loss, points[-1].loss)
    text = f"The loss runs from {points[0].loss:.2f} to {points[-1].loss:.2f} nats per token"
    if worst.loss > ends[1]:
        text += f", with a peak of {worst.loss:.2f} in between"
    if points[0].values:
        least = min(points, key=lambda point: point.covered)
        text += f". Coverage is {points[0].covered} and {points[-1].covered} of {points[0].values} values at the ends"
        if least.covered < min(points[0].covered, points[-1].covered):
            text += f", and {least.covered} at its lowest"
    return f"{text}."
