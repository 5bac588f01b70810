"""Pictures of attention: who drew how much, in which layer and head, at which step; and what a knock-out changes.

Each takes what analysis/attention/maps.py and analysis/attention/ablation.py computed, for one run or for several side by side as
{name: mass}, and `named`: what the groups of keys and the site are called. Layers and heads are numbered from 1 here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots
from torch import Tensor

from analysis.attention.ablation import Influence
from analysis.attention.maps import PREFIX, AttentionMass, Names, by_head, by_layer, by_step, by_virtual
from analysis.figures.style import COLOURS, SEQUENTIAL, finish, label, plain, shown

Masses = Mapping[str, AttentionMass]
PLAIN = Names()
TILES = 150  # tiles of a heatmap that still have room for their numbers
WORDS = 48  # steps whose tokens still fit under the bars
CROWD = 150  # steps beyond which bars have no room for gaps
_BARS: tuple[dict[str, Any], ...] = (
    {"color": COLOURS["prefix"], "line": {"width": 0}},
    {"pattern": {"shape": "/", "fgcolor": COLOURS["muted"], "bgcolor": COLOURS["mid"], "size": 7, "solidity": 0.2}},
    {"pattern": {"shape": ".", "fgcolor": COLOURS["mid"], "bgcolor": COLOURS["wash"], "size": 7, "solidity": 0.2}},
)


def mass_by_layer(masses: Masses, weighted: bool = False, named: Names = PLAIN) -> go.Figure:
    """Stacked bars: the share of each layer's attention that went to the prefix, the input and the text written so far."""
    made = _side_by_side(masses)
    for column, mass in enumerate(masses.values(), 1):
        layers = [str(layer + 1) for layer in mass.layers]
        _stack(made, by_layer(mass, weighted=weighted), layers, column, "layer", named)
    recipe = f"{_kind(weighted)}, mean over heads and {_steps(masses)}"
    return _stacked(made, masses, f"Where each layer{_of(named)} looked", recipe, "layer", named)


