"""HTML of two sections of the Attention tab: layer by layer, and the prefix set aside."""

from torch import Tensor

from analysis.attention.layer_lens import CAVEAT, LayerLens
from analysis.attention.maps import SITES
from analysis.figures.layer_lens import size
from analysis.figures.style import LARGE, SIZE, visible_token
from app.compare.comparison import Column
from app.compare.panels import bars
from app.shared.html import tag, text

FIRST_LAYER_SAME = 1e-4  # a difference of weights that is rounding
NO_PREFIX = "Here the frozen model is compared with itself: choose the text of a prefix."


def grid_head(lens: LayerLens, title: str, prefix: str = "the prefix") -> str:
    """Describe where the sentence turns, what a cell shows, and the caveat. Its style makes the grid as wide as its words
    need, and as high, in presenter's view by its larger type."""
    width, height = size(*lens.kl.shape)
    high = "".join(
        f"body{view} #pl-look-lens .pl-plot {{ min-height: {round(scale * height)}px; }}"
        for view, scale in (("", 1), (".present", LARGE / SIZE))
    )
    style = f"<style>#pl-look-lens .pl-plot {{ min-width: {width}px; }}{high}</style>"
    lead = (
        "Each cell is what the model would say if it stopped at that layer: the frozen model’s word above, the word with "
        f"{text(title)} below; the color is how far the two differ. A click or the arrow keys choose a cell."
    )
    return (
        style
        + tag("h3", "Layer by layer")
        + tag("p", text(lens.describe(prefix)), cls="pl-sentence")
        + tag("p", f"{lead} {tag('b', 'Read with care.')} {text(CAVEAT)}", cls="meta")
    )


def cell(lens: LayerLens, layer: int, step: int, title: str, kind: str) -> str:
    """Show both models' likeliest next words after a layer, counted from 0."""
    token, last = visible_token(lens.tokens[step]), layer == len(lens.kl) - 1
    where = "after the last layer, where both models decide" if last else f"if they stopped after layer {layer + 1}"
    head = tag("h3", f"Before “{token}”, {where}") + tag("p", f"KL {float(lens.kl[layer, step]):.2g} nats", cls="lead")
    sides = [("base", lens.frozen[layer][step], "frozen"), (kind, lens.prefix[layer][step], title)]
    cells = [bars(Column(column, words=list(words)), name) for column, words, name in sides]
    return tag("section", tag("header", head) + tag("div", "".join(cells), cls="three"), cls="pl-panel words")


def set_aside(differences: Tensor, site: str, prefix: str = "the prefix") -> str:
    """Show how far the prefix moves attention among content tokens, by layer."""
    values = differences.tolist()
    first, most = values[0], max(range(len(values)), key=values.__getitem__)
    where = f" of {SITES[site]}" if site != "decoder" else ""
    if first <= FIRST_LAYER_SAME:
        sentence = (
            f"With {prefix} set aside, and its share of attention given back to the text, the first layer{where} attends as it "
            f"does without it: no weight differs by more than {_small(first)}. "
        )
    else:
        before = ": the encoder, whose states it reads, and the decoder’s self-attention before it have prefixes of their own"
        cause = before if site == "cross" else ""
        sentence = f"With {prefix} set aside, weights of the first layer{where} differ by up to {first:.2g}{cause}. "
    if most:
        sentence += f"The largest difference, {values[most]:.2f}, is in layer {most + 1}. "
    why = (
        "A prefix adds keys to a softmax and leaves the text’s own logits as they are (Petrov et al. 2024, §3). What these "
        "logits are computed from has been changed by the other two prefixes, already in the first layer."
        if site == "cross"
        else "A prefix adds keys to a softmax and leaves the text’s own logits as they are. So where the text’s states do not "
        "depend on it yet, it cannot change how tokens of the text attend to each other (Petrov et al. 2024, §3). Later layers "
        "read states that it has changed."
    )
    rows = "".join(_row(layer, value) for layer, value in enumerate(values))
    about = tag(
        "p", "Largest difference of an attention weight between the two maps, over all heads, queries and keys", cls="meta"
    )
    return (
        tag("h3", "The prefix set aside")
        + tag("p", text(sentence), cls="pl-sentence")
        + tag("ol", rows, cls="pl-aside")
        + about
        + tag("p", text(why), cls="meta")
    )


def _small(value: float) -> str:
    """Format a number near 0: 6e-08 as 6 × 10⁻⁸."""
    digits, _, exponent = f"{value:.0e}".partition("e")
    signs = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return f"{digits} × 10{str(int(exponent)).translate(signs)}" if value else "0"


def _row(layer: int, value: float) -> str:
    bar = tag("span", tag("i", "", style=f"width:{100 * min(1, value):.1f}%"), cls="bar")
    return tag("li", tag("b", f"L{layer + 1}") + bar + tag("em", f"{value:.2f}" if value >= 0.005 else _small(value)))
