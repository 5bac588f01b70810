"""The keys and values that the frozen model computes for each word of its vocabulary, to compare virtual tokens with.

A virtual token is not a word but a key and a value at every layer. So the frozen model computes its own key and value at
a layer for every word, in one fixed context: `<|endoftext|> w`. That is one batched pass through the layers below, cached
on disk. An encoder-decoder model does so at each of its sites, in contexts of its own form.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.space.vocabulary import Vocabulary, vocabulary
from analysis.tensor_cache import TensorCache
from core.errors import BadInput, NotSupported
from core.models.activations import text_key_values
from core.models.architectures import is_rotary, special_form
from core.models.backbone import Backbone
from core.prefix.attention import KeyValueHook, PrefixState, attach

KEYS, VALUES = "keys", "values"
KINDS = (KEYS, VALUES)  # in the order of a prefix: past[site][layer, 0] and [layer, 1]
POSITION = 1  # of the word in its context
BATCH = 512  # words per forward call
SITE = "decoder"
VERSION = "1"  # of the cache entries: raise it when the computation changes


@dataclass(frozen=True, eq=False)
class VocabularyKV:
    """The frozen model's keys or values at one layer. `vectors`: (words, kv_heads, head_dim), fp16 unless that overflows."""

    kind: str
    layer: int
    vectors: Tensor
    vocabulary: Vocabulary
    fingerprint: str
    context: str  # described in words
    site: str = SITE


def iter_vocabulary_kv(
    backbone: Backbone, kind: str, layer: int, cache: TensorCache | None, site: str = SITE
) -> Iterator[tuple[VocabularyKV | None, int, int]]:
    """Yield (None, words done, words in total) after each batch, then (result, total, total); at once if cached.

    `kind`: "keys" or "values" (both are computed and cached); `layer`: from 0. Raises BadInput for an unknown kind, site or
    layer.
    """
    if kind not in KINDS:
        raise BadInput(f"There is no table of {kind!r}. Choose one of: {', '.join(KINDS)}.")
    if site not in backbone.spec.sites:
        raise BadInput(f"{backbone.spec.name} has no site {site!r}. Choose one of: {', '.join(backbone.spec.sites)}.")
    if not 0 <= layer < backbone.spec.depth(site):
        raise BadInput(f"There is no layer {layer}: {backbone.spec.name} has layers 0 to {backbone.spec.depth(site) - 1}.")
    cache, words = cache or TensorCache(), vocabulary(backbone)
    total = len(words)
    cached = cache.load(_cache_name(backbone, kind, layer, site), _cache_metadata(backbone, kind, layer, site))
    if cached is None:
        parts: dict[str, list[Tensor]] = {name: [] for name in KINDS}
        for batch in (
            _iter_decoder_only(backbone, layer, total)
            if not backbone.is_encoder_decoder
            else _iter_at_site(backbone, layer, total, site)
        ):
            for name, vectors in zip(KINDS, batch, strict=True):
                parts[name].append(_to_half(vectors))
            yield None, sum(map(len, parts[kind])), total
        for name in KINDS:
            vectors = torch.cat(parts.pop(name))  # fp32 if any batch is
            cache.save(
                _cache_name(backbone, name, layer, site), {"vectors": vectors}, _cache_metadata(backbone, name, layer, site)
            )
            cached = {"vectors": vectors} if name == kind else cached
    assert cached is not None
    context = _describe_site_context(backbone, site) if backbone.is_encoder_decoder else _describe_context(backbone, kind)
    yield VocabularyKV(kind, layer, cached["vectors"], words, backbone.spec.fingerprint, context, site), total, total


def first_token(backbone: Backbone) -> int:
    """Id of the token that the context begins with: the tokenizer's beginning-of-text token, else its end-of-text token."""
    tokenizer = backbone.tokenizer
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id, *sorted(backbone.eos)):
        if token is not None:
            return token
    raise NotSupported(f"The tokenizer of {backbone.spec.name} names no token that begins or ends a text.")


class _LayerReached(Exception):
    """Raised once the requested layer is computed, to skip the rest of the model."""


def _capture(captured: dict[str, tuple[Tensor, Tensor]], site: str, layer: int, place: int) -> KeyValueHook:
    """A hook that puts the keys and values of a place at a layer of a site into `captured`, and ends the forward call there."""

    def hook(where: str, at: int, keys: Tensor, values: Tensor) -> None:
        if (where, at) == (site, layer):
            captured[site] = keys[:, :, place], values[:, :, place]
            raise _LayerReached

    return hook


