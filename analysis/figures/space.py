"""Figures of virtual tokens among words: the map, and the scores of nearest words beside those of random vectors.

Points carry an id as customdata, by which the page links maps and tables: "t:RUN:NUMBER" for a virtual token (from 0) and
its path, "w:ID" for a word.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

import numpy as np
import plotly.graph_objects as go
from plotly.basedatatypes import BaseTraceType

from analysis.figures.label_placement import LETTER_WIDTH, LINE_HEIGHT, box, place_labels
from analysis.figures.style import COLORS, SIZE, escape, figure, visible_token
from analysis.space.neighbor_analysis import LOGIT_LENS, Z_THRESHOLD, NeighborAnalysis
from analysis.space.neighbors import Neighbor
from analysis.space.projection import NEAR, PATH, PREFIX, SAMPLE, Point, Projection
from core.text.checks import percent

RUN_STYLES = (
    ("prefix", "diamond"),
    ("green", "square"),
    ("purple", "triangle-up"),
    ("base", "cross"),
)  # color and symbol of each run
MAP_WIDTH, MAP_HEIGHT = 700, 380  # px of the plot area, approximately, for placing labels
MAX_LEGEND_LETTERS = 24  # letters of a run's name in the legend
RECIPE_SIZE, RECIPE_LETTERS = 12, 116  # px of type and letters in a line, for the recipe
NAME_LINES = (2.5, 3.5, 5)  # lines between virtual tokens and their name
MIN_CLUSTER, APART = 20, 0.6  # points of a cluster; distance of middles, in sums of standard deviations


def prefix_map(
    neighbors: NeighborAnalysis,
    projection: Projection,
    token: tuple[str, int] | None = None,
    paths: bool = False,
    highlighted: Sequence[int] = (),
) -> go.Figure:
    """Map the virtual tokens of all runs, their nearest words, and a sample of the vocabulary.

    `token`: the (run, number from 0) whose words are labeled and whose path is drawn; `paths`: draw all tokens' paths;
    `highlighted`: ids of words to ring.
    """
    own = {one.id for one in neighbors.nearest + neighbors.pushed_down if token and (one.run, one.token) == token}
    builder = _MapTraces(projection, {one.run: place for place, one in enumerate(neighbors.runs)})
    traces = [
        builder.words("other words, sampled", SAMPLE, lambda point: point.number not in own, "circle", 4, "base", 0.35),
        builder.words("nearest words", NEAR, lambda point: point.number not in own, "circle-open", 7, "muted", 0.8),
        *builder.paths(token, paths),
    ]
    for run in builder.runs:
        traces.append(builder.tokens(run, token))
    if token is not None:
        name = f"{'' if neighbors.space.kind == LOGIT_LENS else 'nearest '}words of P{token[1] + 1}"
        traces.append(builder.words(name, "", lambda point: point.number in own, "circle-open", 10, "ink", 1.0, 2))
    if highlighted:
        traces.append(
            builder.words(
                "searched word", "", lambda point: point.number in set(highlighted), "circle-open", 17, "finetuned", 1, 3
            )
        )
    clusters = builder.clusters(own | set(highlighted))
    traces += [builder.cluster_labels(clusters), builder.labels(token, own | set(highlighted), clusters)]
    by = projection.explained
    axes = [{"title": {"text": f"{projection.method} {at + 1}" + (f" ({percent(by[at])})" if by else "")}} for at in (0, 1)]
    plainly = {"showticklabels": False, "zeroline": False, "showgrid": False, "ticks": ""}
    title = f"{neighbors.title}: virtual tokens among words ({projection.method})"
    fig = _with_recipe(traces, title, projection.caption, neighbors.space.recipe)
    fig.update_layout(xaxis=axes[0] | plainly, yaxis=axes[1] | plainly, dragmode="lasso")
    return fig


@dataclass(frozen=True)
class Cluster:
    """A label on the map: where its middle stands, and its color."""

    name: str
    xy: tuple[float, float]
    color: str


class _MapTraces:
    """The points of a projection as traces."""

    def __init__(self, projection: Projection, runs: dict[str, int]) -> None:
        self.points, self.xy, self.runs = projection.cloud.points, np.asarray(projection.xy, dtype=float), runs

    def id(self, point: Point) -> str:
        return f"w:{point.number}" if point.kind in (NEAR, SAMPLE) else f"t:{point.run}:{point.number}"

    def scatter(self, places: Sequence[int], text: Sequence[str], **more: object) -> go.Scatter:
        """A trace of some points with `text` on hover."""
        xy = self.xy[list(places)].round(5)
        ids = [self.id(self.points[at]) for at in places]
        return go.Scatter(
            x=xy[:, 0].tolist(),
            y=xy[:, 1].tolist(),
            text=list(text),
            **({"mode": "markers", "hovertemplate": "%{text}<extra></extra>", "customdata": ids} | more),
        )

    def words(
        self,
        name: str,
        kind: str,
        accepts: Callable[[Point], bool],
        symbol: str,
        size: int,
        color: str,
        opacity: float,
        line: int = 1,
    ) -> go.Scatter:
        """The words of a kind (empty: any) that `accepts` selects."""
        kinds = (kind,) if kind else (NEAR, SAMPLE)
        places = [at for at, point in enumerate(self.points) if point.kind in kinds and accepts(point)]
        marker = {"symbol": symbol, "size": size, "color": COLORS[color], "opacity": opacity, "line": {"width": line}}
        if symbol == "circle":
            marker["line"] = {"width": 0}
        return self.scatter(places, [visible_token(self.points[at].label) for at in places], name=name, marker=marker)

    def tokens(self, run: str, token: tuple[str, int] | None) -> go.Scatter:
        """A run's virtual tokens after training; the chosen one is larger."""
        places = [at for at, point in enumerate(self.points) if point.kind == PREFIX and point.run == run]
        color, symbol = _run_style(self.runs[run])
        sizes = [17 if (run, self.points[at].number) == token else 10 for at in places]
        marker = {"symbol": symbol, "size": sizes, "color": COLORS[color], "opacity": 1}
        marker["line"] = {"width": 1, "color": COLORS["sheet"]}
        text = [f"{self.points[at].label} of {escape(run)}" for at in places]
        return self.scatter(places, text, name=_short_name(run), marker=marker)

    def paths(self, token: tuple[str, int] | None, every: bool) -> Iterator[go.Scatter]:
        """A line from start to end of training for each virtual token; the chosen one's is thick."""
        steps: dict[tuple[str, int], list[int]] = {}
        for at, point in enumerate(self.points):
            if point.kind == PATH:
                steps.setdefault((point.run, point.number), []).append(at)
        ends = {(point.run, point.number): at for at, point in enumerate(self.points) if point.kind == PREFIX}
        for key, places in steps.items():
            if not every and key != token:
                continue
            places, (color, _) = (
                [*sorted(places, key=lambda at: self.points[at].update or 0), ends[key]],
                _run_style(self.runs[key[0]]),
            )
            thick = key == token
            text = [f"P{key[1] + 1} of {escape(key[0])}, {_update_phrase(self.points[at].update)}" for at in places]
            yield self.scatter(
                places,
                text,
                name=f"path of P{key[1] + 1}",
                mode="lines+markers",
                showlegend=False,
                line={"width": 2 if thick else 1, "color": COLORS[color], "dash": "solid" if thick else "dot"},
                marker={"symbol": "circle", "size": 6 if thick else 3, "color": COLORS[color]},
                opacity=1.0 if thick else 0.5,
            )

    def labels(self, token: tuple[str, int] | None, words: set[int], clusters: Sequence[Cluster] = ()) -> go.Scatter:
        """Labels of the virtual tokens and of some words, where nothing overlaps; the chosen token's come first."""

        def rank(at: int) -> int:
            point = self.points[at]
            return 0 if point.kind == PREFIX and (point.run, point.number) == token else 2 if point.kind == PREFIX else 1

        named = [at for at, point in enumerate(self.points) if point.kind == PREFIX or self._is(point, words)]
        named.sort(key=rank)
        texts = [visible_token(self.points[at].label) for at in named]
        reserved = [box(self._to_pixels(one.xy), len(one.name) * LETTER_WIDTH / 2, LINE_HEIGHT / 2, 0, 0) for one in clusters]
        where = place_labels(self._pixels(), named, texts, token is not None, reserved)
        visible = [(at, text, place) for at, text, place in zip(named, texts, where, strict=True) if place]
        inks = [
            _run_style(self.runs[point.run])[0] if point.run else "ink" for point in (self.points[at] for at, _, _ in visible)
        ]
        return self.scatter(
            [at for at, _, _ in visible],
            [f"<b>{text}</b>" if rank(at) == 0 else text for at, text, _ in visible],
            mode="text",
            textposition=[place for _, _, place in visible],
            textfont={"color": [COLORS[ink] for ink in inks]},
            customdata=None,
            hoverinfo="skip",
            hovertemplate=None,
            showlegend=False,
            meta="decoration",
        )

    def clusters(self, words: set[int]) -> list[Cluster]:
        """What the clusters are: each run's virtual tokens, and kinds of words that stand apart from the others.

        `words`: those that are ringed; a name keeps clear of them where it can.
        """
        clusters, line = [], LINE_HEIGHT / MAP_HEIGHT * self._span()[1]
        for run, number in self.runs.items():
            xy = self.xy[[at for at, point in enumerate(self.points) if point.kind == PREFIX and point.run == run]]
            name, middle = f"virtual tokens of {_short_name(run)}", float(np.median(xy[:, 0]))
            heights = [xy[:, 1].max() + lines * line for lines in NAME_LINES] + [
                xy[:, 1].min() - lines * line for lines in NAME_LINES
            ]
            places = [(middle, float(height)) for height in heights]
            place = min(places, key=lambda place: self._covered(name, place, words))
            clusters.append(Cluster(name, place, _run_style(number)[0]))
        return clusters + [Cluster(kind, place, "ink") for kind, place in self._word_clusters()]

    def _covered(self, name: str, place: tuple[float, float], words: set[int]) -> tuple[int, int]:
        """How many virtual tokens and ringed words, and how many points at all, a name at this place would cover."""
        left, right, low, high = box(self._to_pixels(place), len(name) * LETTER_WIDTH / 2, LINE_HEIGHT, 0, 0)
        covered = [
            point for point, (x, y) in zip(self.points, self._pixels(), strict=True) if left < x < right and low < y < high
        ]
        return sum(point.kind == PREFIX or self._is(point, words) for point in covered), len(covered)

    @staticmethod
    def cluster_labels(clusters: Sequence[Cluster]) -> go.Scatter:
        """The names of the clusters, on the map."""
        return go.Scatter(
            x=[cluster.xy[0] for cluster in clusters],
            y=[cluster.xy[1] for cluster in clusters],
            text=[f"<b><i>{cluster.name}</i></b>" for cluster in clusters],
            mode="text",
            textposition="middle center",
            textfont={"color": [COLORS[cluster.color] for cluster in clusters]},
            hoverinfo="skip",
            showlegend=False,
            meta="decoration",
            name="clusters",
        )

    def _word_clusters(self) -> Iterator[tuple[str, tuple[float, float]]]:
        """Name and middle of each kind of words whose middle lies outside the bulk of the others."""
        words = [at for at, point in enumerate(self.points) if point.kind in (NEAR, SAMPLE)]
        kinds = np.array([_word_kind(self.points[at].label) for at in words])
        for kind in sorted(set(kinds.tolist())):
            inside, outside = self.xy[words][kinds == kind], self.xy[words][kinds != kind]
            if min(len(inside), len(outside)) < MIN_CLUSTER:
                continue
            middle = np.median(inside, axis=0)
            distance = np.abs(middle - np.median(outside, axis=0)) / (inside.std(0) + outside.std(0)).clip(min=1e-9)
            if distance.max() > APART:
                yield kind, (float(middle[0]), float(middle[1]))

    def _pixels(self) -> np.ndarray:
        """Approximate positions of the points in the figure, in px."""
        return self._to_pixels(self.xy)

    def _to_pixels(self, xy: np.ndarray | tuple[float, float]) -> np.ndarray:
        return (np.asarray(xy) - self.xy.min(0)) / self._span() * (MAP_WIDTH, MAP_HEIGHT)

    def _span(self) -> np.ndarray:
        return np.ptp(self.xy, axis=0).clip(min=1e-9)

    @staticmethod
    def _is(point: Point, words: set[int]) -> bool:
        return point.kind in (NEAR, SAMPLE) and point.number in words


