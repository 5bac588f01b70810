"""One input, two to four columns: the frozen model and runs on it, side by side through one engine.

Independent of pages: `compare` yields the same `Comparison` again and again as it grows.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from analysis.attention.sentences import SentenceAttention, sentence_attention
from analysis.metrics.coverage import error_counter
from analysis.named_runs import task_of
from app.compare.prompting import BETWEEN_EXAMPLES, base_task
from app.shared.context import AppContext
from app.shared.last_comparison import ColumnRecord, ComparisonRecord
from core.config.decode import DecodeConfig
from core.errors import PrefixLabError
from core.generation.generate import next_token_probs
from core.generation.types import Cancel, Request, request_for
from core.methods.loading import LoadedRun
from core.models.backbone import Backbone
from core.models.inputs import EncodedInput, encode_input
from core.runs.run import Run
from core.serving.engine import Stream
from core.task import Task
from core.text.checks import counted

if TYPE_CHECKING:
    from transformers import PreTrainedModel

RUN_SLOTS = ("prefix", "finetuned", "other")  # each may hold any run on the backbone; named after what it holds by default
SLOTS = ("base", *RUN_SLOTS)  # base: the frozen model
ORDER = ("base", "prefix", "finetuned")  # of the columns that are shown by default
LEAST, MOST = 2, 4  # columns
SHOW_EVERY = 0.06  # seconds between two pictures of a growing text
CROWD = 6  # texts written at once; with more of them, pictures come less often
LEAVING = 10.0  # seconds that a stream which is stopped may take to say what it had
WORDS = 5  # next words shown a column
Encoded = dict[tuple[Task, str, bool], EncodedInput]  # by task and text, and whether an infix stands in it


@dataclass(frozen=True)
class CompareRequest:
    """A comparison to make: a linearised `source` of a `form` (see Task), run ids by slot (empty: none), and the `name` by which
    the backbone was chosen.

    `order`: the slots from left to right; `prompt`: how the frozen model is prompted, see `base_task`.
    """

    source: str
    prefix: str = ""
    finetuned: str = ""
    name: str = ""
    decode: DecodeConfig = field(default_factory=DecodeConfig)
    form: str = "table"
    other: str = ""
    order: tuple[str, ...] = ORDER
    prompt: str = ""

    def run(self, slot: str) -> str:
        """Return the id of the run in a slot; "" for none, and for the frozen model."""
        return "" if slot == "base" else getattr(self, slot)


@dataclass
class Column:
    """One column's text as it grows. `state`: waiting, streaming, searching, eos, length, cancelled, missing or error."""

    kind: str
    state: str = "waiting"
    text: str = ""
    tokens: int = 0
    seconds: float = 0.0
    note: str = ""
    run: Run | None = None
    task: Task | None = None  # the layout of what is read
    stop: str = ""  # ends the text, as the model's own end does: with examples in front, a model goes on to write more of them
    virtual: int = 0  # virtual tokens in front of it
    prompt_ids: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    split: int = 0  # how many of the prompt's tokens stand before the separator
    read: EncodedInput | None = None
    words: list[tuple[str, float]] = field(default_factory=list)
    sentences: SentenceAttention | None = None  # of a summary: how much it attended to each of the article's

    @property
    def is_open(self) -> bool:
        """Whether the text is incomplete."""
        return self.state in ("waiting", "streaming", "searching")


@dataclass
class Comparison:
    """The columns so far. `phase`: loading, running, done or cancelled; `sentence`: for the status line."""

    request: CompareRequest
    backbone: Backbone
    phase: str = "loading"
    sentence: str = "Loading the runs…"
    columns: dict[str, Column] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.columns = {slot: Column(slot) for slot in self.request.order}


@dataclass
class PendingText:
    """A column's request, and the model for it."""

    column: Column
    model: "PreTrainedModel"
    request: Request
    read: EncodedInput


