"""Prefix-aware attention: the one hook into a model.

transformers lets a library register an attention function. Ours is registered once, under NAME. A model that is loaded with it
behaves as with SDPA until `attach` puts a `PrefixState` into the model's slot. Every attention layer then prepends its virtual
tokens' keys and values (paper §4.2, equation 3) and widens the mask. One mechanism serves training, cached decoding, beam
search, and batches whose rows have different prefixes, or none.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import NotSupported
from core.prefix.interventions import NO_INTERVENTION, Intervention, biases
from core.prefix.prefix import KeyValues, Prefix

NAME = "prefix_lab"
WeightsHook = Callable[[str, int, Tensor], None]  # site, layer, weights (B, heads, query, virtual + key)
KeyValueHook = Callable[[str, int, Tensor, Tensor], None]  # site, layer, keys and values (B, kv_heads, virtual + key, head_dim)


class PrefixState:
    """The virtual tokens of one batch.

    `keys[site][layer]` and `values[site][layer]`: (rows or 1, kv_heads, P, head_dim), shorter prefixes padded on the left.
    `mask`: (rows, P), True for real virtual tokens, or None if all are. `shift`: (rows,), the number of positions that each
    row's virtual tokens take. `bias[site]`: (rows, layers, P), added to the virtual tokens' attention logits
    (core/prefix/interventions.py), or None if no row has an intervention. `start`: (rows,), the first text column that follows
    the virtual tokens and sees them, or None if all columns do: an infix (paper §7.3) comes after the source.
    """

    def __init__(self, past: dict[str, Tensor], mask: Tensor | None, shift: Tensor, start: Tensor | None = None) -> None:
        # past[site]: (rows or 1, layers, 2, kv_heads, P, head_dim)
        self.past, self.mask, self.shift, self.start = past, mask, shift, start
        self.bias: dict[str, Tensor] | None = None
        self._expanded: tuple[int, dict[str, list[tuple[Tensor, Tensor]]]] | None = None
        self._widened: dict[str, tuple[Tensor | None, tuple[int, ...], Tensor | None]] = {}

    @classmethod
    def shared(cls, past: KeyValues, rows: int, start: Tensor | None = None) -> "PrefixState":
        """Use one prefix for all rows of a batch; gradients reach `past`."""
        first = next(iter(past.values()))
        shift = torch.full((rows,), first.shape[3], device=first.device)
        return cls({site: kv[None] for site, kv in past.items()}, None, shift, start)

    @classmethod
    def of(
        cls,
        prefixes: Sequence[Prefix | None],
        device: torch.device,
        dtype: torch.dtype,
        interventions: Sequence[Intervention] | None = None,
        start: Tensor | None = None,
    ) -> "PrefixState | None":
        """Use one prefix (or none) and one intervention per row. Returns None if no row has a prefix.

        `start`: (rows,), needed for an infix: the column of the padded text that it precedes.
        """
        real = [prefix for prefix in prefixes if prefix is not None]
        if not real:
            return None
        state = cls._stacked(prefixes, real, device, dtype)
        if any(prefix.infix for prefix in real):
            if start is None:
                raise NotSupported("An infix goes between a source and its separator. Choose a prefix here.")
            state.start = start
        state.bias = biases(prefixes, interventions or [NO_INTERVENTION] * len(prefixes), device, dtype)
        return state

    @classmethod
    def _stacked(
        cls, prefixes: Sequence[Prefix | None], real: list[Prefix], device: torch.device, dtype: torch.dtype
    ) -> "PrefixState":
        if all(prefix is real[0] for prefix in prefixes):
            state = cls.shared({site: kv.to(device, dtype) for site, kv in real[0].past.items()}, len(prefixes))
            state.shift = torch.full_like(state.shift, real[0].shift)
            return state
        longest, past = max(prefix.length for prefix in real), {}
        for site, example in real[0].past.items():
            layers, two, heads, _, dim = example.shape
            stacked = torch.zeros(len(prefixes), layers, two, heads, longest, dim, device=device, dtype=dtype)
            for row, prefix in enumerate(prefixes):
                if prefix is not None:
                    stacked[row, ..., longest - prefix.length :, :] = prefix.past[site].to(device, dtype)
            past[site] = stacked
        lengths = torch.tensor([prefix.length if prefix else 0 for prefix in prefixes], device=device)
        mask = torch.arange(longest, device=device)[None] >= (longest - lengths)[:, None]  # (rows, P)
        shift = torch.tensor([prefix.shift if prefix else 0 for prefix in prefixes], device=device)
        return cls(past, None if bool(mask.all()) else mask, shift)

    def shifts(self, columns: int) -> Tensor:
        """Return what the virtual tokens add to the positions of a text: (rows, columns)."""
        return self._after(torch.arange(columns, device=self.shift.device)) * self.shift[:, None]

    def _after(self, columns: Tensor) -> Tensor:
        """Return which text columns follow the virtual tokens: (rows or 1, T), bool."""
        return columns[None] >= (0 if self.start is None else self.start[:, None])

    def at(self, site: str, layer: int, rows: int, dtype: torch.dtype) -> tuple[Tensor, Tensor] | None:
        """Return one layer's keys and values for `rows` rows (beams repeat each row): (rows, kv_heads, P, head_dim) each."""
        if site not in self.past:
            return None
        if self._expanded is None or self._expanded[0] != rows:
            self.past = {name: kv.to(dtype) for name, kv in self.past.items()}  # the tensors before the cast are not kept
            self._expanded = (rows, {name: self._expand(kv, rows) for name, kv in self.past.items()})
        return self._expanded[1][site][layer]

    def _expand(self, kv: Tensor, rows: int) -> list[tuple[Tensor, Tensor]]:
        """Repeat each layer's keys and values for `rows` rows, so that the gradients of the rows add up in one layer's tensor
        only."""
        expanded = []
        for layer in kv.unbind(1):  # (rows or 1, 2, kv_heads, P, head_dim)
            few = len(layer) == 1
            layer = layer.expand(rows, *layer.shape[1:]) if few else layer.repeat_interleave(rows // len(layer), 0)
            expanded.append((layer[:, 0], layer[:, 1]))
        return expanded

    def widen(
        self, mask: Tensor | None, site: str, rows: int, queries: int, keys: int, causal: bool, virtual: int
    ) -> Tensor | None:
        """Return the mask over virtual tokens and keys: (rows or 1, 1, queries, virtual + keys), bool, or None if nothing is
        hidden.

        Computed once per site and forward call: the layers share one mask object.
        """
        shape, cached = (rows, queries, keys, int(causal)), self._widened.get(site)
        if cached is None or cached[0] is not mask or cached[1] != shape:
            cached = self._widened[site] = (mask, shape, self._widen(mask, rows, queries, keys, causal, virtual))
        return cached[2]

    def _widen(self, mask: Tensor | None, rows: int, queries: int, keys: int, causal: bool, virtual: int) -> Tensor | None:
        if mask is None and self.mask is None and not (causal and queries > 1):  # one query comes after the virtual tokens
            return None
        device = self.shift.device
        if mask is None:
            mask = torch.ones(1, 1, queries, keys, dtype=torch.bool, device=device)
            if causal:
                mask = mask.tril(keys - queries)
        if self.mask is None:
            visible = torch.ones(1, 1, 1, virtual, dtype=torch.bool, device=device)
        else:
            visible = self.mask.repeat_interleave(rows // self.mask.shape[0], 0)[:, None, None]
        if self.start is not None:
            after = self._after(torch.arange(keys - queries, keys, device=device))  # (rows or 1, queries)
            visible = visible & after.repeat_interleave(rows // len(after), 0)[:, None, :, None]
        high = max(mask.shape[0], visible.shape[0])
        visible = visible.expand(high, 1, queries, virtual)
        if mask.dtype != torch.bool:  # an additive mask: 0 where visible
            hidden = torch.full_like(visible, 0.0, dtype=mask.dtype).masked_fill(~visible, torch.finfo(mask.dtype).min)
            return torch.cat([hidden, mask.expand(high, *mask.shape[1:])], -1)
        return torch.cat([visible, mask.expand(high, *mask.shape[1:])], -1)

    def biased(self, mask: Tensor | None, site: str, layer: int, rows: int, keys: int) -> Tensor | None:
        """Return the widened mask with one layer's bias as an additive mask, (rows, 1, 1 or queries, P + keys); unchanged
        without a bias."""
        if self.bias is None:
            return mask
        bias = self.bias[site][:, layer].repeat_interleave(rows // len(self.bias[site]), 0)  # (rows, P)
        added = F.pad(bias, (0, keys))[:, None, None]  # (rows, 1, 1, P + keys)
        if mask is None:
            return added
        low = torch.finfo(added.dtype).min
        return torch.where(mask, added, low) if mask.dtype == torch.bool else (mask + added).clamp(min=low)


class PrefixSlot:
    """Where a model's attention layers find the attached prefix. One per model, with one owner at a time."""

    def __init__(self) -> None:
        self.state: PrefixState | None = None
        self.weights_hook: WeightsHook | None = None
        self.key_value_hook: KeyValueHook | None = None
        self.positions: Tensor | None = None
        self.lock = threading.RLock()

    def __deepcopy__(self, memo: dict) -> "PrefixSlot":
        copied = memo[id(self)] = PrefixSlot()  # a copied model has a slot of its own
        return copied


def install_prefix_attention(model: nn.Module) -> PrefixSlot:
    """Give each attention layer of a model (loaded with `attn_implementation=NAME`) its slot, site and layer number.

    Raises NotSupported if no layer uses transformers' attention interface.
    """
    slot, count = PrefixSlot(), 0
    for name, module in model.named_modules():
        last = name.rsplit(".", 1)[-1]
        if getattr(module, "layer_idx", None) is not None and ("attn" in last or "attention" in last):
            module.prefix_slot, module.prefix_location = slot, (_site(name), module.layer_idx)
            count += 1
    if count == 0:
        raise NotSupported(
            f"{type(model).__name__} has no attention layers that go through transformers' attention interface, "
            "so a prefix cannot be attached. Use a GPT-2, Llama or Qwen-like model, or BART."
        )
    model.prefix_slot = slot  # type: ignore[assignment]
    for name, module in model.named_modules():
        if name.endswith("decoder.embed_positions"):
            module.prefix_slot = slot
            module.register_forward_hook(_decoder_positions_hook)
    return slot


def _decoder_positions_hook(module: nn.Embedding, _inputs: object, output: Tensor) -> Tensor:
    """Replace the position embeddings by those of the rows' own positions, if these are set: (B, T, width)."""
    slot, offset = cast(PrefixSlot, module.prefix_slot), cast(int, module.offset)
    return output if slot.positions is None else nn.Embedding.forward(module, slot.positions + offset)


def _site(name: str) -> str:
    if ".encoder." in name:
        return "encoder"
    return "cross" if "encoder_attn" in name or "crossattention" in name else "decoder"


@contextmanager
def attach(
    model: nn.Module,
    state: PrefixState | None,
    weights_hook: WeightsHook | None = None,
    key_value_hook: KeyValueHook | None = None,
    positions: Tensor | None = None,
) -> Iterator[None]:
    """Attach a batch's prefixes for the forward calls in the `with` block, and detach them in any case.

    `weights_hook` receives every layer's attention weights, `key_value_hook` the keys and values that it attends to.
    `positions`: (B, T), for a decoder that accepts none from its caller (BART's counts its cache, as if all rows had the same
    length). Must not be held across a `yield` of a stream, since the slot has one owner at a time.
    """
    slot: PrefixSlot = model.prefix_slot  # type: ignore[assignment]
    with slot.lock:
        before = (slot.state, slot.weights_hook, slot.key_value_hook, slot.positions)
        slot.state, slot.weights_hook, slot.key_value_hook, slot.positions = state, weights_hook, key_value_hook, positions
        try:
            yield
        finally:
            slot.state, slot.weights_hook, slot.key_value_hook, slot.positions = before
