"""Two-dimensional maps of virtual tokens among words. PCA is immediate; UMAP takes seconds and is cached on disk.

Both project normalized vectors (centered, of length 1), so that nearness on the map stands for cosine similarity, as far
as two dimensions can show it.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from analysis.space.vocabulary import Vocabulary
from analysis.tensor_cache import TensorCache
from core.errors import BadInput, NotSupported
from core.text.checks import percent

PREFIX, PATH, NEAR, SAMPLE = "prefix", "path", "near", "sample"  # kinds of points
MIN_POINTS = 5  # a map needs
POLL_SECONDS = 0.2  # between two checks for cancellation
_umap_lock = threading.Lock()  # one UMAP at a time: each takes a core and half a gigabyte


class MappableSpace(Protocol):
    """A space with vectors of words and virtual tokens: `Space` or `LogitLensSpace`."""

    @property
    def vocabulary(self) -> Vocabulary: ...
    @property
    def recipe(self) -> str: ...
    @property
    def unit(self) -> Tensor: ...

    def normalize(self, vectors: Tensor) -> Tensor:
        """(n, d) -> (n, D) of length 1, comparable with `unit`, (words, D)."""
        ...

    def scores(self, vectors: Tensor) -> Tensor:
        """(n, d) -> (n, words)."""
        ...


@dataclass(frozen=True, eq=False)
class PlacedRun:
    """A run's virtual tokens in a space, (P, d), and their `path` through training: (update, (P, d)) from the start on."""

    run: str
    vectors: Tensor
    path: Sequence[tuple[int, Tensor]] = ()


@dataclass(frozen=True)
class Point:
    """One point. `number`: the virtual token, from 0, or the word's id; `update`: on its path, None after training."""

    kind: str
    label: str
    number: int
    run: str = ""
    update: int | None = None


@dataclass(frozen=True, eq=False)
class PointCloud:
    """The points of a map. `vectors`: (N, d) fp32 of length 1; `sampled` of `words` words stand for the vocabulary."""

    points: tuple[Point, ...]
    vectors: Tensor
    sampled: int
    words: int
    seed: int
    recipe: str

    def count(self, kind: str) -> int:
        """The number of points of a kind."""
        return sum(point.kind == kind for point in self.points)


@dataclass(frozen=True, eq=False)
class Projection:
    """A map. `xy`: (N, 2); `explained`: for PCA, the share of variance on each axis; `parameters`: those used."""

    cloud: PointCloud
    xy: np.ndarray
    method: str
    parameters: dict[str, str | int | float]
    explained: tuple[float, float] | None = None

    @property
    def caption(self) -> str:
        """How the map was computed."""
        cloud = self.cloud
        names = {PREFIX: "virtual tokens", PATH: "on their path", NEAR: "nearest words"}
        counts = [f"{cloud.count(kind):,} {name}" for kind, name in names.items() if cloud.count(kind)]
        counts.append(f"{cloud.sampled:,} sampled from {cloud.words:,} words (seed {cloud.seed})")
        settings = ", ".join(f"{name} {value}" for name, value in self.parameters.items())
        variance = (
            f"; the axes keep {percent(self.explained[0])} and {percent(self.explained[1])} of the variance"
            if self.explained
            else ""
        )
        return f"{self.method} ({settings}) of {len(cloud.points):,} points: {', '.join(counts)}{variance}."

    def rows(self) -> list[dict[str, str | int | float | None]]:
        """Rows for a table or a CSV file."""
        places = self.xy.tolist()
        return [asdict(point) | {"x": x, "y": y} for point, (x, y) in zip(self.cloud.points, places, strict=True)]


