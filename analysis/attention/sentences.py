"""Which sentences of an article a text leans on: attention summed over each sentence instead of over tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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

AROUND = "around the article"  # the tokens that a task puts before and after it


@dataclass(frozen=True)
class ArticleSentences:
    """The sentences of an article that a model reads. `spans`: characters, [start, end), of the article's text.

    `sentence_of_token`: of each token of the prompt the sentence it belongs to, from 0; -1 for tokens that the task puts around.
    """

    spans: tuple[tuple[int, int], ...]
    sentence_of_token: tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class SentenceMap(AttentionReading):
    """Attention with the source's tokens put together by sentence: the sum over a sentence's keys, the mean over its queries.

    `weights`: (layers, heads, query, virtual + sentences + 1) fp32, rows sum to 1; the last key is what stands around it.
    `tokens` are the queries: what is written, or an encoder's sentences; `keys` the sentences and AROUND.
    """

    weights: Tensor


@dataclass(frozen=True)
class SentenceAttention:
    """Where the cross-attention went while a text was written, all layers and heads alike.

    `spans`: characters, [start, end), of each sentence that was read, and `shares` the attention on it; `virtual`: on the virtual
    tokens. What is left of 1 went to the tokens around the article.
    """

    spans: tuple[tuple[int, int], ...]
    shares: tuple[float, ...]
    virtual: float


def sentence_attention(
    model, backbone: Backbone, request: Request, ids: Sequence[int], article: str, lead: int
) -> SentenceAttention:
    """What a summary of generated `ids` leans on. `article`: the part that is read; `lead`: as in `sentences_of`."""
    found = split_article(backbone, article, request.prompt_ids, lead)
    mass = attention_mass(model, backbone, request, ids, "cross", found.sentence_of_token)
    virtual = mass.mass[:, :, list(mass.step_queries), PREFIX].mean()
    return SentenceAttention(found.spans, tuple(by_sentence(mass).tolist()), float(virtual))


def split_article(backbone: Backbone, article: str, prompt_ids: Sequence[int], lead: int) -> ArticleSentences:
    """Tokens to sentences. `lead`: how many of the prompt's tokens stand before the article's own (see `Source`).

    A token belongs to the sentence that it ends in, so that a blank before a word is the word's.
    """
    spans = sentences(article)
    texts, at, parts, current = token_texts(backbone, prompt_ids), 0, [-1] * lead, 0
    for text in texts[lead:]:
        at += len(text)
        while current + 1 < len(spans) and at > spans[current + 1][0]:
            current += 1
        parts.append(current if at <= len(article) and spans else -1)
    read = max(parts, default=-1) + 1
    return ArticleSentences(tuple(spans[:read]), tuple(parts))


def sentence_map(
    model, backbone: Backbone, request: Request, ids: Sequence[int], found: ArticleSentences, article: str, site: str = "cross"
) -> SentenceMap:
    """All layers and heads of the encoder or the cross-attention by sentence; each layer's weights are dropped once put together.

    `found` and `article`: as in `sentences_of`. BadInput where the site does not read the article.
    """
    if site not in ("encoder", "cross"):
        raise BadInput(f"The site {site!r} does not read the article. Choose encoder or cross.")
    reading, inputs = teacher_forced_inputs(backbone, request, ids, site)
    count = len(found.spans) + 1
    members = F.one_hot(torch.tensor(found.sentence_of_token) % count, count).float()  # -1: the last column
    made: dict[int, Tensor] = {}

    def take(layer: int, weights: Tensor, _norms: Tensor) -> None:
        virtual, source, _ = weights.float().cpu().split(reading.group_sizes, -1)
        put = torch.cat([virtual, source @ members], -1)  # (heads, query, virtual + sentences + 1)
        made[layer] = put if site == "cross" else (members / members.sum(0).clamp(min=1)).T[:-1] @ put

    record_attention(model, backbone, request, inputs, site, take)
    texts = tuple(article[start:end] for start, end in found.spans)
    about = replace(reading, keys=(*texts, AROUND))
    if site == "encoder":
        about = replace(about, tokens=texts, source=len(texts))
    return SentenceMap(**vars(about), weights=torch.stack([made[layer] for layer in reading.layers]))


def by_sentence(mass: AttentionMass, layer: int | None = None, head: int | None = None) -> Tensor:
    """Mean attention on each sentence while the text was written: (sentences,), over all layers and heads unless one is given.

    With the virtual tokens' mass and that of the tokens around the article it sums to 1 at the site "cross".
    """
    return by_step(mass, layer, head).mean(0)


def by_step(mass: AttentionMass, layer: int | None = None, head: int | None = None) -> Tensor:
    """Attention on each sentence while each token was written: (steps, sentences)."""
    assert mass.parts is not None, "ask attention_mass for parts"
    found = mass.parts if layer is None else mass.parts[[mass.layers.index(layer)]]
    found = found if head is None else found[:, [head]]
    return found[:, :, list(mass.step_queries)].mean((0, 1))


def describe_sentences(spans: Sequence[tuple[int, int]], article: str, shares: Tensor, count: int = 3) -> str:
    """The picture read out: the sentences that drew most, in order of their place."""
    whole = shares.sum().clamp(min=1e-30)
    best = sorted(torch.topk(shares, min(count, len(spans))).indices.tolist())
    named = [f"sentence {at + 1} ({100 * shares[at] / whole:.0f} %)" for at in best]
    named = [", ".join(named[:-1]), named[-1]] if len(named) > 1 else named
    first = article[slice(*spans[int(shares.argmax())])]
    short = first if len(first) <= 80 else first[:79] + "…"
    return f"Of the attention on the article, {' and '.join(named)} drew most. The one that drew most reads: “{short}”"
