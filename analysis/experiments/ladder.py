"""From words to vectors at all layers, on the same rows, from the same start and with the same loss (paper §4.1 and §7.2).

All rungs start with the same words before the input. A text prefix keeps them. A discrete prompt may replace words, an
embedding-only prompt moves their input vectors freely, and a prefix moves their keys and values at every layer. Each rung
includes the ones before it, so a lower loss shows what the larger space can do on these rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from analysis.experiments.token_search import TokenPrompt, search_tokens
from core.config.train import TrainConfig
from core.methods.registry import new_method
from core.models.backbone import Backbone
from core.training.batches import Row
from core.training.loop import evaluate_loss, train

TEXT, DISCRETE, EMBEDDING, PREFIX = RUNGS = ("text", "discrete", "embedding", "prefix")
# Chosen for the loss after 40 updates on the demonstration's five tables, of 0.03 and 0.06 (1.64, 1.54) and of 0.03, 0.1 and 0.2
# (1.73, 0.80, 0.45; on four other tables 2.55, 2.42, 2.58).
RATES = {EMBEDDING: 0.06, PREFIX: 0.1}


@dataclass(frozen=True)
class LadderStep:
    """One evaluation or update of a rung.

    `share`: how much of its budget is used, 0 to 1; `loss`: on the rows, in nats per target token; `other`: on the other rows,
    once the rung is done; `trained`: the number of trained parameters.
    """

    rung: str
    share: float
    loss: float
    trained: int = 0
    other: float | None = None
    words: tuple[str, ...] = ()


def ladder(
    backbone: Backbone, rows: Sequence[Row], others: Sequence[Row], words: str, updates: int = 40, candidates: int = 5
) -> Iterator[LadderStep]:
    """Run the rungs one after the other, each starting from `words` before `rows`; at the end of a rung, also score `others`."""
    length = len(backbone.encode(words))
    yield from chain(
        _text(backbone, rows, others, words),
        _discrete(backbone, rows, others, words, candidates),
        *(_trained(backbone, method, rows, others, words, length, updates) for method in (EMBEDDING, PREFIX)),
    )


def _config(method: str, words: str, length: int, rows: int, updates: int) -> TrainConfig:
    return TrainConfig(
        method=method,
        init="words",
        init_words=words,
        length=length,
        rate=RATES[method],
        updates=updates,
        batch=rows,
        autocast="off",
    )


def _text(backbone: Backbone, rows: Sequence[Row], others: Sequence[Row], words: str) -> Iterator[LadderStep]:
    ids = backbone.encode(words)
    loss, other = (TokenPrompt(backbone, part, ids).loss(ids) for part in (rows, others))
    yield LadderStep(TEXT, 1.0, loss, 0, other, (words,))


def _discrete(
    backbone: Backbone, rows: Sequence[Row], others: Sequence[Row], words: str, candidates: int
) -> Iterator[LadderStep]:
    most = candidates * len(backbone.encode(words))
    for step in search_tokens(backbone, rows, words, candidates, sweeps=1):
        other = TokenPrompt(backbone, others, step.ids).loss(step.ids) if step.finished else None
        share = 1.0 if step.finished else min(1.0, (step.tried - 1) / most)
        yield LadderStep(DISCRETE, share, step.loss, 0, other, step.tokens)


def _trained(
    backbone: Backbone, name: str, rows: Sequence[Row], others: Sequence[Row], words: str, length: int, updates: int
) -> Iterator[LadderStep]:
    config = _config(name, words, length, len(rows), updates)
    method = new_method(backbone, config)
    trained = sum(parameter.numel() for parameter in method.parameters())
    for step in train(method, rows, [], config):
        yield LadderStep(name, (step.index - 1) / updates, step.loss, trained)  # the loss that the update was made from
    yield LadderStep(name, 1.0, evaluate_loss(method, rows, config), trained, evaluate_loss(method, others, config))
