"""Generation: one streaming primitive for greedy and sampled text, transformers' beam search for beams.

Requests with different prefixes, or none, share a batch. A prefix is in force for one forward call at
a time, so interleaved streams cannot leak into one another.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
)

from core.config.decode import DecodeConfig
from core.errors import BadInput, TooLong
from core.generation.decoding_batch import decoder_of
from core.models.backbone import Backbone
from core.models.inputs import read_source
from core.prefix.attention import attach
from core.prefix.interventions import UNTOUCHED, Intervention
from core.prefix.prefix import Prefix, check_shape
from core.task import Task

Cancel = Callable[[], bool]


@dataclass(frozen=True)
class Request:
    """One text to generate: the prompt's ids, its prefix (or none), the seed of its own random generator.

    `intervention` turns the prefix up or down or hides parts of it; it does nothing where there is no prefix.
    `split`: how many of the prompt's tokens stand before an infix.
    """

    prompt_ids: list[int]
    prefix: Prefix | None = None
    seed: int = 0
    intervention: Intervention = UNTOUCHED
    split: int = 0


def request_of(backbone: Backbone, task: Task, source: str, prefix: Prefix | None = None, seed: int = 0) -> Request:
    """A source as a task puts it, with a prefix or an infix."""
    read = read_source(backbone, task, source, prefix is not None and prefix.infix)
    return Request(read.ids, prefix, seed, split=read.split)


@dataclass(frozen=True)
class Token:
    """One new token of a row, its log-probability under the model, and the row's text so far."""

    row: int
    id: int
    logprob: float
    text_so_far: str
    ended: bool


@dataclass(frozen=True)
class Generation:
    """A finished text. `finish`: "eos", "length" or "cancelled"; `seconds` of the whole batch."""

    text: str
    ids: list[int]
    logprobs: list[float]
    finish: str
    seconds: float


def room_for(backbone: Backbone, prompt: int, prefix: int) -> int:
    """How many new tokens fit beside a prompt and a prefix; below 0 where these alone do not fit."""
    if backbone.opening is None:
        return backbone.spec.positions - prompt - prefix
    # the encoder has positions of its own, and none goes to a prefix
    return backbone.spec.positions - len(backbone.opening) + 1 if prompt <= backbone.spec.positions else -1


def check_fits(backbone: Backbone, prompt: int, prefix: int, new: int) -> None:
    """TooLong where prompt, prefix and new tokens exceed the model's positions."""
    positions, name, room = backbone.spec.positions, backbone.spec.name, room_for(backbone, prompt, prefix)
    if new <= room:
        return
    if backbone.opening is None:
        virtual = f", {prefix} virtual tokens" if prefix else ""
        raise TooLong(
            f"The input has {prompt} tokens, and {max(room + prompt - new, 0)} fit: {name} has {positions} positions{virtual} "
            f"and {new} are kept for the output. "
            "Shorten the input, or ask for fewer new tokens."
        )
    if prompt > positions:
        raise TooLong(f"The input has {prompt} tokens, and {positions} fit: {name} has so many positions. Shorten the input.")
    raise TooLong(f"{new} new tokens are asked for, and {room} fit: {name} has {positions} positions. Give a smaller number.")


def check(backbone: Backbone, requests: Sequence[Request], decode: DecodeConfig) -> None:
    """BadInput where there is nothing to generate from, TooLong where a request does not fit."""
    if not requests:
        raise BadInput("Nothing to generate: no request was given.")
    for request in requests:
        if not request.prompt_ids:
            raise BadInput("The prompt is empty. Give at least one word.")
        if request.prefix is not None and set(request.prefix.past) != set(backbone.spec.sites):
            check_shape(request.prefix, backbone.spec, "This prefix")
        check_fits(backbone, len(request.prompt_ids), request.prefix.length if request.prefix else 0, decode.max_new)


class Draft:
    """A text being written: what there is of it, and the generator that its draws come from."""

    def __init__(self, request: Request, decode: DecodeConfig) -> None:
        self.decode, self.generator = decode, torch.Generator().manual_seed(request.seed)
        self.tokens: list[Token] = []
        self.ids: list[int] = []

    @property
    def ended(self) -> bool:
        """Whether the text's end was written."""
        return bool(self.tokens) and self.tokens[-1].ended

    @property
    def full(self) -> bool:
        """Whether nothing more may be written."""
        return self.ended or len(self.tokens) >= self.decode.max_new

    def advance(self, index: int, logprobs: Tensor, backbone: Backbone) -> Token:
        """Choose the next token by log-probabilities (vocabulary,), and take it up as row `index` of its batch."""
        choice = logprobs
        if self.decode.no_repeat and self.ids:
            choice = NoRepeatNGramLogitsProcessor(self.decode.no_repeat)(torch.tensor([self.ids]), choice[None])[0]
        if len(self.ids) < self.decode.min_new:
            choice = choice.clone()
            choice[list(backbone.eos)] = -torch.inf
        greedy = self.decode.mode == "greedy"
        token = int(choice.argmax()) if greedy else _sample(choice, self.generator, self.decode)
        self.ids.append(token)
        told = Token(index, token, logprobs[token].item(), readable(backbone, self.ids), token in backbone.eos)
        self.tokens.append(told)
        return told


