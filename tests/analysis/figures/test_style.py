"""How figures look and leave: two themes, CSV, and a page that opens with the network off."""

import csv
import io

import plotly.graph_objects as go

from analysis.figures import style


def a_figure() -> go.Figure:
    cells = go.Heatmap(z=[[1.0, None], [3.0, 4.5]], x=["1", "2"], y=["low", style.escape("<b>high</b>")], name="tiles")
    line = go.Scatter(x=[1, 2], y=[3.0, 4.0], text=["one", "two"], name="line", line={"color": style.COLORS["prefix"]})
    return style.figure([cells, line], "A title", "n=2", xaxis_title="layer", yaxis_title="KL,<br>nats")


def test_csv_holds_every_number_once_and_no_markup():
    rows = list(csv.reader(io.StringIO(style.csv_text(a_figure()))))
    assert rows[0] == ["series", "layer", "KL, nats", "value", "text"]
    assert rows[1:5] == [["tiles", "1", "low", "1.0", ""], ["tiles", "2", "low", "", ""],
                         ["tiles", "1", "<b>high</b>", "3.0", ""], ["tiles", "2", "<b>high</b>", "4.5", ""]]  # fmt: skip
    assert rows[5:] == [["line", "1", "3.0", "", "one"], ["line", "2", "4.0", "", "two"]]


def test_dark_changes_colours_and_no_number():
    light = a_figure()
    dark = style.dark(light)
    assert dark.data[1].line.color == style.PALETTE["prefix"][1] and light.data[1].line.color == style.PALETTE["prefix"][0]
    assert dark.layout.template.layout.paper_bgcolor == style.PALETTE["sheet"][1]
    assert style.csv_text(dark) == style.csv_text(light)


def test_a_saved_page_holds_plotly_itself_and_offers_no_upload(tmp_path):
    style.save(a_figure(), tmp_path / "figure.html")
    style.save(a_figure(), tmp_path / "figure.csv")
    page = (tmp_path / "figure.html").read_text(encoding="utf-8")
    assert len(page) > 3_000_000 and "<script src=" not in page
    assert '"modeBarButtons"' in page and "ToCloud" not in page[page.rindex("Plotly.newPlot") :]
    assert (tmp_path / "figure.csv").read_bytes() == ("\ufeff" + style.csv_text(a_figure())).encode()  # as spreadsheets read it


def test_tokens_are_seen_and_never_read_as_markup():
    assert [style.visible_token(token) for token in (" ", "\n", " pub", "<b>", "<|endoftext|>", "")] == [
        "␣",
        "↵",
        "pub",
        "&lt;b&gt;",
        "∎",
        "∅",
    ]
