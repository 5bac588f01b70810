"""What a frozen model predicts next, with and without words in front: P(next word | context)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from core.errors import BadInput, NotSupported, TooLong
from core.models.backbone import Backbone
from core.prefix.attention import attach


@dataclass(frozen=True)
class WordChange:
    """A token's probability after a text alone, and after the same text with words in front."""

    text: str
    alone: float
    with_front: float


@dataclass(frozen=True)
class ContextEffect:
    """`likeliest`: the likeliest tokens of both cases, sorted by their probability with the words in front; `word`: the
    chosen word."""

    likeliest: tuple[WordChange, ...]
    word: WordChange | None = None


def context_effect(backbone: Backbone, front: str, text: str, word: str = "", count: int = 6) -> ContextEffect:
    """Compare the next token after `text` with and without `front` before it, by the `count` likeliest tokens of each case.

    `word` may have several tokens: its probability is then their product. Raises NotSupported for an encoder-decoder model,
    BadInput for an empty text, TooLong for one that does not fit.
    """
    if backbone.is_encoder_decoder:
        raise NotSupported(f"{backbone.spec.name} reads its input with an encoder. Choose a model such as mini-gpt2 as backbone.")
    text, front = text.strip(), front.strip()
    if not text:
        raise BadInput("The text is empty. Type the beginning of a sentence, such as: The restaurant serves")
    contexts = [text, f"{front} {text}" if front else text]
    alone, fronted = (_next_token(backbone, context) for context in contexts)
    top = dict.fromkeys(int(token) for probs in (fronted, alone) for token in probs.topk(count).indices)
    changes = [WordChange(backbone.decode([token]), float(alone[token]), float(fronted[token])) for token in top]
    watched = None
    if word.strip():
        watched = WordChange(word.strip(), *(word_probability(backbone, context, word.strip()) for context in contexts))
    return ContextEffect(tuple(sorted(changes, key=lambda change: -change.with_front)), watched)


@torch.no_grad()
def word_probability(backbone: Backbone, context: str, word: str) -> float:
    """P(word | context): the product of the probabilities of its tokens, after a space."""
    start, ids = _encode(backbone, context), backbone.encode(f" {word}")
    log_probs = F.log_softmax(_logits(backbone, [*start, *ids])[len(start) - 1 : -1], -1)  # (tokens of the word, vocabulary)
    return float(log_probs.gather(1, torch.tensor(ids, device=log_probs.device)[:, None]).sum().exp())


@torch.no_grad()
def _next_token(backbone: Backbone, context: str) -> Tensor:
    return _logits(backbone, _encode(backbone, context))[-1].softmax(-1)  # (vocabulary,)


def _logits(backbone: Backbone, ids: list[int]) -> Tensor:
    if len(ids) > backbone.spec.positions:
        raise TooLong(
            f"The words take {len(ids)} tokens, and {backbone.spec.name} reads {backbone.spec.positions}. Shorten them."
        )
    with attach(backbone.model, None):
        return backbone.model(torch.tensor([ids], device=backbone.device), use_cache=False).logits[0].float()  # (T, vocabulary)


def _encode(backbone: Backbone, context: str) -> list[int]:
    return [*backbone.bos_ids, *backbone.encode(context, literal=True)]
