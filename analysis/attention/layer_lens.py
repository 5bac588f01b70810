"""Where a prefix takes hold: a logit lens on every layer's hidden state, with the prefix and without it.

The final norm and the unembedding are applied to the hidden state after each layer, as if the model stopped there
(nostalgebraist 2020). The last layer's row is the model's own next-token distribution. The rows before it are a reading
aid: lower layers were never trained to be read this way, so their words can mislead (Belrose et al. 2023).

A BART decoder has no final norm: each layer ends with a norm of its own, and its state is unembedded as it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from analysis.attention.ablation import kl_divergence
from analysis.attention.maps import prefix_state, teacher_forced_inputs
from core.generation.types import Request
from core.models.architectures import final_norm, unembed
from core.models.backbone import Backbone
from core.prefix.attention import attach

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CAVEAT = (
    "A logit lens reads each layer as if the model stopped there. Lower layers were not trained to be read this way, so "
    "their words are a hint at what is on its way, not a prediction that the model makes."
)
TopTokens = tuple[tuple[str, float], ...]  # the most likely next tokens with their probabilities, best first


@dataclass(frozen=True, eq=False)
class LayerLens:
    """The next-token predictions of two models after each layer.

    `kl`: (layers, steps) fp32, KL(prefix || frozen) of the next-token distributions, in nats. `prefix` and `frozen`: the top
    tokens of each, indexed [layer][step]. `tokens`: the generated token that each step decided ("" where none is there yet).
    """

    kl: Tensor
    prefix: tuple[tuple[TopTokens, ...], ...]
    frozen: tuple[tuple[TopTokens, ...], ...]
    tokens: tuple[str, ...]

    @property
    def settled(self) -> list[int]:
        """For each step, the layer (from 0) from which on the prefix's top token stays the final one."""
        return [_settled([row[step][0][0] for row in self.prefix]) for step in range(len(self.tokens))]

    def describe(self, prefix: str = "the prefix") -> str:
        """Summarize where the two models diverge and where the text is decided. Layers are numbered from 1.

        `prefix`: its name in the sentences, such as "the prefix (without P1)".
        """
        mean, settled = self.kl.mean(1), sorted(self.settled)
        if not bool((self.kl > 0).any()):
            return f"With and without {prefix}, every layer predicts the same."
        half, most = int((mean >= mean.max() / 2).nonzero()[0]), int(mean.argmax())
        earlier = f"; half of that is reached after layer {half + 1}" if half < most else ""
        return (
            f"With and without {prefix}, the models differ most after layer {most + 1} of {len(mean)} (mean KL "
            f"{mean.max():.2g} nats){earlier}. For half of the tokens, the prefix's final word is on top from layer "
            f"{settled[(len(settled) - 1) // 2] + 1} on."
        )


def layer_lens(
    model: "PreTrainedModel",
    backbone: Backbone,
    request: Request,
    ids: Sequence[int],
    queries: Sequence[int] | None = None,
    k: int = 5,
) -> LayerLens:
    """Read generated `ids` layer by layer: `model` with the request's prefix against the frozen backbone without one.

    `queries`: positions in prompt + ids, or in an encoder-decoder model's decoder; by default those that produced `ids`.
    `k`: top tokens per cell. One layer's logits are in memory at a time: 2 × (steps, vocabulary). Raises NotSupported where
    the model's final norm is not found, and the errors of `teacher_forced_inputs`.
    """
    reading, _ = teacher_forced_inputs(backbone, request, ids)
    steps = tuple(reading.step_queries if queries is None else queries)
    alone = Request(request.prompt_ids, seed=request.seed)
    pairs = zip(
        layer_logits(model, backbone, request, ids, steps), layer_logits(backbone.model, backbone, alone, ids, steps), strict=True
    )
    kl, prefix, frozen = [], [], []
    for ours, theirs in pairs:
        kl.append(kl_divergence(ours, theirs).cpu())
        prefix.append(_top_tokens(backbone, ours, k))
        frozen.append(_top_tokens(backbone, theirs, k))
    tokens = tuple((*reading.tokens, "")[query + 1] for query in steps)
    return LayerLens(torch.stack(kl), tuple(prefix), tuple(frozen), tokens)


@torch.no_grad()
def layer_logits(
    model: "PreTrainedModel", backbone: Backbone, request: Request, ids: Sequence[int], queries: Sequence[int]
) -> Iterator[Tensor]:
    """Yield the lens's logits after each decoder layer, first to last: (queries, vocabulary) each."""
    _, inputs = teacher_forced_inputs(backbone, request, ids)
    with attach(model, prefix_state(model, backbone, request)):
        output = model.base_model(**inputs, use_cache=False, output_hidden_states=True)
    states = output.decoder_hidden_states if backbone.is_encoder_decoder else output.hidden_states
    norm = final_norm(model)
    places = torch.tensor(queries, device=backbone.device)
    for state in states[1:-1]:  # the first is the embeddings
        yield unembed(model, norm(state[0, places]))
    yield unembed(model, states[-1][0, places])  # transformers' last state is already normed


def _top_tokens(backbone: Backbone, logits: Tensor, k: int) -> tuple[TopTokens, ...]:
    best = logits.float().softmax(-1).topk(min(k, logits.shape[-1]))
    return tuple(
        tuple((backbone.decode([token], special=True), share) for token, share in zip(row, shares, strict=True))
        for row, shares in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    )


def _settled(tops: Sequence[str]) -> int:
    """The first index from which on all elements equal the last one."""
    layer = len(tops) - 1
    while layer > 0 and tops[layer - 1] == tops[-1]:
        layer -= 1
    return layer
