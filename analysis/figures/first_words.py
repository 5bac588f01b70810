"""The first words of texts sampled without an input, with a prefix and without it."""

import plotly.graph_objects as go

from analysis.experiments.prefix_alone import PrefixAlone
from analysis.figures.style import COLORS, escape, figure


def first_words_figure(alone: PrefixAlone, name: str) -> go.Figure:
    """Draw paired bars, the prefix's share above the frozen model's. `name`: the title of the run."""
    rows = alone.first_words()
    words = [escape(word) for word, _, _ in rows]
    pairs = [(name, "prefix", "", 1), ("frozen model", "base", "/", 2)]
    bars = [
        go.Bar(
            y=words,
            x=[100 * row[place] for row in rows],
            name=escape(title),
            orientation="h",
            marker={"color": COLORS[color], "pattern": {"shape": pattern}},
            hovertemplate="%{y}: %{x:.0f} % of texts<extra>" + escape(title) + "</extra>",
        )
        for title, color, pattern, place in pairs
    ]
    decode = alone.decode
    return figure(
        bars,
        "How the texts begin",
        f"first words of {len(alone.prefix)} and {len(alone.frozen)} texts; {decode.describe()}, seeds from {alone.seed}",
        barmode="group",
        xaxis={"title": {"text": "share of texts, %"}, "showgrid": True},
        yaxis={"autorange": "reversed", "type": "category"},
    )
