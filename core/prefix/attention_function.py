"""The attention function that transformers calls in a model loaded with `attn_implementation=NAME`; registered on import."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from core.prefix.attention import NAME, PrefixSlot


def prefix_attention(
    module: nn.Module,
    query: Tensor,  # (B, heads, q, head_dim)
    key: Tensor,  # (B, kv_heads, k, head_dim), cached keys included
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attention over [virtual tokens; keys]; plain attention if no prefix is attached.

    `softcap`: bound of the logits (Gemma 2); `s_aux`: (heads,), logits of attention sinks, which take weight but have no value.
    """
    slot: PrefixSlot = module.prefix_slot  # type: ignore[assignment]
    site, layer = module.prefix_location  # type: ignore[misc]
    rows, _, queries, _ = query.shape
    causal = bool(getattr(module, "is_causal", True)) if is_causal is None else is_causal
    state = slot.state
    key_values = state.at(site, layer, rows, key.dtype) if state is not None else None
    if state is not None and key_values is not None:
        keys, virtual = key.shape[-2], key_values[0].shape[-2]
        here, home = query.device, state.shift.device  # two devices where a model is split over several
        attention_mask = None if attention_mask is None else attention_mask.to(home)
        attention_mask = state.widen(attention_mask, site, rows, queries, keys, causal, virtual)
        attention_mask = state.biased(attention_mask, site, layer, rows, keys)
        attention_mask = None if attention_mask is None else attention_mask.to(here)
        key, value = torch.cat([key_values[0].to(here), key], -2), torch.cat([key_values[1].to(here), value], -2)
        causal = False
    if slot.key_value_hook is not None:
        slot.key_value_hook(site, layer, key, value)
    plain = softcap is None and s_aux is None and slot.weights_hook is None  # what the fused kernel can compute
    # On a CPU, plain matrix products train a fifth faster than the fused kernel at these lengths.
    if plain and (query.device.type != "cpu" or not torch.is_grad_enabled()):
        hidden = causal and attention_mask is None and queries > 1
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=hidden, **kwargs
        )
    recorded = slot.weights_hook is not None
    output, weights = _matmul_attention(module, query, key, value, attention_mask, scaling, causal, recorded, softcap, s_aux)
    if slot.weights_hook is not None:
        slot.weights_hook(site, layer, weights)
    return output, weights


def _matmul_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scaling: float | None,
    causal: bool,
    recorded: bool,
    softcap: float | None,
    sinks: Tensor | None,
) -> tuple[Tensor, Tensor]:
    groups = getattr(module, "num_key_value_groups", 1)
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    scores = (query * (scaling if scaling is not None else query.shape[-1] ** -0.5)) @ key.transpose(-1, -2)  # (B, H, q, k)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if mask is None and causal and scores.shape[-2] > 1:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril(scores.shape[-1] - scores.shape[-2])
    if mask is not None:
        low = torch.finfo(scores.dtype).min  # not -inf: a row with nothing to see must not become NaN
        scores = scores.masked_fill(~mask, low) if mask.dtype == torch.bool else scores + mask
    if sinks is not None:
        scores = torch.cat([scores, sinks.to(scores.dtype).reshape(1, -1, 1, 1).expand(*scores.shape[:-1], 1)], -1)
    weights = scores.softmax(-1, dtype=torch.float32 if recorded else None)  # recorded weights sum to 1 in a bf16 model too
    if sinks is not None:
        weights = weights[..., :-1]
    return (weights.to(value.dtype) @ value).transpose(1, 2), weights  # (B, q, H, D), (B, H, q, k)


AttentionInterface.register(NAME, prefix_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