def rearranged(context: AppContext, comparison: Comparison, request: CompareRequest) -> Comparison | None:
    """Return a finished comparison with its columns in another order, or without some; None if `request` needs new texts."""
    absent: dict[str, Any] = {slot: request.run(slot) for slot in RUN_SLOTS if slot not in request.order}
    same = replace(comparison.request, order=request.order, **absent) == request != comparison.request
    if not same or comparison.phase != "done" or not set(request.order) <= set(comparison.columns):
        return None
    columns = {slot: comparison.columns[slot] for slot in request.order}
    for column in columns.values():
        now = Column(column.kind)
        if column.kind != "base":
            _load(context, now, request.run(column.kind), comparison.backbone)
        if now.run != column.run:  # deleted, or trained again, meanwhile
            return None
    other = Comparison(request, comparison.backbone, comparison.phase, comparison.sentence)
    other.columns = columns
    return other


def compare(
    context: AppContext, backbone: Backbone, request: CompareRequest, cancel: Cancel, who: str = ""
) -> Iterator[Comparison]:
    """Load the runs, then generate all columns side by side. `who`: the caller, for a fair share of the device.

    Raises TooLong for an input that does not fit, Busy for too many requests; if a run cannot be used, its own column has the
    reason.
    """
    comparison = Comparison(request, backbone)
    yield comparison
    texts = _texts(context, comparison)
    began = time.monotonic()
    with ExitStack() as stack:  # a page that goes away frees its places
        streams = [
            (
                text.column,
                stack.enter_context(context.models.engine.submit(text.model, backbone, text.request, request.decode, who)),
            )
            for text in texts
        ]
        for _ in _growth(context, comparison, streams, cancel):
            yield comparison
    if not cancel():
        for text in texts:
            text.column.words = context.models.run_job(next_token_probs, text.model, backbone, text.request, WORDS)
            if request.form == "article" and backbone.is_encoder_decoder and text.column.ids:
                article = request.source[: text.read.end]
                arguments = (text.request, text.column.ids, article, text.read.lead)
                text.column.sentences = context.models.run_job(sentence_attention, text.model, backbone, *arguments)
    _close(comparison, time.monotonic() - began)
    yield comparison


def _texts(context: AppContext, comparison: Comparison) -> list[PendingText]:
    """Return each column's request. The frozen model has a layout of its own, whatever runs are beside it."""
    backbone, request = comparison.backbone, comparison.request
    texts: list[PendingText] = []
    encoded: Encoded = {}
    for slot, column in comparison.columns.items():
        loaded = None if slot == "base" else _load(context, column, request.run(slot), backbone)
        if slot != "base" and loaded is None:
            continue
        task = task_of(loaded, base_task(backbone, request.form, request.source, request.prompt if slot == "base" else ""))
        column.stop = BETWEEN_EXAMPLES if slot == "base" and request.prompt.isdigit() else ""
        texts.append(_text(backbone, task, request, column, loaded, encoded))
    return texts


def _load(context: AppContext, column: Column, run_id: str, backbone: Backbone) -> LoadedRun | None:
    if not run_id:
        column.state = "missing"
        return None
    try:
        loaded = context.models.load(run_id, backbone)
    except PrefixLabError as error:
        column.state, column.note = "error", str(error)
        return None
    column.run = loaded.run
    return loaded


def _text(
    backbone: Backbone, task: Task, compare_request: CompareRequest, column: Column, loaded: LoadedRun | None, encoded: Encoded
) -> PendingText:
    """Return a column's request. `encoded`: inputs that are encoded already, so that a long article is encoded only once."""
    prefix = loaded.prefix if loaded else None
    infix = prefix is not None and prefix.infix
    source = (
        compare_request.source if loaded else compare_request.source.strip()
    )  # nobody types the blank that the paper's triples begin with
    if (task, source, infix) not in encoded:
        encoded[task, source, infix] = encode_input(backbone, task, source, infix)
    read = encoded[task, source, infix]
    column.task, column.virtual, column.prompt_ids, column.read = task, prefix.length if prefix else 0, read.ids, read
    column.split = read.lead + read.used if task.cut else encode_input(backbone, task, source, infix=True).split
    request = request_for(read, task, prefix, compare_request.decode.seed)
    count, stop = error_counter(compare_request.form, compare_request.source), column.stop
    request = replace(request, errors=lambda generated: count(_before_stop(generated, stop)))
    return PendingText(column, loaded.model if loaded else backbone.model, request, read)


