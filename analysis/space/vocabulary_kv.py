"""What the frozen model computes for each word of its vocabulary: the tables that virtual tokens are set beside.

A virtual token is no word: it is a key and a value at every layer. So the frozen model is asked what key and value it
computes itself at a layer for every word, in one stated context: `<|endoftext|> w`. That is one batched pass through the
layers below, kept on disk. An encoder-decoder model is asked at each of its sites, in contexts of its own form.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from analysis.space.vocabulary import Vocabulary, vocabulary
from analysis.tensor_cache import TensorCache
from core.errors import BadInput, NotSupported
from core.models.activations import text_key_values
from core.models.architectures import is_rotary, special_form
from core.models.backbone import Backbone
from core.prefix.attention import PrefixState, attach

KEYS, VALUES = "keys", "values"
KINDS = (KEYS, VALUES)  # as they stand in a prefix: past[site][layer, 0] and [layer, 1]
POSITION = 1  # of w in the context
BATCH = 512  # words that go through the model together
SITE = "decoder"
VERSION = "1"  # of the tables on disk: raise it when they are computed in another way
Progress = Callable[[int, int], None]  # words done, words in all


@dataclass(frozen=True, eq=False)
class VocabularyKV:
    """What the frozen model computes for each word. `vectors`: (words, kv_heads, head_dim), fp16 unless that overflows."""

    kind: str
    layer: int
    vectors: Tensor
    vocabulary: Vocabulary
    fingerprint: str
    context: str  # in words
    site: str = SITE


def vocabulary_kv(
    backbone: Backbone,
    kind: str,
    layer: int,
    cache: TensorCache | None = None,
    progress: Progress | None = None,
    site: str = SITE,
) -> VocabularyKV:
    """The keys or values of every word at a layer of a site; see `table_parts`."""
    made: VocabularyKV | None = None
    for made, done, total in iter_vocabulary_kv(backbone, kind, layer, cache, site):  # noqa: B007 (the last one counts)
        if progress is not None:
            progress(done, total)
    assert made is not None
    return made


def iter_vocabulary_kv(
    backbone: Backbone, kind: str, layer: int, cache: TensorCache | None = None, site: str = SITE
) -> Iterator[tuple[VocabularyKV | None, int, int]]:
    """(None, words done, words in all) after every batch; (table, all, all) at last, and at once where it is cached.

    `kind`: "keys" or "values" (both are computed, and cached); `layer`: from 0. Raises BadInput where there is no such one.
    """
    if kind not in KINDS:
        raise BadInput(f"There is no table of {kind!r}. Choose one of: {', '.join(KINDS)}.")
    if site not in backbone.spec.sites:
        raise BadInput(f"{backbone.spec.name} has no site {site!r}. Choose one of: {', '.join(backbone.spec.sites)}.")
    if not 0 <= layer < backbone.spec.depth(site):
        raise BadInput(f"There is no layer {layer}: {backbone.spec.name} has layers 0 to {backbone.spec.depth(site) - 1}.")
    cache, words = cache or TensorCache(), vocabulary(backbone)
    total = len(words)
    kept = cache.load(_cache_name(backbone, kind, layer, site), _cache_metadata(backbone, kind, layer, site))
    if kept is None:
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
            vectors = torch.cat(parts.pop(name))  # fp32 where any batch is
            cache.save(
                _cache_name(backbone, name, layer, site), {"vectors": vectors}, _cache_metadata(backbone, name, layer, site)
            )
            kept = {"vectors": vectors} if name == kind else kept
    assert kept is not None
    context = _describe_site_context(backbone, site) if backbone.is_encoder_decoder else _describe_context(backbone, kind)
    yield VocabularyKV(kind, layer, kept["vectors"], words, backbone.spec.fingerprint, context, site), total, total


def first_token(backbone: Backbone) -> int:
    """Id of the token that the context begins with: the tokenizer's beginning of text, else its end."""
    tokenizer = backbone.tokenizer
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id, *sorted(backbone.eos)):
        if token is not None:
            return token
    raise NotSupported(f"The tokenizer of {backbone.spec.name} names no token that begins or ends a text.")


class _LayerReached(Exception):
    """The layer that was asked for is computed; the rest of the model is not needed."""