def _iter_decoder_only(backbone: Backbone, layer: int, total: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield keys and values of the words by batch: (batch, kv_heads, head_dim) each, on the CPU.

    The first token of the context is computed once and precedes every word as a prefix of one virtual token.
    """
    first = text_key_values(backbone, [first_token(backbone)])
    captured: dict[str, tuple[Tensor, Tensor]] = {}
    hook = _capture(captured, SITE, layer, -1)
    for start in range(0, total, BATCH):
        ids = torch.arange(start, min(start + BATCH, total), device=backbone.device)[:, None]
        with torch.no_grad(), attach(backbone.model, PrefixState.shared(first, len(ids)), key_value_hook=hook):
            try:
                backbone.model.base_model(input_ids=ids, position_ids=torch.full_like(ids, POSITION), use_cache=False)
            except _LayerReached:
                pass
        if SITE not in captured:
            raise NotSupported(f"{type(backbone.model).__name__} keeps no keys and values at layer {layer}.")
        keys, values = captured.pop(SITE)
        yield keys.cpu(), values.cpu()


def _site_inputs(backbone: Backbone, ids: Tensor, site: str) -> tuple[Tensor, Tensor, int]:
    """Encoder and decoder inputs for words (n,) at a site, (n, S) and (n, T), and the position of the word.

    The encoder reads the word as a whole text; at the decoder's own site the encoder's text is empty and the decoder reads
    the word.
    """
    before, after = special_form(backbone.tokenizer)
    opening = list(backbone.decoder_start_ids)

    def around(start: list[int], end: list[int], word: bool) -> Tensor:
        sides = [torch.tensor(some, dtype=torch.long, device=ids.device).expand(len(ids), -1) for some in (start, end)]
        return torch.cat([sides[0], *([ids[:, None]] if word else []), sides[1]], 1)

    own = site == SITE
    return around(before, after, not own), around(opening, [], own), len(opening if own else before)


def _iter_at_site(backbone: Backbone, layer: int, total: int, site: str) -> Iterator[tuple[Tensor, Tensor]]:
    """As `_iter_decoder_only`, for an encoder-decoder model."""
    captured: dict[str, tuple[Tensor, Tensor]] = {}
    for start in range(0, total, BATCH):
        source, text, place = _site_inputs(backbone, torch.arange(start, min(start + BATCH, total), device=backbone.device), site)
        with torch.no_grad(), attach(backbone.model, None, key_value_hook=_capture(captured, site, layer, place)):
            try:
                backbone.model.base_model(input_ids=source, decoder_input_ids=text, use_cache=False)
            except _LayerReached:
                pass
        keys, values = captured.pop(site)
        yield keys.cpu(), values.cpu()


def _to_half(vectors: Tensor) -> Tensor:
    """Convert to fp16 unless that overflows (cosines keep six digits), else to fp32."""
    return vectors.half() if vectors.abs().max() < torch.finfo(torch.float16).max else vectors.float()


def _cache_name(backbone: Backbone, kind: str, layer: int, site: str) -> str:
    where = f"-{site}" if backbone.is_encoder_decoder else ""
    return f"{kind}-{backbone.spec.fingerprint}{where}-{layer:03d}"


def _cache_metadata(backbone: Backbone, kind: str, layer: int, site: str) -> dict[str, str]:
    return {
        "fingerprint": backbone.spec.fingerprint,
        "kind": kind,
        "layer": str(layer),
        "words": str(len(vocabulary(backbone))),
        "context": _describe_site_context(backbone, site) if backbone.is_encoder_decoder else f"{first_token(backbone)} w",
        "dtype": str(backbone.dtype),
        "version": VERSION,
    }


def _describe_site_context(backbone: Backbone, site: str) -> str:
    """Describe where an encoder-decoder model's word vectors come from."""
    spec, count = backbone.spec, len(vocabulary(backbone))
    source, text, place = _site_inputs(backbone, torch.zeros(1, dtype=torch.long), site)

    def around(ids: list[int], at: int) -> str:
        parts = [backbone.decode([token], special=True) for token in ids]
        return " ".join([*parts[:at], "w", *parts[at + 1 :]])

    description = f"the one that {spec.name} itself computes there for each of its {count:,} tokens w"
    if site == SITE:
        return (
            f"{description}, its decoder reading “{around(text[0].tolist(), place)}” of an empty article, w at position {place}."
        )
    reads = f"its encoder reading “{around(source[0].tolist(), place)}”, w at position {place}."
    return f"{description}, {reads}" if site == "encoder" else f"{description} where its decoder reads the encoder, {reads}"


def _describe_context(backbone: Backbone, kind: str) -> str:
    """Describe where the word vectors come from."""
    words, spec = vocabulary(backbone), backbone.spec
    description = (
        f"the one that {spec.name} itself computes there for each of its {len(words):,} tokens "
        f"after {words.texts[first_token(backbone)]}, at position {POSITION}."
    )
    if kind == KEYS and is_rotary(backbone.model):
        description += (
            f" This model turns keys by their position: the words' are turned to position {POSITION}, "
            "the virtual tokens' are compared as attention uses them."
        )
    return description
