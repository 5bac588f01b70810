"""Many users, one batch: rows with a prefix each, generated together and one by one; the padding, the texts and both times."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import gradio as gr

from analysis.experiments.shared_batch import BatchProgress, RowLayout, batch_layout, write_both_ways
from app.compare.prompting import base_task
from app.learn.demos.demo import Demo, PictureHandlers, opener
from app.shared.catalog import RunCatalog
from app.shared.context import AppContext
from app.shared.events import LATEST, Update, errors_to_status
from app.shared.examples import samples
from app.shared.html import problem, table, tag, text
from app.shared.shell import Shell
from core.config.decoding_defaults import GREEDY_TABLE_DECODING
from core.config.methods import METHODS, method_info
from core.errors import NotSupported
from core.generation.types import Request, make_request
from core.methods.loading import TEXT_RUN
from core.models.backbone import Backbone
from core.text.detokenize import detokenise
from core.text.tables import linearise

USERS, FIRST = (4, 8, 16), 8
TEXT_PREFIX = f"{TEXT_RUN}Describe this in a sentence."
DECODING = GREEDY_TABLE_DECODING.replace(max_new=40)
FORM = "table"


@dataclass(frozen=True)
class UserRow:
    """A user of the batch: the run whose prefix the row has (empty: none), the table, and the request."""

    run: str
    table: str
    request: Request


class BatchHandlers(PictureHandlers):
    """Generates the batch."""

    activity = "batch"

    @errors_to_status
    def show(self, users: int, name: str, request: gr.Request) -> Update:
        """Draw the batch before anything is generated: its rows, their prefixes and the padding."""
        backbone = self.backbone(name)
        rows = self._rows(backbone, users)
        layouts = self.context.models.run_job(batch_layout, backbone.model, backbone, [row.request for row in rows])
        return {self.picture: picture(rows, layouts)}

    @errors_to_status
    def start(self, users: int, name: str, request: gr.Request) -> Iterator[Update]:
        """Generate all rows together, then one by one."""
        page = request.session_hash or ""
        yield self.report(page, "loading", "Loading the model and the prefixes…")
        backbone = self.backbone(name)
        rows = self._rows(backbone, users)
        requests, models = [row.request for row in rows], self.context.models
        layouts = models.run_job(batch_layout, backbone.model, backbone, requests)
        progress: BatchProgress | None = None
        for progress in self.live(page, write_both_ways(backbone.model, backbone, requests, DECODING)):
            where = f"Row {progress.done} of {len(rows)}, alone." if progress.done else "All rows, together."
            if progress.finished:
                where = f"{len(rows)} rows, together and one by one."
            numbers = measured(progress, backbone) if progress.finished else ""
            state = "done" if progress.finished else "running"
            yield {self.picture: numbers + picture(rows, layouts, progress), **self.report(page, state, where)}
        if progress is None or not progress.finished:
            yield self.report(
                page, "cancelled", f"{progress.done if progress else 0} of {len(rows)} rows were also generated alone."
            )

    def failed(self, page: str, sentence: str, activity: str = "") -> Update:
        """Leave no batch of an earlier backbone."""
        return {self.picture: problem(sentence), **super().failed(page, sentence, activity)}

    def _rows(self, backbone: Backbone, users: int) -> list[UserRow]:
        """Users by turns with each prefix of the backbone, with a typed text, and with no prefix, on a table each."""
        if backbone.is_encoder_decoder:
            raise NotSupported(
                f"{backbone.spec.name} reads articles, and these rows are tables. Choose a model such as mini-gpt2."
            )
        return [self._row(backbone, run, table) for run, table in users_of(self.context.catalog, backbone, users)]

    def _row(self, backbone: Backbone, run: str, table: str) -> UserRow:
        if not run:
            return UserRow(run, table, make_request(backbone, base_task(backbone, FORM, table), table))
        loaded = self.context.models.load(run, backbone)
        task = base_task(backbone, FORM, table) if run == TEXT_PREFIX else loaded.task
        return UserRow(run, table, make_request(backbone, task, table, loaded.prefix))


def users_of(catalog: RunCatalog, backbone: Backbone, users: int) -> list[tuple[str, str]]:
    """The run of each user, empty for none, and the table."""
    methods = tuple(name for name in METHODS if method_info(name).mark in ("before", "input"))
    listed = [run.id for run in catalog.usable(methods, backbone)]
    kinds, tables = [*listed[: USERS[0]], TEXT_PREFIX, ""], samples(FORM)
    pairs = [(kinds[user % len(kinds)], tables[user % len(tables)]) for user in range(users)]
    return [(run, linearise(sample.fields)) for run, sample in pairs]


def picture(rows: Sequence[UserRow], layouts: Sequence[RowLayout], progress: BatchProgress | None = None) -> str:
    """The rows of the batch: whose prefix, the columns as attention reads them, and the texts so far."""
    key = "".join(
        tag("span", name, cls=cls)
        for name, cls in (("the row's own prefix", "prefix"), ("its input", "input"), ("padding", "pad"))
    )
    heads = ("user", "prefix", "what attention reads in this row", "text", "alone")
    body = "".join(_row(number, *pair, progress) for number, pair in enumerate(zip(rows, layouts, strict=True)))
    return tag("p", key, cls="key") + table(heads, body, cls="pl-batch")


def _row(number: int, row: UserRow, layout: RowLayout, progress: BatchProgress | None) -> str:
    name = row.run.removeprefix(TEXT_RUN)
    who = text(f"“{name}”" if row.run.startswith(TEXT_RUN) else name) or tag("i", "none")
    parts = [
        ("pad", layout.prefix_padding, "masked"),
        ("prefix", layout.prefix, "virtual tokens"),
        ("pad", layout.text_padding, "masked"),
        ("input", layout.text, row.table),
    ]
    strip = "".join(
        tag("i", str(size) if cls != "pad" else "", cls=cls, style=f"flex:{size}", title=f"{size}: {what}")
        for cls, size, what in parts
        if size
    )
    output, mark = "", ""
    if progress is not None:
        output = detokenise(progress.together.texts[number])
        mark = "" if number >= progress.done else "the same ✓" if progress.same[number] else "differs ✗"
    cells = [tag("td", who, cls="who"), tag("td", tag("div", strip, cls="strip")), tag("td", text(output), cls="text")]
    return tag("tr", tag("th", str(number + 1)) + "".join(cells) + tag("td", mark, cls="mark"))


def measured(progress: BatchProgress, backbone: Backbone) -> str:
    """Both times, and how many texts are the same."""
    together, alone, rows = progress.together, progress.alone, len(progress.same)
    sentence = (
        f"Together: {together.passes} forward passes, {together.seconds:.2f} s. One by one: {alone.passes} passes, "
        f"{alone.seconds:.2f} s, {progress.ratio:.1f} times as long. "
        f"{sum(progress.same)} of {rows} texts are the same, token by token."
    )
    about = (
        f"Measured now: {backbone.spec.name} on the {backbone.device.type.upper()}, greedy decoding, at most {DECODING.max_new} "
        "tokens per text. What is counted is the forward passes and the choice of tokens, not loading and drawing."
    )
    return tag("p", sentence, cls="watched") + tag("p", text(about), cls="meta")


def _build(context: AppContext, shell: Shell) -> None:
    users = partial(gr.Radio, list(USERS), value=FIRST, label="Users", elem_id="pl-batch-users", min_width=220)
    note = tag("p", "The rows of the batch will appear here.", cls="meta")
    do = BatchHandlers.build(context, shell, "batch", users, "Write all", note)
    for event in (opener("batch").select, do.field.input):
        event(do.show, [do.field, shell.backbone], [do.picture, shell.status], **LATEST)


DEMO = Demo(
    "batch",
    "One batch",
    "Many users, one batch",
    "Each row is a user's request with a prefix of their own, or none. All rows are generated together, a token of each in every "
    "forward pass, and then one by one, to compare.",
    _build,
)
