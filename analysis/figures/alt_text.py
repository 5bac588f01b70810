"""A figure in words, for those who do not see it: computed from its numbers, whatever the figure is."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.basedatatypes import BaseTraceType

from analysis.figures.style import plain_text

TRACES = 12  # that are described one by one


def alt_text(figure: go.Figure) -> str:
    """Return the title, the axes, and of each trace the values that stand out: a curve's first, last, lowest and highest, a bar
    chart's highest bars, a heatmap's highest cell, a cloud's number of points."""
    layout = figure.layout
    traces = [trace for trace in figure.data if trace.visible is not False and trace.meta not in ("decoration", "band")]
    sentences = [plain_text(layout.title.text), _axes(layout)]
    sentences += [_describe(trace) for trace in traces[:TRACES]]
    if len(traces) > TRACES:
        sentences.append(f"And {len(traces) - TRACES} more")
    return " ".join(sentence.rstrip(". ") + "." for sentence in sentences if sentence)


def _axes(layout: go.Layout) -> str:
    names = [plain_text(axis.title.text) for axis in (layout.xaxis, layout.yaxis)]
    parts = [f"{name}: {text}" for name, text in zip(("Across", "Up"), names, strict=True) if text]
    return "; ".join(parts)


def _describe(trace: BaseTraceType) -> str:
    name = plain_text(trace.name)
    what = {"heatmap": _heatmap, "bar": _bars}.get(trace.type, _points)(trace)
    return ": ".join(part for part in (name, what) if part)


def _heatmap(trace: BaseTraceType) -> str:
    cells = np.asarray(trace.z, dtype=float)
    if not cells.size or np.isnan(cells).all():
        return ""
    row, column = np.unravel_index(np.nanargmax(cells), cells.shape)
    place = f"{_label(trace.x, int(column))}, {_label(trace.y, int(row))}"
    size = f"{cells.shape[0]} rows by {cells.shape[1]} columns"
    return f"{size}, from {_number(np.nanmin(cells))} to {_number(np.nanmax(cells))}, the highest at {place}"


def _bars(trace: BaseTraceType) -> str:
    lengths, names = (trace.x, trace.y) if trace.orientation == "h" else (trace.y, trace.x)
    values = _numbers(lengths)
    highest = [at for at in np.argsort(-values)[:3] if np.isfinite(values[at])]
    bars = ", ".join(f"{_label(names, int(at))} {_number(values[at])}" for at in highest)
    return f"{len(values)} bars, the highest {bars}" if len(values) > len(highest) else bars


def _points(trace: BaseTraceType) -> str:
    values = _numbers(trace.y)
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return ""
    if "lines" not in (trace.mode or "lines") or len(known) == 1:
        count = f"{len(known)} points" if len(known) > 1 else "1 point"
        return f"{count}, from {_number(values[known].min())} to {_number(values[known].max())} upwards"
    first, last = int(known[0]), int(known[-1])
    ends = [f"{_number(values[at])} at {_label(trace.x, at)}" for at in (first, last)]
    span = f"lowest {_number(values[known].min())}, highest {_number(values[known].max())}"
    return f"from {ends[0]} to {ends[1]}, {span}"


def _numbers(values: Sequence[object] | None) -> np.ndarray:
    """Values as numbers (n,), NaN where they are none."""
    known = [] if values is None else list(values)
    return np.array([float(value) if isinstance(value, int | float | np.number) else np.nan for value in known])


def _label(values: Sequence[object] | None, at: int) -> str:
    value: object = at if values is None else list(values)[at]
    return _number(float(value)) if isinstance(value, float | np.floating) else plain_text(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
