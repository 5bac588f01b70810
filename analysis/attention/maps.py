"""Attention maps: the exact weights while a model re-reads a text with its prefix, and their sums by group of keys.

The text is re-read teacher-forced: prefix, prompt and generated tokens in one forward call, through the same attention
function that generated it. A query is the token being read; it decides the next token, so the t-th generated token
belongs to the query before it (`AttentionReading.step_queries`). Attention is not explanation: a large mass shows where
values were taken from, not what they changed (see ablation.py).

An encoder-decoder model has three sites: "encoder" (the source attends to itself), "decoder" (the generated text attends
to itself, after the decoder's start tokens) and "cross" (the generated text attends to the source). Each has virtual
tokens of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from core.errors import BadInput, TooLong
from core.generation.limits import check_length
from core.generation.types import Request
from core.models.backbone import Backbone
from core.prefix.attention import PrefixState, attach
from core.prefix.interventions import Intervention

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SITE = "decoder"
PREFIX, SOURCE, GENERATED = 0, 1, 2  # groups of keys, in order of position
SITES = {"encoder": "the encoder", "decoder": "the decoder's own attention", "cross": "the cross-attention"}
MEMORY = 512 * 2**20  # bytes an AttentionMap may take
WeightsCallback = Callable[
    [int, Tensor, Tensor], None
]  # layer, weights (heads, query, virtual + key), norms (heads, virtual + key)


@dataclass(frozen=True)
class AttentionLabels:
    """The words for the groups of keys and for the site in figures and sentences; no `site_name` if there is only one site."""

    groups: tuple[str, str, str] = ("prefix", "the input", "written so far")
    site_name: str = ""


def attention_labels(backbone: Backbone, site: str, source: str = "the input") -> AttentionLabels:
    """The labels of a site. `source`: the word for the model's input; a decoder beside an encoder has its start tokens there."""
    if not backbone.is_encoder_decoder:
        return AttentionLabels(("prefix", source, "written so far"))
    return AttentionLabels(("prefix", "the start tokens" if site == SITE else source, "written so far"), SITES[site])


@dataclass(frozen=True, eq=False, kw_only=True)
class AttentionReading:
    """A text as one site reads it.

    `tokens`: the texts of the prompt's and the generated tokens; `virtual`: P; `source`: the number of tokens in the prompt.
    `layers`: the layers included, from 0. `keys`: the tokens attended to, where they differ from the `tokens` that attend: for
    "cross", those of the encoder. In an encoder-decoder model the prompt is the decoder's start tokens.
    """

    tokens: tuple[str, ...]
    virtual: int
    source: int
    layers: tuple[int, ...]
    site: str = SITE
    keys: tuple[str, ...] | None = None

    @property
    def key_tokens(self) -> tuple[str, ...]:
        """The text of each key: P1 … Pn for the virtual tokens, which are not words, then the tokens."""
        return tuple(f"P{i + 1}" for i in range(self.virtual)) + (self.tokens if self.keys is None else self.keys)

    @property
    def group_sizes(self) -> list[int]:
        """The number of keys in each group: virtual tokens, source, generated tokens."""
        source = self.source if self.keys is None else len(self.keys)
        return [self.virtual, source, len(self.key_tokens) - self.virtual - source]

    @property
    def generated_tokens(self) -> tuple[str, ...]:
        """The generated tokens; empty for an encoder."""
        return self.tokens[self.source :]

    @property
    def step_tokens(self) -> tuple[str, ...]:
        """The token of each step: the one generated, or in an encoder the one read. Empty before the first token."""
        return self.tokens if self.site == "encoder" else self.generated_tokens

    @property
    def step_queries(self) -> range:
        """The queries that decided the generated tokens; the last token of the prompt if there are none yet.

        An encoder decides none: all its queries count.
        """
        if self.site == "encoder":
            return range(len(self.tokens))
        return range(self.source - 1, max(self.source, len(self.tokens) - 1))


