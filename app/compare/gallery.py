"""Every example of a task with the texts of the chosen runs, and what each leaves out and adds, as in the paper's Table 6.

Computes only; app/compare/gallery_view.py draws.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from analysis.metrics.base import Score
from analysis.metrics.coverage import Coverage, cover, coverage_scores, error_counter
from app.compare import source_editor
from app.shared.context import AppContext
from app.shared.examples import Sample, samples
from core.config.decode import DecodeConfig
from core.errors import BadInput, Busy
from core.generation.types import Cancel, make_request
from core.methods.loading import LoadedRun
from core.models.backbone import Backbone
from core.runs.run import Run
from core.serving.engine import Stream
from core.text.detokenize import detokenise

SHOW_EVERY = 0.5  # seconds between two pictures
AT_ONCE = 16  # texts that one gallery has in the queue, which everybody shares


@dataclass
class GalleryText:
    """One text: None while it is being generated, or if it was stopped."""

    text: str | None = None
    coverage: Coverage | None = None


@dataclass
class Gallery:
    """All texts.

    `texts`: one GalleryText per sample and kind of column; `runs`: the run of each kind; `open`: whether more will come;
    `task`: determines which topics count as trained on.
    """

    form: str
    runs: dict[str, Run]
    decode: DecodeConfig
    texts: dict[tuple[str, str], GalleryText] = field(default_factory=dict)
    open: bool = True
    task: str = ""

    @property
    def done(self) -> int:
        """How many texts are complete."""
        return sum(one.text is not None for one in self.texts.values())

    def scores(self, kind: str, among: list[Sample]) -> list[Score]:
        """Return coverage and unsupported statements (see `coverage_scores`) of a kind of column, over finished texts; [] if
        there are none."""
        whole = [(list(one.fields), self.texts[one.id, kind].text) for one in among if self.texts[one.id, kind].text is not None]
        return coverage_scores([fields for fields, _ in whole], [text or "" for _, text in whole]) if whole else []


def run_all_examples(
    context: AppContext,
    backbone: Backbone,
    form: str,
    runs: dict[str, str],
    decode: DecodeConfig,
    cancel: Cancel,
    who: str = "",
    task: str = "",
) -> Iterator[Gallery]:
    """Yield the same Gallery as it fills. Raises BadInput without an example or a run, and the errors of `ModelPool.load`."""
    loaded = {kind: context.models.load(runs[kind], backbone) for kind in runs if runs[kind]}
    if not loaded or form == "article" or not samples(form):
        raise BadInput("There is nothing to run: choose a task that has examples, and a prefix or a fine-tuned run for it.")
    result = Gallery(form, {kind: run.run for kind, run in loaded.items()}, decode, task=task)
    pending = deque((sample, kind) for sample in samples(form) for kind in loaded)
    result.texts = {(sample.id, kind): GalleryText() for sample, kind in pending}
    streams: dict[tuple[str, str], Stream] = {}
    with ExitStack() as stack:  # a page that goes away frees its places
        yield result
        while (pending or streams) and not cancel():
            while pending and len(streams) < AT_ONCE:
                sample, kind = pending[0]
                try:
                    stream = _submit(context, backbone, loaded[kind], form, sample, decode, who)
                except Busy:
                    if not streams:
                        raise
                    break  # others fill the queue: a place is free when one of these texts is complete
                streams[sample.id, kind] = stack.enter_context(stream)
                pending.popleft()
            next(iter(streams.values())).wait(SHOW_EVERY)
            if _take(result, streams):
                yield result
    result.open = False
    yield result


def _submit(
    context: AppContext, backbone: Backbone, run: LoadedRun, form: str, sample: Sample, decode: DecodeConfig, who: str
) -> Stream:
    source = source_editor.parse_rows(form, sample.rows).source
    request = make_request(backbone, run.task, source, run.prefix, decode.seed)
    request = replace(request, errors=error_counter(form, source))
    return context.models.engine.submit(run.model, backbone, request, decode, who)


def _take(result: Gallery, streams: dict[tuple[str, str], Stream]) -> bool:
    """Move complete texts from the streams to the gallery; returns whether there were any."""
    fields = {sample.id: list(sample.fields) for sample in samples(result.form)}
    whole = [place for place, stream in streams.items() if stream.wait(0)]
    for place in whole:
        text = detokenise(streams.pop(place).result().text)
        result.texts[place] = GalleryText(text, cover(fields[place[0]], text))
    return bool(whole)
