"""A prefix: the keys and values that are kept, how they begin, and the MLP that is dropped after training."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from core.errors import BadConfig, BadInput, TooLong, WrongBackbone
from core.prefix.attention import Past, attach

if TYPE_CHECKING:
    from core.models.backbone import Backbone, BackboneSpec


@dataclass(frozen=True, eq=False)
class Prefix:
    """Virtual tokens as keys and values at every layer. `past[site]`: (layers, 2, kv_heads, length, head_dim).

    `infix`: they stand between the source and its separator (paper §7.3), not before the source.
    """

    past: Past
    backbone: str = ""
    fingerprint: str = ""
    origin: str = ""
    infix: bool = False

    @property
    def length(self) -> int:
        """P, the number of virtual tokens."""
        return next(iter(self.past.values())).shape[3]

    @property
    def parameters(self) -> int:
        """How many numbers are stored."""
        return sum(kv.numel() for kv in self.past.values())

    def save(self, path: Path, dtype: torch.dtype = torch.float32) -> None:
        """Write the tensors, and nothing else, as safetensors."""
        save_file({site: kv.detach().to("cpu", dtype).contiguous() for site, kv in self.past.items()}, path)

    @classmethod
    def load(cls, path: Path, backbone: str = "", fingerprint: str = "") -> "Prefix":
        """Read what `save` wrote, as fp32."""
        name, do = f"{path.parent.name}/{path.name}", "Train the prefix again, or restore the file."
        try:
            tensors = load_file(path)
        except Exception as error:  # safetensors raises its own class, OSError or ValueError
            raise BadInput(f"{name} is not a readable safetensors file ({error}). {do}") from error
        past = {site: kv.float() for site, kv in tensors.items()}
        if not past or any(kv.ndim != 5 or kv.shape[1] != 2 for kv in past.values()):
            raise BadInput(f"{name} does not hold a prefix, of the shape (layers, 2, heads, length, head_dim). {do}")
        if not all(kv.numel() for kv in past.values()):
            raise BadInput(f"{name} holds no virtual token. {do}")
        if not all(kv.isfinite().all() for kv in past.values()):
            raise BadInput(f"{name} holds NaN or infinity. {do}")
        return cls(past, backbone, fingerprint, str(path))


def stored_count(spec: "BackboneSpec", length: int) -> int:
    """How many numbers a prefix of `length` virtual tokens stores (paper §4.2)."""
    return sum(math.prod(spec.shape(site, length)) for site in spec.sites)


def check_shape(prefix: Prefix, spec: "BackboneSpec", whose: str) -> None:
    """WrongBackbone unless the prefix has the backbone's sites, layers and heads; `whose` begins the sentence."""
    wanted = {site: spec.shape(site, prefix.length) for site in spec.sites}
    if {site: tuple(kv.shape) for site, kv in prefix.past.items()} != wanted:
        has = _told({site: tuple(kv.shape) for site, kv in prefix.past.items()})
        raise WrongBackbone(
            f"{whose} has keys and values of the shape {has}, and {spec.name} takes {_told(wanted)}. "
            "Load the model that it was trained on, or restore its weights."
        )