@dataclass(frozen=True, eq=False, kw_only=True)
class AttentionMass(AttentionReading):
    """Attention summed over the virtual tokens, the prompt and the generated tokens; the three sum to 1.

    `mass`: (layers, heads, query, 3) fp32; `weighted`: the same with each key's weight multiplied by the norm of its
    value vector, so that a token that draws attention but adds little (often the first one) counts for little.
    `per_virtual_token`: (layers, heads, virtual), the mean weight on each virtual token over `step_queries`.
    `parts`: (layers, heads, query, parts), the mass on parts of the source, such as its sentences, if requested.
    """

    mass: Tensor
    weighted: Tensor
    per_virtual_token: Tensor
    parts: Tensor | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class AttentionMap(AttentionReading):
    """All attention weights. `weights`: (layers, heads, query, virtual + key) fp32, rows sum to 1.

    `norms`: (layers, heads, virtual + key), the norm of each key's value vector.
    """

    weights: Tensor
    norms: Tensor

    def mass(self) -> AttentionMass:
        """Sum over the three groups of keys."""
        parts = [_group_sums(w, n, self) for w, n in zip(self.weights, self.norms, strict=True)]
        mass, weighted, per_virtual_token = (torch.stack(part) for part in zip(*parts, strict=True))
        reading = {name: value for name, value in vars(self).items() if name not in ("weights", "norms")}
        return AttentionMass(**reading, mass=mass, weighted=weighted, per_virtual_token=per_virtual_token)


def attention_map(
    model: "PreTrainedModel",
    backbone: Backbone,
    request: Request,
    ids: Sequence[int],
    layers: Sequence[int] | None = None,
    site: str = SITE,
) -> AttentionMap:
    """All attention weights of a site while `model` reads the request's prefix, its prompt and the generated `ids`.

    `layers`: only these, from 0. Raises TooLong if the text or the weights do not fit; `attention_mass` needs one layer's.
    """
    reading, inputs = teacher_forced_inputs(backbone, request, ids, site)
    layer_indices = reading.layers if layers is None else tuple(layers)
    if unknown := set(layer_indices) - set(reading.layers):
        raise BadInput(f"There is no layer {min(unknown)}: {backbone.spec.name} has layers 0 to {reading.layers[-1]}.")
    queries, keys = len(reading.tokens), len(reading.key_tokens)
    needed = len(layer_indices) * backbone.spec.heads * queries * keys * 4
    if needed > MEMORY:
        raise TooLong(
            f"The attention of {len(layer_indices)} layers over {queries} tokens takes {needed / 2**20:.0f} MB, and "
            f"{MEMORY / 2**20:.0f} MB are allowed. Ask for fewer layers at a time, or shorten the text."
        )
    weights = torch.empty(len(layer_indices), backbone.spec.heads, queries, keys)
    norms = torch.empty(len(layer_indices), backbone.spec.heads, keys)

    def take(layer: int, layer_weights: Tensor, layer_norms: Tensor) -> None:
        if layer in layer_indices:
            weights[layer_indices.index(layer)], norms[layer_indices.index(layer)] = layer_weights, layer_norms

    record_attention(model, backbone, request, inputs, site, take)
    return AttentionMap(**vars(replace(reading, layers=layer_indices)), weights=weights, norms=norms)


def attention_mass(
    model: "PreTrainedModel",
    backbone: Backbone,
    request: Request,
    ids: Sequence[int],
    site: str = SITE,
    parts: Sequence[int] | None = None,
) -> AttentionMass:
    """The sums of all layers and heads of a site; holds one layer's weights at a time.

    `parts`: the part that each token of the source belongs to, from 0 (see sentences.py); -1 for none.
    """
    reading, inputs = teacher_forced_inputs(backbone, request, ids, site)
    sums: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
    shares: dict[int, Tensor] = {}
    members = None if parts is None else _part_membership(parts, reading.group_sizes[SOURCE])

    def take(layer: int, weights: Tensor, norms: Tensor) -> None:
        sums[layer] = _group_sums(weights, norms, reading)
        if members is not None:
            source = weights.float().split(reading.group_sizes, -1)[SOURCE]  # (heads, query, source)
            shares[layer] = source @ members.to(source)

    record_attention(model, backbone, request, inputs, site, take)
    mass, weighted, per_virtual_token = (torch.stack([sums[layer][part] for layer in reading.layers]).cpu() for part in range(3))
    part_shares = torch.stack([shares[layer] for layer in reading.layers]).cpu() if shares else None
    return AttentionMass(**vars(reading), mass=mass, weighted=weighted, per_virtual_token=per_virtual_token, parts=part_shares)


def _part_membership(parts: Sequence[int], source: int) -> Tensor:
    """One-hot membership of tokens in parts: (source, parts)."""
    if len(parts) != source:
        raise BadInput(f"{len(parts)} parts were given for {source} tokens of the source. Give one number for each token.")
    numbers = torch.tensor(parts)
    return (numbers[:, None] == torch.arange(max(parts, default=0) + 1)[None]).float()