def stream(
    model, backbone: Backbone, requests: Sequence[Request], decode: DecodeConfig, cancel: Cancel | None = None
) -> Iterator[list[Token | None]]:
    """Greedy or sampled text, token by token.

    Yields one list a step: a Token for every row that still went on, None for rows that have ended. Ends
    when all rows have, after `max_new` tokens, or when `cancel()` turns true. Closing it early is safe.
    """
    check(backbone, requests, decode)
    if decode.mode == "beam":
        raise BadInput(
            "Beam search does not stream: its best text may change at every step. Use generate(), or greedy or sampled text."
        )
    decoder = decoder_of(model, backbone, requests)
    rows = [Draft(request, decode) for request in requests]
    for _ in range(decode.max_new):
        if cancel is not None and cancel():
            return
        logprobs = decoder.logits().log_softmax(-1).cpu()  # (B, vocabulary)
        step = [None if row.ended else row.advance(index, logprobs[index], backbone) for index, row in enumerate(rows)]
        yield step
        if all(row.ended for row in rows):
            return
        decoder.push([row.ids[-1] for row in rows])


def _sample(logprobs: Tensor, generator: torch.Generator, decode: DecodeConfig) -> int:
    """Draw by temperature, top-k and top-p, in double precision from the row's own generator."""
    probabilities, order = (logprobs.double() / decode.temperature).softmax(-1).sort(descending=True)
    if decode.top_k:
        probabilities[decode.top_k :] = 0
    if decode.top_p < 1:
        before = probabilities.cumsum(-1) - probabilities
        probabilities[before >= decode.top_p] = 0
    return int(order[torch.multinomial(probabilities, 1, generator=generator)])


def readable(backbone: Backbone, ids: list[int]) -> str:
    """Text of ids so far; a character whose bytes are not all there yet is held back."""
    return backbone.decode(ids).rstrip("\ufffd").strip()


def generate(
    model, backbone: Backbone, requests: Sequence[Request], decode: DecodeConfig, cancel: Cancel | None = None
) -> list[Generation]:
    """All rows to their end, as one batch; beams through transformers' own search."""
    began = time.monotonic()
    if decode.mode == "beam":
        return _beam(model, backbone, requests, decode, cancel, began)
    tokens: list[list[Token]] = [[] for _ in requests]
    for step in stream(model, backbone, requests, decode, cancel):
        for token in step:
            if token is not None:
                tokens[token.row].append(token)
    seconds = time.monotonic() - began
    stopped = cancel is not None and cancel()
    return [finished(row, decode, seconds, stopped) for row in tokens]


def finished(tokens: Sequence[Token], decode: DecodeConfig, seconds: float, stopped: bool) -> Generation:
    """The tokens of one row as its result."""
    text = tokens[-1].text_so_far if tokens else ""
    ended = bool(tokens) and tokens[-1].ended
    finish = "eos" if ended else "cancelled" if stopped and len(tokens) < decode.max_new else "length"
    return Generation(text, [token.id for token in tokens], [token.logprob for token in tokens], finish, seconds)


class _NoRepeat(LogitsProcessor):
    """Keeps a beam from writing so many tokens in a row twice; what stands before the text does not count."""

    def __init__(self, size: int, before: int) -> None:
        self.size, self.before = size, before

    def __call__(self, input_ids, scores):
        written = input_ids[:, self.before :]
        return NoRepeatNGramLogitsProcessor(self.size)(written, scores) if written.shape[1] else scores


class _Cancelled(StoppingCriteria):
    def __init__(self, cancel: Cancel | None) -> None:
        self.cancel, self.seen = cancel, threading.Event()

    def __call__(self, input_ids, scores, **kwargs):
        if self.cancel is not None and self.cancel():
            self.seen.set()
        return torch.full((len(input_ids),), self.seen.is_set(), device=input_ids.device)


@torch.no_grad()
def _beam(model, backbone: Backbone, requests, decode: DecodeConfig, cancel: Cancel | None, began: float) -> list[Generation]:
    check(backbone, requests, decode)
    decoder, stop = decoder_of(model, backbone, requests), _Cancelled(cancel)
    width = decoder.ids.shape[1]
    with attach(model, decoder.state):  # the search calls the model itself: attached for its length, under the model's lock
        out = model.generate(
            **decoder.search(),
            generation_config=_beam_config(backbone, decode),
            stopping_criteria=StoppingCriteriaList([stop]),
            logits_processor=LogitsProcessorList([_NoRepeat(decode.no_repeat, width)] if decode.no_repeat else []),
        )
    seconds, results = time.monotonic() - began, []
    for sequence in out[:, width:].tolist():
        end = next((place for place, token in enumerate(sequence) if token in backbone.eos), None)
        ids = sequence if end is None else sequence[: end + 1]
        finish = "cancelled" if stop.seen.is_set() else "length" if end is None else "eos"
        results.append(Generation(readable(backbone, ids), ids, [], finish, seconds))
    return results


def _beam_config(backbone: Backbone, decode: DecodeConfig) -> GenerationConfig:
    eos = sorted(backbone.eos)
    return GenerationConfig(
        max_new_tokens=decode.max_new,
        min_new_tokens=decode.min_new or None,
        num_beams=decode.beams,
        length_penalty=decode.length_penalty,
        do_sample=False,
        early_stopping=False,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,  # it would count what stands before the text: see _NoRepeat
        temperature=1.0,
        top_k=50,
        top_p=1.0,
        num_return_sequences=1,
        eos_token_id=eos,
        decoder_start_token_id=backbone.opening[0] if backbone.opening else None,
        pad_token_id=eos[0] if eos else 0,
        use_cache=True,
    )


def next_word(model, backbone: Backbone, request: Request, k: int = 10) -> list[tuple[str, float]]:
    """The k likeliest next tokens after the prompt, as text, with probabilities."""
    check(backbone, [request], DecodeConfig(max_new=1))
    probabilities = decoder_of(model, backbone, [request]).logits()[0].softmax(-1)
    top = probabilities.topk(k)
    return [(backbone.tokenizer.decode([token]), p) for token, p in zip(top.indices.tolist(), top.values.tolist(), strict=True)]