def _short_name(run: str) -> str:
    """A run's name, or the start of a text prefix, for the legend."""
    return escape(run if len(run) <= MAX_LEGEND_LETTERS else run[: MAX_LEGEND_LETTERS - 1] + "…")


def _word_kind(label: str) -> str:
    """What kind of token a word is, as the label of a cluster."""
    if label[:1] == " " and label[1:].isalpha():
        return "whole words"
    return "parts of words" if label.isalpha() else "punctuation and numbers"


def _run_style(place: int) -> tuple[str, str]:
    return RUN_STYLES[place % len(RUN_STYLES)]


def _update_phrase(update: int | None) -> str:
    return "at the end" if update is None else "before training" if update == 0 else f"update {update:,}"


def first_words(neighbors: NeighborAnalysis, run: str, token: int | None = None) -> go.Figure:
    """The score of each virtual token's nearest word, beside random vectors' and the token's own before training.

    The band is the mean ± 2 standard deviations of random vectors' nearest words; `token` is drawn larger.
    """
    place = next(at for at, one in enumerate(neighbors.runs) if one.run == run)
    (color, symbol), measure = _run_style(place), neighbors.space.measure
    now = [one for one in neighbors.nearest if one.run == run and one.rank == 1]
    before = [one for one in neighbors.initial_nearest if one.run == run]
    mean, spread = (part[0].item() for part in neighbors.random.top)
    edge, band = [0.5, len(now) + 0.5], f"random vectors, mean ± {Z_THRESHOLD:g} sd"

    def bound(side: int, **style: object) -> go.Scatter:
        y = [mean + side * Z_THRESHOLD * spread] * 2
        return go.Scatter(x=edge, y=y, mode="lines", line={"width": 0}, name=band, meta="band", hoverinfo="skip", **style)

    def words(nearest: Sequence[Neighbor], when: str, name: str, marker: dict[str, object]) -> go.Scatter:
        return go.Scatter(
            x=[one.token + 1 for one in nearest],
            y=[one.score for one in nearest],
            text=[visible_token(one.word) for one in nearest],
            customdata=[f"t:{run}:{one.token}" for one in nearest],
            mode="markers",
            name=name,
            marker=marker,
            hovertemplate=f"P%{{x}}{when}: %{{text}}, %{{y:.3f}}<extra></extra>",
        )

    sizes, outline = [15 if one.token == token else 9 for one in now], {"width": 1, "color": COLORS["sheet"]}
    traces = [
        bound(1, showlegend=False),
        bound(-1, fill="tonexty", fillcolor=COLORS["base-wash"]),
        words(before, " before training", "before training", {"symbol": f"{symbol}-open", "size": 8, "color": COLORS["muted"]}),
        words(
            now, "", _short_name(run), {"symbol": symbol, "size": sizes, "color": COLORS[color], "opacity": 1, "line": outline}
        ),
    ]
    title = f"{neighbors.title}: the nearest word of each virtual token, and what chance gives"
    fig = figure([trace for trace in traces if len(trace.x)], title)
    fig.update_layout(
        xaxis={"title": {"text": "virtual token"}, "tickprefix": "P", "range": edge, "zeroline": False},
        yaxis={"title": {"text": f"{measure} of the nearest word"}},
        margin={"t": 66},
    )
    return fig


def _with_recipe(traces: Sequence[BaseTraceType], title: str, *recipe: str) -> go.Figure:
    """A figure with its recipe below it."""
    lines = [line for text in recipe for line in wrap(escape(text), RECIPE_LETTERS)]
    fig = figure(traces, escape(title))
    foot = {"text": "<br>".join(lines), "x": 0, "xref": "paper", "xanchor": "left", "y": 0, "yref": "paper", "yanchor": "top"}
    look = {"showarrow": False, "align": "left", "font": {"size": RECIPE_SIZE, "color": COLORS["muted"]}, "yshift": -28}
    fig.add_annotation(foot | look)
    fig.update_layout(legend={"font": {"size": SIZE}}, margin={"t": 84, "b": 40 + 16 * len(lines)})
    return fig