def build_cloud(
    space: MappableSpace, placed: Sequence[PlacedRun], near: int = 5, sample: int = 2000, seed: int = 0, whole: bool = False
) -> PointCloud:
    """Collect the points of a map: all runs' virtual tokens, their paths, their nearest words, and a random sample of words.

    `near`: nearest words per virtual token, after and before training; a word near several is one point. `whole`: whole
    words only. The sample depends on the seed and the vocabulary alone, except that nearest words are not repeated.
    """
    points, parts = [], []
    closest: dict[int, None] = {}  # an ordered set
    among = space.vocabulary.whole_ids if whole else torch.arange(len(space.vocabulary))
    for one in placed:
        points += [Point(PREFIX, f"P{i + 1}", i, one.run) for i in range(len(one.vectors))]
        parts.append(space.normalize(one.vectors))
        for vectors in (one.vectors, *(began for _, began in one.path[:1])):
            best = space.scores(vectors)[:, among].topk(min(near, len(among))).indices
            closest |= dict.fromkeys(among[best].flatten().tolist())
        for update, vectors in one.path:
            points += [Point(PATH, f"P{i + 1}", i, one.run, update) for i in range(len(vectors))]
            parts.append(space.normalize(vectors))
    words = np.random.default_rng(seed).permutation(len(space.vocabulary))[:sample].tolist()
    others = [word for word in words if word not in closest]
    for kind, ids in ((NEAR, list(closest)), (SAMPLE, others)):
        points += [Point(kind, space.vocabulary.texts[word], word) for word in ids]
        parts.append(space.unit[ids])
    return PointCloud(tuple(points), torch.cat(parts), len(others), len(space.vocabulary), seed, space.recipe)


def pca(cloud: PointCloud) -> Projection:
    """Project on the two directions of largest variance, fitted to all points. Deterministic, so there is no seed."""
    from sklearn.decomposition import PCA  # late: the import takes seconds

    _check_size(cloud)
    fitted = PCA(2, svd_solver="covariance_eigh")
    with np.errstate(invalid="ignore"):  # no variance where all points coincide
        xy = fitted.fit_transform(cloud.vectors.double().numpy())
    first, second = np.nan_to_num(fitted.explained_variance_ratio_).tolist()
    return Projection(cloud, xy, "PCA", {"metric": "cosine"}, (first, second))


def umap(
    cloud: PointCloud,
    neighbors: int = 15,
    min_dist: float = 0.1,
    seed: int = 0,
    cache: TensorCache | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Projection | None:
    """Project with UMAP by cosine: seconds to minutes, or at once if the same points and parameters are cached on disk.

    Returns None if `cancel` returned true before the map was ready.
    """
    _check_size(cloud)
    parameters: dict[str, str | int | float] = {
        "metric": "cosine",
        "neighbors": min(neighbors, len(cloud.points) - 1),
        "min_dist": min_dist,
        "seed": seed,
        "umap-learn": version("umap-learn"),
    }
    cache = cache or TensorCache()
    digest = hashlib.sha256(cloud.vectors.contiguous().numpy().tobytes()).hexdigest()
    about = {name: str(value) for name, value in parameters.items()} | {"points": digest}
    name = "umap-" + hashlib.sha256(repr(sorted(about.items())).encode()).hexdigest()[:24]
    cached = cache.load(name, about)
    if cached is None:
        xy = _run_umap(cloud.vectors.numpy(), parameters, cancel)
        if xy is None:
            return None
        cached = {"xy": torch.from_numpy(xy)}
        cache.save(name, cached, about)
    return Projection(cloud, cached["xy"].numpy(), "UMAP", parameters)


def _run_umap(vectors: np.ndarray, parameters: dict, cancel: Callable[[], bool] | None) -> np.ndarray | None:
    """(N, d) -> (N, 2) fp32, in a separate process: its import and compilation would block everything else for seconds."""
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", "analysis.space.umap_worker", json.dumps(parameters)]
    with _umap_lock, tempfile.TemporaryFile() as stdin:  # a file: a pipe would have to be fed while the process starts
        if cancel is not None and cancel():
            return None
        np.save(stdin, vectors)
        stdin.seek(0)
        process = subprocess.Popen(
            command,
            cwd=root,
            env=os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        streams = _communicate(process, cancel)
    if streams is None:
        return None
    out, err = streams
    if process.returncode:
        last = err.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        raise NotSupported(f"UMAP could not be computed here ({last[0][:200]}). PCA shows the same points.")
    return np.load(io.BytesIO(out))


def _communicate(process: subprocess.Popen, cancel: Callable[[], bool] | None) -> tuple[bytes, bytes] | None:
    """The stdout and stderr of a process; kills it and returns None if `cancel` returns true."""
    try:
        while True:
            try:
                return process.communicate(timeout=POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if cancel is not None and cancel():
                    return None
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _check_size(cloud: PointCloud) -> None:
    if len(cloud.points) < MIN_POINTS:
        raise BadInput(f"A map needs at least {MIN_POINTS} points; there are {len(cloud.points)}. Sample more words.")
