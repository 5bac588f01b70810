"""Generate texts: `stream` yields tokens step by step; `generate` returns whole texts, with beam search too.

Requests with different prefixes, or none, share a batch. A prefix is attached for one forward call at a time, so interleaved
streams cannot affect one another.
"""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from core.config.decode import DecodeConfig
from core.errors import BadInput
from core.generation.decoding_batch import make_batch
from core.generation.limits import check_requests
from core.generation.sequence import SequenceState
from core.generation.types import Cancel, Generation, Report, Request, Token
from core.models.backbone import Backbone

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def stream(
    model: "PreTrainedModel", backbone: Backbone, requests: Sequence[Request], decode: DecodeConfig
) -> Iterator[list[Token | None]]:
    """Generate greedily or by sampling, one token at a time.

    Yields one list per step: a Token for each unfinished row, None for the others. Ends when all rows have ended or
    after `max_new` tokens; it can be closed early. Raises BadInput for beam search, and the errors
    of `check_requests`.
    """
    check_requests(backbone, requests, decode)
    if decode.is_beam_search:
        raise BadInput(
            "Beam search does not stream: its best text may change at every step. Use generate(), or greedy or sampled text."
        )
    yield from _steps(model, backbone, requests, _sequences(backbone, requests, decode))


def generate(
    model: "PreTrainedModel",
    backbone: Backbone,
    requests: Sequence[Request],
    decode: DecodeConfig,
    cancel: Cancel | None = None,
    report: Report | None = None,
) -> list[Generation]:
    """Generate whole texts as one batch. `report` is for beam search. Raises the errors of `check_requests`."""
    check_requests(backbone, requests, decode)
    if decode.is_beam_search:
        from core.generation.beam import beam_search  # here: its base classes are slow to import

        return beam_search(model, backbone, requests, decode, cancel, report)
    began, sequences = time.monotonic(), _sequences(backbone, requests, decode)
    for _ in _steps(model, backbone, requests, sequences, cancel):
        pass
    seconds, cancelled = time.monotonic() - began, cancel is not None and cancel()
    return [sequence.to_generation(seconds, cancelled) for sequence in sequences]


def next_token_probs(model: "PreTrainedModel", backbone: Backbone, request: Request, k: int = 10) -> list[tuple[str, float]]:
    """Return the k most likely next tokens after the prompt, as text, with their probabilities."""
    check_requests(backbone, [request], DecodeConfig(max_new=1))
    top = make_batch(model, backbone, [request]).logits()[0].softmax(-1).topk(k)
    return [
        (backbone.decode([token], special=True), p) for token, p in zip(top.indices.tolist(), top.values.tolist(), strict=True)
    ]


def _sequences(backbone: Backbone, requests: Sequence[Request], decode: DecodeConfig) -> list[SequenceState]:
    return [SequenceState(backbone, request, decode) for request in requests]


def _steps(
    model: "PreTrainedModel",
    backbone: Backbone,
    requests: Sequence[Request],
    sequences: list[SequenceState],
    cancel: Cancel | None = None,
) -> Iterator[list[Token | None]]:
    batch = make_batch(model, backbone, requests)
    while not all(sequence.finished for sequence in sequences):
        if cancel is not None and cancel():
            return
        yield batch.step(sequences)
