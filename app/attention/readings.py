"""Cached attention readings of a page's texts; each is computed in short steps on the thread that owns the device.

A text belongs to one column of a comparison, and any run on the same backbone can read it again.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor

from analysis.attention.ablation import AblationEffect, iter_ablations
from analysis.attention.content_attention import content_differences
from analysis.attention.layer_lens import LayerLens, layer_lens
from analysis.attention.maps import SITE, AttentionMap, AttentionMass, attention_map, attention_mass
from analysis.attention.sentences import ArticleSentences, SentenceMap, sentence_map, split_article
from analysis.metrics.coverage import error_counter
from app.shared.cache import Cache
from app.shared.context import AppContext
from app.shared.last_comparison import ColumnRecord, ComparisonRecord
from app.shared.method_labels import mix_label, short
from core.generation.generate import next_token_probs
from core.generation.types import Cancel, Request
from core.methods.loading import TEXT_RUN
from core.models.backbone import Backbone
from core.prefix.interventions import NO_INTERVENTION, Intervention
from core.prefix.mix import MIX
from core.prefix.prefix import Prefix

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CACHE_BYTES = 128 * 2**20
NEXT_WORDS = 5
WAIT = 0.2  # seconds between two checks whether the page has moved on

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class AttentionSource:
    """A model with its prefix, or none. `run`: the run's id, empty for the frozen model; `stamp` distinguishes runs of one
    name."""

    kind: str
    run: str
    model: "PreTrainedModel"
    prefix: Prefix | None
    stamp: str = ""

    @property
    def length(self) -> int:
        """The number of virtual tokens."""
        return self.prefix.length if self.prefix else 0

    @property
    def title(self) -> str:
        """The name on the page and in figures."""
        return title_of(self.run)


def title_of(run: str) -> str:
    """A run's name on the page and in figures."""
    if run.startswith(TEXT_RUN):
        return f"text prefix “{short(run.removeprefix(TEXT_RUN))}”"
    return mix_label(run) if run.startswith(MIX) else run or "frozen model"


