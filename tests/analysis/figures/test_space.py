"""Figures of virtual tokens among words."""

import csv
import io
from types import SimpleNamespace

import pytest
import torch

from analysis.figures import style
from analysis.figures.space import LINE_HEIGHT, MAP_HEIGHT, _MapTraces, first_words, prefix_map
from analysis.space.neighbor_analysis import KEYS, LOGIT_LENS, RANKS, Z_THRESHOLD, RunVectors, analyze, open_space
from analysis.space.projection import NEAR, PREFIX, SAMPLE, Point, pca
from analysis.tensor_cache import TensorCache
from core.models.loading import load_backbone
from tests.support.tiny_models import make_tiny_backbone, random_prefix

RUN = "one <b>"


@pytest.fixture(scope="module", params=[KEYS, LOGIT_LENS])
def analysis(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("figures")
    backbone = load_backbone(str(make_tiny_backbone(place / "tiny")), "cpu")
    space = open_space(backbone, request.param, 1, 2, TensorCache(place))
    path = [(update, random_prefix(backbone, 6, update)) for update in (0, 10)]
    return analyze(
        space,
        [RunVectors(RUN, random_prefix(backbone, 6, 9), path), RunVectors("two", random_prefix(backbone, 3, 4))],
        sample=100,
    )


def named(figure):
    return {trace.name: trace for trace in figure.data if trace.meta != "decoration"}


def test_the_map_shows_every_point_once_with_its_id(analysis):
    projection = pca(analysis.cloud)
    figure = prefix_map(analysis, projection, (RUN, 3), paths=True)
    traces = named(figure)
    assert list(traces["one &lt;b&gt;"].customdata) == [f"t:{RUN}:{i}" for i in range(6)] and len(traces["two"].x) == 3
    words = [name for trace in figure.data if trace.mode == "markers" for name in trace.customdata if name.startswith("w:")]
    assert len(words) == len(set(words)) == analysis.cloud.count("near") + analysis.cloud.sampled
    own = {f"w:{one.id}" for one in analysis.nearest + analysis.pushed_down if (one.run, one.token) == (RUN, 3)}
    chosen = next(trace for name, trace in traces.items() if name.endswith("words of P4"))
    assert set(chosen.customdata) <= own and len(chosen.customdata) >= RANKS  # what is pushed down may not be near anything
    at = [point.label for point in analysis.cloud.points].index("P4")
    assert traces["one &lt;b&gt;"].x[3] == pytest.approx(projection.xy[at, 0], abs=1e-4)
    assert traces["one &lt;b&gt;"].marker.size[3] > traces["one &lt;b&gt;"].marker.size[2]


def test_paths_go_from_the_beginning_to_the_end(analysis):
    lines = [trace for trace in prefix_map(analysis, pca(analysis.cloud), (RUN, 3)).data if trace.mode == "lines+markers"]
    assert len(lines) == 1 and set(lines[0].customdata) == {f"t:{RUN}:3"}
    assert ["before training" in lines[0].text[0], "update 10" in lines[0].text[1], "at the end" in lines[0].text[2]] == [
        True
    ] * 3
    every = [
        trace for trace in prefix_map(analysis, pca(analysis.cloud), (RUN, 3), paths=True).data if trace.mode == "lines+markers"
    ]
    assert len(every) == 6


def test_the_map_carries_its_recipe(analysis):
    figure = prefix_map(analysis, pca(analysis.cloud), ("two", 0), highlighted=[77])
    foot = figure.layout.annotations[0].text.replace("<br>", " ")
    for phrase in ("PCA (metric cosine)", "sampled from 257 words (seed 0)", "layer 2", "head 3 of 4", "centered"):
        assert phrase in foot
    assert list(named(figure)["searched word"].customdata) == ["w:77"] or 77 not in {
        p.number for p in analysis.cloud.points if not p.run
    }
    rows = list(csv.reader(io.StringIO(style.csv_text(figure))))
    assert {row[0] for row in rows} >= {RUN, "two", "nearest words"} and rows[0][1].startswith("PCA 1 (")


def test_the_chosen_token_is_named_and_labels_keep_clear(analysis):
    figure = prefix_map(analysis, pca(analysis.cloud), (RUN, 3))
    labels = next(trace for trace in figure.data if trace.mode == "text" and trace.name != "clusters")
    assert labels.text[0] == "<b>P4</b>" and len(labels.text) == len(labels.textposition) == len(labels.textfont.color)


def test_first_words_beside_chance_and_the_beginning(analysis):
    figure = first_words(analysis, RUN, 3)
    now = named(figure)["one &lt;b&gt;"]
    best = [one for one in analysis.nearest if one.run == RUN and one.rank == 1]
    torch.testing.assert_close(torch.tensor(now.y), torch.tensor([one.score for one in best]))
    mean, spread = (part[0].item() for part in analysis.random.top)
    band = [trace.y[0] for trace in figure.data if trace.mode == "lines"]
    assert band == pytest.approx([mean + Z_THRESHOLD * spread, mean - Z_THRESHOLD * spread])
    began = named(figure)["before training"]
    vectors = analysis.runs[0].path[0][1]
    torch.testing.assert_close(torch.tensor(began.y), analysis.space.scores(vectors).max(-1).values, rtol=1e-4, atol=1e-5)
    assert "before training" not in named(first_words(analysis, "two"))


def test_the_name_of_the_virtual_tokens_keeps_clear_of_ringed_words():
    rows = [(PREFIX, 0, 0.5, 0.5), (PREFIX, 1, 0.52, 0.52), (SAMPLE, 1, 0.0, 0.0), (SAMPLE, 2, 1.0, 1.0), (NEAR, 7, 0.5, 0.62)]
    points = [Point(kind, str(number), number, "one" if kind == PREFIX else "") for kind, number, _, _ in rows]
    projection = SimpleNamespace(cloud=SimpleNamespace(points=points), xy=[row[2:] for row in rows])
    builder = _MapTraces(projection, {"one": 0})
    (plain,), (ringed,) = builder.clusters(set()), builder.clusters({7})
    line = LINE_HEIGHT / MAP_HEIGHT
    assert plain.name == ringed.name == "virtual tokens of one"
    assert all(abs(ringed.xy[1] - y) > line for _, _, _, y in rows[:2]) and abs(ringed.xy[1] - 0.62) > line