def _told(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return "; ".join(f"{site} {shape}" for site, shape in shapes.items())


class DirectPrefix(nn.Module):
    """Trains the keys and values themselves."""

    def __init__(self, start: Past) -> None:
        super().__init__()
        self.past = nn.ParameterDict({site: nn.Parameter(kv.clone().float()) for site, kv in start.items()})

    def forward(self) -> Past:
        """site -> (layers, 2, kv_heads, P, head_dim)."""
        return dict(self.past.items())


class PrefixEncoder(nn.Module):
    """The reparametrisation of paper §4.3: P'[i] of the model's width, through an MLP, gives all keys and values.

    One embedding and MLP a site, in the official code's form: Embedding, Linear, tanh, Linear.
    """

    def __init__(self, spec: "BackboneSpec", length: int, hidden: int) -> None:
        super().__init__()
        self.shapes = {site: (spec.depth(site), 2, spec.kv_heads, spec.head_dim) for site in spec.sites}
        self.inputs = nn.ModuleDict({site: nn.Embedding(length, spec.width) for site in spec.sites})
        outs = {site: math.prod(shape) for site, shape in self.shapes.items()}
        self.mlps = nn.ModuleDict(
            {site: nn.Sequential(nn.Linear(spec.width, hidden), nn.Tanh(), nn.Linear(hidden, out)) for site, out in outs.items()}
        )

    def forward(self) -> Past:
        """site -> (layers, 2, kv_heads, P, head_dim); computed once a step, whatever the batch."""
        past = {}
        for site, mlp in self.mlps.items():
            flat = mlp(self.inputs[site].weight)  # (P, layers * 2 * heads * dim)
            past[site] = flat.view(-1, *self.shapes[site]).permute(1, 2, 3, 0, 4)
        return past

    def fit(self, target: Past, steps: int = 500, rate: float = 1e-4) -> None:
        """Bring the output near `target` by squared error (the official code's way to start the MLP from words)."""
        optimiser = torch.optim.Adam(self.parameters(), lr=rate)
        for _ in range(steps):
            optimiser.zero_grad()
            past = self()
            torch.stack([F.mse_loss(past[site], target[site]) for site in past]).sum().backward()
            optimiser.step()


@torch.no_grad()
def text_past(backbone: "Backbone", ids: list[int]) -> Past:
    """The frozen model's own keys and values for a text of P tokens at positions 0 to P-1, at each of its sites.

    An encoder-decoder model reads the text with its encoder, and its decoder reads the same text once more:
    "cross" is what the decoder's layers make of the encoded text.
    """
    text = torch.tensor([ids], device=backbone.device)
    return read_past(backbone, input_ids=text, **({} if backbone.opening is None else {"decoder_input_ids": text}))


def read_past(backbone: "Backbone", **given: torch.Tensor) -> Past:
    """The keys and values that the frozen model makes of one row of inputs; gradients flow to the inputs."""
    found: dict[tuple[str, int], torch.Tensor] = {}

    def read(site: str, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        found[site, layer] = torch.stack([keys[0], values[0]])  # (2, kv_heads, P, head_dim)

    with attach(backbone.model, None, reader=read):
        backbone.model.base_model(use_cache=False, **given)
    spec = backbone.spec
    return {site: torch.stack([found[site, layer] for layer in range(spec.depth(site))]).float() for site in spec.sites}


def text_prefix(backbone: "Backbone", text: str) -> Prefix:
    """Any text as a prefix: what the frozen model makes of it, with no training. It equals typing the text before the input.

    In an encoder-decoder model it comes near that only: there the text has not seen the input, nor moved its positions on.
    Virtual token i is the text's token i. The text is taken as it is: end it with a space or a new line where
    the input should not run on from it. Raises BadInput for an empty text, TooLong where it takes more than half
    of the model's positions, which would leave too little room for the input and the output.
    """
    ids, limit = backbone.encode(text) if text.strip() else [], backbone.spec.positions // 2
    if not ids:
        raise BadInput("The text prefix is empty. Type an instruction or an example.")
    if len(ids) > limit:
        raise TooLong(
            f"The text prefix has {len(ids)} tokens, and at most {limit} are taken: half of {backbone.spec.name}'s "
            f"{backbone.spec.positions} positions, so that the input and the output have room. Shorten the text."
        )
    return Prefix(text_past(backbone, ids), backbone.spec.name, backbone.spec.fingerprint, "text")


def words_past(backbone: "Backbone", words: str, length: int) -> Past:
    """Activations of given words (paper §7.4), repeated or cut to `length` tokens."""
    ids = backbone.encode(words)
    if not ids:
        raise BadConfig(f"init_words must hold at least one word; given: {words!r}.")
    return text_past(backbone, (ids * (length // len(ids) + 1))[:length])


def initial_past(backbone: "Backbone", init: str, length: int, words: str = "") -> Past:
    """Where a directly trained prefix begins: "random" (uniform 0 to 1, as the paper's ablation), "zeros" or "words"."""
    if init == "words":
        return words_past(backbone, words, length)
    spec = backbone.spec
    make = torch.rand if init == "random" else torch.zeros
    return {site: make(spec.shape(site, length), device=backbone.device) for site in spec.sites}
