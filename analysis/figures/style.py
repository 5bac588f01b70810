"""The style of figures, light and dark, and their export as stand-alone HTML and CSV.

`figure` makes every figure in light colors. `dark` converts one for a dark page; the app's plot widget does the same in
the browser from the same table (`PALETTE`), so that a change of theme needs no new figure. A trace takes its colors from
`COLORS` and differs from others without hue, too: by pattern, dash, symbol or label.
"""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.basedatatypes import BaseTraceType
from plotly.io import to_html

# Okabe–Ito colors for the methods, then the colors of the page (app/shared/app.css): name -> (light, dark).
PALETTE = {
    "prefix": ("#0072b2", "#6cbcf0"),
    "finetuned": ("#d55e00", "#ff9d57"),
    "base": ("#666666", "#b4bac1"),
    "green": ("#009e73", "#4fd0a8"),
    "purple": ("#aa4499", "#e39bc9"),
    "prefix-wash": ("#e3f0f8", "#15344a"),
    "finetuned-wash": ("#fcebdf", "#45280f"),
    "base-wash": ("#efefef", "#2b3036"),
    "mid": ("#c6cacf", "#565e67"),
    "sheet": ("#ffffff", "#1c2024"),
    "wash": ("#efeeea", "#262b30"),
    "line": ("#dedbd4", "#363c43"),
    "ink": ("#1a1e23", "#eef0f2"),
    "muted": ("#5b636c", "#a4acb5"),
}
COLORS = {name: light for name, (light, _) in PALETTE.items()}
DARK = dict(PALETTE.values())
SEQUENTIAL = "Cividis"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
SIZE, LARGE = 14, 20  # font size in px: on a desk, and in the presenter's view
CONFIG: dict[str, object] = {
    "displaylogo": False,
    "responsive": True,
    # An explicit list: the standard bar offers an upload to another machine.
    "modeBarButtons": [["zoom2d", "pan2d", "select2d", "lasso2d", "resetScale2d"]],
    "displayModeBar": False,
}


@cache
def template(theme: str = "light", size: int = SIZE) -> go.layout.Template:
    """Fonts, paper, axes and margins. `theme`: light or dark."""
    ink = {name: pair[theme == "dark"] for name, pair in PALETTE.items()}
    axis = {
        "gridcolor": ink["line"],
        "linecolor": ink["line"],
        "zerolinecolor": ink["line"],
        "zerolinewidth": 1,
        "tickcolor": ink["line"],
        "automargin": True,
        "title": {"standoff": 8, "font": {"color": ink["muted"], "size": size}},
    }
    bar = {"outlinewidth": 0, "thickness": 12, "tickcolor": ink["line"], "title": {"side": "right"}}
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": size, "color": ink["ink"]},
            "title": {
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "yref": "container",
                "y": 1,
                "yanchor": "top",
                "pad": {"t": 10},
                "font": {"size": size + 2},
                "subtitle": {"font": {"size": size - 1, "color": ink["muted"]}},
            },
            "paper_bgcolor": ink["sheet"],
            "plot_bgcolor": ink["sheet"],
            "colorway": [ink[name] for name in ("prefix", "finetuned", "base", "green", "purple")],
            "colorscale": {"sequential": SEQUENTIAL},
            "margin": {"l": 12, "r": 16, "t": 60, "b": 12},
            "xaxis": axis | {"showgrid": False},
            "yaxis": axis,
            "coloraxis": {"colorbar": bar},
            "hoverlabel": {"bgcolor": ink["sheet"], "bordercolor": ink["muted"], "font": {"color": ink["ink"], "size": size}},
            "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom", "font": {"size": size}},
            "bargap": 0.25,
            "hovermode": "closest",
        },
        data={"heatmap": [{"colorbar": bar, "colorscale": SEQUENTIAL}]},
    )


def figure(traces: Iterable[BaseTraceType], title: str, recipe: str = "", **layout: object) -> go.Figure:
    """Make a figure in the app's style. `title` says what it shows, `recipe` how it was computed (n, seed, parameters).

    Both are Plotly markup (`<br>` breaks a line): pass text of models and users through `escape` first.
    """
    return apply_style(go.Figure(list(traces)), title, recipe, **layout)


def apply_style(fig: go.Figure, title: str, recipe: str, **layout: object) -> go.Figure:
    """Apply the app's style to an existing figure, such as subplots; see `figure`."""
    return fig.update_layout(template=template(), title={"text": title, "subtitle": {"text": recipe or None}}, **layout)


def escape(text: str) -> str:
    """Escape text for places where Plotly reads markup (titles, labels, hover)."""
    return html.escape(text, quote=False)


def visible_token(token: str) -> str:
    """A token in visible form: spaces and line breaks as symbols, markup escaped."""
    if re.fullmatch(r"<\|.+\|>|</?s>", token.strip()):  # the model's end-of-text token
        return "∎"
    blank = token.replace("\n", "↵")
    return escape(blank.strip() or blank.replace(" ", "␣")) or "∅"


