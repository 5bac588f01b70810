"""One batch in which every row has its own prefix (paper §8.2): how it is padded, and its texts and times beside one by one."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.config.decode import DecodeConfig
from core.generation.decoding_batch import DecodingBatch
from core.generation.generate import stream
from core.generation.types import Request, Token
from core.models.backbone import Backbone

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class RowLayout:
    """The columns of one row as attention reads them, from left to right; both kinds of padding are masked.

    Virtual tokens: `prefix_padding` + `prefix`, as many as the longest prefix has. Text: `text_padding` + `text`.
    """

    prefix_padding: int
    prefix: int
    text_padding: int
    text: int


@dataclass
class Pass:
    """The rows generated in one way: the token ids and the text of each so far, the forward passes, and their seconds."""

    ids: list[list[int]]
    texts: list[str]
    passes: int = 0
    seconds: float = 0.0


@dataclass
class BatchProgress:
    """Both ways so far. `done`: how many rows of `alone` are complete; `finished`: whether all are."""

    together: Pass
    alone: Pass
    done: int = 0
    same: list[bool] = field(default_factory=list)
    finished: bool = False

    @property
    def ratio(self) -> float:
        """How many times as long one by one takes as together."""
        return self.alone.seconds / self.together.seconds


def batch_layout(model: "PreTrainedModel", backbone: Backbone, requests: Sequence[Request]) -> list[RowLayout]:
    """Read the padding off the first step's batch."""
    batch = DecodingBatch(model, backbone, requests)
    columns, texts = batch.mask.shape[1], batch.mask.sum(-1).tolist()
    prefixes = [request.prefix.length if request.prefix else 0 for request in requests]
    return [RowLayout(max(prefixes) - prefix, prefix, columns - text, text) for prefix, text in zip(prefixes, texts, strict=True)]


def write_both_ways(
    model: "PreTrainedModel", backbone: Backbone, requests: Sequence[Request], decode: DecodeConfig
) -> Iterator[BatchProgress]:
    """Generate the requests as one batch, then each alone; yields the same object after each step and each row.

    Only the time of the forward passes and the choice of tokens is counted, after one of each size to warm up. Raises the errors
    of `check_requests`.
    """
    for warm_up in (requests, requests[:1]):
        next(stream(model, backbone, warm_up, decode))
    together, alone = (Pass([[] for _ in requests], [""] * len(requests)) for _ in range(2))
    progress = BatchProgress(together, alone)
    for tokens in _timed(stream(model, backbone, requests, decode), together):
        for token in filter(None, tokens):
            _add(together, token.row, token)
        yield progress
    for row, request in enumerate(requests):
        for tokens in _timed(stream(model, backbone, [request], decode), alone):
            for token in filter(None, tokens):
                _add(alone, row, token)
        progress.done = row + 1
        progress.same.append(together.ids[row] == alone.ids[row])
        progress.finished = progress.done == len(requests)
        yield progress


def _add(counted: Pass, row: int, token: Token) -> None:
    counted.ids[row].append(token.id)
    counted.texts[row] = token.text_so_far


def _timed(steps: Iterator[list[Token | None]], counted: Pass) -> Iterator[list[Token | None]]:
    """Add the seconds of each step to `counted`."""
    while True:
        began = time.perf_counter()
        tokens = next(steps, None)
        if tokens is None:
            return
        counted.seconds += time.perf_counter() - began
        counted.passes += 1
        yield tokens
