"""What the Prefix space tab computes, kept for the next look: spaces, scenes in them, and UMAP in the background."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

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
from analysis.space.projection import PointCloud, Projection, pca, umap
from app.shared.catalog import mismatch
from app.shared.context import AppContext
from core.config.methods import method_info
from core.methods.loading import TEXT_RUN
from core.models.backbone import Backbone
from core.runs.run import Run

SPACES_KEPT = 512 * 2**20  # bytes of words' vectors; the space that is looked at is kept however large it is
SCENES_KEPT = 12  # and as many maps by PCA
QUICK = 50_000_000  # parameters of a model whose words are computed at a layer within a few seconds
MAPS_KEPT = 16
Key = tuple[Hashable, ...]
FORGET = 5.0  # seconds after which a map that nobody asks for any more is not computed further


@dataclass(frozen=True)
class SpaceQuery:
    """What is looked at. `layer` and `head` from 0, head None for all; `runs`: ids, also of text prefixes; `site`: whose."""

    space: str
    layer: int
    head: int | None
    runs: tuple[str, ...]
    whole: bool = False
    site: str = SITE


@dataclass
class _Kept:
    space: AnySpace
    controls: dict[bool, Control]


class AnalysisCache:
    """One for all pages. Every step of a model goes through `context.models.run_job`."""

    def __init__(self, context: AppContext) -> None:
        self.context, self.maps = context, Maps()
        self._spaces: OrderedDict[Key, _Kept] = OrderedDict()
        self._scenes: OrderedDict[Key, NeighborAnalysis] = OrderedDict()
        self._flat: OrderedDict[Key, Projection] = OrderedDict()
        self._guard = threading.Lock()
        context.models.on_unload.append(self._forget)

    def _forget(self, fingerprint: str) -> None:
        """What was computed on a backbone that is gone; every key begins with its fingerprint."""
        with self._guard:
            for kept in (self._spaces, self._scenes, self._flat, self.maps.jobs):
                for key in [key for key in list(kept) if key[0] == fingerprint]:
                    kept.pop(key, None)

    def runs(self, backbone: Backbone) -> list[Run]:
        """Runs that stand on a backbone, those with virtual tokens first."""
        fitting = [run for run in self.context.store.runs() if not mismatch(run, backbone)]
        return sorted(fitting, key=lambda run: not method_info(run.method).virtual_tokens)

    def look(self, backbone: Backbone, view: SpaceQuery) -> Iterator[tuple[NeighborAnalysis | None, int, int]]:
        """(None, words done, words in all) while the words' vectors are computed, then (scene, all, all)."""
        key = self.key(backbone, view)
        found = self._scenes.get(key)
        if found is None:
            runs = [self._run(run_id, backbone) for run_id in view.runs]
            kept = yield from self._open(backbone, view)
            found = self.context.models.run_job(self._scene, kept, runs, view.whole)
        self._keep(self._scenes, key, found)
        words = len(found.space.vocabulary)
        yield found, words, words

    def flat(self, key: Key, cloud: PointCloud) -> Projection:
        """The map by PCA of the scene of a key."""
        found = self._flat.get(key) or self.context.models.run_job(pca, cloud)
        self._keep(self._flat, key, found)
        return found

    def ahead(self, backbone: Backbone, view: SpaceQuery, stale: Callable[[], bool]) -> None:
        """The layers beside this one, while nothing newer is asked for, so that a step to them finds everything ready.

        Nothing where a layer's words would take long.
        """
        if view.space == EMBEDDINGS or backbone.spec.parameters > QUICK:
            return
        for layer in (view.layer - 1, view.layer + 1):
            if 0 <= layer < backbone.spec.depth(view.site) and not stale():
                beside = replace(view, layer=layer)
                for found, _, _ in self.look(backbone, beside):
                    if stale():
                        return
                    if found is not None:
                        self.flat(self.key(backbone, beside), found.cloud)

    def key(self, backbone: Backbone, view: SpaceQuery) -> Key:
        """Names a scene: what is looked at, and when each run was made (one may be trained anew under the same name)."""
        made = tuple(run_id if run_id.startswith(TEXT_RUN) else self.context.store.get(run_id).created for run_id in view.runs)
        return backbone.spec.fingerprint, view, made

    def _open(self, backbone: Backbone, view: SpaceQuery) -> Generator[tuple[None, int, int], None, _Kept]:
        place = (backbone.spec.fingerprint, view.space, view.layer, view.head, view.site)
        kept = self._spaces.get(place)
        if kept is None:
            parts = iter_open_space(backbone, view.space, view.layer, view.head, site=view.site)
            found: AnySpace | None = None
            while found is None:
                found, done, total = self.context.models.run_job(next, parts)
                if found is None:
                    yield None, done, total
            kept = _Kept(found, {})
        self._keep(self._spaces, place, kept)
        return kept

    def _keep(self, place: "OrderedDict[Key, Any]", key: Key, found: Any) -> None:
        """Keep what was used last: so many scenes and maps, and spaces up to some memory. Several pages may do so at once."""
        with self._guard:
            place[key] = found
            place.move_to_end(key)
            while place is not self._spaces and len(place) > SCENES_KEPT:
                place.popitem(last=False)
            while len(self._spaces) > 1 and sum(_size(kept.space) for kept in self._spaces.values()) > SPACES_KEPT:
                self._spaces.popitem(last=False)

    @staticmethod
    def _scene(kept: _Kept, runs: Sequence[RunVectors], whole: bool) -> NeighborAnalysis:
        if whole not in kept.controls:
            kept.controls[whole] = random_control(kept.space, RANKS, whole=whole)
        return analyze(kept.space, runs, whole=whole, random=kept.controls[whole])

    def _run(self, run_id: str, backbone: Backbone) -> RunVectors:
        """A run as it is set among words."""
        return self.context.models.run_job(run_vectors, self.context.models.load(run_id, backbone), backbone)


def _size(space: AnySpace) -> int:
    return 4 * len(space.vocabulary) * len(space.mean)


@dataclass
class _Job:
    future: "Future[Projection | None] | None" = None
    wanted: float = 0.0


class Maps:
    """UMAP, one at a time, in a process of its own. A map that no page asks for any more is given up."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "umap")
        self.jobs: OrderedDict[Key, _Job] = OrderedDict()

    def ask(self, key: Key, cloud: PointCloud) -> Projection | None:
        """The map, or None while it is computed: ask again soon. Raises what went wrong in it."""
        job = self.jobs.setdefault(key, _Job())
        job.wanted = time.monotonic()
        self.jobs.move_to_end(key)
        if job.future is None:
            job.future = self._pool.submit(umap, cloud, cancel=lambda: time.monotonic() - job.wanted > FORGET)
            while len(self.jobs) > MAPS_KEPT:
                self.jobs.popitem(last=False)
        if not job.future.done():
            return None
        future, found = job.future, None
        try:
            found = future.result()
        finally:
            if found is None:  # given up, or failed: begun anew when it is asked for again
                self.jobs.pop(key, None)
        return found
