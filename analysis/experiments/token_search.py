"""Greedy search for words before an input, guided by gradients, as in HotFlip and AutoPrompt.

The first step of the paper's intuition (§4.1): optimize the instruction over discrete tokens. For one position after the other,
the gradient at its input embedding proposes tokens; the loss of each proposal is then computed exactly, and the best one is
kept if it is lower. AutoPrompt is Shin et al. (2020), HotFlip Ebrahimi et al. (2018).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.space.vocabulary import vocabulary
from core.config.train import TrainConfig
from core.methods.embedding import EmbeddingMethod
from core.models.architectures import input_embeddings
from core.models.backbone import Backbone
from core.training.batches import Row, collate
from core.training.loop import batch_loss, evaluate_loss

EXACT = TrainConfig(method="embedding", autocast="off")  # differences between candidates are small


@dataclass(frozen=True)
class SearchStep:
    """The state after an exact evaluation. `ids`, `tokens`: the best so far, `loss`: theirs, in nats per target token.

    `tried`: the number of evaluations. `position`: the position that was varied; `candidate`: the token tried there;
    `improved`: whether it was better; in the last step, whether anything in the last sweep was.
    """

    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    loss: float
    tried: int
    position: int = 0
    candidate: str = ""
    improved: bool = False
    finished: bool = False


class TokenPrompt:
    """Discrete tokens before every row: the embedding-only method with the vectors of real tokens, none of them trained."""

    def __init__(self, backbone: Backbone, rows: Sequence[Row], ids: Sequence[int]) -> None:
        self.backbone, self.rows, self.ids = backbone, list(rows), list(ids)
        self._method = EmbeddingMethod(backbone, EXACT.replace(length=len(self.ids), init="zeros"))
        self._table = input_embeddings(backbone.model, range(backbone.spec.vocabulary))  # (vocabulary, width)

    def loss(self, ids: Sequence[int]) -> float:
        """Return the exact loss with these tokens in front, in nats per target token."""
        self._method.vectors.data = self._table[list(ids)]
        return evaluate_loss(self._method, self.rows, EXACT)

    def candidates(self, position: int, allowed: Tensor, count: int) -> list[int]:
        """Return the allowed tokens with the lowest linear estimate of the loss at a position, e(w) · gradient.

        `allowed`: (vocabulary,), bool.
        """
        self._method.vectors.data = self._table[self.ids]
        self._method.vectors.grad = None
        batch = collate(self.rows, self.backbone.device)
        with self._method.attach(len(self.rows)):
            batch_loss(self._method, batch, EXACT).backward()
        gradient = self._method.vectors.grad
        assert gradient is not None
        estimate = (self._table @ gradient[position]).masked_fill(~allowed, torch.inf)  # (vocabulary,)
        return [token for token in estimate.topk(count, largest=False).indices.tolist() if token != self.ids[position]]


def search_tokens(
    backbone: Backbone, rows: Sequence[Row], start: str, candidates: int = 8, sweeps: int = 2
) -> Iterator[SearchStep]:
    """Search words that make the rows' targets likelier, starting from the words `start`; yields after each evaluation.

    A sweep varies every position once. The search ends after `sweeps` of them, or after one without an improvement.
    """
    prompt = TokenPrompt(backbone, rows, backbone.encode(start))
    allowed = whole_words(backbone)
    lowest, tried, better = prompt.loss(prompt.ids), 1, False
    yield _step(prompt, lowest, tried)
    for _ in range(sweeps):
        before = lowest
        for position in range(len(prompt.ids)):
            for token in prompt.candidates(position, allowed, candidates):
                changed = [*prompt.ids[:position], token, *prompt.ids[position + 1 :]]
                loss, tried = prompt.loss(changed), tried + 1
                improved = loss < lowest
                if improved:
                    lowest, prompt.ids = loss, changed
                yield _step(prompt, lowest, tried, position, backbone.decode([token]), improved)
        better = lowest < before
        if not better:
            break
    yield _step(prompt, lowest, tried, improved=better, finished=True)


def whole_words(backbone: Backbone) -> Tensor:
    """Return which tokens are a space and a word of two letters or more, so that results are readable: (vocabulary,), bool."""
    words = torch.zeros(backbone.spec.vocabulary, dtype=torch.bool, device=backbone.device)
    for token, text in enumerate(vocabulary(backbone).texts):
        words[token] = bool(re.fullmatch(r" [A-Za-z]{2,}", text))
    return words if words.any() else torch.ones_like(words)  # a tokenizer of single letters has none


def _step(
    prompt: TokenPrompt,
    loss: float,
    tried: int,
    position: int = 0,
    candidate: str = "",
    improved: bool = False,
    finished: bool = False,
) -> SearchStep:
    tokens = tuple(prompt.backbone.decode([token]) for token in prompt.ids)
    return SearchStep(tuple(prompt.ids), tokens, loss, tried, position, candidate, improved, finished)