def _growth(context: AppContext, comparison: Comparison, streams: list[tuple[Column, Stream]], cancel: Cancel) -> Iterator[None]:
    """Add new tokens to the columns, and yield at intervals until all texts are complete or `cancel` is true.

    Yields nothing if nothing has changed, and less often the more pages there are, since drawing them all would slow down the
    model.
    """
    previous = None
    while still := [stream for _, stream in streams if stream.open]:
        comparison.phase, comparison.sentence = "running", _sentence(context, comparison, still)
        if previous != (previous := (comparison.sentence, [(column.state, column.text) for column, _ in streams])):
            yield
        still[0].wait(SHOW_EVERY * max(1, context.models.engine.running() / CROWD))
        if cancel():
            for stream in still:
                stream.close()
            for stream in still:
                stream.wait(LEAVING)
        for column, stream in streams:
            _grow(column, stream, comparison.request.decode)


def _grow(column: Column, stream: Stream, decode: DecodeConfig) -> None:
    """Add what a stream has generated since the last call; the text ends where its `stop` begins."""
    if not stream.open:
        return
    tokens = stream.ready()
    if column.state == "eos":  # at its `stop`; the stream has still to come to its end
        return
    column.seconds = stream.seconds
    for token in tokens:
        column.tokens += 1
        column.ids.append(token.id)
        column.text, column.state = token.text_so_far, "streaming"
        if _ends_at_stop(column):
            stream.close()
            return
    if decode.is_beam_search:
        column.text = _before_stop(stream.draft, column.stop)
        column.state = "searching" if column.text else "waiting"
    if not stream.open:
        result = stream.result()
        column.text, column.tokens, column.seconds, column.state = result.text, len(result.ids), result.seconds, result.finish
        column.ids = result.ids
        _ends_at_stop(column)


def _ends_at_stop(column: Column) -> bool:
    """Cut a text at its `stop`; returns whether it has one."""
    whole, column.text = column.text, _before_stop(column.text, column.stop)
    if ends := column.text != whole:
        column.state = "eos"
    return ends


def _before_stop(text: str, stop: str) -> str:
    """Return what stands before `stop`, ignoring leading blank lines."""
    blanks = len(text) - len(text.lstrip())
    place = text.find(stop, blanks) if stop else -1
    return text[:place] if place >= 0 else text


def _sentence(context: AppContext, comparison: Comparison, still: list[Stream]) -> str:
    if (others := context.models.engine.queue_position(still[0])) and not any(
        column.text for column in comparison.columns.values()
    ):
        return f"Waiting for the model: {counted(others, 'text')} of other pages before yours."
    return "Writing by beam search: the best texts so far…" if comparison.request.decode.is_beam_search else "Writing…"


def _close(comparison: Comparison, seconds: float) -> None:
    if any(column.state == "cancelled" for column in comparison.columns.values()):
        comparison.phase, comparison.sentence = "cancelled", f"after {seconds:.1f} s. What was written so far is kept and marked."
    else:
        comparison.phase, comparison.sentence = (
            "done",
            f"in {seconds:.1f} s: {comparison.request.decode.describe()}, the same for every column.",
        )


def record_of(comparison: Comparison) -> ComparisonRecord:
    """Return the finished texts, for the other tabs."""
    columns = {
        kind: ColumnRecord(
            run=column.run.id if column.run else "",
            prompt_ids=tuple(column.prompt_ids),
            ids=tuple(column.ids),
            text=column.text,
            state=column.state,
            split=column.split,
            lead=column.read.lead if column.read else 0,
            end=column.read.end if column.read else 0,
        )
        for kind, column in comparison.columns.items()
        if column.ids
    }
    return ComparisonRecord(
        comparison.request.name, comparison.request.source, comparison.request.decode, columns, comparison.request.form
    )
