"""A batch during decoding: one forward call per step; rows can leave and join between steps.

Prompts are padded on the left, so that all rows end at the same column. A row can leave at any step. A new row can join: its
cached keys and values are padded to the batch's width, and the padding is masked. Each row's positions, prefix and text are
independent of the other rows.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

import torch
import transformers
from torch import Tensor
from torch.nn import functional as F

from core.generation.sequence import SequenceState
from core.generation.types import Request, Token
from core.models.backbone import Backbone
from core.models.padding import left_pad, right_pad
from core.prefix.attention import PrefixState, attach

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel


class CachedLayer(Protocol):
    """A layer of transformers' cache after the first step: keys and values of (B, kv_heads, T, head_dim)."""

    keys: Tensor
    values: Tensor


class DecodingBatch:
    """The state of every row: input ids (B, 1; before the first step the prompts, (B, T)), mask, positions and key-value cache.

    `step` generates one token per row; `select` and `merge` are called between steps.
    """

    def __init__(self, model: "PreTrainedModel", backbone: Backbone, requests: Sequence[Request]) -> None:
        self.model, self.device, self.requests = model, backbone.device, list(requests)
        self._begin(backbone, [request.prompt_ids for request in requests])

    def _begin(self, backbone: Backbone, prompts: list[list[int]]) -> None:
        self.ids, self.mask = left_pad(prompts, self.device)
        # Every layer caches all positions, also where the model's attention is windowed.
        self.cache: Cache = transformers.DynamicCache()
        self._update_state()
        positions = (self.mask.cumsum(-1) - 1).clamp(min=0)  # (B, T)
        self.positions = positions + self.state.shifts(self.mask.shape[1]) if self.state else positions

    def _update_state(self) -> None:
        """Update what depends on the set of rows: the attached prefixes, and whether there is padding."""
        prefixes = [request.prefix for request in self.requests]
        interventions = [request.intervention for request in self.requests]
        split = torch.tensor([request.split for request in self.requests], device=self.device)
        start = self.mask.shape[1] - self.mask.sum(-1) + split  # the column after an infix
        self.state = PrefixState.of(prefixes, self.device, next(self.model.parameters()).dtype, interventions, start)
        self.padded = bool((self.mask == 0).any())

    @torch.no_grad()
    def logits(self) -> Tensor:
        """Compute the logits of the next token: (B, vocabulary), fp32."""
        with attach(self.model, self.state):
            out = self.model(
                input_ids=self.ids,
                attention_mask=self.mask if self.padded else None,
                position_ids=self.positions,
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=1,
            )
        return out.logits[:, -1].float()

    def generate_inputs(self) -> dict[str, Tensor]:
        """Return the arguments for transformers' `generate`; only before the first step."""
        return {"input_ids": self.ids, "attention_mask": self.mask, "position_ids": self.positions}

    def step(self, sequences: Sequence[SequenceState]) -> list[Token | None]:
        """Generate one token per row, chosen by its sequence, and make it the row's next input. None for finished sequences."""
        logprobs = self.logits().log_softmax(-1).cpu()  # (B, vocabulary)
        tokens = [sequence.append_next(row, logprobs[row]) for row, sequence in enumerate(sequences)]
        self.append([sequence.last_id for sequence in sequences])
        return tokens

    def append(self, tokens: list[int]) -> None:
        """Make one token per row the next input."""
        self.ids = torch.tensor(tokens, device=self.device)[:, None]
        self.positions = self.positions[:, -1:] + 1
        self.mask = F.pad(self.mask, (0, 1), value=1)

    def select(self, rows: Sequence[int]) -> None:
        """Keep only these rows, and drop columns that are padding in all of them."""
        index = torch.tensor(rows, device=self.device)
        self.requests = [self.requests[row] for row in rows]
        self.ids, self.positions, self.mask = self.ids[index], self.positions[index], self.mask[index]
        empty = int(self.mask.amax(0).argmax())  # columns before the longest row's first token
        self.mask = self.mask[:, empty:]
        for layer in self._layers():
            local_index = index.to(layer.keys.device)
            layer.keys, layer.values = layer.keys[local_index, :, empty:], layer.values[local_index, :, empty:]
        self._update_state()

    def merge(self, other: "DecodingBatch") -> None:
        """Append the rows of another batch on the same model. Both must have taken a step; the other must not be used
        afterwards."""
        width = max(self.mask.shape[1], other.mask.shape[1])
        self.requests += other.requests
        self.ids, self.positions = torch.cat([self.ids, other.ids]), torch.cat([self.positions, other.positions])
        self.mask = torch.cat([F.pad(mask, (width - mask.shape[1], 0)) for mask in (self.mask, other.mask)])
        for mine, theirs in zip(self._layers(), other._layers(), strict=True):
            mine.keys, mine.values = (
                _pad_left(mine.keys, theirs.keys, width - 1),
                _pad_left(mine.values, theirs.values, width - 1),
            )
        self._update_state()

    def _layers(self) -> list[CachedLayer]:
        """Return the cached keys and values of the decoder's own tokens, by layer."""
        return cast(list[CachedLayer], self.cache.layers)


