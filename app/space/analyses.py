"""The Prefix space tab's cached computations: spaces, analyses of neighbors in them, and UMAP in the background."""

import threading
import time
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

import torch

from analysis.space.near_text import TextReading, near_text_of, read_text, same_training
from analysis.space.neighbor_analysis import (
    EMBEDDINGS,
    RANKS,
    SITE,
    AnySpace,
    NeighborAnalysis,
    RunVectors,
    analyze,
    iter_open_space,
    run_vectors,
)
from analysis.space.neighbors import Control, random_control
from analysis.space.projection import NEAR, SAMPLE, Point, PointCloud, Projection, pca, umap
from analysis.space.spaces import Space, embedding_space
from app.shared.cache import Cache
from app.shared.catalog import mismatch
from app.shared.context import AppContext
from core.config.methods import method_info
from core.errors import PrefixLabError
from core.methods.loading import TEXT_RUN
from core.models.backbone import Backbone
from core.prefix.mix import MIX
from core.runs.run import Run

CACHE_BYTES = 512 * 2**20  # bytes of words' vectors; the space in use stays however large it is
CACHED_ANALYSES = 12  # and as many maps by PCA
QUICK = 50_000_000  # parameters of a model whose words are computed at a layer within a few seconds
CACHED_MAPS = 16
Key = tuple[Hashable, ...]
FORGET = 5.0  # seconds after which a map that no page asks for any longer is cancelled


@dataclass(frozen=True)
class SpaceQuery:
    """What to compute. `layer` and `head` from 0, head None for all; `runs`: ids, also of text prefixes."""

    space: str
    layer: int
    head: int | None
    runs: tuple[str, ...]
    whole: bool = False
    site: str = SITE


@dataclass
class _SpaceEntry:
    space: AnySpace
    controls: dict[bool, Control]  # random vectors' scores, among whole words only or not


