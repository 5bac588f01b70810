"""One table, told three times: by the frozen model, by a prefix on it, and by a fine-tuned model, through the one engine.

Knows nothing of pages: `compare` yields the same `Comparison` again and again as it grows.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from analysis.attention.sentences import SentenceAttention, sentence_attention
from app.shared.context import AppContext
from app.shared.last_comparison import ColumnRecord, ComparisonRecord
from core.config.decode import DecodeConfig
from core.errors import PrefixLabError
from core.generation.generate import next_token_probs
from core.generation.types import Cancel, Request, request_for
from core.methods.loading import LoadedRun
from core.models.backbone import Backbone
from core.models.inputs import EncodedInput, encode_input, task_for_backbone
from core.runs.run import Run
from core.serving.engine import Stream
from core.task import SUMMARIZATION, Task

KINDS = ("base", "prefix", "finetuned")
SHOW_EVERY = 0.06  # seconds between two pictures of a growing text
CROWD = 6  # texts written at once; with more of them, pictures come less often
LEAVING = 10.0  # seconds that a stream which is stopped may take to say what it had
WORDS = 5  # next words shown a column
Reads = dict[tuple[Task, bool], EncodedInput]  # by task, and whether an infix stands in it


@dataclass(frozen=True)
class Ask:
    """What to tell, with what: a linearised `source` of a `form` (see Task), run ids (empty: none), and the `name` that the
    backbone was asked for by."""

    source: str
    prefix: str = ""
    finetuned: str = ""
    name: str = ""
    decode: DecodeConfig = field(default_factory=DecodeConfig)
    form: str = "table"


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
    split: int = 0  # how many of the prompt's tokens stand before the separator
    read: EncodedInput | None = None  # the source as it is read
    words: list[tuple[str, float]] = field(default_factory=list)
    leaning: SentenceAttention | None = None  # of a summary: the sentences that it leans on

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
class _Text:
    """What a column asks of which model."""

    column: Column
    model: object
    request: Request
    read: EncodedInput


def compare(context: AppContext, backbone: Backbone, ask: Ask, cancel: Cancel, who: str = "") -> Iterator[Comparison]:
    """Load the runs, then write all columns side by side. `who` asks: each gets a fair share where many do.

    A table that does not fit raises TooLong, too many at once Busy; a run that cannot be used is told in its own column.
    """
    seen = Comparison(ask, backbone)
    yield seen
    texts = _texts(context, seen)
    began = time.monotonic()
    with ExitStack() as left:  # a page that goes away frees its places
        going = [
            (text.column, left.enter_context(context.models.engine.submit(text.model, backbone, text.request, ask.decode, who)))
            for text in texts
        ]
        for _ in _written(context, seen, going, cancel):
            yield seen
    if not cancel():
        for text in texts:
            text.column.words = context.models.run_job(next_token_probs, text.model, backbone, text.request, WORDS)
            if ask.form == "article" and backbone.is_encoder_decoder and text.column.ids:
                article = ask.source[: text.read.end]
                asked = (text.request, text.column.ids, article, text.read.lead)
                text.column.leaning = context.models.run_job(sentence_attention, text.model, backbone, *asked)
    _close(seen, time.monotonic() - began)
    yield seen


def _texts(context: AppContext, seen: Comparison) -> list[_Text]:
    backbone, columns = seen.backbone, seen.columns
    prefix = _load(context, columns["prefix"], seen.ask.prefix, backbone)
    tuned = _load(context, columns["finetuned"], seen.ask.finetuned, backbone)
    article = seen.ask.form == "article"  # which a text in front, whose task is on tables, takes as the others do
    task = next((loaded.task for loaded in (prefix, tuned) if loaded and (not article or loaded.task.form == "article")), None)
    task = task or task_for_backbone(backbone, SUMMARIZATION if article else "e2e")
    reads: Reads = {}
    texts = [_text(backbone, task, seen.ask, columns["base"], None, reads)]
    for kind, loaded in (("prefix", prefix), ("finetuned", tuned)):
        if loaded:
            own = task if article and loaded.task.form != "article" else loaded.task
            texts.append(_text(backbone, own, seen.ask, columns[kind], loaded, reads))
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


def _text(backbone: Backbone, task: Task, ask: Ask, column: Column, loaded: LoadedRun | None, reads: Reads) -> _Text:
    """`reads`: what was read for other columns; a long article is not read again for each."""
    prefix = loaded.prefix if loaded else None
    infix = prefix is not None and prefix.infix
    if (task, infix) not in reads:
        reads[task, infix] = encode_input(backbone, task, ask.source, infix)
    read = reads[task, infix]
    request = request_for(read, task, prefix, ask.decode.seed)
    column.prompt_ids, column.read = read.ids, read
    column.split = read.lead + read.kept if task.cut else encode_input(backbone, task, ask.source, infix=True).split
    return _Text(column, loaded.model if loaded else backbone.model, request, read)


def _written(context: AppContext, seen: Comparison, going: list[tuple[Column, Stream]], cancel: Cancel) -> Iterator[None]:
    """Take what has come, a picture every so often, until all texts are whole or the caller has had enough.

    No picture where nothing has changed, and fewer of them the more pages there are: drawing them all would take the
    processor from the model.
    """
    shown = None
    while still := [stream for _, stream in going if stream.open]:
        seen.phase, seen.say = "running", _say(context, seen, still)
        if shown != (shown := (seen.say, [(column.state, column.tokens) for column, _ in going])):
            yield
        still[0].wait(SHOW_EVERY * max(1, context.models.engine.running() / CROWD))
        if cancel():
            for stream in still:
                stream.close()
            for stream in still:
                stream.wait(LEAVING)
        for column, stream in going:
            _grow(column, stream, seen.ask.decode)


def _grow(column: Column, stream: Stream, decode: DecodeConfig) -> None:
    if not stream.open:
        return
    for token in stream.ready():
        column.tokens += 1
        column.ids.append(token.id)
        column.text, column.state = token.text_so_far, "streaming"
    column.seconds = stream.seconds
    if decode.mode == "beam":
        column.state = "searching"
    if not stream.open:
        made = stream.result()
        column.text, column.tokens, column.seconds, column.state = made.text, len(made.ids), made.seconds, made.finish
        column.ids = made.ids


def _say(context: AppContext, seen: Comparison, still: list[Stream]) -> str:
    if (others := context.models.engine.queue_position(still[0])) and not any(column.tokens for column in seen.columns.values()):
        return f"Waiting for the model: {others} text{'s' if others > 1 else ''} of other pages before yours."
    return "Searching; the texts come when they are whole…" if seen.ask.decode.mode == "beam" else "Writing…"


def _close(seen: Comparison, seconds: float) -> None:
    if any(column.state == "cancelled" for column in seen.columns.values()):
        seen.phase, seen.say = "cancelled", f"after {seconds:.1f} s. What was written so far is kept and marked."
    else:
        seen.phase, seen.say = "done", f"in {seconds:.1f} s: {seen.ask.decode.describe()}, the same for every column."


def subject(seen: Comparison) -> ComparisonRecord:
    """What was written, for the other tabs."""
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
        for kind, column in seen.columns.items()
        if column.ids
    }
    return ComparisonRecord(seen.ask.name, seen.ask.source, seen.ask.decode, columns, seen.ask.form)
