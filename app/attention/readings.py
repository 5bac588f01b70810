"""Who reads which text, and what was seen: readings of attention, kept for a while, each made in short steps of the model.

A text was written by one column of a comparison and can be read again by any run on the same backbone.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from torch import Tensor

from analysis.attention.ablation import AblationEffect, iter_ablations
from analysis.attention.maps import SITE, AttentionMap, AttentionMass, attention_map, attention_mass
from analysis.attention.sentences import ArticleSentences, SentenceMap, sentence_map, split_article
from app.shared.context import AppContext
from app.shared.last_comparison import ColumnRecord, ComparisonRecord
from core.generation.generate import next_token_probs
from core.generation.types import Cancel, Request
from core.methods.loading import TEXT_RUN
from core.models.backbone import Backbone
from core.prefix.interventions import UNTOUCHED, Intervention
from core.prefix.prefix import Prefix

KEPT = 128 * 2**20  # bytes of readings; the last one is kept however large it is
WORDS = 5
WAIT = 0.2  # seconds between two looks at whether the text is still wanted

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class Reader:
    """A model with its prefix, or none. `run`: the run's id, empty for the frozen model; `stamp` tells runs of one name apart."""

    kind: str
    run: str
    model: Any
    prefix: Prefix | None
    stamp: str = ""

    @property
    def length(self) -> int:
        """Virtual tokens."""
        return self.prefix.length if self.prefix else 0

    @property
    def title(self) -> str:
        """What it is called on the page and in figures."""
        if self.run.startswith(TEXT_RUN):
            return f"text prefix “{_short(self.run.removeprefix(TEXT_RUN))}”"
        return self.run or "base"


