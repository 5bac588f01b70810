"""A prefix: the keys and values of its virtual tokens at every layer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from core.backbone_spec import BackboneSpec
from core.errors import BadInput, WrongBackbone
from core.tensor_file import write_tensors

KeyValues = dict[str, Tensor]  # site -> (layers, 2, kv_heads, length, head_dim)
BIAS, POSITIONS = "bias.", "positions"  # names of stored tensors, beside those of the sites
MOST_POSITIONS = 1_000_000


@dataclass(frozen=True, eq=False)
class Prefix:
    """Virtual tokens as keys and values at every layer. `past[site]`: (layers, 2, kv_heads, length, head_dim).

    `infix`: they stand between the source and its separator (paper §7.3) instead of before the source. `bos`: how many of them
    are the tokenizer's start tokens, which the input then omits. `positions`: how many positions they take in a decoder-only
    model; by default one each. `bias[site]`: (layers, length), added to their attention logits, as in a mix; empty without one.
    """

    past: KeyValues
    backbone: str = ""
    fingerprint: str = ""
    infix: bool = False
    bos: int = 0
    positions: int | None = None
    bias: dict[str, Tensor] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """P, the number of virtual tokens."""
        return next(iter(self.past.values())).shape[3]

    @property
    def shift(self) -> int:
        """The position at which the text starts in a decoder-only model."""
        return self.length if self.positions is None else self.positions

    @property
    def parameters(self) -> int:
        """The number of stored parameters."""
        return sum(kv.numel() for kv in self.past.values())

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors to store: keys and values by site and, for a mix, "bias.SITE" and "positions"."""
        places = {} if self.positions is None else {POSITIONS: torch.tensor([self.positions])}
        return self.past | {BIAS + site: bias for site, bias in self.bias.items()} | places

    def save(self, path: Path, dtype: torch.dtype = torch.float32) -> None:
        """Write the tensors as safetensors; keys and values in `dtype`."""
        cast = {name: tensor.to(dtype) if tensor.ndim == 5 else tensor for name, tensor in self.tensors().items()}
        write_tensors(cast, path)

    @classmethod
    def load(cls, path: Path, backbone: str = "", fingerprint: str = "") -> "Prefix":
        """Read what `save` wrote, as fp32."""
        name, do = f"{path.parent.name}/{path.name}", "Train the prefix again, or restore the file."
        try:
            tensors = load_file(path)
        except Exception as error:  # safetensors raises its own class, OSError or ValueError
            raise BadInput(f"{name} is not a readable safetensors file ({error}). {do}") from error
        bias = {key.removeprefix(BIAS): tensors.pop(key).float() for key in list(tensors) if key.startswith(BIAS)}
        positions = tensors.pop(POSITIONS, None)
        past = {site: kv.float() for site, kv in tensors.items()}
        if not past or any(kv.ndim != 5 or kv.shape[1] != 2 for kv in past.values()):
            raise BadInput(f"{name} does not hold a prefix, of the shape (layers, 2, heads, length, head_dim). {do}")
        if not all(kv.numel() for kv in past.values()):
            raise BadInput(f"{name} has no virtual token. {do}")
        if not all(kv.isfinite().all() for kv in past.values()):
            raise BadInput(f"{name} contains NaN or infinity. {do}")
        fits = all(site in past and added.shape == past[site].shape[::3] for site, added in bias.items())
        if not fits or any(added.isnan().any() for added in bias.values()):
            raise BadInput(f"{name} holds weights that do not go with its virtual tokens, one per layer and token. {do}")
        if positions is not None and (positions.numel() != 1 or not 0 <= positions.item() <= MOST_POSITIONS):
            raise BadInput(f"{name} does not say how many positions its virtual tokens take. {do}")
        return cls(past, backbone, fingerprint, positions=None if positions is None else int(positions), bias=bias)


def stored_count(spec: BackboneSpec, length: int) -> int:
    """Return how many parameters a prefix of `length` virtual tokens stores (paper §4.2)."""
    return sum(math.prod(spec.shape(site, length)) for site in spec.sites)


def check_shape(prefix: Prefix, spec: BackboneSpec, whose: str) -> None:
    """Raise WrongBackbone unless the prefix has the backbone's sites, layers and heads. `whose` is the subject of the message."""
    expected = {site: spec.shape(site, prefix.length) for site in spec.sites}
    if {site: tuple(kv.shape) for site, kv in prefix.past.items()} != expected:
        has = _describe({site: tuple(kv.shape) for site, kv in prefix.past.items()})
        raise WrongBackbone(
            f"{whose} has keys and values of the shape {has}, and {spec.name} takes {_describe(expected)}. "
            "Load the model that it was trained on, or restore its weights."
        )


def _describe(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return "; ".join(f"{site} {shape}" for site, shape in shapes.items())
