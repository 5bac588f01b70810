"""Maps: virtual tokens among words, in two dimensions. PCA is there at once; UMAP takes seconds and is kept on disk.

Both see the points as the space places them (centred, of length 1), so that near on the map stands for near by cosine,
as far as two dimensions can show it.
"""

import hashlib
import threading
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

import numpy as np
import torch
from torch import Tensor

from analysis.cache import TensorCache
from analysis.spaces import Space
from core.errors import BadInput

PREFIX, PATH, NEAR, SAMPLE = "prefix", "path", "near", "sample"  # kinds of points
FEWEST = 5  # points that make a map
_one = threading.Lock()  # UMAP's compiled loops end the process where two threads enter them at once


@dataclass(frozen=True, eq=False)
class Placed:
    """A run's virtual tokens, (P, d) in a space, and where they were: `path`, (update, (P, d)) from its beginning on."""

    run: str
    vectors: Tensor
    path: Sequence[tuple[int, Tensor]] = ()


@dataclass(frozen=True)
class Point:
    """One point. `number`: the virtual token, from 0, or the word's id; `update`: where on its path, None where it ended."""

    kind: str
    label: str
    number: int
    run: str = ""
    update: int | None = None


@dataclass(frozen=True, eq=False)
class Cloud:
    """The points of a map. `vectors`: (N, d) fp32 of length 1; `sampled` of `words` words stand for the vocabulary."""

    points: tuple[Point, ...]
    vectors: Tensor
    sampled: int
    words: int
    seed: int
    recipe: str

    def count(self, kind: str) -> int:
        """How many points are of a kind."""
        return sum(point.kind == kind for point in self.points)


@dataclass(frozen=True, eq=False)
class Projection:
    """A map. `xy`: (N, 2); `explained`: the share of the variance on each axis, for PCA; `parameters` as they were used."""

    cloud: Cloud
    xy: np.ndarray
    method: str
    parameters: dict[str, str | int | float]
    explained: tuple[float, float] | None = None

    @property
    def caption(self) -> str:
        """Everything that made the map, in words."""
        cloud = self.cloud
        told = {PREFIX: "virtual tokens", PATH: "on their path", NEAR: "nearest words"}
        shown = [f"{cloud.count(kind):,} {name}" for kind, name in told.items() if cloud.count(kind)]
        shown.append(f"{cloud.sampled:,} sampled from {cloud.words:,} words (seed {cloud.seed})")
        settings = ", ".join(f"{name} {value}" for name, value in self.parameters.items())
        kept = f"; the axes keep {self.explained[0]:.1%} and {self.explained[1]:.1%} of the variance" if self.explained else ""
        return f"{self.method} ({settings}) of {len(cloud.points):,} points: {', '.join(shown)}{kept}."

    def rows(self) -> list[dict[str, str | int | float | None]]:
        """For a table or a CSV file."""
        places = self.xy.tolist()
        return [asdict(point) | {"x": x, "y": y} for point, (x, y) in zip(self.cloud.points, places, strict=True)]


def gather(space: Space, placed: Sequence[Placed], near: int = 5, sample: int = 2000, seed: int = 0) -> Cloud:
    """The points of a map: every run's virtual tokens, their paths, the nearest words of either end, and other words at random.

    `near`: how many words a virtual token, where it ended and where it began; a word is one point however many it is near to.
    The sample depends on the seed and the vocabulary alone, but for words that are near ones already.
    """
    points, parts = [], []
    closest: dict[int, None] = {}  # in order of appearance
    for one in placed:
        points += [Point(PREFIX, f"P{i + 1}", i, one.run) for i in range(len(one.vectors))]
        parts.append(space.place(one.vectors))
        for vectors in (one.vectors, *(began for _, began in one.path[:1])):
            best = space.scores(vectors).topk(min(near, len(space.vocabulary))).indices
            closest |= dict.fromkeys(best.flatten().tolist())
        for update, vectors in one.path:
            points += [Point(PATH, f"P{i + 1}", i, one.run, update) for i in range(len(vectors))]
            parts.append(space.place(vectors))
    words = np.random.default_rng(seed).permutation(len(space.vocabulary))[:sample].tolist()
    others = [word for word in words if word not in closest]
    for kind, ids in ((NEAR, list(closest)), (SAMPLE, others)):
        points += [Point(kind, space.vocabulary.texts[word], word) for word in ids]
        parts.append(space.unit[ids])
    return Cloud(tuple(points), torch.cat(parts), len(others), len(space.vocabulary), seed, space.recipe)


def pca(cloud: Cloud, seed: int = 0) -> Projection:
    """The two directions along which the points differ most; fitted to all points."""
    from sklearn.decomposition import PCA  # takes a second to import

    _check(cloud)
    fitted = PCA(2, random_state=seed)
    xy = fitted.fit_transform(cloud.vectors.numpy())
    explained = (float(fitted.explained_variance_ratio_[0]), float(fitted.explained_variance_ratio_[1]))
    return Projection(cloud, xy, "PCA", {"seed": seed}, explained)


def umap(
    cloud: Cloud, neighbours: int = 15, min_dist: float = 0.1, seed: int = 0, cache: TensorCache | None = None
) -> Projection:
    """UMAP by cosine, kept on disk: the same points and parameters give the same map at once. Otherwise seconds to minutes."""
    _check(cloud)
    parameters: dict[str, str | int | float] = {
        "metric": "cosine",
        "neighbours": min(neighbours, len(cloud.points) - 1),
        "min_dist": min_dist,
        "seed": seed,
        "umap-learn": version("umap-learn"),
    }
    cache = cache or TensorCache()
    digest = hashlib.sha256(cloud.vectors.contiguous().numpy().tobytes()).hexdigest()
    about = {name: str(value) for name, value in parameters.items()} | {"points": digest}
    name = "umap-" + hashlib.sha256(repr(sorted(about.items())).encode()).hexdigest()[:24]
    kept = cache.load(name, about)
    if kept is None:
        kept = {"xy": torch.from_numpy(_umap(cloud.vectors.numpy(), parameters))}
        cache.save(name, kept, about)
    return Projection(cloud, kept["xy"].numpy(), "UMAP", parameters)


def _umap(vectors: np.ndarray, parameters: dict) -> np.ndarray:
    """(N, d) -> (N, 2) fp32."""
    with _one, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP  # takes ten seconds and more to import

        fitted = UMAP(
            n_neighbors=parameters["neighbours"],
            min_dist=parameters["min_dist"],
            metric=parameters["metric"],
            random_state=parameters["seed"],
            n_jobs=1,  # what a seed needs
        )
        return np.ascontiguousarray(fitted.fit_transform(vectors), dtype=np.float32)


def _check(cloud: Cloud) -> None:
    if len(cloud.points) < FEWEST:
        raise BadInput(f"A map needs at least {FEWEST} points; there are {len(cloud.points)}. Sample more words.")
