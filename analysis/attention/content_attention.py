"""Attention with the prefix set aside: the weights on the text alone, renormalized to sum to 1.

A prefix adds keys to a softmax and leaves the text's own logits as they are. So at the first layer, where the text's
states do not depend on the prefix yet, setting it aside gives exactly the map of the model without it: a prefix cannot
change how content tokens attend to one another relative to each other (Petrov et al. 2024, §3). Later layers read states
that the prefix has changed.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from analysis.attention.maps import SITE, prefix_state, teacher_forced_inputs
from core.errors import BadInput
from core.generation.types import Request
from core.models.backbone import Backbone
from core.prefix.attention import attach

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@torch.no_grad()
def content_differences(
    model: "PreTrainedModel", backbone: Backbone, request: Request, ids: Sequence[int], site: str = SITE
) -> Tensor:
    """How far the prefix moves attention among content tokens: the largest difference of a weight, (layers,) fp32.

    Compares the map with the prefix set aside to the map without it, over all heads, queries and keys of a layer. Both are
    read at the same positions: the prefix is hidden (α = 0), not removed, so that the text still begins at position P. The
    first layer's difference is 0 to rounding, except at "cross", whose keys come from an encoder that has a prefix too.
    Memory is one layer's. Raises BadInput where there is no prefix.
    """
    if request.prefix is None:
        raise BadInput("There is no prefix to set aside. Choose a run that has one, or a text prefix.")
    reading, inputs = teacher_forced_inputs(backbone, request, ids, site)
    interventions = [request.intervention, replace(request.intervention, alpha=0.0)]
    differences: dict[int, Tensor] = {}

    def record(where: str, layer: int, weights: Tensor) -> None:  # (2, heads, query, virtual + key)
        if where == site:
            with_prefix, without = _content_share(weights.float(), reading.virtual)
            differences[layer] = (with_prefix - without).abs().max()

    with attach(model, prefix_state(model, backbone, request, interventions), record):
        model.base_model(**{name: tensor.expand(2, -1) for name, tensor in inputs.items()}, use_cache=False)
    return torch.stack([differences[layer] for layer in reading.layers]).cpu()


def _content_share(weights: Tensor, virtual: int) -> Tensor:
    """(..., virtual + key) -> (..., key), rows sum to 1."""
    content = weights[..., virtual:]
    return content / content.sum(-1, keepdim=True).clamp(min=torch.finfo(content.dtype).tiny)
