"""The plot widget: a plotly figure in the page that keeps its zoom, follows light and dark, and can be saved.

    from app.shared import plot_widget

    chart = plot_widget.plot("pl-mass", height=320)                # a gr.HTML; call inside gr.Blocks
    handler returns {chart: plot_widget.value(figure, "mass")}     # figure: from analysis/figures; "mass" names saved files
    handler returns {chart: plot_widget.NOTHING}                   # takes the picture away
    chart.click(fn, …)                                       # also chart.hover and chart.lasso

A handler of an event takes `event: gr.EventData`; `event.points` is a list of {"curve", "index", "x", "y", "data"}: the
trace's number, the point's number in it (heatmap cells: [row, column]), its place, and its customdata. A lasso that is
let go of (double click) gives an empty list. Lasso needs `dragmode="lasso"` in the figure's layout, or `bar=True` here.

In the page, the widget's element dispatches "plot:click", "plot:hover", "plot:unhover" and "plot:lasso" (bubbling, the same
`points` in `event.detail`), and `PrefixLab.plots.mark(id, curve, indices)` marks points of a trace (null: none).
`PrefixLab.plots.point(id, data)` shows the point with that customdata as if the pointer were on it (null: none),
`unselect(id)` takes a lasso back, and `give(name, blob)` or `giveText(name, text, type)` hands the person a
file.
`PrefixLab.plots.get(id)` is plotly's own node once it is drawn. plotly.js comes with the plotly package, is fetched from
this machine, and only when the first figure is shown. All four exports are made in the page.
"""

import json
from pathlib import Path

import gradio as gr
import plotly
import plotly.graph_objects as go
from plotly.io.json import to_json_plotly

from analysis.figures import style
from analysis.figures.alt_text import alt_text
from app.shared.html import area, tag, text
from core.runs.layout import JsonObject

NOTHING = ""
SCRIPT = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
FORMS = [
    ("png", "PNG, 2×"),
    ("svg", "SVG"),
    ("html", "HTML, works offline"),
    ("csv", "CSV, the numbers"),
    ("handout", "Handout of this page"),
]


def plot(elem_id: str, height: int = 320, bar: bool = False, name: str = "Figure", hint: str = "") -> gr.HTML:
    """An empty figure of so many pixels' height. `bar`: plotly's buttons for zoom and lasso are shown.

    `hint` says below the figure what a click does; a saved figure, where it does nothing, is without it.
    Screen readers read `name`, and what the figure shows in words (analysis/figures/alt_text.py).
    """
    gr.set_static_paths(SCRIPT)
    forms = "".join(tag("button", label, type="button", data_save=form, role="menuitem") for form, label in FORMS)
    menu = tag("details", tag("summary", "Save", title="Save this figure") + tag("div", forms, role="menu"), cls="pl-save")
    role = "figure" if bar else "img"  # an image has no buttons
    box = tag("div", "", cls="pl-plot", style=f"height:{height}px", role=role, aria_label=text(name))
    return area(
        NOTHING,
        html_template=box + menu + (tag("p", text(hint), cls="meta pl-hint") if hint else ""),
        js_on_load=f"PrefixLab.plots.make(element, props, trigger, watch, '{elem_id}', {json.dumps(bar)})"
        " /* 'click' 'hover' 'lasso' */",
        elem_id=elem_id,
        elem_classes="pl-figure",
    )


def value(figure: go.Figure, name: str) -> str:
    """A figure as the widget's value: a string, so that the page need not watch each number."""
    bare: JsonObject = figure.to_plotly_json()
    layout = {key: part for key, part in bare["layout"].items() if key != "template"}
    layout.setdefault("uirevision", name)
    texts = {"name": name, "csv": style.csv_text(figure), "alt": alt_text(figure)}
    return to_json_plotly({"data": bare["data"], "layout": layout, **texts})


def head() -> str:
    """The script with the templates of figures, for the page's head, before app/shared/figure_layout.js and plots.js."""
    kinds = {"light": ("light", style.SIZE), "dark": ("dark", style.SIZE)}
    kinds |= {"light-large": ("light", style.LARGE), "dark-large": ("dark", style.LARGE)}
    templates = {name: style.template(theme, size).to_plotly_json() for name, (theme, size) in kinds.items()}
    look = {
        "templates": templates,
        "dark": style.DARK,
        "config": style.CONFIG,
        "growth": style.LARGE / style.SIZE,
        "script": f"gradio_api/file={SCRIPT.as_posix()}",
    }
    json_text = to_json_plotly(look).replace("</", "<\\/")
    return f"<script>\nwindow.PrefixLabPlots = {json_text};</script>"
