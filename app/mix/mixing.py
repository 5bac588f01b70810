"""The Mix tab's cached computations: the text at every stop in one batch, and loss and coverage along the slider."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from analysis.experiments.mix_curve import EXAMPLES, MixPoint, Stop, measure_point, total_loss
from analysis.metrics.coverage import Coverage, cover
from analysis.named_runs import frozen_task, request_of, task_of
from app.compare.source_editor import parse_article, parse_rows
from app.shared.cache import Cache
from app.shared.examples import Sample, in_domain, split_by_domain, training_samples
from app.shared.model_pool import ModelPool
from core.config.decoding_defaults import batch_decoding
from core.data.registry import evenly_spaced, table_of_source
from core.errors import BadTable
from core.generation.types import Request
from core.methods.loading import LoadedRun
from core.models.backbone import Backbone
from core.models.inputs import encode_answer
from core.serving.engine import Stream
from core.task import Example
from core.text.detokenize import readable

WAIT = 0.1  # seconds between two pictures
TEXTS, POINTS = 2000, 400  # kept
Cancel = Callable[[], bool]


@dataclass(frozen=True)
class MixInput:
    """The input at every stop. `fields`: for coverage, empty for an article; `references`: if there are any.

    `example`: the id of a bundled example, empty for another input.
    """

    form: str
    source: str
    fields: tuple[tuple[str, str], ...] = ()
    references: tuple[str, ...] = ()
    example: str = ""


@dataclass
class StopText:
    """The text at a stop, as it grows."""

    stop: Stop
    text: str = ""
    open: bool = True
    coverage: Coverage | None = None


@dataclass
class MixTexts:
    """The texts of a slider."""

    stops: list[StopText] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether any text is incomplete."""
        return any(stop.open for stop in self.stops)


def input_of(form: str, source: str, sample: Sample | None = None) -> MixInput:
    """Return an input as a model reads it, with its fields and references."""
    try:
        fields = tuple(table_of_source(form, source)) if form != "article" else ()
    except BadTable:
        fields = ()
    return MixInput(form, source, fields, sample.references if sample else (), sample.id if sample else "")


def sample_input(form: str, sample: Sample) -> MixInput:
    """Return a bundled example as a model reads it."""
    source = parse_article(sample.text)[0].source if form == "article" else parse_rows(form, sample.rows).source
    return input_of(form, source, sample)


def bundled_examples(form: str, task: str = "") -> list[Example]:
    """Return the bundled examples on which a form is measured, at most EXAMPLES.

    Tables of restaurants, E2E's topic, are few, so training tables are added; for triples, those of WebNLG's training
    categories come first.
    """
    rows, others = split_by_domain(form, task)
    if form != "table":
        rows += others
    elif len(rows) < EXAMPLES:
        rows += [row for row in training_samples() if in_domain(row, task)]
    return [Example(sample_input(form, row).source, row.references) for row in evenly_spaced(rows, EXAMPLES)]


class Mixer:
    """Generates and measures mixes, for all pages."""

    def __init__(self, models: ModelPool) -> None:
        self.models = models
        self._texts: Cache[tuple, str] = Cache(TEXTS)
        self._points: Cache[tuple, MixPoint] = Cache(POINTS)

    def texts(
        self, backbone: Backbone, stops: Sequence[Stop], mix_input: MixInput, cancel: Cancel, who: str = ""
    ) -> Iterator[MixTexts]:
        """Yield the same MixTexts as all stops are generated together. Raises the errors of `ModelPool.load`."""
        result, growing = MixTexts([StopText(stop) for stop in stops]), []
        loaded = [self.models.load(stop.run, backbone) for stop in stops]
        decode = batch_decoding(mix_input.form)
        with ExitStack() as stack:  # a page that goes away frees its places
            for place, run in zip(result.stops, loaded, strict=True):
                key = (backbone.spec.fingerprint, run.run.id, run.run.created, mix_input)
                if (text := self._texts.get(key)) is not None:
                    _finish(place, text, mix_input)
                    continue
                request = _request(backbone, run, mix_input.form, mix_input.source)
                stream = stack.enter_context(self.models.engine.submit(run.model, backbone, request, decode, who))
                growing.append((place, key, stream))
            yield result
            while growing and not cancel():
                growing[0][2].wait(WAIT)
                for place, key, stream in growing:
                    if _grow(place, stream, mix_input):
                        self._texts.put(key, stream.result().text)
                growing = [one for one in growing if one[0].open]
                yield result

    def curve(
        self, backbone: Backbone, stops: Sequence[Stop], form: str, examples: Sequence[Example], cancel: Cancel, who: str = ""
    ) -> Iterator[list[MixPoint]]:
        """Yield the points of the stops so far, each measured on all `examples` with the page's decoding."""
        points: list[MixPoint] = []
        for stop in stops:
            loaded = self.models.load(stop.run, backbone)
            key = _point_key(backbone, loaded, form, examples)
            point = self._points.get(key) or self._measure(backbone, loaded, form, examples, cancel, who)
            if point is None:
                return
            self._points.put(key, point)
            points.append(point)
            yield list(points)

    def is_measured(self, backbone: Backbone, stops: Sequence[Stop], form: str, examples: Sequence[Example]) -> bool:
        """Whether all points of `curve` are cached."""
        runs = [self.models.load(stop.run, backbone) for stop in stops]
        return all(_point_key(backbone, run, form, examples) in self._points for run in runs)

    def _measure(
        self, backbone: Backbone, loaded: LoadedRun, form: str, examples: Sequence[Example], cancel: Cancel, who: str
    ) -> MixPoint | None:
        """Measure a stop; None if it was cancelled."""
        requests = [_request(backbone, loaded, form, example.source) for example in examples]
        answers = [encode_answer(backbone, task_of(loaded, frozen_task(backbone, form)), one.targets[0]) for one in examples]
        tables = [] if form == "article" else [table_of_source(form, example.source) for example in examples]
        with ExitStack() as stack:
            submit, decode = self.models.engine.submit, batch_decoding(form)
            streams = [stack.enter_context(submit(loaded.model, backbone, one, decode, who)) for one in requests]
            while waiting := [stream for stream in streams if not stream.wait(0)]:
                if cancel():
                    return None
                waiting[0].wait(WAIT)
            texts = [readable(stream.result().text, form) for stream in streams]
        loss = partial(self.models.run_job, total_loss)
        return measure_point(loss, loaded.model, backbone, requests, answers, texts, tables)


def _point_key(backbone: Backbone, loaded: LoadedRun, form: str, examples: Sequence[Example]) -> tuple:
    return backbone.spec.fingerprint, loaded.run.id, loaded.run.created, form, tuple(example.source for example in examples)


def _request(backbone: Backbone, loaded: LoadedRun, form: str, source: str) -> Request:
    return request_of(backbone, source, loaded, frozen_task(backbone, form))


def _grow(place: StopText, stream: Stream, mix_input: MixInput) -> bool:
    """Add new tokens to a text; returns whether it is complete."""
    if tokens := stream.ready():
        place.text = readable(tokens[-1].text_so_far, mix_input.form)
    if stream.wait(0):
        _finish(place, stream.result().text, mix_input)
    return not place.open


def _finish(place: StopText, text: str, mix_input: MixInput) -> None:
    place.text, place.open = readable(text, mix_input.form), False
    place.coverage = cover(list(mix_input.fields), place.text) if mix_input.fields else None
