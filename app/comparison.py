"""One table, told three times: the frozen model and the prefix as one batch, the fine-tuned model beside them.

Knows nothing of pages: `compare` yields the same `Comparison` again and again as it grows.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.session import Lab
from app.subject import Subject, Written
from core.backbone import Backbone
from core.config import DecodeConfig
from core.errors import PrefixLabError
from core.generate import Cancel, Request, Token, generate, next_word, request_of, stream
from core.runs import LoadedRun
from core.store import Run
from core.tasks import Task

KINDS = ("base", "prefix", "finetuned")
SHOW_EVERY = 0.06  # seconds between two pictures of a growing text
WORDS = 5  # next words shown a column


@dataclass(frozen=True)
class Ask:
    """What to tell, with what: a linearised `source`, run ids (empty: none), and the `name` the backbone was asked for by."""

    source: str
    prefix: str = ""
    finetuned: str = ""
    name: str = ""
    decode: DecodeConfig = field(default_factory=DecodeConfig)


@dataclass
class Column:
    """One method's text as it grows. `state`: waiting, streaming, searching, eos, length, cancelled, missing or error."""

    kind: str
    state: str = "waiting"
    text: str = ""
    tokens: int = 0
    seconds: float = 0.0
    note: str = ""
    run: Run | None = None
    prompt_ids: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    words: list[tuple[str, float]] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether more text may come."""
        return self.state in ("waiting", "streaming", "searching")


@dataclass
class Comparison:
    """`phase`: loading, running, done or cancelled; `say` is the sentence for the status line."""

    ask: Ask
    backbone: Backbone
    phase: str = "loading"
    say: str = "Loading the runs…"
    columns: dict[str, Column] = field(default_factory=lambda: {kind: Column(kind) for kind in KINDS})


@dataclass
class _Lane:
    """Rows that share a model, and so a batch."""

    model: object
    columns: list[Column]
    requests: list[Request]


def compare(lab: Lab, backbone: Backbone, ask: Ask, cancel: Cancel) -> Iterator[Comparison]:
    """Load the runs, then write all columns side by side.

    A table that does not fit raises TooLong; a run that cannot be used is told in its own column.
    """
    seen = Comparison(ask, backbone)
    yield seen
    lanes = _lanes(lab, seen)
    beams = ask.decode.mode == "beam"
    seen.phase, seen.say = "running", "Searching; the texts come when they are whole…" if beams else "Writing…"
    began = time.monotonic()
    tell = _search if beams else _write
    for _ in tell(lab, seen, lanes, cancel):
        yield seen
    if not cancel():
        for lane in lanes:
            _next_words(lab, backbone, lane)
    _close(seen, time.monotonic() - began)
    yield seen


def _lanes(lab: Lab, seen: Comparison) -> list[_Lane]:
    backbone = seen.backbone
    prefix = _load(lab, seen.columns["prefix"], seen.ask.prefix, backbone)
    tuned = _load(lab, seen.columns["finetuned"], seen.ask.finetuned, backbone)
    task = next((loaded.task for loaded in (prefix, tuned) if loaded), Task())
    shared = _Lane(backbone.model, [seen.columns["base"]], [_request(backbone, task, seen.ask, None)])
    if prefix:
        shared.columns.append(seen.columns["prefix"])
        shared.requests.append(_request(backbone, task, seen.ask, prefix))
    lanes = [shared]
    if tuned:
        own = _request(backbone, tuned.task, seen.ask, tuned)
        lanes.append(_Lane(tuned.model, [seen.columns["finetuned"]], [own]))
    for lane in lanes:
        for column, request in zip(lane.columns, lane.requests, strict=True):
            column.prompt_ids = request.prompt_ids
    return lanes


def _load(lab: Lab, column: Column, run_id: str, backbone: Backbone) -> LoadedRun | None:
    if not run_id:
        column.state = "missing"
        return None
    try:
        loaded = lab.load(run_id, backbone)
    except PrefixLabError as error:
        column.state, column.note = "error", str(error)
        return None
    column.run = loaded.run
    return loaded


def _request(backbone: Backbone, task: Task, ask: Ask, loaded: LoadedRun | None) -> Request:
    return request_of(backbone, task, ask.source, loaded.prefix if loaded else None, ask.decode.seed)


def _write(lab: Lab, seen: Comparison, lanes: list[_Lane], cancel: Cancel) -> Iterator[None]:
    """Token by token, the lanes in turn; a picture every so often."""
    shown = 0.0
    going = [(lane, stream(lane.model, seen.backbone, lane.requests, seen.ask.decode, cancel)) for lane in lanes]
    while going:
        for lane, tokens in list(going):
            began = time.monotonic()
            step = lab.work(next, tokens, None)
            if step is None:
                going.remove((lane, tokens))
                _end(lane, seen.ask.decode)
            else:
                _grow(lane, step, time.monotonic() - began)
        if going and time.monotonic() - shown > SHOW_EVERY:
            shown = time.monotonic()
            yield


def _grow(lane: _Lane, step: list[Token | None], seconds: float) -> None:
    for column, token in zip(lane.columns, step, strict=True):
        if token is None:
            continue
        column.tokens += 1
        column.seconds += seconds
        column.ids.append(token.id)
        column.text = token.text_so_far
        column.state = "eos" if token.ended else "streaming"


def _end(lane: _Lane, decode: DecodeConfig) -> None:
    for column in lane.columns:
        if column.is_open:
            column.state = "length" if column.tokens >= decode.max_new else "cancelled"


def _search(lab: Lab, seen: Comparison, lanes: list[_Lane], cancel: Cancel) -> Iterator[None]:
    """Beam search: a lane's texts come when they are whole."""
    for lane in lanes:
        for column in lane.columns:
            column.state = "searching"
    for lane in lanes:
        yield
        texts = lab.work(generate, lane.model, seen.backbone, lane.requests, seen.ask.decode, cancel)
        for column, told in zip(lane.columns, texts, strict=True):
            column.text, column.tokens, column.seconds, column.state = told.text, len(told.ids), told.seconds, told.finish
            column.ids = told.ids


def _next_words(lab: Lab, backbone: Backbone, lane: _Lane) -> None:
    for column, request in zip(lane.columns, lane.requests, strict=True):
        column.words = lab.work(next_word, lane.model, backbone, request, WORDS)


def _close(seen: Comparison, seconds: float) -> None:
    if any(column.state == "cancelled" for column in seen.columns.values()):
        seen.phase, seen.say = "cancelled", f"after {seconds:.1f} s. What was written so far is kept and marked."
    else:
        seen.phase, seen.say = "done", f"in {seconds:.1f} s: {describe(seen.ask.decode)}, the same for every column."


def subject(seen: Comparison) -> Subject:
    """What was written, for the other tabs."""
    columns = {
        kind: Written(column.run.id if column.run else "", tuple(column.prompt_ids), tuple(column.ids), column.text, column.state)
        for kind, column in seen.columns.items()
        if column.ids
    }
    return Subject(seen.ask.name, seen.ask.source, seen.ask.decode, columns)


def describe(decode: DecodeConfig) -> str:
    """The decoding in words."""
    if decode.mode == "beam":
        return f"beam search with {decode.beams} beams"
    if decode.mode == "sample":
        return f"sampled with seed {decode.seed}, temperature {decode.temperature:g}, top-p {decode.top_p:g}"
    return "greedy, the likeliest token each time"
