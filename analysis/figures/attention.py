"""Figures of attention: its mass by layer, head and step, and the effect of knock-outs.

Each draws results of analysis/attention/maps.py and ablation.py, for one run or for several side by side as {name: mass}.
`labels` holds the words for the groups of keys and the site. Layers and heads are numbered from 1 here.
"""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots
from torch import Tensor

from analysis.attention.ablation import AblationEffect
from analysis.attention.maps import GENERATED, PREFIX, AttentionLabels, AttentionMass
from analysis.attention.shares import by_head, by_layer, by_step, by_virtual_token
from analysis.figures.style import COLORS, SEQUENTIAL, apply_style, escape, text_label, visible_token
from core.text.checks import counted

MassByName = Mapping[str, AttentionMass]
DEFAULT_LABELS = AttentionLabels()
MAX_NUMBERED_TILES = 150  # tiles of a heatmap that still have room for their numbers
MAX_LABELED_STEPS = 48  # steps whose tokens still fit under the bars
MAX_GAPPED_BARS = 150  # steps beyond which bars have no room for gaps
_BAR_STYLES: tuple[dict[str, object], ...] = (
    {"color": COLORS["prefix"], "line": {"width": 0}},
    {"pattern": {"shape": "/", "fgcolor": COLORS["muted"], "bgcolor": COLORS["mid"], "size": 7, "solidity": 0.2}},
    {"pattern": {"shape": ".", "fgcolor": COLORS["mid"], "bgcolor": COLORS["wash"], "size": 7, "solidity": 0.2}},
)


def mass_by_layer(masses: MassByName, weighted: bool = False, labels: AttentionLabels = DEFAULT_LABELS) -> go.Figure:
    """Stacked bars: the share of each layer's attention that went to the prefix, the input and the text written so far."""
    fig = _side_by_side(masses)
    for column, mass in enumerate(masses.values(), 1):
        layers = [str(layer + 1) for layer in mass.layers]
        _add_stacked_bars(fig, by_layer(mass, weighted=weighted), layers, column, "layer", labels)
    recipe = f"{_attention_kind(weighted)}, mean over heads and {_steps_phrase(masses)}"
    return _finish_stacked(fig, masses, f"Where each layer{_site_genitive(labels)} looked", recipe, "layer", labels)


