"""The loaded models: backbones, and runs on them. One pool serves every page.

A backbone is shared by all its prefixes. A fine-tuned run is a full copy of the weights, so only a few of those are kept.
"""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch

from analysis.named_runs import load_mix
from app.shared.cache import Cache
from core.errors import BadInput, PrefixLabError
from core.methods.loading import TEXT_RUN, LoadedRun, load_run, text_run
from core.models.backbone import Backbone
from core.models.loading import import_transformers, load_backbone
from core.models.locate import bundled, fetch
from core.prefix.mix import MIX, parse_mix
from core.runs.store import Store
from core.serving.engine import Engine

MODEL, PAGES = "model", 24  # all events that use a model: so many at a time, each of them holds a thread of the web server
CACHED_BACKBONES = 2
CACHED_MODELS = 3  # runs with weights of their own
IDLE_SECONDS = 120  # after which a backbone that no page shows is unloaded: programs and the Train page use others, too
PAGES_KNOWN = 64  # open ones whose backbone is kept for them
PREFIX_BYTES = 256_000_000  # of prefixes: about 460 of the bundled model's, each of 30 virtual tokens

Result = TypeVar("Result")
RunKey = tuple[str, str]  # a run's id, and the fingerprint of the backbone that it is loaded on


def _leave_a_core() -> None:
    """Leave a core to the browser: torch's threads spin while they wait, which makes each step much slower beside a busy
    browser."""
    torch.set_num_threads(max(1, torch.get_num_threads() - 1))


class ModelPool:
    """Loads backbones and runs on demand, and keeps the most recently used ones."""

    def __init__(self, default: str, device: str, store: Store) -> None:
        self.default, self.device, self._store = default, device, store
        self.engine = Engine(prepare=_leave_a_core)
        self._backbones: Cache[str, Backbone] = Cache(CACHED_BACKBONES, on_evict=self._unloaded)
        self._prefixes: Cache[RunKey, LoadedRun] = Cache(PREFIX_BYTES, getsizeof=_prefix_bytes)
        self._models: Cache[RunKey, LoadedRun] = Cache(CACHED_MODELS)
        self._thread = threading.local()
        self._pages: Cache[str, str] = Cache(PAGES_KNOWN)  # page -> the backbone that it shows
        self._last_use: dict[str, float] = {}  # of each loaded backbone, in seconds of time.monotonic
        self.on_unload: list[Callable[[str], None]] = []  # called with the fingerprint of a backbone that is dropped

    def warm_up(self) -> None:
        """Import what a model needs in the background, on the model's own thread: whatever needs it waits its turn there."""
        threading.Thread(target=self.run_job, args=[import_transformers], daemon=True).start()

    def run_job(self, job: Callable[..., Result], *args: object) -> Result:
        """Run a job on the one thread that owns the device, and wait for it. Tokens are generated between jobs, so keep each
        short.

        The web server uses many threads, and every thread that calls torch starts a team of its own: with one thread, a step
        takes its normal time, and no two steps overlap.
        """
        return self.engine.run(job, *args, background=getattr(self._thread, "background", False))

    @contextmanager
    def background(self) -> Iterator[None]:
        """Jobs of this thread give way to all others meanwhile: for what nobody waits for."""
        self._thread.background = True
        try:
            yield
        finally:
            self._thread.background = False

    def is_loaded(self, name: str) -> bool:
        """Whether `backbone(name)` returns at once."""
        return (name or self.default) in self._backbones

    def is_local(self, name: str) -> bool:
        """Whether a backbone is certainly on this machine; others may need a download."""
        return name in bundled() or Path(name).expanduser().is_dir()

    def backbone(self, name: str) -> Backbone:
        """Return a backbone, loading it if needed; without a name, the default one. Raises the errors of `load_backbone`.

        A download takes minutes, and therefore runs beside the model's work.
        """
        name = name or self.default
        if name not in self._backbones:
            fetch(name)
        return self.run_job(self._backbone, name)

    def _backbone(self, name: str) -> Backbone:
        backbone = self._backbones.get(name) or load_backbone(name, self.device)
        self._backbones.put(name, backbone)
        self._last_use[name] = time.monotonic()
        return backbone

    def get(self, name: str) -> Backbone | None:
        """Return a backbone if it is loaded; without a name, the default one."""
        return self._backbones.get(name or self.default)

    def loaded(self) -> list[str]:
        """Return the names of the loaded backbones, the most recently used last."""
        return [name for name, _ in self._backbones.items()]

    def _unloaded(self, name: str, backbone: Backbone) -> None:
        """Forget the backbone's runs, and everything that was computed with it."""
        self._last_use.pop(name, None)
        fingerprint = backbone.spec.fingerprint
        for runs in (self._prefixes, self._models):
            runs.remove_if(lambda key: key[1] == fingerprint)
        for forget in self.on_unload:
            forget(fingerprint)

    def assign(self, page: str, name: str) -> Backbone:
        """Return the backbone that a page shows from now on. If no other page shows its former one, that is unloaded, as are
        those that are idle. Raises the errors of `backbone`."""
        before = self._pages.get(page)
        self._pages.put(page, name)  # before it is loaded, so that no other page's change takes it away
        try:
            backbone = self.backbone(name)
        except PrefixLabError:
            self._pages.put(page, before or name)
            raise
        former = before or name
        if self._unused(former):
            self.run_job(self._give_back, former)
        return backbone

    def release(self, page: str) -> None:
        """Note that a page was closed. Its backbone stays until another one is shown, since a reload returns to it."""
        self._pages.pop(page)

    def _unused(self, former: str) -> list[str]:
        shown, now = {name for _, name in self._pages.items()}, time.monotonic()
        unseen = [name for name in self.loaded() if name not in shown]
        return [name for name in unseen if name == former or now - self._last_use.get(name, now) > IDLE_SECONDS]

    def _give_back(self, former: str) -> None:
        for name in self._unused(former):
            if backbone := self._backbones.pop(name):
                self._unloaded(name, backbone)
        gc.collect()  # a model is full of circles
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def load(self, run_id: str, backbone: Backbone) -> LoadedRun:
        """Return a run on a backbone, loading it if needed. Raises the errors of `load_run` and of the store."""
        return self.run_job(self._load, run_id, backbone)

    def _load(self, run_id: str, backbone: Backbone) -> LoadedRun:
        key = (run_id, backbone.spec.fingerprint)
        loaded = self._prefixes.get(key) or self._models.get(key)
        if run_id.startswith(TEXT_RUN):
            loaded = loaded or text_run(run_id.removeprefix(TEXT_RUN), backbone)
        elif run_id.startswith(MIX):
            loaded = self._mix(run_id, backbone, loaded)
        else:
            run = self._store.get(run_id)
            if loaded is None or loaded.run.created != run.created:  # trained anew under the same name
                loaded = load_run(run, backbone)
        (self._models if loaded.prefix is None else self._prefixes).put(key, loaded)
        return loaded

    def _mix(self, run_id: str, backbone: Backbone, loaded: LoadedRun | None) -> LoadedRun:
        """Return a mix, computed again if one of its members was trained again."""
        mix = parse_mix(run_id)
        if any(member.startswith(MIX) for member in mix.members):
            raise BadInput(f"{run_id} holds another mix. Keep that one as a run, and mix it under its name.")
        members = [self._load(member, backbone) for member in mix.members]
        if loaded and loaded.run.created == " ".join(member.run.created for member in members):
            return loaded
        return load_mix(mix, members, backbone)


def _prefix_bytes(loaded: LoadedRun) -> int:
    return loaded.prefix.parameters * 4 if loaded.prefix else 0
