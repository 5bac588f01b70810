"""Loss and coverage along the slider of a mix."""

from collections.abc import Sequence

import plotly.graph_objects as go

from analysis.experiments.mix_curve import MixPoint, Stop, describe_curve
from analysis.figures.style import COLORS, escape, figure
from core.text.checks import counted

SPLIT = (0.56, 0.44)  # where the upper panel begins and the lower one ends


def mix_curve_figure(
    points: Sequence[MixPoint], stops: Sequence[Stop], title: str, examples: int, decoding: str, axis: str = ""
) -> go.Figure:
    """Draw the loss above, the share of covered values below, stop by stop; only the loss if there are no tables.

    `stops`: all of them, measured or not; `decoding`: that of the texts, in words; `axis`: what the stops' labels count.
    """
    labels, tables = [escape(stop.label) for stop in stops], bool(points and points[0].values)
    places = labels[: len(points)]
    loss = _line(places, [point.loss for point in points], "loss", "prefix", "y", "%{y:.3f} nats")
    traces, axes = (
        [loss],
        {"yaxis": {"title": {"text": "loss, nats"}, "domain": [SPLIT[0] if tables else 0, 1], "rangemode": "normal"}},
    )
    if tables:
        shares = [100 * point.covered / point.values for point in points]
        counts = [f"{point.covered} of {point.values}" for point in points]
        traces.append(_line(places, shares, "coverage", "green", "y2", "%{y:.0f} % (%{text})", counts))
        axes["yaxis2"] = {"title": {"text": "covered, %"}, "domain": [0, SPLIT[1]], "range": [0, 104], "anchor": "x"}
    at = {"type": "category", "categoryarray": labels, "range": [-0.3, len(labels) - 0.2]}
    caption = describe_curve(points, stops) if len(points) == len(stops) else f"{len(points)} of {len(stops)} stops are measured"
    count = f"{counted(examples, 'example')}, {decoding}"
    return figure(
        traces,
        escape(title),
        f"{caption}<br>{count}",
        xaxis=at | {"anchor": "y2" if tables else "y", "title": {"text": escape(axis)}},
        showlegend=False,
        margin={"l": 12, "r": 16, "t": 78, "b": 12},
        **axes,
    )


def _line(
    x: list[str], y: list[float], name: str, color: str, axis: str, hover: str, text: list[str] | None = None
) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        text=text,
        name=name,
        yaxis=axis,
        mode="lines+markers",
        line={"color": COLORS[color], "width": 2, "dash": "solid" if axis == "y" else "dot"},
        marker={"size": 8, "symbol": "circle" if axis == "y" else "square"},
        hovertemplate=f"{hover}<extra>{name}</extra>",
    )