class EncoderDecoderBatch(DecodingBatch):
    """A batch of an encoder-decoder model: prompts are encoded once, and the decoder starts at position 0.

    `source`: (B, S) padded prompts; `source_mask`: (B, S), 1 for real tokens; `encoded`: (B, S, width).
    """

    def _begin(self, backbone: Backbone, prompts: list[list[int]]) -> None:
        self.source, mask = right_pad(prompts, self.device)
        self.source_mask = torch.ones_like(self.source) if mask is None else mask
        self.encoded: Tensor | None = None
        self.ids = torch.tensor([backbone.decoder_start_ids] * len(prompts), device=self.device)  # (B, start tokens)
        self.mask = torch.ones_like(self.ids)
        self.positions = self.mask.cumsum(-1) - 1
        self.own, self.cross = transformers.DynamicCache(), transformers.DynamicCache()
        self.cache = transformers.EncoderDecoderCache(self.own, self.cross)
        self._update_state()

    @torch.no_grad()
    def logits(self) -> Tensor:
        source_mask = None if bool(self.source_mask.all()) else self.source_mask
        with attach(self.model, self.state, positions=self.positions if self.padded else None):
            if self.encoded is None:
                self.encoded = self.model.get_encoder()(input_ids=self.source, attention_mask=source_mask).last_hidden_state
            out = self.model(
                encoder_outputs=(self.encoded,),
                attention_mask=source_mask,
                decoder_input_ids=self.ids,
                decoder_attention_mask=self.mask if self.padded else None,
                past_key_values=self.cache,
                use_cache=True,
            )
        return out.logits[:, -1].float()

    def generate_inputs(self) -> dict[str, Tensor]:
        return {"input_ids": self.source, "attention_mask": self.source_mask, "decoder_input_ids": self.ids}

    def select(self, rows: Sequence[int]) -> None:
        super().select(rows)
        index, width = torch.tensor(rows, device=self.device), int(self.source_mask[list(rows)].sum(-1).max())
        self.source, self.source_mask = self.source[index, :width], self.source_mask[index, :width]
        self.encoded = self.encoded[index, :width] if self.encoded is not None else None
        for layer in self._cross_layers():
            layer.keys, layer.values = layer.keys[index, :, :width], layer.values[index, :, :width]

    def merge(self, other: "DecodingBatch") -> None:
        assert isinstance(other, EncoderDecoderBatch) and self.encoded is not None and other.encoded is not None
        super().merge(other)
        self.source, self.source_mask = (
            _pad_right(self.source, other.source, 1),
            _pad_right(self.source_mask, other.source_mask, 1),
        )
        self.encoded = _pad_right(self.encoded, other.encoded, 1)
        for layer, their in zip(self._cross_layers(), other._cross_layers(), strict=True):
            layer.keys, layer.values = _pad_right(layer.keys, their.keys, 2), _pad_right(layer.values, their.values, 2)

    def _layers(self) -> list[CachedLayer]:
        return cast(list[CachedLayer], self.own.layers)

    def _cross_layers(self) -> list[CachedLayer]:
        """Return the cached keys and values of the encoded source, by layer."""
        return cast(list[CachedLayer], self.cross.layers)


def make_batch(model: "PreTrainedModel", backbone: Backbone, requests: Sequence[Request]) -> DecodingBatch:
    """Create the batch for a backbone's architecture."""
    return (EncoderDecoderBatch if backbone.is_encoder_decoder else DecodingBatch)(model, backbone, requests)


def _pad_left(first: Tensor, second: Tensor, width: int) -> Tensor:
    """Concatenate the rows of two caches, padded on the left with zeros: (B, kv_heads, width, head_dim)."""
    return torch.cat([F.pad(kv, (0, 0, width - kv.shape[2], 0)) for kv in (first, second)])


def _pad_right(first: Tensor, second: Tensor, axis: int) -> Tensor:
    """Concatenate the rows of two tensors, the narrower one padded with zeros at the end of `axis`."""
    width = max(first.shape[axis], second.shape[axis])
    after = [0, 0] * (first.ndim - axis - 1)
    return torch.cat([F.pad(rows, (*after, 0, width - rows.shape[axis])) for rows in (first, second)])
