"""Maps of virtual tokens among words."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from analysis.space import projection
from analysis.space.projection import MIN_POINTS, NEAR, PATH, PREFIX, SAMPLE, PlacedRun, build_cloud, pca, umap
from analysis.space.spaces import Space
from analysis.space.vocabulary import Vocabulary
from analysis.tensor_cache import TensorCache
from core.errors import BadInput

D, WORDS = 8, 50


def small(words=WORDS):
    vectors = torch.randn(words, D, generator=torch.Generator().manual_seed(0)) * torch.arange(1, D + 1) + 2
    texts = tuple(f" w{word}" for word in range(words))
    unit = F.normalize(vectors - vectors.mean(0), dim=-1)
    return Space("keys", 0, None, unit, vectors.mean(0), vectors.std(0), Vocabulary(texts), "f", "Keys of layer 1.")


def some(n=3, seed=9):
    return 3 * torch.randn(n, D, generator=torch.Generator().manual_seed(seed)) + 2


def test_a_map_holds_tokens_paths_nearest_words_and_a_sample():
    space, path = small(), [(0, some(seed=1)), (10, some(seed=2))]
    cloud = build_cloud(space, [PlacedRun("one", some(), path), PlacedRun("two", some(2, 3))], near=2, sample=20)
    kinds = [point.kind for point in cloud.points]
    assert (kinds.count(PREFIX), kinds.count(PATH), kinds.count(SAMPLE)) == (5, 6, cloud.sampled) and len(kinds) == len(
        cloud.vectors
    )
    ends = [some(), some(2, 3), some(seed=1)]  # where a path began too
    closest = {word for vectors in ends for word in space.scores(vectors).topk(2).indices.flatten().tolist()}
    near = [point.number for point in cloud.points if point.kind == NEAR]
    assert set(near) == closest and len(near) == len(closest)
    words = [point.number for point in cloud.points if point.kind in (NEAR, SAMPLE)]
    assert len(set(words)) == len(words) and 20 - len(near) <= cloud.sampled <= 20
    for point, vector in zip(cloud.points, cloud.vectors, strict=True):
        assert vector.norm().item() == pytest.approx(1, abs=1e-5)
        if point.kind in (NEAR, SAMPLE):
            assert point.label == f" w{point.number}" and torch.equal(vector, space.unit[point.number])
    moved = [(point.run, point.update, point.label) for point in cloud.points if point.kind == PATH]
    assert moved == [("one", update, f"P{i}") for update in (0, 10) for i in (1, 2, 3)]


def test_the_sample_is_the_seeds_and_the_same_for_every_run():
    space = small()

    def sampled(seed, vectors):
        return {
            point.number
            for point in build_cloud(space, [PlacedRun("r", vectors)], 1, 20, seed).points
            if point.kind in (NEAR, SAMPLE)
        }

    assert sampled(0, some()) == sampled(0, some()) != sampled(1, some())
    assert len(sampled(0, some()) & sampled(0, some(seed=4))) >= 17  # all but the nearest words of either


def test_pca_is_the_singular_value_decomposition():
    cloud = build_cloud(small(), [PlacedRun("one", some())], near=2, sample=30)
    layout, x = pca(cloud), cloud.vectors.double().numpy()
    x = x - x.mean(0)
    _, sizes, axes = np.linalg.svd(x)
    slow = x @ axes[:2].T
    for axis in (0, 1):
        sign = np.sign(layout.xy[:, axis] @ slow[:, axis])
        np.testing.assert_allclose(layout.xy[:, axis], sign * slow[:, axis], atol=1e-4)
    np.testing.assert_allclose(layout.explained, (sizes**2 / (sizes**2).sum())[:2], atol=1e-5)


def test_the_caption_and_rows_say_everything():
    cloud = build_cloud(small(), [PlacedRun("one", some(), [(0, some(seed=1))])], near=2, sample=30, seed=5)
    layout = pca(cloud)
    for phrase in (
        "PCA (metric cosine)",
        f"of {len(cloud.points)} points",
        "3 virtual tokens",
        "3 on their path",
        "nearest words",
    ):
        assert phrase in layout.caption
    assert f"{cloud.sampled} sampled from 50 words (seed 5)" in layout.caption and "% of the variance" in layout.caption
    rows = layout.rows()
    assert list(rows[0]) == ["kind", "label", "number", "run", "update", "x", "y"]
    assert (rows[0]["label"], rows[0]["x"]) == ("P1", layout.xy[0, 0].item())


def test_a_map_of_words_alone():
    cloud = build_cloud(small(), [], sample=20)
    assert [point.kind for point in cloud.points] == [SAMPLE] * 20 and "20 points: 20 sampled" in pca(cloud).caption


def test_too_few_points_are_no_map(tmp_path):
    cloud = build_cloud(small(3), [PlacedRun("one", some(1))], near=1, sample=3)
    assert len(cloud.points) < MIN_POINTS
    for make in (pca, lambda cloud: umap(cloud, cache=TensorCache(tmp_path))):
        with pytest.raises(BadInput, match="at least 5 points; there are 4"):
            make(cloud)


@pytest.mark.slow
def test_umap_is_made_once_for_the_same_points_and_parameters(tmp_path, monkeypatch):
    """The one test that runs umap-learn, which is slow, in its process."""
    assert umap(build_cloud(small(), [PlacedRun("one", some())]), cache=TensorCache(tmp_path), cancel=lambda: True) is None
    assert list(tmp_path.iterdir()) == []  # not wanted any more: not begun, and nothing is kept
    cache, cloud = TensorCache(tmp_path), build_cloud(small(), [PlacedRun("one", some(12))], near=2, sample=50)
    wide = torch.randn(len(cloud.points), 500, generator=torch.Generator().manual_seed(1))  # more than a pipe holds
    cloud = replace(cloud, vectors=torch.cat([cloud.vectors, wide], -1))
    layout = umap(cloud, neighbors=10, seed=3, cache=cache)
    assert layout.xy.shape == (len(cloud.points), 2) and np.isfinite(layout.xy).all() and layout.explained is None
    for phrase in ("metric cosine", "neighbors 10", "min_dist 0.1", "seed 3", "umap-learn 0."):
        assert phrase in layout.caption

    calls = []
    monkeypatch.setattr(projection, "_run_umap", lambda vectors, *_: calls.append(1) or np.zeros((len(vectors), 2), np.float32))
    again = umap(cloud, neighbors=10, seed=3, cache=cache)
    np.testing.assert_array_equal(again.xy, layout.xy)
    assert not calls
    umap(cloud, neighbors=10, seed=4, cache=cache)
    umap(build_cloud(small(), [PlacedRun("one", some(12, 1))], near=2, sample=50), neighbors=10, seed=3, cache=cache)
    assert len(calls) == 2  # another seed, other points
    for path in tmp_path.iterdir():
        path.write_bytes(b"damaged")
    umap(cloud, neighbors=10, seed=3, cache=cache)
    assert len(calls) == 3