class ReadingCache:
    """Readings of one AppContext's runs, for all pages and threads. Nothing is computed twice while it is cached."""

    def __init__(self, context: AppContext) -> None:
        self.context = context
        self._readings: Cache[tuple[Hashable, ...], Any] = Cache(CACHE_BYTES, getsizeof=_size)
        context.models.on_unload.append(self._forget)

    def reader(self, run: str, backbone: Backbone, kind: str = "") -> AttentionSource:
        """Return a run that is ready to read; the frozen model for an empty id. Raises the errors of `ModelPool.load`."""
        if not run:
            return AttentionSource("base", "", backbone.model, None)
        loaded = self.context.models.load(run, backbone)
        kind = kind or ("prefix" if loaded.prefix else "finetuned")
        return AttentionSource(kind, run, loaded.model, loaded.prefix, loaded.run.created)

    def mass(
        self,
        backbone: Backbone,
        reader: AttentionSource,
        text: ColumnRecord,
        intervention: Intervention = NO_INTERVENTION,
        site: str = SITE,
    ) -> AttentionMass:
        """Return the attention masses of a text at a site."""
        return self._cached("mass", attention_mass, backbone, reader, text, intervention, text.ids, site)

    def layer(
        self,
        backbone: Backbone,
        reader: AttentionSource,
        text: ColumnRecord,
        layer: int,
        intervention: Intervention,
        site: str = SITE,
    ) -> AttentionMap:
        """Return all attention weights of one layer of a site, counted from 0."""
        return self._cached("map", attention_map, backbone, reader, text, intervention, text.ids, (layer,), site)

    def sentences(self, backbone: Backbone, article: str, text: ColumnRecord) -> ArticleSentences:
        """Return the sentences of an article as far as the model reads it, and the tokens of each."""
        key = ("sentences", backbone.spec.fingerprint, article, text.end, text.prompt_ids)
        return self._get_or_compute(key, split_article, backbone, article[: text.end], text.prompt_ids, text.lead)

    def by_sentence(
        self, backbone: Backbone, reader: AttentionSource, text: ColumnRecord, article: str, intervention: Intervention, site: str
    ) -> SentenceMap:
        """Return all layers and heads of a site that reads an article, by sentence."""
        sentences = self.sentences(backbone, article, text)
        return self._cached("by sentence", sentence_map, backbone, reader, text, intervention, text.ids, sentences, article, site)

    def words(
        self, backbone: Backbone, reader: AttentionSource, text: ColumnRecord, intervention: Intervention = NO_INTERVENTION
    ) -> list[tuple[str, float]]:
        """Return the likeliest next words after the prompt, with their probabilities."""
        return self._cached("words", next_token_probs, backbone, reader, text, intervention, NEXT_WORDS)

    def lens(
        self, backbone: Backbone, reader: AttentionSource, text: ColumnRecord, intervention: Intervention = NO_INTERVENTION
    ) -> LayerLens:
        """Return what the reader and the frozen model predict after each layer, for each token of a text."""
        return self._cached("lens", layer_lens, backbone, reader, text, intervention, text.ids)

    def content_differences(
        self, backbone: Backbone, reader: AttentionSource, text: ColumnRecord, intervention: Intervention, site: str
    ) -> Tensor:
        """Return how far the prefix moves attention among content tokens, by layer (see `content_differences`)."""
        return self._cached("content", content_differences, backbone, reader, text, intervention, text.ids, site)

    def regenerate(
        self,
        backbone: Backbone,
        reader: AttentionSource,
        record: ComparisonRecord,
        text: ColumnRecord,
        intervention: Intervention,
        cancel: Cancel,
        who: str = "",
    ) -> Iterator[ColumnRecord]:
        """Generate the text again under an intervention, with the same seed and decoding, and yield it as it grows."""
        key = ("regenerated", record.decode, *_key(backbone, reader, text, intervention))
        if (cached := self._readings.get(key)) is not None:
            yield cached
            return
        errors = error_counter(record.form, record.source)
        request = replace(_request(reader, text, intervention, record.decode.seed), errors=errors)
        column = replace(text, ids=(), text="", state="streaming")
        with self.context.models.engine.submit(reader.model, backbone, request, record.decode, who) as stream:
            yield column
            while stream.open and not cancel():
                if tokens := stream.ready(WAIT):
                    ids = (*column.ids, *(token.id for token in tokens))
                    column = replace(column, ids=ids, text=tokens[-1].text_so_far)
                    yield column
                elif (draft := stream.draft) not in ("", column.text):  # of a beam search
                    column = replace(column, text=draft)
                    yield column
            if stream.open:
                return
            result = stream.result()
        column = replace(column, ids=tuple(result.ids), text=result.text, state=result.finish)
        self._readings.put(key, column)
        yield column

    def influence(
        self,
        backbone: Backbone,
        reader: AttentionSource,
        text: ColumnRecord,
        intervention: Intervention = NO_INTERVENTION,
        site: str = SITE,
    ) -> Iterator[tuple[AblationEffect, int, int]]:
        """Yield the map of knock-outs at a site as it fills: (map so far, knock-outs done, all knock-outs)."""
        key = ("influence", site, *_key(backbone, reader, text, intervention))
        if (cached := self._readings.get(key)) is not None:
            yield cached
            return
        parts = iter_ablations(reader.model, backbone, _request(reader, text, intervention), text.ids, site=site)
        while (part := self._next_in_background(parts)) is not None:
            if part[1] == part[2]:
                self._readings.put(key, part)
            yield part

    def _next_in_background(self, parts: Iterator[Result]) -> Result | None:
        """The next part of a long computation, which others' texts and readings come before."""
        with self.context.models.background():
            return self.context.models.run_job(next, parts, None)

    def _cached(
        self,
        what: str,
        function: Callable[..., Result],
        backbone: Backbone,
        reader: AttentionSource,
        text: ColumnRecord,
        intervention: Intervention,
        *arguments: object,
    ) -> Result:
        """Return `function(model, backbone, request, *arguments)` for a text that a model reads under an intervention."""
        key = (what, *arguments, *_key(backbone, reader, text, intervention))
        return self._get_or_compute(key, function, reader.model, backbone, _request(reader, text, intervention), *arguments)

    def _get_or_compute(self, key: tuple[Hashable, ...], function: Callable[..., Result], *arguments: object) -> Result:
        return self._readings.get_or_compute(key, lambda: self.context.models.run_job(function, *arguments))

    def _forget(self, fingerprint: str) -> None:
        """Drop the readings of a backbone that is no longer loaded."""
        self._readings.remove_if(lambda key: fingerprint in key)


def _size(reading: object) -> int:
    """The approximate size in bytes: the tensors, and a little for the rest."""
    parts = reading if isinstance(reading, tuple) else (reading,)
    values = [value for part in parts for value in getattr(part, "__dict__", {}).values()]
    return 4096 + sum(value.nbytes for value in values if isinstance(value, Tensor))


def _request(reader: AttentionSource, text: ColumnRecord, intervention: Intervention, seed: int = 0) -> Request:
    if reader.prefix is None:
        return Request(list(text.prompt_ids), None, seed)
    return Request(list(text.prompt_ids), reader.prefix, seed, intervention, text.split if reader.prefix.infix else 0)


def _key(backbone: Backbone, reader: AttentionSource, text: ColumnRecord, intervention: Intervention) -> tuple[Hashable, ...]:
    own = intervention if reader.prefix else NO_INTERVENTION
    return (backbone.spec.fingerprint, reader.run, reader.stamp, text.prompt_ids, text.ids, own)