def text_label(x: object, y: object, text: str, color: str, **more: object) -> dict[str, object]:
    """An annotation that names a line or an area directly, in place of a legend. `color`: a name of the palette."""
    return {"x": x, "y": y, "text": text, "showarrow": False, "xanchor": "left", "font": {"color": COLORS[color]}} | more


def dark(light: go.Figure) -> go.Figure:
    """The same figure in dark colors."""
    bare = light.to_plotly_json()
    bare["layout"].pop("template", None)
    result = go.Figure(_recolor(bare))
    return result.update_layout(template=template("dark"))


def _recolor(part: object) -> object:
    if isinstance(part, dict):
        return {name: _recolor(value) for name, value in part.items()}
    if isinstance(part, list | tuple):
        return [_recolor(value) for value in part]
    return DARK.get(part.lower(), part) if isinstance(part, str) else part


def save(what: go.Figure, path: Path | str) -> None:
    """Save a figure by file extension: .html (stand-alone, works offline) or .csv (its numbers)."""
    path = Path(path)
    if path.suffix == ".csv":
        path.write_text(csv_text(what), encoding="utf-8-sig", newline="")  # as spreadsheets read it
    else:
        path.write_text(to_html(what, config=CONFIG | {"displayModeBar": True}, include_plotlyjs=True), encoding="utf-8")


def csv_text(what: go.Figure) -> str:
    """The numbers of a figure as CSV, one row per point or cell; columns are named after the axes. Where there are several
    vertical axes, the name of a series says which is its own."""
    traces = [trace for trace in what.data if trace.visible is not False and trace.meta != "decoration"]
    first = _axis(what, "y")  # also that of a panel beside it, whose axis has no title
    axes = [_axis(what, trace.yaxis or "y") if "yaxis" in trace else "" for trace in traces]
    axes = [first if axis == "y" else axis for axis in axes]
    several = len(set(axes)) > 1
    rows = []
    for trace, axis in zip(traces, axes, strict=True):
        name = plain_text(trace.name)
        labels = _tick_labels(what, trace.xaxis or "x") if "xaxis" in trace else {}
        rows += [[f"{name} ({axis})" if several else name, labels.get(str(x), x), *row] for x, *row in _rows(trace)]
    columns = ["series", _axis(what, "x"), "y" if several else first, "value", "error bar", "text"]
    table = pd.DataFrame(rows, columns=columns, dtype=object)
    empty = [name for name in ("value", "error bar", "text") if (table[name] == "").all()]
    return table.drop(columns=empty).to_csv(index=False, lineterminator="\n")


def _axis(what: go.Figure, name: str) -> str:
    """The title of an axis, "x" or "y2"; without one, its letter and the unit of its numbers."""
    axis = what.layout[f"{name[0]}axis{name[1:]}"]
    return plain_text(axis.title.text) or ", ".join(filter(None, [name[0], (axis.ticksuffix or "").strip()]))


def _tick_labels(what: go.Figure, name: str) -> dict[str, str]:
    """The values of an axis that are drawn as other texts, such as tokens: for each, value and text."""
    axis = what.layout[f"{name[0]}axis{name[1:]}"]
    pairs = zip(axis.tickvals or (), axis.ticktext or (), strict=False)
    return {str(value): f"{value} {plain_text(text)}" for value, text in pairs if value != text}


def _errors(trace: BaseTraceType, count: int) -> Sequence[object]:
    """The half lengths of a trace's vertical error bars, "" where it has none."""
    bars = trace.error_y.array if "error_y" in trace else None
    return [""] * count if bars is None else list(bars)


def plain_text(text: object) -> str:
    """Return a label of a figure without the markup that plotly reads in it."""
    plain = str(text or "")
    if "<" not in plain and "&" not in plain:
        return plain
    return plain.replace("<br>", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _rows(trace: BaseTraceType) -> Iterator[list[object]]:
    if trace.type == "heatmap":
        cells = np.asarray(trace.z, dtype=object)
        columns, rows = _values(trace.x, cells.shape[1]), _values(trace.y, cells.shape[0])
        texts = np.asarray(trace.text, dtype=object) if trace.text is not None else np.full(cells.shape, "")
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                words = plain_text(str(texts[i, j]).replace("<br>", " | "))  # of several models
                yield [plain_text(column), plain_text(row), cells[i, j], "", words]
        return
    length = max((len(part) for part in (trace.x, trace.y) if part is not None), default=0)
    texts = trace.text if trace.hovertext is None else trace.hovertext  # the latter where not every text is drawn
    noted = texts if isinstance(texts, list | tuple | np.ndarray) else [texts or ""] * length
    for x, y, error, text in zip(_values(trace.x, length), _values(trace.y, length), _errors(trace, length), noted, strict=False):
        yield [
            plain_text(x) if isinstance(x, str) else x,
            plain_text(y) if isinstance(y, str) else y,
            "",
            error,
            plain_text(text),
        ]


def _values(values: Sequence[object] | None, count: int) -> Sequence[object]:
    return list(range(count)) if values is None else list(values)