class _LayerTap(DynamicCache):
    """Takes one layer's keys and values, (rows, kv_heads, 1, head_dim) each, and ends the forward call there."""

    def __init__(self, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.found: tuple[Tensor, Tensor] | None = None

    def update(self, key_states, value_states, layer_idx, *args, **kwargs):
        if layer_idx == self.layer:
            self.found = (key_states, value_states)
            raise _LayerReached
        return key_states, value_states


def _iter_decoder_only(backbone: Backbone, layer: int, total: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Keys and values of the words, batch by batch: (batch, kv_heads, head_dim) each, on the CPU.

    The first token of the context is read once and stands before every word as a prefix of one virtual token.
    """
    first = text_key_values(backbone, [first_token(backbone)])
    for start in range(0, total, BATCH):
        ids = torch.arange(start, min(start + BATCH, total), device=backbone.device)[:, None]
        tap = _LayerTap(layer)
        with torch.no_grad(), attach(backbone.model, PrefixState.shared(first, len(ids))):
            try:
                positions = torch.full_like(ids, POSITION)
                backbone.model.base_model(input_ids=ids, position_ids=positions, past_key_values=tap, use_cache=True)
            except _LayerReached:
                pass
        if tap.found is None:
            raise NotSupported(f"{type(backbone.model).__name__} keeps no keys and values at layer {layer}.")
        keys, values = tap.found
        yield keys[:, :, 0].cpu(), values[:, :, 0].cpu()


def _site_inputs(backbone: Backbone, ids: Tensor, site: str) -> tuple[Tensor, Tensor, int]:
    """What an encoder and a decoder read for words (n,) of a site, (n, S) and (n, T), and the place of the word there.

    The encoder reads the word in the form of a whole text; for the decoder's own site an empty one, and the decoder the word.
    """
    before, after = special_form(backbone.tokenizer)
    opening = list(backbone.decoder_start_ids)

    def around(start: list[int], end: list[int], word: bool) -> Tensor:
        sides = [torch.tensor(some, dtype=torch.long, device=ids.device).expand(len(ids), -1) for some in (start, end)]
        return torch.cat([sides[0], *([ids[:, None]] if word else []), sides[1]], 1)

    own = site == SITE
    return around(before, after, not own), around(opening, [], own), len(opening if own else before)


def _iter_at_site(backbone: Backbone, layer: int, total: int, site: str) -> Iterator[tuple[Tensor, Tensor]]:
    """As `_computed`, of an encoder-decoder model."""
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def read(where: str, at: int, keys: Tensor, values: Tensor) -> None:
        if (where, at) == (site, layer):
            found[site] = keys[:, :, place], values[:, :, place]
            raise _LayerReached

    for start in range(0, total, BATCH):
        source, text, place = _site_inputs(backbone, torch.arange(start, min(start + BATCH, total), device=backbone.device), site)
        with torch.no_grad(), attach(backbone.model, None, key_value_hook=read):
            try:
                backbone.model.base_model(input_ids=source, decoder_input_ids=text, use_cache=False)
            except _LayerReached:
                pass
        keys, values = found.pop(site)
        yield keys.cpu(), values.cpu()


def _to_half(vectors: Tensor) -> Tensor:
    """As fp16 where it holds them (cosines keep six digits), else fp32."""
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
    """Where the words' vectors of an encoder-decoder model come from, in words."""
    spec, count = backbone.spec, len(vocabulary(backbone))
    source, text, place = _site_inputs(backbone, torch.zeros(1, dtype=torch.long), site)

    def shown(ids: list[int], at: int) -> str:
        parts = [backbone.tokenizer.decode([token], skip_special_tokens=False) for token in ids]
        return " ".join([*parts[:at], "w", *parts[at + 1 :]])

    told = f"the one that {spec.name} itself computes there for each of its {count:,} tokens w"
    if site == SITE:
        return f"{told}, its decoder reading `{shown(text[0].tolist(), place)}` of an empty article, w at position {place}."
    reads = f"its encoder reading `{shown(source[0].tolist(), place)}`, w at position {place}."
    return f"{told}, {reads}" if site == "encoder" else f"{told} where its decoder reads the encoder, {reads}"


def _describe_context(backbone: Backbone, kind: str) -> str:
    """Where the words' vectors come from, in words."""
    words, spec = vocabulary(backbone), backbone.spec
    told = (
        f"the one that {spec.name} itself computes there for each of its {len(words):,} tokens w "
        f"in the context `{words.texts[first_token(backbone)]} w`, w at position {POSITION}."
    )
    if kind == KEYS and is_rotary(backbone.model):
        told += (
            f" This model turns keys by their position: the words' are turned to position {POSITION}, "
            "the virtual tokens' are taken as attention meets them."
        )
    return told