def _short(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "…"


class Looking:
    """Readings of one AppContext's runs; safe to ask again: what was read is not read twice."""

    def __init__(self, context: AppContext) -> None:
        self.context = context
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        context.models.on_unload.append(self._forget)

    def reader(self, run: str, backbone: Backbone, kind: str = "") -> Reader:
        """A run, ready to read; empty for the frozen model. Errors of context.models.load."""
        if not run:
            return Reader("base", "", backbone.model, None)
        loaded = self.context.models.load(run, backbone)
        return Reader(kind or ("prefix" if loaded.prefix else "finetuned"), run, loaded.model, loaded.prefix, loaded.run.created)

    def mass(
        self, backbone: Backbone, reader: Reader, text: ColumnRecord, done: Intervention = UNTOUCHED, site: str = SITE
    ) -> AttentionMass:
        """The masses of a text at a site."""
        request = _request(reader, text, done)
        make = lambda: attention_mass(reader.model, backbone, request, text.ids, site)  # noqa: E731
        return self._once(("mass", site, *_key(backbone, reader, text, done)), make)

    def layer(
        self, backbone: Backbone, reader: Reader, text: ColumnRecord, layer: int, done: Intervention, site: str = SITE
    ) -> AttentionMap:
        """Every weight of one layer of a site, from 0."""
        request = _request(reader, text, done)
        make = lambda: attention_map(reader.model, backbone, request, text.ids, [layer], site)  # noqa: E731
        return self._once(("map", layer, site, *_key(backbone, reader, text, done)), make)

    def sentences(self, backbone: Backbone, article: str, text: ColumnRecord) -> ArticleSentences:
        """The sentences of an article as far as it is read, and the tokens of each."""
        make = lambda: split_article(backbone, article[: text.end], text.prompt_ids, text.lead)  # noqa: E731
        return self._once(("sentences", backbone.spec.fingerprint, article, text.end, text.prompt_ids), make)

    def by_sentence(
        self, backbone: Backbone, reader: Reader, text: ColumnRecord, article: str, done: Intervention, site: str
    ) -> SentenceMap:
        """All layers and heads of a site that reads an article, by its sentences."""
        request, found = _request(reader, text, done), self.sentences(backbone, article, text)
        make = lambda: sentence_map(reader.model, backbone, request, text.ids, found, article, site)  # noqa: E731
        return self._once(("by sentence", site, *_key(backbone, reader, text, done)), make)

    def words(
        self, backbone: Backbone, reader: Reader, text: ColumnRecord, done: Intervention = UNTOUCHED
    ) -> list[tuple[str, float]]:
        """The likeliest next words after the prompt."""
        request = _request(reader, text, done)
        make = lambda: next_token_probs(reader.model, backbone, request, WORDS)  # noqa: E731
        return self._once(("words", *_key(backbone, reader, text, done)), make)

    def again(
        self,
        backbone: Backbone,
        reader: Reader,
        subject: ComparisonRecord,
        text: ColumnRecord,
        done: Intervention,
        cancel: Cancel,
        who: str = "",
    ) -> Iterator[ColumnRecord]:
        """The text written again under an intervention, with the same seed and decoding, as it grows."""
        key = ("again", subject.decode, *_key(backbone, reader, text, done))
        if key in self._kept:
            yield self._kept[key]
            return
        request, written = _request(reader, text, done, subject.decode.seed), replace(text, ids=(), text="", state="streaming")
        with self.context.models.engine.submit(reader.model, backbone, request, subject.decode, who) as stream:
            yield written
            while stream.open and not cancel():
                if tokens := stream.ready(WAIT):
                    ids = (*written.ids, *(token.id for token in tokens))
                    written = replace(written, ids=ids, text=tokens[-1].text_so_far)
                    yield written
            if stream.open:
                return
            told = stream.result()
        written = replace(written, ids=tuple(told.ids), text=told.text, state=told.finish)
        self._keep(key, written)
        yield written

    def influence(
        self, backbone: Backbone, reader: Reader, text: ColumnRecord, done: Intervention = UNTOUCHED, site: str = SITE
    ) -> Iterator[tuple[AblationEffect, int, int]]:
        """The map of knock-outs at a site as it fills: (map so far, done, in all)."""
        key = ("influence", site, *_key(backbone, reader, text, done))
        if key in self._kept:
            yield self._kept[key]
            return
        parts = iter_ablations(reader.model, backbone, _request(reader, text, done), text.ids, site=site)
        while (part := self.context.models.run_job(next, parts, None)) is not None:
            if part[1] == part[2]:
                self._keep(key, part)
            yield part

    def _once(self, key: Hashable, make: Callable[[], Found]) -> Found:
        if key not in self._kept:
            self._keep(key, self.context.models.run_job(make))
        self._kept.move_to_end(key)
        return self._kept[key]

    def _keep(self, key: Hashable, found: Any) -> None:
        self._kept[key] = found
        held = sum(_size(one) for one in self._kept.values())
        while held > KEPT and len(self._kept) > 1:
            held -= _size(self._kept.popitem(last=False)[1])

    def _forget(self, fingerprint: str) -> None:
        """What was read on a backbone that is gone."""
        for key in [key for key in list(self._kept) if isinstance(key, tuple) and fingerprint in key]:
            self._kept.pop(key, None)


def _size(found: Any) -> int:
    """Bytes, roughly: of its tensors, and a little for the rest."""
    parts = found if isinstance(found, tuple) else (found,)
    values = [value for part in parts for value in getattr(part, "__dict__", {}).values()]
    return 4096 + sum(value.nbytes for value in values if isinstance(value, Tensor))


def _request(reader: Reader, text: ColumnRecord, done: Intervention, seed: int = 0) -> Request:
    if reader.prefix is None:
        return Request(list(text.prompt_ids), None, seed)
    return Request(list(text.prompt_ids), reader.prefix, seed, done, text.split if reader.prefix.infix else 0)


def _key(backbone: Backbone, reader: Reader, text: ColumnRecord, done: Intervention) -> tuple[Hashable, ...]:
    own = done if reader.prefix else UNTOUCHED
    return (backbone.spec.fingerprint, reader.run, reader.stamp, text.prompt_ids, text.ids, own)
