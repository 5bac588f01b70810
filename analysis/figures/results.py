"""Figures of results: curves over one setting, one number against another, and the losses of several runs."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import plotly.graph_objects as go

from analysis.experiments.desk import AXES, Point
from analysis.experiments.tables import DATA_NAMES, OURS, Number, ResultTable, column_label, source_name
from analysis.figures.label_placement import boxes_along, place_labels
from analysis.figures.style import COLORS, escape, figure
from analysis.figures.training import MAX_POINTS
from core.config.methods import method_info
from core.runs.status import TrainingLog
from core.text.checks import counted

SYMBOLS, DASHES = ("circle", "square", "diamond", "triangle-up", "x", "star"), ("solid", "dash", "dot", "dashdot")
PALETTE = ("prefix", "finetuned", "green", "purple", "base", "ink")
KINDS = {  # kind of method: name, color and symbol
    "virtual": ("virtual tokens", "prefix", "circle"),
    "weights": ("weights", "finetuned", "square"),
    "text": ("text", "green", "diamond"),
    "unknown": ("frozen", "base", "x"),
}
LINE = {"color": COLORS["muted"], "width": 1, "dash": "dot"}  # across a figure
LEGEND_BELOW: dict[str, Any] = {
    "showlegend": True,
    "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": -0.22, "yanchor": "top"},
    "margin": {"t": 64, "b": 70, "l": 12, "r": 16},
}
MARKS = {"paper": "paper:<br>best at 10", "reimplementation": "re-implementation:<br>no gain beyond 5"}
AXIS_TITLES = {"figure3": "training examples", "figure4": "virtual tokens", "figure5": "initialized with"}


def curves(table: ResultTable, metric: str) -> go.Figure | None:
    """Draw a metric over the figure's axis, one curve per source, line and backbone, with standard errors; None if there is no
    data.

    A statement of a source without a number is a mark on the axis.
    """
    groups: dict[tuple[str, str, str], list[tuple[str | float, Number]]] = {}
    for row in table.rows:
        if metric in row.numbers and row.x is not None:
            label = "" if row.label == row.x else row.label
            groups.setdefault((label, row.source, source_name(row)), []).append((row.x, row.numbers[metric]))
    if not groups:
        return None
    traces: list[go.Scatter] = []
    for ((label, source, title), points), color, symbol in zip(groups.items(), cycle(PALETTE), cycle(SYMBOLS), strict=False):
        xs, numbers = zip(*points, strict=True)
        errors = [number.error or 0.0 for number in numbers]
        bars = {"array": errors, "color": COLORS[color], "thickness": 1.5, "width": 5} if any(errors) else None
        traces.append(
            go.Scatter(
                x=xs,
                y=[number.value for number in numbers],
                error_y=bars,
                mode="lines+markers" if table.grid != "figure5" else "markers",
                name=escape(", ".join(filter(None, [label, title]))),
                line={"color": COLORS[color], "width": 2, "dash": "solid" if source == OURS else "dash"},
                marker={"size": 10, "symbol": symbol},
            )
        )
    several = len({source for _, source, _ in groups}) > 1
    xaxis: dict[str, object] = {"title": {"text": AXIS_TITLES[table.grid]}}
    fig = figure(
        traces,
        f"{table.title}, {DATA_NAMES[table.data]}: {column_label(metric, table.data)}",
        "mean ± standard error over seeds" + ("; the models differ, and so do the values" if several else ""),
        xaxis=xaxis | ({"type": "category"} if table.grid in ("figure3", "figure5") else {"rangemode": "tozero"}),
        yaxis={"title": {"text": column_label(metric, table.data)}, "rangemode": "tozero"},
        **LEGEND_BELOW,
    )
    marks = [one for one in table.findings if "mark" in one and table.data != "news"]
    for place, one in enumerate(marks):
        note = {
            "text": MARKS[one["source"]],
            "font": {"color": COLORS["muted"], "size": 12},
            "align": "left",
            "yshift": 32 * place,
        }
        fig.add_vline(one["mark"], line=LINE, annotation=note, annotation_position="bottom right")  # clear of the curves
    return fig


def scatter(points: Sequence[Point], x: str, y: str, data: str) -> go.Figure | None:
    """Draw one number of each line against another, with the Pareto front."""
    if not points:
        return None
    bare = [one for one in points if x == "stored" and one.x <= 0]  # a logarithmic axis has no place for them: lines across
    placed = [one for one in points if one not in bare]
    front = sorted((one for one in placed if one.best), key=lambda point: point.x)
    solid = {"color": COLORS["muted"], "width": 1}
    traces = [go.Scatter(x=[one.x for one in front], y=[one.y for one in front], mode="lines", name="Pareto front", line=solid)]
    places = _label_places(sorted(placed, key=lambda point: not point.best), front, log=x == "stored")
    for kind, (name, color, symbol) in KINDS.items():
        if own := [one for one in placed if method_info(one.method).kind == kind]:
            traces.append(
                go.Scatter(
                    x=[one.x for one in own],
                    y=[one.y for one in own],
                    mode="markers+text",
                    name=name,
                    text=[escape(one.label) if places[one] else "" for one in own],
                    textposition=[places[one] or "top center" for one in own],
                    hovertext=[escape(one.label) for one in own],
                    cliponaxis=False,
                    customdata=[one.results[0] for one in own],
                    marker={"size": 11, "symbol": symbol, "color": COLORS[color]},
                )
            )
    stored = [one.x for one in placed]
    decades = {"dtick": 1} if x == "stored" and stored and max(stored) > 30 * min(stored) else {}
    fig = figure(
        traces,
        f"{AXES[y][0]} against {AXES[x][0]}",
        f"{escape(data)}; mean over seeds",
        xaxis={"title": {"text": AXES[x][0]}, "type": "log" if x == "stored" else "linear"} | decades,
        yaxis={"title": {"text": AXES[y][0]}, "rangemode": "tozero"},
        showlegend=True,
    )
    top, labels = max(one.y for one in points), dict[float, list[str]]()
    for one in sorted(bare, key=lambda point: -point.y):  # lines that nearly coincide have one label, above the first of them
        near = next((y for y in labels if y - one.y < 0.06 * top), one.y)
        labels.setdefault(near, []).append(escape(one.label))
        fig.add_hline(one.y, line=LINE)
    for height, names in labels.items():
        note = {"text": f"{'; '.join(names)}: nothing stored", "font": {"color": COLORS["muted"]}, "showarrow": False}
        fig.add_annotation(note, x=1, xref="paper", xanchor="right", y=height, yanchor="bottom")
    return fig


def _label_places(points: Sequence[Point], front: Sequence[Point], log: bool) -> dict[Point, str]:
    """Return where each point's label is, as Plotly names it; "" where all places are taken, so that the hover alone names it.

    The first points get their place first. `front`: the points along whose line no label is.
    """
    if not points:
        return {}
    xs, ys = np.array([math.log10(one.x) if log else one.x for one in points]), np.array([one.y for one in points])
    # About what a figure on the page has: an area of 1000 × 280 px.
    pixels = np.stack([1000 * (xs - xs.min()) / (np.ptp(xs) or 1), 280 * ys / max(ys.max(), 1e-9)], axis=1)
    sides = [(-math.inf, -40.0, -math.inf, math.inf), (1040.0, math.inf, -math.inf, math.inf)]
    line = boxes_along(pixels[[points.index(one) for one in front]])
    positions = place_labels(pixels, range(len(points)), [one.label for one in points], False, [*sides, *line])
    return {point: position or "" for point, position in zip(points, positions, strict=True)}


def loss_overlay(logs: Mapping[str, TrainingLog], by: str = "update") -> go.Figure | None:
    """Draw the validation losses of several runs, or the training losses of runs without any. `by`: update or seconds."""
    traces: list[go.Scatter] = []
    for (name, log), color, dash in zip(logs.items(), cycle(PALETTE), cycle(DASHES), strict=False):
        at = dict(zip(log.update, log.seconds if by == "seconds" else log.update, strict=True))
        points = [(at[update], loss) for update, loss in log.valid if update in at]
        if not points:
            step = max(1, len(log.update) // MAX_POINTS)
            points = [(at[update], loss) for update, loss in list(zip(log.update, log.loss, strict=True))[::step]]
        if points:
            xs, ys = zip(*points, strict=True)
            look, kind = {"color": COLORS[color], "dash": dash, "width": 2}, "validation" if log.valid else "training"
            traces.append(
                go.Scatter(x=xs, y=ys, mode="lines+markers" if log.valid else "lines", name=f"{escape(name)}, {kind}", line=look)
            )
    if not traces:
        return None
    return figure(
        traces,
        f"Losses of {counted(len(traces), 'run')}",
        "nats per target token",
        xaxis={"title": {"text": "seconds" if by == "seconds" else "update"}, "rangemode": "tozero"},
        yaxis={"title": {"text": "loss"}},
        **LEGEND_BELOW,
    )
