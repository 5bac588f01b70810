"""What each virtual token changes: the next-word distribution with it, against the one without it in one layer.

Attention says where a layer looked; this says what came of it, and the two differ. Every virtual token x layer
is knocked out in a row of its own (positions unchanged, core/prefix/interventions.py), so that the map is one batch,
cut into chunks that fit in memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.attention.maps import SITE, teacher_forced_inputs
from core.errors import BadInput
from core.generation.types import Request
from core.models.architectures import unembed
from core.models.backbone import Backbone
from core.prefix.attention import PrefixState, attach
from core.prefix.interventions import Intervention

MEMORY = 64 * 2**20  # bytes a chunk may take, roughly: larger is no faster on a CPU, and smaller shows how far it is


@dataclass(frozen=True, eq=False)
class AblationEffect:
    """`kl`: (virtual, layers, steps) fp32, KL(with || without) of the next-word distribution, in nats.

    `queries`: the query of each step; `tokens`: the token written there ("" where none is yet).
    """

    kl: Tensor
    queries: tuple[int, ...]
    tokens: tuple[str, ...]

    @property
    def mean(self) -> Tensor:
        """Mean over the steps: (virtual, layers)."""
        return self.kl.mean(-1)


def ablation_effect(
    model, backbone: Backbone, request: Request, ids: Sequence[int], queries: Sequence[int] | None = None, site: str = SITE
) -> AblationEffect:
    """The map for the generated `ids`; see `influence_parts`."""
    *_, (found, _, _) = iter_ablations(model, backbone, request, ids, queries, site)
    return found


def iter_ablations(
    model, backbone: Backbone, request: Request, ids: Sequence[int], queries: Sequence[int] | None = None, site: str = SITE
) -> Iterator[tuple[AblationEffect, int, int]]:
    """The map as it fills: (map so far, knock-outs done, knock-outs in all) after every chunk; what is not done is NaN.

    `queries`: positions in prompt + ids whose next word is looked at; those that wrote `ids` unless given. `site`: whose
    virtual tokens are knocked out (the prompt is the decoder's opening where there is an encoder).
    The request's own intervention stays in force on both sides. Raises BadInput where there is no prefix.
    """
    if request.prefix is None:
        raise BadInput("There is no prefix to knock out. Choose a run that has one, or a text prefix.")
    hidden, _ = teacher_forced_inputs(backbone, request, ids, site)  # where virtual tokens are hidden
    reading, inputs = teacher_forced_inputs(backbone, request, ids)
    chosen = tuple(reading.step_queries if queries is None else queries)
    length, layers = reading.virtual, len(hidden.layers)
    places = [request.intervention.without(token, layer, site) for token in range(length) for layer in range(layers)]
    filled = torch.full((length * layers, len(chosen)), torch.nan)
    words = tuple((*reading.tokens, "")[query + 1] for query in chosen)
    encoded = _encode_source(model, backbone, request, inputs) if backbone.is_encoder_decoder and site != "encoder" else None
    size = chunk_rows(backbone, max(len(reading.tokens), len(request.prompt_ids)), length, len(chosen))
    for start in range(0, len(places), size):
        done = [request.intervention, *places[start : start + size]]  # the unchanged row goes along: rounded alike
        plain, *rows = _ablated_logits(model, backbone, request, inputs, done, chosen, encoded)
        filled[start : start + size] = torch.stack([kl_divergence(plain, row) for row in rows]).cpu()
        yield AblationEffect(filled.clone().view(length, layers, -1), chosen, words), start + len(rows), len(places)


def chunk_rows(backbone: Backbone, tokens: int, virtual: int, steps: int) -> int:
    """How many knock-outs go through the model together: their logits, masks and activations stay within MEMORY.

    Anything but a CPU gets 16 times as much.
    """
    spec, memory = backbone.spec, MEMORY if backbone.device.type == "cpu" else 16 * MEMORY
    each = 2 * steps * spec.vocabulary + tokens * (2 * (tokens + virtual) + 12 * spec.width)
    return max(1, memory // (4 * each))


def kl_divergence(plain: Tensor, changed: Tensor) -> Tensor:
    """KL(plain || changed) of logits over the last dimension, in nats; rounding never takes it below 0."""
    p, q = plain.float().log_softmax(-1), changed.float().log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1).clamp(min=0)


@torch.no_grad()
def _encode_source(model, backbone: Backbone, request: Request, inputs: dict[str, Tensor]) -> Tensor:
    """What the encoder makes of the source, (1, S, width): once for all knock-outs, where these are not its own."""
    with attach(model, _prefix_state(model, backbone, request, [request.intervention])):
        return model.get_encoder()(input_ids=inputs["input_ids"]).last_hidden_state


def _prefix_state(model, backbone: Backbone, request: Request, done: list[Intervention]) -> PrefixState | None:
    """The request's prefix, a row for each intervention."""
    dtype, start = next(model.parameters()).dtype, torch.tensor([request.split] * len(done), device=backbone.device)
    return PrefixState.of([request.prefix] * len(done), backbone.device, dtype, done, start)


@torch.no_grad()
def _ablated_logits(
    model,
    backbone: Backbone,
    request: Request,
    inputs: dict[str, Tensor],
    done: list[Intervention],
    queries: Sequence[int],
    encoded: Tensor | None,
) -> Tensor:
    """Logits of the next word under each intervention: (rows, queries, vocabulary). `encoded`: in place of what is encoded."""
    count, state = len(done), _prefix_state(model, backbone, request, done)
    repeated = {name: tensor.expand(count, -1) for name, tensor in inputs.items()}
    places = torch.tensor(queries, device=backbone.device)
    with attach(model, state):
        if not backbone.is_encoder_decoder:
            return model(**repeated, use_cache=False, logits_to_keep=places).logits
        read = None if encoded is None else (encoded.expand(count, -1, -1),)
        source = repeated["input_ids"] if encoded is None else None
        hidden = model.base_model(
            input_ids=source, encoder_outputs=read, decoder_input_ids=repeated["decoder_input_ids"], use_cache=False
        ).last_hidden_state
        return unembed(model, hidden[:, places])