class AnalysisCache:
    """Analyses for all pages. Every step of a model goes through `context.models.run_job`."""

    def __init__(self, context: AppContext) -> None:
        self.context, self.maps = context, Maps()
        self._spaces: Cache[Key, _SpaceEntry] = Cache(CACHE_BYTES, getsizeof=lambda entry: _size(entry.space))
        self._analyses: Cache[Key, NeighborAnalysis] = Cache(CACHED_ANALYSES)
        self._pca: Cache[Key, Projection] = Cache(CACHED_ANALYSES)
        context.models.on_unload.append(self._forget)

    def _forget(self, fingerprint: str) -> None:
        """Drop what was computed on an unloaded backbone; every key starts with its fingerprint."""
        for cache in (self._spaces, self._analyses, self._pca, self.maps.jobs):
            cache.remove_if(lambda key: key[0] == fingerprint)

    def runs(self, backbone: Backbone) -> list[Run]:
        """Return the runs of a backbone, those with virtual tokens first."""
        fitting = [run for run in self.context.store.runs() if not mismatch(run, backbone)]
        return sorted(fitting, key=lambda run: not method_info(run.method).virtual_tokens)

    def look(self, backbone: Backbone, query: SpaceQuery) -> Iterator[tuple[NeighborAnalysis | None, int, int]]:
        """Yield (None, words done, all words) while the words' vectors are computed, then (analysis, all words, all words)."""
        key = self.key(backbone, query)
        analysis = self._analyses.get(key)
        if analysis is None:
            runs = [self._vectors(run_id, backbone) for run_id in query.runs]
            entry = yield from self._open(backbone, query)
            analysis = self.context.models.run_job(self._analyze, entry, runs, query.whole)
            self._analyses.put(key, analysis)
        words = len(analysis.space.vocabulary)
        yield analysis, words, words

    def flat(self, key: Key, cloud: PointCloud) -> Projection:
        """Return the PCA map of an analysis, by its key."""
        return self._pca.get_or_compute(key, lambda: self.context.models.run_job(pca, cloud))

    def ahead(self, backbone: Backbone, query: SpaceQuery, stale: Callable[[], bool]) -> None:
        """Compute the neighbouring layers until `stale`, so that moving to them is instant.

        Does nothing if a layer's words would take long.
        """
        if query.space == EMBEDDINGS or backbone.spec.parameters > QUICK:
            return
        for layer in (query.layer - 1, query.layer + 1):
            if 0 <= layer < backbone.spec.depth(query.site) and not stale():
                beside = replace(query, layer=layer)
                for analysis, _, _ in self.look(backbone, beside):
                    if stale():
                        return
                    if analysis is not None:
                        self.flat(self.key(backbone, beside), analysis.cloud)

    def key(self, backbone: Backbone, query: SpaceQuery) -> Key:
        """Return the cache key of a query, which contains when each run was created, since one may be trained again under its
        name."""
        return backbone.spec.fingerprint, query, tuple(self._stamp(run_id, backbone) for run_id in query.runs)

    def _stamp(self, run_id: str, backbone: Backbone) -> str:
        if run_id.startswith(TEXT_RUN):
            return run_id
        mixed = run_id.startswith(MIX)
        return (self.context.models.load(run_id, backbone).run if mixed else self.context.store.get(run_id)).created

    def readings(self, backbone: Backbone, run_ids: Sequence[str]) -> list[list[TextReading]]:
        """For each run that was kept near a text, its training with every weight of the penalty that the store has.

        A run whose weights cannot be loaded is left out.
        """
        fitting = self.runs(backbone)
        near = [run for run in fitting if run.id in run_ids and near_text_of(run)]
        return [readings for run in near if (readings := self._readings(backbone, same_training(run, fitting)))]

    def _readings(self, backbone: Backbone, runs: Sequence[Run]) -> list[TextReading]:
        space = self.context.models.run_job(self._embedding_space, backbone)
        readings = []
        for run in runs:
            with suppress(PrefixLabError):
                vectors = self._vectors(run.id, backbone).embeddings
                if vectors is not None:
                    readings.append(self.context.models.run_job(read_text, space, run, vectors, backbone))
        return readings

    def _embedding_space(self, backbone: Backbone) -> Space:
        key = (backbone.spec.fingerprint, EMBEDDINGS)
        entry = self._spaces.get_or_compute(key, lambda: _SpaceEntry(embedding_space(backbone), {}))
        assert isinstance(entry.space, Space)
        return entry.space

    def _open(self, backbone: Backbone, query: SpaceQuery) -> Generator[tuple[None, int, int], None, _SpaceEntry]:
        key = (backbone.spec.fingerprint, query.space, query.layer, query.head, query.site)
        entry = self._spaces.get(key)
        if entry is None:
            parts = iter_open_space(backbone, query.space, query.layer, query.head, site=query.site)
            space: AnySpace | None = None
            while space is None:
                space, done, total = self.context.models.run_job(next, parts)
                if space is None:
                    yield None, done, total
            entry = _SpaceEntry(space, {})
            self._spaces.put(key, entry)
        return entry

    @staticmethod
    def _analyze(entry: _SpaceEntry, runs: Sequence[RunVectors], whole: bool) -> NeighborAnalysis:
        if whole not in entry.controls:
            entry.controls[whole] = random_control(entry.space, RANKS, whole=whole)
        return analyze(entry.space, runs, whole=whole, random=entry.controls[whole])

    def _vectors(self, run_id: str, backbone: Backbone) -> RunVectors:
        models = self.context.models
        return models.run_job(run_vectors, models.load(run_id, backbone), backbone)


def with_words(cloud: PointCloud, space: AnySpace, words: Sequence[int]) -> PointCloud:
    """Return the cloud with these words (ids) among its points, for a map that marks them."""
    there = {point.number for point in cloud.points if point.kind in (NEAR, SAMPLE)}
    missing = [word for word in words if word not in there]
    if not missing:
        return cloud
    points = tuple(Point(SAMPLE, space.vocabulary.texts[word], word) for word in missing)
    return replace(cloud, points=cloud.points + points, vectors=torch.cat([cloud.vectors, space.unit[missing]]))


def _size(space: AnySpace) -> int:
    return 4 * len(space.vocabulary) * len(space.mean)


@dataclass
class _Job:
    future: "Future[Projection | None] | None" = None
    last_request: float = 0.0  # time.monotonic()


class Maps:
    """UMAP, one at a time, in a separate process. A map that no page requests any longer is cancelled."""

    def __init__(self) -> None:
        self._pool, self._lock = ThreadPoolExecutor(1, "umap"), threading.Lock()
        self.jobs: Cache[Key, _Job] = Cache(CACHED_MAPS)

    def ask(self, key: Key, cloud: PointCloud) -> Projection | None:
        """Return the map, or None while it is being computed: ask again soon. Raises its error."""
        with self._lock:
            job = self.jobs.get_or_compute(key, _Job)
            job.last_request = time.monotonic()
            if job.future is None:
                job.future = self._pool.submit(umap, cloud, cancel=lambda: time.monotonic() - job.last_request > FORGET)
            future = job.future
        if not future.done():
            return None
        projection = None
        try:
            projection = future.result()
        finally:
            if projection is None:  # cancelled or failed: computed anew when a page asks again
                self.jobs.pop(key)
        return projection
