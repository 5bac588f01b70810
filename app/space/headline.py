"""The map of the Prefix space tab in a few sentences: what to look at, and how much to believe."""

from analysis.space.neighbor_analysis import LOGIT_LENS, Z_THRESHOLD, NeighborAnalysis
from analysis.space.neighbors import Neighbor
from analysis.space.projection import PREFIX
from app.shared.html import tag, text
from app.space.view import visible_word

CLEAREST = 3  # virtual tokens that are named


def headline(analysis: NeighborAnalysis) -> str:
    """Describe each run in a paragraph, computed from its vectors and their nearest words."""
    runs = [placed.run for placed in analysis.runs]
    return "".join(tag("p", _sentences(analysis, run), cls="pl-sentence") for run in runs)


def _sentences(analysis: NeighborAnalysis, run: str) -> str:
    more = " ".join(filter(None, (_clearest(analysis, run), _spread(analysis, run))))
    return text(analysis.verdict(run)) + (" " + tag("span", more, cls="more") if more else "")


def _clearest(analysis: NeighborAnalysis, run: str) -> str:
    """Return the virtual tokens whose nearest words are furthest above chance."""

    def z(word: Neighbor) -> float:
        return word.z_random or 0

    first = [word for word in analysis.nearest if word.run == run and word.rank == 1 and z(word) > Z_THRESHOLD]
    best = sorted(first, key=z, reverse=True)[:CLEAREST]
    return f"Clearest: {', '.join(f'P{word.token + 1} and “{visible_word(word)}”' for word in best)}." if best else ""


def _spread(analysis: NeighborAnalysis, run: str) -> str:
    """Whether the virtual tokens form one group away from the words, or are among them. Not for the logit lens, whose scores
    are not cosines."""
    places = [place for place, point in enumerate(analysis.cloud.points) if point.kind == PREFIX and point.run == run]
    if analysis.space.kind == LOGIT_LENS or len(places) < 2:
        return ""
    vectors, count = analysis.cloud.vectors[places], len(places)  # of length 1
    among = (float(vectors.sum(0).square().sum()) - count) / (count * (count - 1))
    first = [word.score for word in analysis.nearest if word.run == run and word.rank == 1]
    to_words = sum(first) / len(first)
    nearer = f"to one another (mean cosine {among:.2f}) than to their nearest words ({to_words:.2f})"
    if among > to_words:
        return f"They form a group of their own: nearer {nearer}."
    return f"They are among the words: no nearer {nearer}."
