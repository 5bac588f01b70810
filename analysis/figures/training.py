"""Figures of a training: losses, learning rate, and the attention that the virtual tokens draw as they learn."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.basedatatypes import BaseTraceType

from analysis.figures.style import COLORS, SEQUENTIAL, escape, figure, text_label
from core.runs.status import TrainingLog
from core.text.checks import counted
from core.training.sample_log import Sample

MAX_POINTS = 600  # per line; more cannot be distinguished on a screen


def loss_curves(steps: TrainingLog, name: str, total: int = 0) -> go.Figure:
    """Training loss per update with its running mean, and the validation loss, in nats per target token."""
    at, loss, mean = _thin(steps.update, steps.loss, _running_mean(steps.loss))
    traces: list[BaseTraceType] = [
        go.Scatter(x=at, y=loss, mode="lines", name="training", line={"color": COLORS["line"], "width": 1}, hoverinfo="skip"),
        go.Scatter(x=at, y=mean, mode="lines", name="training, running mean", line={"color": COLORS["base"], "width": 2}),
    ]
    notes = [text_label(at[-1], mean[-1], "training", "base", xshift=6)] if at else []
    if steps.valid:
        where, valid = zip(*steps.valid, strict=True)
        line = {"color": COLORS["prefix"], "width": 2, "dash": "dot"}
        traces.append(go.Scatter(x=where, y=valid, mode="lines+markers", name="validation", line=line, marker={"size": 7}))
        apart = 10 if not at or valid[-1] >= mean[-1] else -10
        notes.append(text_label(where[-1], valid[-1], "validation", "prefix", xshift=8, yshift=apart))
    width = max(total, at[-1] if at else 1)
    return figure(
        traces,
        f"Loss of {escape(name)}",
        f"nats per target token; {counted(len(steps.update), 'update')}, {counted(sum(steps.rows), 'pair')} read",
        xaxis={"title": {"text": "update"}, "range": [0, width * 1.32]},
        yaxis={"title": {"text": "loss"}, "rangemode": "normal"},
        annotations=notes,
        showlegend=False,
    )


def learning_rate_curve(steps: TrainingLog, name: str, total: int = 0) -> go.Figure:
    """The learning rate per update."""
    at, rate = _thin(steps.update, steps.rate)
    width = max(total, at[-1] if at else 1)
    return figure(
        [go.Scatter(x=at, y=rate, mode="lines", name="rate", line={"color": COLORS["base"], "width": 2})],
        "Learning rate",
        escape(name),
        xaxis={"title": {"text": "update"}, "range": [0, width * 1.02]},
        yaxis={"title": {"text": "rate"}, "rangemode": "tozero", "exponentformat": "e"},
        showlegend=False,
    )


def mass_over_training(samples: Sequence[Sample], name: str) -> go.Figure | None:
    """The share of attention on the virtual tokens, by layer, in each sample of a training; None if no sample has it."""
    sampled = [sample for sample in samples if isinstance(sample.get("mass"), list) and sample["mass"]]
    if not sampled:
        return None
    layers, names = min(len(sample["mass"]) for sample in sampled), sampled[-1].get("layers")
    if not isinstance(names, list) or len(names) != layers:
        names = [f"layer {layer + 1}" for layer in range(layers)]
    cells = [[100 * sample["mass"][layer] for sample in sampled] for layer in range(layers)]
    heat = go.Heatmap(
        z=cells,
        x=[str(sample["update"]) for sample in sampled],
        y=[escape(str(one)) for one in names],
        colorscale=SEQUENTIAL,
        zmin=0,
        zmax=100,
        texttemplate="%{z:.0f}" if len(sampled) <= 12 else None,
        hovertemplate="update %{x}, %{y}: %{z:.1f} %<extra></extra>",
        showscale=False,
    )
    return figure(
        [heat],
        "Attention on the prefix",
        "%, mean of the heads, while the watched example was written",
        xaxis={"title": {"text": "update"}, "type": "category", "tickangle": 0, "nticks": 6},
        yaxis={"title": {"text": ""}, "autorange": "reversed"},
    )


def _running_mean(values: Sequence[float]) -> list[float]:
    """The mean of the last 2 to 50 updates, a tenth of the line."""
    window = min(50, max(2, len(values) // 10))
    return pd.Series(values, dtype=float).rolling(window, min_periods=1).mean().tolist()


def _thin(*columns: Sequence[float]) -> list[list[float]]:
    step = max(1, len(columns[0]) // MAX_POINTS)
    thinned = [list(column[::step]) for column in columns]
    if columns[0] and (len(columns[0]) - 1) % step:
        thinned = [some + [column[-1]] for some, column in zip(thinned, columns, strict=True)]
    return thinned
