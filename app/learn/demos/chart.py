"""A small line chart as SVG: a few curves with their names, in the page's colours, drawn anew at every step."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.shared.html import tag, text

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 270, 70, 230, 14, 40  # of the picture, and of the margins around the axes
GAP = 19  # between two names of curves
Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """`points`: (x, y), `kind`: base, prefix, finetuned or other, which has its colour; `steps`: level until the next point."""

    name: str
    kind: str
    points: Sequence[tuple[float, float]]
    steps: bool = False
    dashed: bool = False


def line_chart(curves: Sequence[Curve], across: tuple[float, float], up: tuple[float, float], x: str, y: str) -> str:
    """The curves over axes from `across[0]` to `across[1]` and `up[0]` to `up[1]`, with the axes' names. A curve's name and last
    value stand at its end."""

    def place(point: tuple[float, float]) -> tuple[float, float]:
        share_x = (point[0] - across[0]) / ((across[1] - across[0]) or 1)
        share_y = (point[1] - up[0]) / ((up[1] - up[0]) or 1)
        return LEFT + share_x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - share_y * (HEIGHT - TOP - BOTTOM)

    parts = [_axes(across, up, place, x, y)]
    ends = sorted((place(curve.points[-1])[1], number) for number, curve in enumerate(curves) if curve.points)
    heights: dict[int, float] = {}
    lowest = 0.0
    for height, number in ends:
        heights[number] = lowest = max(height, lowest + GAP)
    for number, curve in enumerate(curves):
        if curve.points:
            parts.append(_curve(curve, [place(point) for point in curve.points], heights[number]))
    numbers = "; ".join(f"{curve.name}: {_number(curve.points[-1][1])}" for curve in curves if curve.points)
    return tag("svg", "".join(parts), viewBox=f"0 0 {WIDTH} {HEIGHT}", cls="pl-chart", role="img", aria_label=f"{y}. {numbers}")


def _axes(across: tuple[float, float], up: tuple[float, float], place: Callable[[Point], Point], x: str, y: str) -> str:
    lines = []
    for value in _ticks(*up):
        height = place((across[0], value))[1]
        lines.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{height:.1f}", y2=f"{height:.1f}", cls="grid"))
        lines.append(tag("text", _number(value), x=LEFT - 8, y=f"{height + 4:.1f}", cls="tick end"))
    for value in across:
        lines.append(tag("text", f"{value:.0f}", x=f"{place((value, up[0]))[0]:.1f}", y=HEIGHT - BOTTOM + 18, cls="tick mid"))
    lines.append(tag("text", text(x), x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 8, cls="tick mid"))
    lines.append(tag("text", text(y), x=14, y=HEIGHT / 2, cls="tick mid", transform=f"rotate(-90 14 {HEIGHT / 2})"))
    return "".join(lines)


def _ticks(low: float, high: float) -> list[float]:
    """Three to seven round values from `low` to `high`."""
    least = (high - low) / 3
    step = 10.0 ** math.floor(math.log10(least))
    step *= next(factor for factor in (5, 2, 1) if factor * step <= least)
    return [place * step for place in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _curve(curve: Curve, points: list[tuple[float, float]], height: float) -> str:
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for x, y in points[1:]:
        path += f"H{x:.1f}V{y:.1f}" if curve.steps else f"L{x:.1f} {y:.1f}"
    last = curve.points[-1][1]
    name = tag("text", f"{text(curve.name)} {_number(last)}", x=f"{points[-1][0] + 7:.1f}", y=f"{height + 4:.1f}", cls="name")
    dot = tag("circle", cx=f"{points[-1][0]:.1f}", cy=f"{points[-1][1]:.1f}", r=3.5)
    return tag("g", tag("path", d=path) + dot + name, cls=f"curve {curve.kind}{' dashed' if curve.dashed else ''}")


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 20 or value == 0 else f"{value:.2f}"
