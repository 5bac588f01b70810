"""What a screen reader reads of a figure."""

import plotly.graph_objects as go

from analysis.figures.alt_text import alt_text


def test_a_curve_says_where_it_begins_and_ends():
    curve = go.Scatter(x=[10, 20, 30, 40], y=[3.5, 1.25, 2.0, None], mode="lines", name="validation &lt;b&gt;")
    text = alt_text(go.Figure(curve).update_layout(title="Loss", xaxis_title="Update", yaxis_title="nats"))
    assert text == ("Loss. Across: Update; Up: nats. validation <b>: from 3.5 at 10 to 2 at 30, lowest 1.25, highest 3.5.")


def test_a_heatmap_names_its_highest_cell():
    text = alt_text(go.Figure(go.Heatmap(z=[[0.1, None], [0.2, 0.9]], x=["H1", "H2"], y=["L1", "L2"])))
    assert text == "2 rows by 2 columns, from 0.1 to 0.9, the highest at H2, L2."


def test_bars_points_and_decoration():
    traces = [
        go.Bar(x=[5, 9], y=["prefix", "source"], orientation="h", name="mass"),
        go.Scatter(x=[1, 2], y=[0.5, -1], mode="markers", name="words"),
        go.Scatter(x=[0], y=[0], meta="decoration"),
    ]
    assert alt_text(go.Figure(traces)) == "mass: source 9, prefix 5. words: 2 points, from -1 to 0.5 upwards."


def test_many_traces_are_counted():
    assert alt_text(go.Figure([go.Scatter(x=[0], y=[number]) for number in range(15)])).endswith("And 3 more.")


def test_an_empty_figure_has_no_text_but_does_not_fail():
    assert alt_text(go.Figure(go.Heatmap(z=[]))) == ""


def test_counts_are_read_out_as_numbers_not_as_powers():
    figure = go.Figure(go.Scatter(x=[46_080.0, 13_989_888.0], y=[52.0, 68.66], mode="lines"))
    assert "from 52 at 46,080 to 68.7 at 13,989,888" in alt_text(figure)
