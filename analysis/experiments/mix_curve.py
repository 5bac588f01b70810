"""Loss and coverage along the slider of a mix, measured on a few examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from analysis.attention.maps import prefix_state, teacher_forced_inputs
from analysis.metrics.coverage import Coverage, cover
from core.generation.types import Request
from core.models.architectures import unembed
from core.models.backbone import Backbone
from core.prefix.attention import attach
from core.prefix.mix import MIX, Mix, parse_mix
from core.text.checks import listing
from core.text.tables import Fields

if TYPE_CHECKING:
    from transformers import PreTrainedModel

EXAMPLES = 20
TOGETHER = 5  # examples whose loss is computed in one call
STOPS = tuple(stop / 10 for stop in range(11))


@dataclass(frozen=True)
class MixPoint:
    """The measurements at one stop of the slider.

    `loss`: nats per target token, over all tokens of the examples' first references. `covered` of `values` table values are in
    the texts, and `unsupported` statements are not in the tables; all 0 for inputs without a table.
    """

    loss: float
    texts: tuple[str, ...]
    covered: int = 0
    values: int = 0
    unsupported: int = 0


@dataclass(frozen=True)
class Stop:
    """A stop of the slider: its label, and the run there, which may be the name of a mix."""

    label: str
    run: str


def slider(kind: str, members: Sequence[str], layers: int = 0) -> list[Stop]:
    """Return the stops of a kind of mix, from one end to the other. Raises BadInput if kind and members do not go together.

    "fade", "average" and "path" have eleven stops; with three members the second is in the middle. "join" and "swap" have no
    strength: their stops are the members and, last but one, the mix. "layers" starts without a prefix and adds one of the
    `layers` after the other, from the first.
    """
    if kind == "layers":
        mixes = [Mix(kind, tuple(members), (1.0,) * on + (0.0,) * (layers - on)) for on in range(layers + 1)]
        return [Stop(f"layers 1–{on}" if on > 1 else f"layer {on}" if on else "none", mix.name) for on, mix in enumerate(mixes)]
    if kind in ("join", "swap"):
        alone = [Stop(f"{letter} alone", member) for letter, member in zip("ABC", members, strict=False)]
        return [
            *alone[:-1],
            Stop("joined" if kind == "join" else "A’s keys, B’s values", slide(kind, members, 0).name),
            alone[-1],
        ]
    return [Stop(f"{100 * stop:.0f} %", slide(kind, members, stop).name) for stop in STOPS]


def slide(kind: str, members: Sequence[str], stop: float) -> Mix:
    """Return the mix at a stop between 0 (the first prefix, or the start of training) and 1 (the last, or the end of
    training)."""
    place = stop * (len(members) - 1)
    shares = tuple(round(max(0.0, 1 - abs(place - member)), 12) for member in range(len(members)))
    return Mix(kind, tuple(members), (stop,) if kind == "path" else shares if kind in ("fade", "average") else ())


def measure_point(
    loss: Callable[..., float],
    model: "PreTrainedModel",
    backbone: Backbone,
    requests: Sequence[Request],
    answers: Sequence[Sequence[int]],
    texts: Sequence[str],
    tables: Sequence[Fields],
) -> MixPoint:
    """Return the point of a stop from its generated texts, one per request. `tables`: one per text, or none.

    `loss`: `total_loss`, or a function that runs it elsewhere; it gets a few examples at a time.
    """
    parts = [slice(first, first + TOGETHER) for first in range(0, len(requests), TOGETHER)]
    total = sum(loss(model, backbone, requests[part], answers[part]) for part in parts)
    coverage: list[Coverage] = [cover(table, text) for table, text in zip(tables, texts, strict=True)] if tables else []
    covered = sum(len(each.present) for each in coverage)
    values = covered + sum(len(each.missing) for each in coverage)
    unsupported = sum(len(each.unsupported) for each in coverage)
    return MixPoint(total / sum(map(len, answers)), tuple(texts), covered, values, unsupported)


def mean_loss(
    model: "PreTrainedModel", backbone: Backbone, requests: Sequence[Request], answers: Sequence[Sequence[int]]
) -> float:
    """Return the cross-entropy of answers given their requests, in nats per token over all tokens."""
    return total_loss(model, backbone, requests, answers) / sum(map(len, answers))


@torch.no_grad()
def total_loss(
    model: "PreTrainedModel", backbone: Backbone, requests: Sequence[Request], answers: Sequence[Sequence[int]]
) -> float:
    """Return the cross-entropy of answers given their requests, in nats, summed over all tokens."""
    total = 0.0
    for request, answer in zip(requests, answers, strict=True):
        reading, inputs = teacher_forced_inputs(backbone, request, answer)
        with attach(model, prefix_state(model, backbone, request)):
            hidden = model.base_model(**inputs, use_cache=False).last_hidden_state[0, list(reading.step_queries)]
        targets = torch.tensor(answer, device=backbone.device)
        total += torch.nn.functional.cross_entropy(unembed(model, hidden).float(), targets, reduction="sum").item()
    return total


def ends(stops: Sequence[Stop]) -> list[int]:
    """Return the stops that are one prefix alone, in the order of the members: at both ends, and of three members in between."""

    def is_alone(stop: Stop) -> bool:
        if not stop.run.startswith(MIX):
            return True
        mix = parse_mix(stop.run)
        return mix.kind in ("fade", "average") and 1 in mix.weights

    return [place for place, stop in enumerate(stops) if place in (0, len(stops) - 1) or is_alone(stop)]


def describe_curve(points: Sequence[MixPoint], stops: Sequence[Stop]) -> str:
    """Describe the cost of mixing: the worst mixed stop against the prefixes alone. `points`: one for each stop."""
    places = ends(stops)
    alone = [points[place] for place in places]
    mixed = [point for place, point in enumerate(points) if place not in places] or alone
    losses, most = [point.loss for point in alone], max(point.loss for point in mixed)
    covered, least = [point.covered for point in alone], min(point.covered for point in mixed)
    if len(alone) == 2:
        text = f"The loss runs from {losses[0]:.2f} to {losses[1]:.2f} nats per token"
        text += f", with a peak of {most:.2f} in between" if most > max(losses) else ""
    else:
        text = f"Alone, the prefixes have a loss of {listing([f'{loss:.2f}' for loss in losses])} nats per token"
        text += f", and mixed one of up to {most:.2f}"
    if values := points[0].values:
        where, lowest = ("at the ends", "at its lowest") if len(alone) == 2 else ("alone", "at its lowest when mixed")
        text += f". Coverage is {listing(map(str, covered))} of {values} values {where}"
        text += f", and {least} {lowest}" if least < min(covered) or len(alone) > 2 else ""
    return f"{text}."
