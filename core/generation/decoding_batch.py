"""A batch being decoded: one forward call a step, and rows that leave and join between two steps.

Prompts are padded on the left, so that all rows end at the same column. That is what lets a row leave without
a trace, and a newcomer join in the middle: its cached keys and values are padded to the batch's width, and
the padding is masked. A row's positions, prefix and text are its own whatever stands beside it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import DynamicCache, EncoderDecoderCache

from core.models.backbone import Backbone
from core.prefix.attention import PrefixState, attach
from core.training.batches import left_pad, right_pad

if TYPE_CHECKING:
    from core.generation.generate import Request


class Decoder:
    """The next input (B, 1; the prompts (B, T) at first), the mask, the positions and the cache of every row.

    A step is `logits`, then `push`; `keep` and `join` stand between steps.
    """

    def __init__(self, model: Any, backbone: Backbone, requests: "Sequence[Request]") -> None:
        self.model, self.device, self.requests = model, backbone.device, list(requests)
        self.cache: Any
        self._begin(backbone, [request.prompt_ids for request in requests])

    def _begin(self, backbone: Backbone, prompts: list[list[int]]) -> None:
        self.ids, self.mask = left_pad(prompts, self.device)
        self.cache = DynamicCache()  # every layer keeps all it has seen, also where the model's attention is windowed
        self._settle()
        positions = (self.mask.cumsum(-1) - 1).clamp(min=0)  # (B, T)
        self.positions = positions + self.state.shifts(self.mask.shape[1]) if self.state else positions

    def _settle(self) -> None:
        """What depends on which rows there are: their prefixes, and whether there is any padding."""
        prefixes = [request.prefix for request in self.requests]
        done = [request.intervention for request in self.requests]
        split = torch.tensor([request.split for request in self.requests], device=self.device)
        start = self.mask.shape[1] - self.mask.sum(-1) + split  # the column after an infix
        self.state = PrefixState.of(prefixes, self.device, next(self.model.parameters()).dtype, done, start)
        self.padded = bool((self.mask == 0).any())

    @torch.no_grad()
    def logits(self) -> Tensor:
        """Logits of the next token: (B, vocabulary), fp32."""
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

    def search(self) -> dict[str, Tensor]:
        """What transformers' own search begins with, before any step."""
        return {"input_ids": self.ids, "attention_mask": self.mask, "position_ids": self.positions}

    def push(self, tokens: list[int]) -> None:
        """Take one chosen token a row as the next input."""
        self.ids = torch.tensor(tokens, device=self.device)[:, None]
        self.positions = self.positions[:, -1:] + 1
        self.mask = F.pad(self.mask, (0, 1), value=1)

    def keep(self, rows: Sequence[int]) -> None:
        """Only these rows go on. Columns that are padding in all of them are cut off."""
        index = torch.tensor(rows, device=self.device)
        self.requests = [self.requests[row] for row in rows]
        self.ids, self.positions, self.mask = self.ids[index], self.positions[index], self.mask[index]
        empty = int(self.mask.amax(0).argmax())  # columns before the longest row's first token
        self.mask = self.mask[:, empty:]
        for layer in self._layers():
            layer.keys, layer.values = layer.keys[index, :, empty:], layer.values[index, :, empty:]
        self._settle()

    def join(self, other: "Decoder") -> None:
        """Take in the rows of another batch on the same model, after ours; it is used up. Both have taken a step."""
        width = max(self.mask.shape[1], other.mask.shape[1])
        self.requests += other.requests
        self.ids, self.positions = torch.cat([self.ids, other.ids]), torch.cat([self.positions, other.positions])
        self.mask = torch.cat([F.pad(mask, (width - mask.shape[1], 0)) for mask in (self.mask, other.mask)])
        for mine, theirs in zip(self._layers(), other._layers(), strict=True):
            mine.keys, mine.values = _stack(mine.keys, theirs.keys, width - 1), _stack(mine.values, theirs.values, width - 1)
        self._settle()

    def _layers(self) -> list[Any]:
        """The cache of what the rows have written."""
        return self.cache.layers


class EncoderDecoder(Decoder):
    """The same where an encoder reads the prompts, once, and the decoder begins with an opening of its own at position 0.

    `read`: (B, S) True where a token of the padded sources is real; `encoded`: (B, S, width).
    """

    def _begin(self, backbone: Backbone, prompts: list[list[int]]) -> None:
        self.source, mask = right_pad(prompts, self.device)
        self.read = torch.ones_like(self.source) if mask is None else mask
        self.encoded: Tensor | None = None
        self.ids = torch.tensor([backbone.opening] * len(prompts), device=self.device)  # (B, opening)
        self.mask = torch.ones_like(self.ids)
        self.positions = self.mask.cumsum(-1) - 1
        self.cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        self._settle()

    @torch.no_grad()
    def logits(self) -> Tensor:
        read = None if bool(self.read.all()) else self.read
        with attach(self.model, self.state, positions=self.positions if self.padded else None):
            if self.encoded is None:
                self.encoded = self.model.get_encoder()(input_ids=self.source, attention_mask=read).last_hidden_state
            out = self.model(
                encoder_outputs=(self.encoded,),
                attention_mask=read,
                decoder_input_ids=self.ids,
                decoder_attention_mask=self.mask if self.padded else None,
                past_key_values=self.cache,
                use_cache=True,
            )
        return out.logits[:, -1].float()

    def search(self) -> dict[str, Tensor]:
        return {"input_ids": self.source, "attention_mask": self.read, "decoder_input_ids": self.ids}

    def keep(self, rows: Sequence[int]) -> None:
        super().keep(rows)
        index, width = torch.tensor(rows, device=self.device), int(self.read[list(rows)].sum(-1).max())
        self.source, self.read = self.source[index, :width], self.read[index, :width]
        self.encoded = self.encoded[index, :width] if self.encoded is not None else None
        for layer in self.cache.cross_attention_cache.layers:
            layer.keys, layer.values = layer.keys[index, :, :width], layer.values[index, :, :width]

    def join(self, other: "Decoder") -> None:
        assert isinstance(other, EncoderDecoder) and self.encoded is not None and other.encoded is not None
        super().join(other)
        self.source, self.read = _below(self.source, other.source, 1), _below(self.read, other.read, 1)
        self.encoded = _below(self.encoded, other.encoded, 1)
        theirs = other.cache.cross_attention_cache.layers
        for layer, their in zip(self.cache.cross_attention_cache.layers, theirs, strict=True):
            layer.keys, layer.values = _below(layer.keys, their.keys, 2), _below(layer.values, their.values, 2)

    def _layers(self) -> list[Any]:
        return self.cache.self_attention_cache.layers


def decoder_of(model: Any, backbone: Backbone, requests: "Sequence[Request]") -> Decoder:
    """A batch of the kind that the backbone's family needs."""
    return (Decoder if backbone.opening is None else EncoderDecoder)(model, backbone, requests)


def _stack(first: Tensor, second: Tensor, width: int) -> Tensor:
    """Rows of two caches, each padded on the left with zeros: (B, kv_heads, width, head_dim)."""
    return torch.cat([F.pad(kv, (0, 0, width - kv.shape[2], 0)) for kv in (first, second)])


def _below(first: Tensor, second: Tensor, axis: int) -> Tensor:
    """Rows of two tensors, the narrower one padded with zeros at the end of an axis."""
    width = max(first.shape[axis], second.shape[axis])
    after = [0, 0] * (first.ndim - axis - 1)
    return torch.cat([F.pad(rows, (*after, 0, width - rows.shape[axis])) for rows in (first, second)])
