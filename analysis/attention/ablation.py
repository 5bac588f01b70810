"""The effect of each virtual token: how its ablation in one layer changes the next-token distribution.

Attention shows where a layer looked; an ablation shows what that look changed, and the two differ. Each pair of virtual
token and layer is knocked out in a row of its own (positions unchanged, core/prefix/interventions.py), so the whole map
is one batch, cut into chunks that fit in memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from analysis.attention.maps import SITE, prefix_state, teacher_forced_inputs
from core.errors import BadInput
from core.generation.types import Request
from core.models.architectures import unembed
from core.models.backbone import Backbone
from core.prefix.attention import attach
from core.prefix.interventions import Intervention

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MEMORY = 64 * 2**20  # approximate bytes per chunk: larger ones are no faster on a CPU, smaller ones report progress sooner


@dataclass(frozen=True, eq=False)
class AblationEffect:
    """The divergence that each knock-out causes.

    `kl`: (virtual, layers, steps) fp32, KL(with || without) of the next-token distribution, in nats. `queries`: the query
    position of each step; `tokens`: the token generated there ("" where there is none yet).
    """

    kl: Tensor
    queries: tuple[int, ...]
    tokens: tuple[str, ...]

    @property
    def mean(self) -> Tensor:
        """Mean over the steps: (virtual, layers)."""
        return self.kl.mean(-1)


def ablation_effect(
    model: "PreTrainedModel",
    backbone: Backbone,
    request: Request,
    ids: Sequence[int],
    queries: Sequence[int] | None = None,
    site: str = SITE,
) -> AblationEffect:
    """The ablation effects on the generated `ids`; see `iter_ablations`."""
    *_, (effect, _, _) = iter_ablations(model, backbone, request, ids, queries, site)
    return effect


def iter_ablations(
    model: "PreTrainedModel",
    backbone: Backbone,
    request: Request,
    ids: Sequence[int],
    queries: Sequence[int] | None = None,
    site: str = SITE,
) -> Iterator[tuple[AblationEffect, int, int]]:
    """Yield (effects so far, knock-outs done, knock-outs in total) after each chunk; pending entries are NaN.

    `queries`: positions in prompt + ids whose next-token distribution is compared, by default those that produced `ids`.
    `site`: whose virtual tokens are knocked out (with an encoder, the prompt is the decoder's start tokens). The request's
    own intervention stays in force on both sides. Raises BadInput if the request has no prefix.
    """
    if request.prefix is None:
        raise BadInput("There is no prefix to knock out. Choose a run that has one, or a text prefix.")
    ablated, _ = teacher_forced_inputs(backbone, request, ids, site)
    reading, inputs = teacher_forced_inputs(backbone, request, ids)
    query_positions = tuple(reading.step_queries if queries is None else queries)
    length, layers = reading.virtual, len(ablated.layers)
    knockouts = [request.intervention.without(token, layer, site) for token in range(length) for layer in range(layers)]
    kl = torch.full((length * layers, len(query_positions)), torch.nan)
    tokens = tuple((*reading.tokens, "")[query + 1] for query in query_positions)
    encoded = _encode_source(model, backbone, request, inputs) if backbone.is_encoder_decoder and site != "encoder" else None
    size = chunk_rows(backbone, max(len(reading.tokens), len(request.prompt_ids)), length, len(query_positions))
    for start in range(0, len(knockouts), size):
        rows = [request.intervention, *knockouts[start : start + size]]  # the unchanged row shares their rounding
        plain, *ablations = _ablated_logits(model, backbone, request, inputs, rows, query_positions, encoded)
        kl[start : start + size] = torch.stack([kl_divergence(plain, logits) for logits in ablations]).cpu()
        yield AblationEffect(kl.clone().view(length, layers, -1), query_positions, tokens), start + len(ablations), len(knockouts)


def chunk_rows(backbone: Backbone, tokens: int, virtual: int, steps: int) -> int:
    """The number of knock-outs per batch whose logits, masks and activations fit in MEMORY, or 16 times that on a GPU."""
    spec, memory = backbone.spec, MEMORY if backbone.device.type == "cpu" else 16 * MEMORY
    each = 2 * steps * spec.vocabulary + tokens * (2 * (tokens + virtual) + 12 * spec.width)
    return max(1, memory // (4 * each))


def kl_divergence(plain: Tensor, changed: Tensor) -> Tensor:
    """KL(plain || changed) of logits over the last dimension, in nats, clamped at 0 against rounding."""
    p, q = plain.float().log_softmax(-1), changed.float().log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1).clamp(min=0)


@torch.no_grad()
def _encode_source(model: "PreTrainedModel", backbone: Backbone, request: Request, inputs: dict[str, Tensor]) -> Tensor:
    """The encoded source, (1, S, width), computed once for all knock-outs outside the encoder."""
    with attach(model, prefix_state(model, backbone, request)):
        return model.get_encoder()(input_ids=inputs["input_ids"]).last_hidden_state


@torch.no_grad()
def _ablated_logits(
    model: "PreTrainedModel",
    backbone: Backbone,
    request: Request,
    inputs: dict[str, Tensor],
    interventions: list[Intervention],
    queries: Sequence[int],
    encoded: Tensor | None,
) -> Tensor:
    """Next-token logits under each intervention: (rows, queries, vocabulary). `encoded`: the encoder's output, if known."""
    count, state = len(interventions), prefix_state(model, backbone, request, interventions)
    repeated = {name: tensor.expand(count, -1) for name, tensor in inputs.items()}
    positions = torch.tensor(queries, device=backbone.device)
    with attach(model, state):
        if not backbone.is_encoder_decoder:
            return model(**repeated, use_cache=False, logits_to_keep=positions).logits
        encoder_outputs = None if encoded is None else (encoded.expand(count, -1, -1),)
        source = repeated["input_ids"] if encoded is None else None
        hidden = model.base_model(
            input_ids=source, encoder_outputs=encoder_outputs, decoder_input_ids=repeated["decoder_input_ids"], use_cache=False
        ).last_hidden_state
        return unembed(model, hidden[:, positions])
