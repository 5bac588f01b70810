"""Beam search with transformers' own implementation."""

import threading
import time
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from core.config.decode import DecodeConfig
from core.generation.decoding_batch import make_batch
from core.generation.sequence import decode_text
from core.generation.types import Cancel, Generation, Report, Request
from core.models.backbone import Backbone
from core.prefix.attention import attach


@torch.no_grad()
def beam_search(
    model: PreTrainedModel,
    backbone: Backbone,
    requests: Sequence[Request],
    decode: DecodeConfig,
    cancel: Cancel | None,
    report: Report | None,
) -> list[Generation]:
    """Return the best text of each request, without log-probabilities. `cancel` and `report` are called at every step.

    With mode "rerank" that is the one with the fewest errors, else the most likely one.
    """
    began, batch = time.monotonic(), make_batch(model, backbone, requests)
    width = batch.ids.shape[1]
    stop = _BetweenSteps(cancel, report, len(requests), width)
    with attach(model, batch.state):  # transformers calls the model itself: attached, under the model's lock, to the end
        out: Tensor = cast(Any, model).generate(
            **batch.generate_inputs(),
            generation_config=_generation_config(backbone, decode),
            stopping_criteria=StoppingCriteriaList([stop]),
            logits_processor=LogitsProcessorList([_NoRepeat(decode.no_repeat, width)] if decode.no_repeat else []),
        )
    seconds = time.monotonic() - began
    texts = [_ended(backbone, ids, stop.cancelled.is_set(), seconds) for ids in out[:, width:].tolist()]
    beams = len(texts) // len(requests)
    return [_fewest_errors(request, texts[i * beams : (i + 1) * beams]) for i, request in enumerate(requests)]


def _ended(backbone: Backbone, ids: list[int], cancelled: bool, seconds: float) -> Generation:
    """Return the text up to its end token; what follows that is padding."""
    end = next((place for place, token in enumerate(ids) if token in backbone.eos), None)
    ids = ids if end is None else ids[: end + 1]
    finish = "cancelled" if cancelled else "length" if end is None else "eos"
    return Generation(decode_text(backbone, ids), ids, [], finish, seconds)


def _fewest_errors(request: Request, texts: list[Generation]) -> Generation:
    """Return the text with the fewest errors; of several, the first and so the most likely. A missing end is an error."""
    count = request.errors
    if len(texts) == 1 or count is None:
        return texts[0]
    return min(texts, key=lambda text: count(text.text) + (text.finish == "length"))


class _NoRepeat(LogitsProcessor):
    """Forbids n-grams that a beam has generated already; the prompt does not count."""

    def __init__(self, size: int, prompt: int) -> None:
        self.size, self.prompt = size, prompt

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        generated = input_ids[:, self.prompt :]
        return NoRepeatNGramLogitsProcessor(self.size)(generated, scores) if generated.shape[1] else scores


class _BetweenSteps(StoppingCriteria):
    """transformers passes it the candidates of each step, each request's together and the most likely first."""

    def __init__(self, cancel: Cancel | None, report: Report | None, requests: int, prompt: int) -> None:
        self.cancel, self.report, self.requests, self.prompt = cancel, report, requests, prompt
        self.cancelled = threading.Event()

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        if self.report is not None:
            best = input_ids.unflatten(0, (self.requests, -1))[:, 0, self.prompt :]
            self.report(best.tolist())
        if self.cancel is not None and self.cancel():
            self.cancelled.set()
        return torch.full((len(input_ids),), self.cancelled.is_set(), device=input_ids.device)


def _generation_config(backbone: Backbone, decode: DecodeConfig) -> GenerationConfig:
    """Set every option explicitly, so that a model's own defaults have no effect."""
    eos = sorted(backbone.eos)
    return GenerationConfig(
        max_new_tokens=decode.max_new,
        min_new_tokens=decode.min_new or None,
        num_beams=decode.beams,
        length_penalty=decode.length_penalty,
        do_sample=False,
        early_stopping=False,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,  # it would count the prompt: see _NoRepeat
        temperature=1.0,
        top_k=50,
        top_p=1.0,
        num_return_sequences=decode.beams if decode.mode == "rerank" else 1,
        eos_token_id=eos,
        decoder_start_token_id=backbone.decoder_start_ids[0] if backbone.decoder_start_ids else None,
        pad_token_id=eos[0] if eos else 0,
        use_cache=True,
    )