def teacher_forced_inputs(
    backbone: Backbone, request: Request, ids: Sequence[int], site: str = SITE
) -> tuple[AttentionReading, dict[str, Tensor]]:
    """The text as a site reads it, and the model's inputs for it, one row.

    For a decoder-only model these are ids, positions (which count the virtual tokens) and a mask; for an encoder-decoder
    model, the encoder's and the decoder's ids.
    """
    if site not in backbone.spec.sites:
        raise BadInput(
            f"{backbone.spec.name} has no attention of the site {site!r}. Choose from: {', '.join(backbone.spec.sites)}."
        )
    if not request.prompt_ids:
        raise BadInput("The prompt is empty. Give at least one word.")
    virtual, shift = (request.prefix.length, request.prefix.shift) if request.prefix else (0, 0)
    layers = tuple(range(backbone.spec.depth(site)))
    prompt = list(backbone.decoder_start_ids if backbone.is_encoder_decoder else request.prompt_ids)
    whole = [*prompt, *ids]
    check_length(backbone, len(request.prompt_ids), shift, len(ids))
    reading = AttentionReading(tokens=token_texts(backbone, whole), virtual=virtual, source=len(prompt), layers=layers, site=site)
    text = torch.tensor([whole], device=backbone.device)
    if not backbone.is_encoder_decoder:
        columns = torch.arange(len(whole), device=backbone.device)
        places = (columns + shift * (columns >= request.split))[None]
        # with a mask: without one, transformers takes the gap before an infix for the end of a text
        return reading, {"input_ids": text, "position_ids": places, "attention_mask": torch.ones_like(text)}
    source = token_texts(backbone, request.prompt_ids)
    if site == "encoder":
        reading = replace(reading, tokens=source, source=len(source))
    elif site == "cross":
        reading = replace(reading, keys=source)
    return reading, {"input_ids": torch.tensor([request.prompt_ids], device=backbone.device), "decoder_input_ids": text}


def token_texts(backbone: Backbone, ids: Sequence[int]) -> tuple[str, ...]:
    """The text of each token, special tokens included; concatenated, they are the whole text.

    A token that ends inside a character is "", and the one that completes the character has all of it.
    """

    def decode(part: Sequence[int]) -> str:
        return backbone.decode(part, special=True)

    texts, start, previous = [], 0, ""  # each token is decoded with the one before: alone, some lose their leading space
    for end in range(1, len(ids) + 1):
        text = decode(ids[start:end])
        if text.endswith("\ufffd") and end < len(ids):
            texts.append("")
        else:
            texts.append(text[len(previous) :])
            start, previous = end - 1, decode(ids[end - 1 : end])
    return tuple(texts)


def prefix_state(
    model: "PreTrainedModel", backbone: Backbone, request: Request, interventions: Sequence[Intervention] = ()
) -> PrefixState | None:
    """Return the request's prefix for `attach`: one row per intervention, by default one with the request's own."""
    levels = list(interventions) or [request.intervention]
    dtype, start = next(model.parameters()).dtype, torch.tensor([request.split] * len(levels), device=backbone.device)
    return PrefixState.of([request.prefix] * len(levels), backbone.device, dtype, levels, start)


@torch.no_grad()
def record_attention(
    model: "PreTrainedModel", backbone: Backbone, request: Request, inputs: dict[str, Tensor], site: str, take: WeightsCallback
) -> None:
    """Run one forward call that passes the weights of every layer of a site to `take`."""
    sizes: dict[int, Tensor] = {}

    def store_norms(where: str, layer: int, _keys: Tensor, values: Tensor) -> None:
        if where == site:
            sizes[layer] = values[0].float().norm(dim=-1)  # (kv_heads, virtual + key)

    def record(where: str, layer: int, weights: Tensor) -> None:
        if where == site:
            norms = sizes.pop(layer)
            take(layer, weights[0], norms.repeat_interleave(weights.shape[1] // len(norms), 0))

    with attach(model, prefix_state(model, backbone, request), record, store_norms):
        model.base_model(**inputs, use_cache=False)


def _group_sums(weights: Tensor, norms: Tensor, reading: AttentionReading) -> tuple[Tensor, Tensor, Tensor]:
    """Mass and norm-weighted mass of a layer, (heads, query, 3) each, and the mean per virtual token, (heads, virtual)."""
    virtual, steps, sizes = reading.virtual, list(reading.step_queries), reading.group_sizes
    mass = torch.stack([part.sum(-1) for part in weights.split(sizes, -1)], -1)
    parts = zip(weights.split(sizes, -1), norms.split(sizes, -1), strict=True)
    weighted = torch.stack([(part @ norm[..., None])[..., 0] for part, norm in parts], -1)
    return mass, weighted / weighted.sum(-1, keepdim=True).clamp(min=1e-30), weights[:, steps, :virtual].mean(1)
