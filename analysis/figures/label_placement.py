"""Place labels beside points, so that none overlaps another label or a labeled point."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

LETTER_WIDTH, LINE_HEIGHT, POINT_RADIUS = 8, 16, 5  # px
LABEL_POSITIONS = (
    ("top center", 0, 1), ("middle right", 1, 0), ("bottom center", 0, -1), ("middle left", -1, 0),
    ("top left", -1, 1), ("top right", 1, 1), ("bottom right", 1, -1), ("bottom left", -1, -1),
)  # fmt: skip


def place_labels(
    px: np.ndarray,
    places: Sequence[int],
    texts: Sequence[str],
    first: bool,
    reserved: Sequence[tuple[float, float, float, float]],
) -> list[str | None]:
    """Choose for each label the first position that overlaps no earlier label and no labeled point, or None.

    It is no nearer to another labeled point than to the label's own. `first`: place the first label in any case; `reserved`:
    boxes to keep clear of.
    """
    points = px[list(places)]
    occupied = [*reserved, *(box(px[at], 0, POINT_RADIUS, 0, 0) for at in places)]
    positions: list[str | None] = []
    for at, text in zip(places, texts, strict=True):
        half, position = len(text) * LETTER_WIDTH / 2, LABEL_POSITIONS[0][0] if first and not positions else None
        for name, right, up in LABEL_POSITIONS:
            place = box(px[at], half, LINE_HEIGHT / 2, right * (half + POINT_RADIUS + 2), up * LINE_HEIGHT)
            if not any(overlap(place, other) for other in occupied) and _belongs(place, px[at], points):
                occupied.append(place)
                position = name
                break
        positions.append(position)
    return positions


def box(at: np.ndarray, half: float, high: float, right: float, up: float) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a box around a point, shifted."""
    x, y = at[0] + right, at[1] + up
    return x - max(half, POINT_RADIUS), x + max(half, POINT_RADIUS), y - high, y + high


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether two boxes overlap."""
    return a[1] > b[0] and a[0] < b[1] and a[3] > b[2] and a[2] < b[3]


def _belongs(label: tuple[float, float, float, float], own: np.ndarray, points: np.ndarray) -> bool:
    """Whether none of the points (N × 2) is nearer to a label's box than its own point."""
    left, right, bottom, top = label
    low, high = np.array([left, bottom]), np.array([right, top])

    def distances(at: np.ndarray) -> np.ndarray:
        return np.hypot(*np.maximum(np.maximum(low - at, at - high), 0).T)

    return bool((distances(points) >= distances(own)).all())


def boxes_along(corners: np.ndarray) -> list[tuple[float, float, float, float]]:
    """Narrow boxes along a line through corners (N × 2), for labels to keep clear of."""
    steps = np.linspace(0, 1, 80)[:, None]
    along = [start + (end - start) * steps for start, end in pairwise(corners)]
    return [(x - 1, x + 1, y - 1, y + 1) for part in along for x, y in part]
