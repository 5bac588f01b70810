"""The input and output types of generation: a request, its tokens one by one, and the finished text."""

from collections.abc import Callable
from dataclasses import dataclass

from core.models.backbone import Backbone
from core.models.inputs import EncodedInput, encode_input
from core.prefix.interventions import NO_INTERVENTION, Intervention
from core.prefix.prefix import Prefix
from core.task import Task

Cancel = Callable[[], bool]  # asked between two steps; True ends the generation and keeps what was written
Errors = Callable[[str], int]  # how many errors a text makes, such as values of a table that it lacks
Report = Callable[[list[list[int]]], None]  # called at each step of a beam search with the best beam's ids so far, by request


@dataclass(frozen=True)
class Request:
    """One text to generate: the prompt's token ids, an optional prefix, and the seed of the row's random generator.

    `intervention` scales the attention to the prefix or knocks out parts of it; without a prefix it has no effect. `split`: the
    number of prompt tokens before an infix (paper §7.3). `errors` counts the errors of a text, for decoding with mode "rerank".
    """

    prompt_ids: list[int]
    prefix: Prefix | None = None
    seed: int = 0
    intervention: Intervention = NO_INTERVENTION
    split: int = 0
    errors: Errors | None = None


def make_request(backbone: Backbone, task: Task, source: str, prefix: Prefix | None = None, seed: int = 0) -> Request:
    """Create a request for a source in the task's layout, with an optional prefix or infix."""
    return request_for(encode_input(backbone, task, source, prefix is not None and prefix.infix), task, prefix, seed)


def request_for(encoded: EncodedInput, task: Task, prefix: Prefix | None, seed: int) -> Request:
    """Create a request for an encoded source. A text prefix starts with the tokenizer's start tokens, so the source then
    omits them."""
    skipped = prefix.bos if prefix is not None and task.bos else 0
    return Request(encoded.ids[skipped:], prefix, seed, split=max(0, encoded.split - skipped))


@dataclass(frozen=True)
class Token:
    """One new token of a row: its log-probability under the model, the row's text so far, and whether it ends the text."""

    row: int
    id: int
    logprob: float
    text_so_far: str
    ended: bool


@dataclass(frozen=True)
class Generation:
    """A generated text. `finish` is "eos", "length" or "cancelled"; `seconds` is the time of the whole batch."""

    text: str
    ids: list[int]
    logprobs: list[float]
    finish: str
    seconds: float
