"""What the Prefix space tab computes, kept for the next look: spaces, scenes in them, and UMAP in the background."""

import time
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from analysis.neighbours import Control, random_control
from analysis.projection import Cloud, Projection, umap
from analysis.scene import RANKS, SITE, AnySpace, Scene, Shown, open_parts, scene, shown
from app.session import Lab, unfit
from core.backbone import Backbone
from core.runs import TEXT
from core.store import Run

WITH_PREFIX = ("prefix", "embedding", "infix", "in_context")  # methods whose runs have virtual tokens at every layer
EMBEDDED = ("embedding", "in_context")  # … and vectors at the input
SPACES_KEPT = 512 * 2**20  # bytes of words' vectors; the space that is looked at is kept however large it is
SCENES_KEPT = 8
MAPS_KEPT = 16
Key = tuple[Hashable, ...]
FORGET = 5.0  # seconds after which a map that nobody asks for any more is not computed further


@dataclass(frozen=True)
class View:
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


class Studio:
    """One for all pages. Every step of a model goes through `lab.work`."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.maps = lab, Maps()
        self._spaces: OrderedDict[Key, _Kept] = OrderedDict()
        self._scenes: OrderedDict[Key, Scene] = OrderedDict()
        lab.on_drop.append(self._forget)

    def _forget(self, fingerprint: str) -> None:
        """What was computed on a backbone that is gone; every key begins with its fingerprint."""
        for kept in (self._spaces, self._scenes, self.maps.jobs):
            for key in [key for key in list(kept) if key[0] == fingerprint]:
                kept.pop(key, None)

    def runs(self, backbone: Backbone) -> list[Run]:
        """Runs that stand on a backbone, those with virtual tokens first."""
        fit = [run for run in self.lab.store.runs() if not unfit(run, backbone)]
        return sorted(fit, key=lambda run: run.method not in WITH_PREFIX)

    def look(self, backbone: Backbone, view: View) -> Iterator[tuple[Scene | None, int, int]]:
        """(None, words done, words in all) while the words' vectors are computed, then (scene, all, all)."""
        runs = [self._run(run_id, backbone) for run_id in view.runs]
        key = self.key(backbone, view)
        if key not in self._scenes:
            place = (backbone.spec.fingerprint, view.space, view.layer, view.head, view.site)
            if place not in self._spaces:
                yield from self._open(backbone, view, place)
            self._spaces.move_to_end(place)
            self._scenes[key] = self.lab.work(self._scene, self._spaces[place], runs, view.whole)
        self._scenes.move_to_end(key)
        while len(self._scenes) > SCENES_KEPT:
            self._scenes.popitem(last=False)
        words = len(self._scenes[key].space.vocabulary)
        yield self._scenes[key], words, words

    def key(self, backbone: Backbone, view: View) -> Key:
        """Names a scene: what is looked at, and when each run was made (one may be trained anew under the same name)."""
        made = tuple(run_id if run_id.startswith(TEXT) else self.lab.store.get(run_id).created for run_id in view.runs)
        return backbone.spec.fingerprint, view, made

    def _open(self, backbone: Backbone, view: View, place: Key) -> Iterator[tuple[None, int, int]]:
        parts = open_parts(backbone, view.space, view.layer, view.head, site=view.site)
        found: AnySpace | None = None
        while found is None:
            found, done, total = self.lab.work(next, parts)
            if found is None:
                yield None, done, total
        self._spaces[place] = _Kept(found, {})
        while len(self._spaces) > 1 and sum(_size(kept.space) for kept in self._spaces.values()) > SPACES_KEPT:
            self._spaces.popitem(last=False)

    @staticmethod
    def _scene(kept: _Kept, runs: Sequence[Shown], whole: bool) -> Scene:
        if whole not in kept.controls:
            kept.controls[whole] = random_control(kept.space, RANKS, whole=whole)
        return scene(kept.space, runs, whole=whole, random=kept.controls[whole])

    def _run(self, run_id: str, backbone: Backbone) -> Shown:
        """A run as it is set among words."""
        return self.lab.work(shown, self.lab.load(run_id, backbone), backbone)


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

    def ask(self, key: Key, cloud: Cloud) -> Projection | None:
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