def mass_by_step(
    masses: MassByName,
    layer: int | None = None,
    head: int | None = None,
    weighted: bool = False,
    labels: AttentionLabels = DEFAULT_LABELS,
) -> go.Figure:
    """Stacked bars: the same while each token was generated, in one layer (from 0) and head, or over all of them."""
    fig, verb = _side_by_side(masses), "written"
    for column, mass in enumerate(masses.values(), 1):
        shares, tokens = by_step(mass, layer, head, weighted), [visible_token(token) for token in mass.step_tokens]
        _add_stacked_bars(fig, shares, list(range(1, len(shares) + 1)), column, "token", labels, tokens)
        verb = "read" if mass.site == "encoder" else verb
        if 0 < len(shares) <= MAX_LABELED_STEPS // len(masses):
            fig.update_xaxes(tickangle=-60, tickvals=list(range(1, len(shares) + 1)), ticktext=tokens, row=1, col=column)
    title = f"While each token was {verb}{_site_suffix(labels)}"
    bars = _finish_stacked(
        fig, masses, title, f"{_attention_kind(weighted)}, {_scope_phrase(layer, head)}", "token, in order", labels
    )
    crowded = any(len(mass.step_tokens) > MAX_GAPPED_BARS // len(masses) for mass in masses.values())
    return bars.update_layout(bargap=0) if crowded else bars


def heads(
    masses: MassByName,
    group: int = PREFIX,
    cell: tuple[int, int] | None = None,
    weighted: bool = False,
    labels: AttentionLabels = DEFAULT_LABELS,
) -> go.Figure:
    """One tile per head: the mean mass on one group of keys. `cell`: the (layer, head), from 0, to frame."""
    fig = _side_by_side(masses, gap=0.06)
    for column, (name, mass) in enumerate(masses.items(), 1):
        shares = 100 * by_head(mass, group=group, weighted=weighted)
        rows, columns = [str(layer + 1) for layer in mass.layers], [str(head + 1) for head in range(shares.shape[1])]
        text = (
            [[f"{share:.0f}" for share in row] for row in shares.tolist()]
            if shares.numel() * len(masses) <= MAX_NUMBERED_TILES
            else None
        )
        tiles = go.Heatmap(
            z=shares.tolist(), x=columns, y=rows, text=text, texttemplate="%{text}" if text else None, coloraxis="coloraxis",
            name=escape(name), xgap=2, ygap=2, hovertemplate="layer %{y}, head %{x}: %{z:.1f} %<extra></extra>",
        )  # fmt: skip
        fig.add_trace(tiles, row=1, col=column)
        fig.update_xaxes(title_text="head", type="category", showline=False, row=1, col=column)
        fig.update_yaxes(type="category", showgrid=False, showline=False, row=1, col=column)
        if cell is not None and cell[0] < len(rows) and cell[1] < len(columns):
            _add_frame(fig, cell[1], cell[0], column)
    fig.update_yaxes(title_text="layer", row=1, col=1)
    axis = {
        "cmin": 0,
        "cmax": 100,
        "colorscale": SEQUENTIAL,
        "colorbar": {"ticksuffix": " %", "thickness": 12, "outlinewidth": 0},
    }
    recipe = f"{_attention_kind(weighted)}, mean over {_steps_phrase(masses)}"
    looked_at = {PREFIX: "the prefix", GENERATED: "the text written so far"}.get(group, labels.groups[group])
    title = f"Attention on {looked_at}, head by head{_site_suffix(labels)}"
    return apply_style(fig, title, recipe, coloraxis=axis, margin={"t": 84 if len(masses) > 1 else 62})


def ablation_map(
    mass: AttentionMass, effect: AblationEffect | None, done: int, total: int, labels: AttentionLabels = DEFAULT_LABELS
) -> go.Figure:
    """Two maps of virtual token × layer: the attention it drew, and how much its knock-out changes the next token."""
    fig = make_subplots(1, 2, horizontal_spacing=0.16, subplot_titles=["looked at: mean attention", "changes: mean KL, in nats"])
    tokens, layers = [f"P{i + 1}" for i in range(mass.virtual)], [str(layer + 1) for layer in mass.layers]
    attention = (100 * by_virtual_token(mass)).T.tolist()  # (layers, virtual)
    changed = effect.mean.T.tolist() if effect is not None else [[float("nan")] * len(tokens) for _ in layers]
    for column, (cells, unit) in enumerate(((attention, " %"), (changed, "")), 1):
        hover = f"%{{x}} in layer %{{y}}: %{{z:.3g}}{unit}<extra></extra>"
        bar = {"x": (0.42, 1.0)[column - 1], "ticksuffix": unit, "thickness": 10, "outlinewidth": 0}
        name = ("attention, %", "KL, nats")[column - 1]
        tiles = go.Heatmap(z=cells, x=tokens, y=layers, name=name, xgap=1, ygap=1, hovertemplate=hover, colorbar=bar)
        fig.add_trace(tiles, row=1, col=column)
    fig.update_xaxes(type="category", showline=False, title_text="virtual token", tickvals=tokens, ticktext=tokens)
    fig.update_yaxes(type="category", showgrid=False, showline=False)
    fig.update_yaxes(title_text="layer", col=1)
    progress = f"{done} of {total} knock-outs done; " if done < total else ""
    over = f"mean over {_steps_phrase({'': mass})}" + (", KL over the text written" if mass.site == "encoder" else "")
    recipe = f"{progress}{over}; each virtual token hidden in one layer at a time, positions unchanged"
    title = f"Attention is not influence{_site_suffix(labels)}"
    return apply_style(fig, title, recipe, margin={"t": 88})


def _side_by_side(masses: MassByName, gap: float = 0.04) -> go.Figure:
    names = [escape(name) for name in masses] if len(masses) > 1 else None
    return make_subplots(1, max(len(masses), 1), shared_yaxes=True, horizontal_spacing=gap, subplot_titles=names)


def _add_stacked_bars(
    fig: go.Figure,
    shares: Tensor,
    places: Sequence[object],
    column: int,
    unit: str,
    labels: AttentionLabels,
    tokens: Sequence[str] | None = None,
) -> None:
    """Three bars at each position, from shares (positions, 3); a group that drew no attention is left out."""
    for group, look in enumerate(_BAR_STYLES):
        heights = (100 * shares[:, group]).tolist()
        if not any(heights):
            continue
        place, name = f"{unit} %{{x}}" + (", <b>%{text}</b>" if tokens else ""), labels.groups[group]
        hover = f"{place}<br>{name}: %{{y:.1f}} %<extra></extra>"
        text = list(tokens) if tokens else None
        bar = go.Bar(x=list(places), y=heights, name=name, marker=look, text=text, textposition="none", hovertemplate=hover)
        fig.add_trace(bar, row=1, col=column)


def _finish_stacked(fig: go.Figure, masses: MassByName, title: str, recipe: str, axis: str, labels: AttentionLabels) -> go.Figure:
    fig.update_yaxes(range=[0, 100], ticksuffix=" %", dtick=25)
    fig.update_xaxes(title_text=axis)
    fig.update_layout(barmode="stack", bargap=0.12, showlegend=False)
    _name_groups(fig, len(masses), labels)
    top, right = (84 if len(masses) > 1 else 62), 118
    return apply_style(fig, title, recipe, margin={"t": top, "r": right})


def _name_groups(fig: go.Figure, columns: int, labels: AttentionLabels) -> None:
    """Name the groups at the right, at the height of their last bars."""
    bars = [bar for bar in fig.data if (bar.xaxis or "x") == ("x" if columns == 1 else f"x{columns}")]
    base, placed = 0.0, -2.0  # the first name is above the axis, clear of its labels
    for bar in bars:
        height = bar.y[-1] or 0.0
        middle = max(base + height / 2, placed + 9)  # the names of thin groups must not overlap
        color = "prefix" if bar.name == labels.groups[PREFIX] else "muted"
        fig.add_annotation(text_label(1.01, middle, bar.name, color, xref="paper", yref="y"))
        base, placed = base + height, middle


def _add_frame(fig: go.Figure, x: int, y: int, column: int) -> None:
    box = {"x0": x - 0.5, "x1": x + 0.5, "y0": y - 0.5, "y1": y + 0.5}
    fig.add_shape(type="rect", **box, line={"color": COLORS["finetuned"], "width": 3}, row=1, col=column)


def _attention_kind(weighted: bool) -> str:
    return "attention weighted by the norm of the values" if weighted else "attention"


def _site_suffix(labels: AttentionLabels) -> str:
    """The site as the end of a title."""
    return f": {labels.site_name}" if labels.site_name else ""


def _site_genitive(labels: AttentionLabels) -> str:
    return f" of {labels.site_name}" if labels.site_name else ""


def _steps_phrase(masses: MassByName) -> str:
    first = next(iter(masses.values()), None)
    if first is None or not first.step_tokens:
        return "the next word"
    steps = len(first.step_tokens)
    return f"{counted(steps, 'token')} read" if first.site == "encoder" else counted(steps, "step")


def _scope_phrase(layer: int | None, head: int | None) -> str:
    if layer is None:
        return "mean over layers and heads"
    return f"layer {layer + 1}, " + ("mean over heads" if head is None else f"head {head + 1}")
