"""Attention by sentence: which sentences of an article a summary draws on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from analysis.attention.maps import (
    PREFIX,
    AttentionMass,
    AttentionReading,
    attention_mass,
    record_attention,
    teacher_forced_inputs,
    token_texts,
)
from core.errors import BadInput
from core.generation.types import Request
from core.models.backbone import Backbone
from core.text.articles import sentences
from core.text.checks import listing

if TYPE_CHECKING:
    from transformers import PreTrainedModel

AROUND = "around the article"  # the tokens that the task adds before and after it


@dataclass(frozen=True)
class ArticleSentences:
    """The sentences of the part of an article that the model reads.

    `spans`: character ranges [start, end) in the article. `sentence_of_token`: the sentence that each prompt token belongs
    to, from 0; -1 for the tokens that the task adds.
    """

    spans: tuple[tuple[int, int], ...]
    sentence_of_token: tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class SentenceMap(AttentionReading):
    """Attention with the source's tokens grouped by sentence: the sum over a sentence's keys, the mean over its queries.

    `weights`: (layers, heads, query, virtual + sentences + 1) fp32, rows sum to 1; the last key is AROUND. `tokens` are the
    queries: generated tokens, or an encoder's sentences; `keys` are the sentences and AROUND.
    """

    weights: Tensor


@dataclass(frozen=True)
class SentenceAttention:
    """Mean cross-attention over all layers and heads while a text was generated.

    `spans`: character ranges [start, end) of the sentences, `shares`: the attention on each; `virtual`: on the virtual
    tokens. The rest of 1 went to the tokens around the article.
    """

    spans: tuple[tuple[int, int], ...]
    shares: tuple[float, ...]
    virtual: float


def sentence_attention(
    model: "PreTrainedModel", backbone: Backbone, request: Request, ids: Sequence[int], article: str, lead: int
) -> SentenceAttention:
    """The attention on each sentence while `ids` were generated. `article`, `lead`: see `split_article`."""
    split = split_article(backbone, article, request.prompt_ids, lead)
    mass = attention_mass(model, backbone, request, ids, "cross", split.sentence_of_token)
    virtual = mass.mass[:, :, list(mass.step_queries), PREFIX].mean()
    return SentenceAttention(split.spans, tuple(by_sentence(mass).tolist()), float(virtual))


def split_article(backbone: Backbone, article: str, prompt_ids: Sequence[int], lead: int) -> ArticleSentences:
    """Assign prompt tokens to sentences. `article`: the part that is read; `lead`: the number of prompt
    tokens before its own (see `Source`).

    A token belongs to the sentence in which it ends, so that the space before a word belongs to the word.
    """
    spans = sentences(article)
    texts, at, parts, current = token_texts(backbone, prompt_ids), 0, [-1] * lead, 0
    for text in texts[lead:]:
        at += len(text)
        while current + 1 < len(spans) and at > spans[current + 1][0]:
            current += 1
        parts.append(current if at <= len(article) and spans else -1)
    count = max(parts, default=-1) + 1
    return ArticleSentences(tuple(spans[:count]), tuple(parts))


def sentence_map(
    model: "PreTrainedModel",
    backbone: Backbone,
    request: Request,
    ids: Sequence[int],
    split: ArticleSentences,
    article: str,
    site: str = "cross",
) -> SentenceMap:
    """All layers and heads of the encoder or the cross-attention by sentence; holds one layer's full weights at a time.

    `split` and `article`: see `split_article`. Raises BadInput for a site that does not read the article.
    """
    if site not in ("encoder", "cross"):
        raise BadInput(f"The site {site!r} does not read the article. Choose encoder or cross.")
    reading, inputs = teacher_forced_inputs(backbone, request, ids, site)
    count = len(split.spans) + 1
    members = F.one_hot(torch.tensor(split.sentence_of_token) % count, count).float()  # -1: the last column
    by_layer: dict[int, Tensor] = {}

    def take(layer: int, weights: Tensor, _norms: Tensor) -> None:
        virtual, source, _ = weights.float().cpu().split(reading.group_sizes, -1)
        grouped = torch.cat([virtual, source @ members], -1)  # (heads, query, virtual + sentences + 1)
        by_layer[layer] = grouped if site == "cross" else (members / members.sum(0).clamp(min=1)).T[:-1] @ grouped

    record_attention(model, backbone, request, inputs, site, take)
    texts = tuple(article[start:end] for start, end in split.spans)
    about = replace(reading, keys=(*texts, AROUND))
    if site == "encoder":
        about = replace(about, tokens=texts, source=len(texts))
    return SentenceMap(**vars(about), weights=torch.stack([by_layer[layer] for layer in reading.layers]))


def by_sentence(mass: AttentionMass, layer: int | None = None, head: int | None = None) -> Tensor:
    """Mean attention on each sentence while the text was generated: (sentences,), over all layers and heads by default.

    At the site "cross", it sums to 1 with the mass on the virtual tokens and on the tokens around the article.
    """
    return by_step(mass, layer, head).mean(0)


def by_step(mass: AttentionMass, layer: int | None = None, head: int | None = None) -> Tensor:
    """Attention on each sentence while each token was generated: (steps, sentences)."""
    assert mass.parts is not None, "call attention_mass with `parts`"
    parts = mass.parts if layer is None else mass.parts[[mass.layers.index(layer)]]
    parts = parts if head is None else parts[:, [head]]
    return parts[:, :, list(mass.step_queries)].mean((0, 1))


def describe_sentences(spans: Sequence[tuple[int, int]], article: str, shares: Tensor) -> str:
    """Name the three sentences that drew most attention, or fewer of a short article, in its order; "" if it is one sentence."""
    if len(spans) < 2:
        return ""
    whole = shares.sum().clamp(min=1e-30)
    best = sorted(torch.topk(shares, min(3, len(spans) - 1)).indices.tolist())
    phrases = [f"sentence {at + 1} ({100 * shares[at] / whole:.0f} %)" for at in best]
    first = article[slice(*spans[int(shares.argmax())])]
    short = first if len(first) <= 80 else first[:79] + "…"
    which = "It" if len(best) == 1 else "The one that drew most"
    return f"Of the attention on the article, {listing(phrases)} drew most. {which} reads: “{short}”"
