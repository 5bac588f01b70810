"""The grid shows the lens's numbers and words, safe as markup."""

import torch

from analysis.attention.layer_lens import LayerLens
from analysis.figures.layer_lens import MAX_WORDED_STEPS, NEXT, layer_lens_grid
from analysis.figures.style import csv_text


def lens(steps):
    ours = tuple(tuple(((f" <b{layer}{step}", 0.75), ("x", 0.2)) for step in range(steps)) for layer in range(2))
    theirs = tuple(tuple(((" extraordinarily", 0.5), ("\n", 0.1)) for _ in range(steps)) for _ in range(2))
    kl = torch.arange(2.0 * steps).view(2, steps)
    return LayerLens(kl, ours, theirs, (*(" word" for _ in range(steps - 1)), ""))


def test_cells_hold_divergence_words_and_what_a_click_asks_for():
    fig = layer_lens_grid(lens(3), "a<b")
    (heat,) = fig.data
    assert heat.z[1][2] == 5.0 and list(heat.y) == ["1", "2"] and fig.layout.yaxis.autorange == "reversed"
    assert heat.text[1][2] == "extraor…<br>&lt;b12" and heat.customdata[1][2] == [1, 2]
    assert heat.hovertext[0][1] == "frozen: extraordinarily 50 %, ↵ 10 %<br>a&lt;b: &lt;b01 75 %, x 20 %"
    assert list(fig.layout.xaxis.ticktext) == ["word", "word", NEXT] and "a&lt;b" in fig.layout.title.text
    assert ",3 (next),2,5.0," in csv_text(fig)


def test_a_long_text_leaves_its_words_to_the_hover():
    assert layer_lens_grid(lens(MAX_WORDED_STEPS)).data[0].texttemplate
    assert layer_lens_grid(lens(MAX_WORDED_STEPS + 1)).data[0].texttemplate is None
