"""The layer lens as a grid of layers × generated tokens, colored by how far prefix and frozen model differ."""

import plotly.graph_objects as go

from analysis.attention.layer_lens import LayerLens, TopTokens
from analysis.figures.style import COLORS, SEQUENTIAL, escape, figure, visible_token

COLUMN, ROW = 76, 36  # px of a token and of a layer
MAX_WORDED_STEPS = 64  # columns beyond which two words a cell no longer fit, however wide the figure is drawn
MAX_LETTERS = 9  # of a word in a cell
NEXT = "(next)"  # in place of a token that is not generated yet


def layer_lens_grid(lens: LayerLens, name: str = "the prefix", selected: tuple[int, int] | None = None) -> go.Figure:
    """Draw a grid of layers (from 1 at the top) and generated tokens. `name`: the title of the run.

    Cells have [layer, step], from 0, as customdata. Words are written into the cells if they fit; the hover text always has the
    top tokens of both models. `selected`: the (layer, step), from 0, of the framed cell.
    """
    layers, steps = lens.kl.shape
    columns, rows = list(range(1, steps + 1)), [str(layer + 1) for layer in range(layers)]
    cells = [[(layer, step) for step in range(steps)] for layer in range(layers)]
    words = [[f"{_word(lens.frozen[i][j])}<br>{_word(lens.prefix[i][j])}" for i, j in row] for row in cells]
    hover = [
        [f"frozen: {_listed(lens.frozen[i][j])}<br>{escape(name)}: {_listed(lens.prefix[i][j])}" for i, j in row] for row in cells
    ]
    heat = go.Heatmap(
        z=lens.kl.tolist(),
        x=columns,
        y=rows,
        text=words,
        texttemplate="%{text}" if steps <= MAX_WORDED_STEPS else None,
        textfont={"size": 12},
        hovertext=hover,
        customdata=[[list(cell) for cell in row] for row in cells],
        hovertemplate="after layer %{y}: KL %{z:.3g} nats<br>%{hovertext}<extra></extra>",
        colorscale=SEQUENTIAL,
        colorbar=_color_bar(layers),
        xgap=1,
        ygap=1,
        name="KL(prefix || frozen), nats",
    )
    frame = {"type": "rect", "line": {"color": COLORS["finetuned"], "width": 4}}
    marks = []
    if selected:
        row, column = selected
        marks = [frame | dict(x0=column + 0.5, x1=column + 1.5, y0=row - 0.5, y1=row + 0.5)]
    tokens = [visible_token(token) if token else NEXT for token in lens.tokens]
    width, height = size(layers, steps)
    return figure(
        [heat],
        f"Where {escape(name)} takes hold",
        "logit lens: the frozen model's word above, the prefix's below; last row: the models' own next token",
        xaxis={
            "title": {"text": "generated token"},
            "tickvals": columns,
            "ticktext": tokens,
            "tickangle": -60,
            "showgrid": False,
        },
        shapes=marks,
        margin={"t": 110},
        width=width,
        height=height,
        yaxis={"title": {"text": "layer"}, "type": "category", "autorange": "reversed", "showgrid": False},
    )


def size(layers: int, steps: int) -> tuple[int, int]:
    """Return the least width and the height, in px, at which the words of all cells can be read."""
    return 120 + COLUMN * steps, 246 + ROW * layers


def _color_bar(layers: int) -> dict[str, object]:
    """Place the color bar at the left above the grid, where it is in sight however wide the grid is.

    Its labels name quantity and unit: a title would need room. Its middle is anchored, since plotly moves the figure's title
    for a horizontal bar whose lower end is.
    """
    return {
        **{"orientation": "h", "x": 0, "xanchor": "left", "y": 1 + 22 / (ROW * layers + 30), "yanchor": "middle", "ypad": 0},
        **{"thickness": 10, "len": 220, "lenmode": "pixels", "outlinewidth": 0},
        **{"tickprefix": "KL ", "showtickprefix": "first", "ticksuffix": " nats", "showticksuffix": "last"},
    }


def _word(top: TopTokens) -> str:
    word = top[0][0]
    return visible_token(word if len(word) <= MAX_LETTERS else word[: MAX_LETTERS - 1] + "…")


def _listed(top: TopTokens) -> str:
    return ", ".join(f"{visible_token(word)} {100 * share:.0f} %" for word, share in top)