def mass_by_step(
    masses: Masses, layer: int | None = None, head: int | None = None, weighted: bool = False, named: Names = PLAIN
) -> go.Figure:
    """Stacked bars: the same while each token was written, in one layer (from 0) and head, or over all of them."""
    made, did = _side_by_side(masses), "written"
    for column, mass in enumerate(masses.values(), 1):
        found, tokens = by_step(mass, layer, head, weighted), [shown(token) for token in mass.stepped]
        _stack(made, found, list(range(1, len(found) + 1)), column, "token", named, tokens)
        did = "read" if mass.site == "encoder" else did
        if 0 < len(found) <= WORDS // len(masses):
            made.update_xaxes(tickangle=-60, tickvals=list(range(1, len(found) + 1)), ticktext=tokens, row=1, col=column)
    title = f"While each token was {did}{_in(named)}"
    drawn = _stacked(made, masses, title, f"{_kind(weighted)}, {_place(layer, head)}", "token, in order", named)
    crowded = any(len(mass.stepped) > CROWD // len(masses) for mass in masses.values())
    return drawn.update_layout(bargap=0) if crowded else drawn


def heads(
    masses: Masses,
    group: int = PREFIX,
    chosen: tuple[int, int] | None = None,
    weighted: bool = False,
    named: Names = PLAIN,
) -> go.Figure:
    """One tile a head: the mean mass on one group of keys. `chosen`: (layer, head) from 0, drawn with a frame."""
    made = _side_by_side(masses, gap=0.06)
    for column, (name, mass) in enumerate(masses.items(), 1):
        found = 100 * by_head(mass, group=group, weighted=weighted)
        rows, columns = [str(layer + 1) for layer in mass.layers], [str(head + 1) for head in range(found.shape[1])]
        text = [[f"{share:.0f}" for share in row] for row in found.tolist()] if found.numel() * len(masses) <= TILES else None
        tiles = go.Heatmap(
            z=found.tolist(), x=columns, y=rows, text=text, texttemplate="%{text}" if text else None, coloraxis="coloraxis",
            name=plain(name), xgap=2, ygap=2, hovertemplate="layer %{y}, head %{x}: %{z:.1f} %<extra></extra>",
        )  # fmt: skip
        made.add_trace(tiles, row=1, col=column)
        made.update_xaxes(title_text="head", type="category", showline=False, row=1, col=column)
        made.update_yaxes(type="category", showgrid=False, showline=False, row=1, col=column)
        if chosen is not None and chosen[0] < len(rows) and chosen[1] < len(columns):
            _frame(made, chosen[1], chosen[0], column)
    made.update_yaxes(title_text="layer", row=1, col=1)
    axis = {
        "cmin": 0,
        "cmax": 100,
        "colorscale": SEQUENTIAL,
        "colorbar": {"ticksuffix": " %", "thickness": 12, "outlinewidth": 0},
    }
    recipe = f"{_kind(weighted)}, mean over {_steps(masses)}; click a tile for its head"
    title = f"Attention on {'the prefix' if group == PREFIX else named.groups[group]}, head by head{_in(named)}"
    return finish(made, title, recipe, coloraxis=axis, margin={"t": 84 if len(masses) > 1 else 62})


def influence_map(mass: AttentionMass, found: Influence | None, done: int = 0, total: int = 0, named: Names = PLAIN) -> go.Figure:
    """Two maps of virtual token x layer: the attention each drew, and how much its knock-out changes the next word."""
    made = make_subplots(1, 2, horizontal_spacing=0.16, subplot_titles=["looked at: mean attention", "changes: mean KL, in nats"])
    tokens, layers = [f"P{i + 1}" for i in range(mass.virtual)], [str(layer + 1) for layer in mass.layers]
    looked = (100 * by_virtual(mass)).T.tolist()  # (layers, virtual)
    changed = found.mean.T.tolist() if found is not None else [[float("nan")] * len(tokens) for _ in layers]
    for column, (cells, unit) in enumerate(((looked, " %"), (changed, "")), 1):
        hover = f"%{{x}} in layer %{{y}}: %{{z:.3g}}{unit}<extra></extra>"
        bar = {"x": (0.42, 1.0)[column - 1], "ticksuffix": unit, "thickness": 10, "outlinewidth": 0}
        name = ("attention, %", "KL, nats")[column - 1]
        tiles = go.Heatmap(z=cells, x=tokens, y=layers, name=name, xgap=1, ygap=1, hovertemplate=hover, colorbar=bar)
        made.add_trace(tiles, row=1, col=column)
    made.update_xaxes(type="category", showline=False, title_text="virtual token")
    made.update_yaxes(type="category", showgrid=False, showline=False, title_text="layer")
    going = f"{done} of {total} knock-outs done; " if done < total else ""
    over = f"mean over {_steps({'': mass})}" + (", KL over the text written" if mass.site == "encoder" else "")
    recipe = f"{going}{over}; each virtual token hidden in one layer at a time, positions unchanged"
    title = f"Looked at, and what it changes, are not the same{_in(named)}"
    return finish(made, title, recipe, margin={"t": 88})


def _side_by_side(masses: Masses, gap: float = 0.04) -> go.Figure:
    names = [plain(name) for name in masses] if len(masses) > 1 else None
    return make_subplots(1, max(len(masses), 1), shared_yaxes=True, horizontal_spacing=gap, subplot_titles=names)


def _stack(
    made: go.Figure,
    shares: Tensor,
    places: Sequence[Any],
    column: int,
    unit: str,
    named: Names,
    tokens: Sequence[str] | None = None,
) -> None:
    """Three bars on each place, from shares (places, 3); a group that drew nothing at all is left out."""
    for group, look in enumerate(_BARS):
        drawn = (100 * shares[:, group]).tolist()
        if not any(drawn):
            continue
        place, name = f"{unit} %{{x}}" + (", <b>%{text}</b>" if tokens else ""), named.groups[group]
        hover = f"{place}<br>{name}: %{{y:.1f}} %<extra></extra>"
        text = list(tokens) if tokens else None
        bar = go.Bar(x=list(places), y=drawn, name=name, marker=look, text=text, textposition="none", hovertemplate=hover)
        made.add_trace(bar, row=1, col=column)


def _stacked(made: go.Figure, masses: Masses, title: str, recipe: str, axis: str, named: Names) -> go.Figure:
    made.update_yaxes(range=[0, 100], ticksuffix=" %", dtick=25)
    made.update_xaxes(title_text=axis)
    made.update_layout(barmode="stack", bargap=0.12, showlegend=False)
    _name_groups(made, len(masses), named)
    top, right = (84 if len(masses) > 1 else 62), 118
    return finish(made, title, recipe, margin={"t": top, "r": right})


def _name_groups(made: go.Figure, columns: int, named: Names) -> None:
    """The groups by name, at the right, where the last bar of each stands."""
    bars = [bar for bar in made.data if (bar.xaxis or "x") == ("x" if columns == 1 else f"x{columns}")]
    base, placed = 0.0, -100.0
    for bar in bars:
        height = bar.y[-1] or 0.0
        middle = max(base + height / 2, placed + 9)  # names of thin groups must not lie on each other
        colour = "prefix" if bar.name == named.groups[PREFIX] else "muted"
        made.add_annotation(label(1.01, middle, bar.name, colour, xref="paper", yref="y"))
        base, placed = base + height, middle


def _frame(made: go.Figure, x: int, y: int, column: int) -> None:
    box = {"x0": x - 0.5, "x1": x + 0.5, "y0": y - 0.5, "y1": y + 0.5}
    made.add_shape(type="rect", **box, line={"color": COLOURS["finetuned"], "width": 3}, row=1, col=column)


def _kind(weighted: bool) -> str:
    return "attention weighted by the norm of the values" if weighted else "attention"


def _in(named: Names) -> str:
    """The site at the end of a title."""
    return f": {named.where}" if named.where else ""


def _of(named: Names) -> str:
    return f" of {named.where}" if named.where else ""


def _steps(masses: Masses) -> str:
    first = next(iter(masses.values()), None)
    if first is None or not first.stepped:
        return "the next word"
    return f"{len(first.stepped)} tokens read" if first.site == "encoder" else f"{len(first.stepped)} steps"


def _place(layer: int | None, head: int | None) -> str:
    if layer is None:
        return "mean over layers and heads"
    return f"layer {layer + 1}, " + ("mean over heads" if head is None else f"head {head + 1}")
