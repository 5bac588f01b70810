"""The Prefix space tab below the page: what is asked is resolved to the backbone, computed once, and written safely."""

import csv
import io
import time
from dataclasses import fields, replace
from types import SimpleNamespace

import gradio as gr
import pytest
import torch

from analysis.space.neighbor_analysis import RANKS
from analysis.space.projection import Projection
from app.shared.urlstate import read, write
from app.space import analyses, view
from app.space.analyses import AnalysisCache, Maps, SpaceQuery
from app.space.components import SpacePage
from app.space.handlers import SpaceHandlers
from app.space.headline import headline
from app.space.request import SpaceRequest, compared_run, resolve
from app.space.state import SpaceState, joined, parted
from core.errors import BadInput


@pytest.fixture(autouse=True)
def home(house, monkeypatch):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(house.home))


@pytest.fixture
def backbone(context, house):
    return context.models.backbone(house.backbone)


@pytest.fixture(scope="module")
def rooms(context):
    return AnalysisCache(context)


def controls(runs=(), space="keys", layer=0, head=0, word=""):
    plain = {"map": "pca", "whole": False, "paths": False, "token": [], "site": "decoder"}
    return plain | {"runs": list(runs), "space": space, "layer": layer, "head": head, "word": word}


def request(runs=(), space="keys", layer=0, head=0, word=""):
    return SpaceRequest.of(controls(runs, space, layer, head, word))


def looked(rooms, backbone, asked):
    return next(
        analysis for analysis, _, _ in rooms.look(backbone, resolve(rooms, backbone, asked).query) if analysis is not None
    )


def test_without_a_wish_it_is_the_first_prefix_at_the_last_layer(rooms, backbone):
    resolved = resolve(rooms, backbone, request())
    assert (
        resolved.on_map == ("tiny-prefix",)
        and resolved.query == SpaceQuery("keys", 1, None, ("tiny-prefix",))
        and not resolved.notes
    )


def test_it_opens_on_the_run_of_compares_prefix_column(rooms, backbone, context):
    def opened(search):
        return resolve(rooms, backbone, request(), compared_run(context.catalog, backbone, search)).on_map

    assert opened("") == opened("?task=e2e&prefix=no-such-run") == ("tiny-prefix",)
    assert opened("?task=webnlg") == opened("?prefix=triples-prefix") == ("triples-prefix",)
    assert opened("?prefix=text:Hello") == ("text:Hello",)
    assert opened("?prefix=tiny-finetuned") == ("tiny-prefix",)  # it has no virtual tokens
    chosen = resolve(rooms, backbone, request(["tiny-prefix"]), "triples-prefix")
    assert chosen.on_map == ("tiny-prefix",)  # what the address says


def test_what_is_not_there_is_left_out_and_said(rooms, backbone):
    resolved = resolve(rooms, backbone, request(["other-prefix", "tiny-prefix", "tiny-finetuned"], layer=9, head=7))
    assert resolved.on_map == ("tiny-prefix",) and (resolved.request.layer, resolved.request.head) == (2, 0)
    assert resolved.notes == [
        "Left out, as there is no such run on tiny-gpt2: other-prefix.",
        "There is no layer 9: tiny-gpt2 has 2. Layer 2 is shown instead.",
        "There is no head 7: tiny-gpt2 has 4. All heads together are shown instead.",
        "tiny-finetuned has no virtual tokens (its method is finetune), so it is not on the map.",
    ]
    assert "There is no site 'cross'" in resolve(rooms, backbone, replace(request(), site="cross")).notes[0]
    assert resolve(rooms, backbone, request(layer="first", head="</b>")).request.layer == 2  # typed into the field


def test_a_fine_tuned_run_alone_and_a_space_without_runs_are_explained(rooms, backbone):
    assert "adds no virtual tokens" in resolve(rooms, backbone, request(["tiny-finetuned"])).reason
    assert "Embedding-only tuning" in resolve(rooms, backbone, request(["tiny-prefix"], "embeddings")).reason


def test_a_text_is_a_prefix_and_its_embeddings_are_those_of_its_tokens(rooms, backbone):
    analysis = looked(rooms, backbone, request(["text:p, q<i>", "tiny-prefix"], "embeddings"))
    assert [one.word for one in analysis.nearest if one.rank == 1] == [*"p, q<i>", "\n"]
    assert all(one.score == pytest.approx(1, abs=1e-5) for one in analysis.nearest if one.rank == 1)


def test_a_second_look_computes_nothing_again(rooms, backbone, monkeypatch):
    first = looked(rooms, backbone, request(head=2))
    with monkeypatch.context() as patch:
        patch.setattr(analyses, "analyze", None)
        assert looked(rooms, backbone, request(head=2)) is first
    other = looked(rooms, backbone, request(head=1))
    assert other is not first and other.space.head == 0 and first.space.head == 1
    assert looked(AnalysisCache(rooms.context), backbone, request(head=2)) is not first


def test_the_layers_beside_are_read_ahead_unless_something_newer_is_asked_for(context, backbone, monkeypatch):
    rooms = AnalysisCache(context)
    view = resolve(rooms, backbone, request(layer=1)).query
    rooms.ahead(backbone, view, lambda: True)
    assert not rooms._analyses
    rooms.ahead(backbone, view, lambda: False)
    monkeypatch.setattr(analyses, "analyze", None)
    monkeypatch.setattr(analyses, "pca", None)
    beside = resolve(rooms, backbone, request(layer=2)).query
    (analysis,) = [analysis for analysis, _, _ in rooms.look(backbone, beside)]
    assert analysis is not None and analysis.space.layer == 1
    assert rooms.flat(rooms.key(backbone, beside), analysis.cloud).cloud is analysis.cloud
    monkeypatch.setattr(analyses, "QUICK", 0)  # a large model: nothing is computed unasked
    large = AnalysisCache(context)
    large.ahead(backbone, view, lambda: False)
    assert not large._analyses


def test_few_scenes_are_kept(rooms, backbone):
    for letter in "abcdefghijklm":
        looked(rooms, backbone, request([f"text:{letter}"]))
    assert len(rooms._analyses) == analyses.CACHED_ANALYSES


def test_the_space_that_is_looked_at_is_kept_however_large(rooms, backbone, monkeypatch):
    monkeypatch.setattr(analyses, "CACHE_BYTES", 1)
    fresh = AnalysisCache(rooms.context)
    for layer in (1, 2):
        looked(fresh, backbone, request(layer=layer))
        assert [place[2] for place, _ in fresh._spaces.items()] == [layer - 1]


def handlers(context):
    names = [field.name for field in fields(SpacePage)]
    return SpaceHandlers(
        context, SimpleNamespace(status="status", backbone="backbone"), SpacePage(**{name: name for name in names})
    )


def inputs(backbone, *, ready="yes", active="space", **changed):
    return {"backbone": backbone, "ready": ready, "search": "", "active": active} | controls(**changed)


def test_the_table_as_csv_says_where_each_row_is_from(context, house):
    text = handlers(context).table(inputs(house.backbone, runs=["tiny-prefix"], space="writes", layer=1))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == 2 * 4 * RANKS and {row["direction"] for row in rows} == {"near", "far"}
    assert (rows[0]["backbone"], rows[0]["space"], rows[0]["layer"], rows[0]["head"]) == ("tiny-gpt2", "writes", "1", "all")
    assert (rows[0]["run"], rows[0]["token"], rows[0]["rank"]) == ("tiny-prefix", "P1", "1") and float(rows[0]["logit"]) > 0


def test_runs_of_an_address_beyond_those_of_a_map_are_named(context, rooms, backbone):
    runs = [f"text:{letter}" for letter in "abcdef"]
    opened = handlers(context).restore(f"?among={joined(runs)}&space-of=text:g")
    assert "no usable value for: space-of." in opened["ignored"]
    resolved = resolve(rooms, backbone, request(opened["runs"]["value"]))
    assert list(resolved.on_map) == runs[:4]
    assert resolved.notes == ["Left out, as a map shows 4 runs at most: text:e, text:f."]


def test_a_virtual_token_that_is_not_there_is_named_with_the_one_that_is_shown(context, house):
    asked = inputs(house.backbone, runs=["tiny-prefix"], layer=1)
    for token, is_named in ((["", 98], True), (["tiny-prefix", 98], True), (["gone", 98], False), (["", 1], False)):
        *_, last = handlers(context).refresh(asked | {"token": token}, SimpleNamespace(session_hash="a"))
        assert ("There is no virtual token 99: tiny-prefix has 4. P1 is shown instead." in last["note"]) == is_named


def test_a_word_that_is_no_token_is_reported_beside_the_map(context, house):
    asked = inputs(house.backbone, runs=["tiny-prefix"], layer=1, word="restaurant")
    *_, last = handlers(context).refresh(asked, SimpleNamespace(session_hash="a"))
    assert "not a single token" in last["note"] and last["picture"] and "P1" in last["detail"]


def test_nothing_is_computed_while_another_tab_is_on_show(context, house):
    for ready, active in (("yes", "compare"), ("", "space")):  # another tab; before the address is read
        asked = inputs(house.backbone, runs=["tiny-prefix"], ready=ready, active=active)
        (update,) = handlers(context).refresh(asked, SimpleNamespace(session_hash="a"))
        assert update == {"status": gr.skip()}


def test_after_an_error_the_earlier_map_stays_and_is_not_saved(context):
    *_, last = handlers(context).refresh(inputs("/no/such"), SimpleNamespace(session_hash="a"))
    assert "There is no folder" in last["status"] and last["csv"]["interactive"] is False
    assert not {"picture", "detail", "headline"} & set(last)


def test_words_and_texts_cannot_write_html(backbone, rooms):
    run = "text:<img src=x onerror=alert(1)>"
    analysis = looked(rooms, backbone, request([run]))
    first = analysis.nearest[0]
    object.__setattr__(first, "word", '"><script>')
    for html in (view.detail(analysis, run, 0), view.overview(analysis, run, 0), headline(analysis)):
        assert "<img" not in html and "<script" not in html
    assert "<script" not in view.search_results(analysis, "<script>", analysis.search("x")[:1])


def test_the_address_brings_everything_back():
    state = SpaceState(joined(["a-b.c", "text:x, y & <z>"]), "writes", 3, 2, 7, "a-b.c", "umap", 1, 1, "pub")
    again = read(write(state), SpaceState)
    assert again == state and parted(again.runs) == ["a-b.c", "text:x, y & <z>"]
    bad = read("?space=queries&space-layer=-1&space-token=x&map=tsne&whole=7", SpaceState)
    assert bad == SpaceState() and set(bad.ignored) == {"space", "space-layer", "space-token", "map", "whole"}


def test_maps_are_made_in_the_background_kept_and_given_up(rooms, backbone, monkeypatch):
    analysis = looked(rooms, backbone, request())
    calls, leave = [], []

    def slow(cloud, cancel):
        calls.append(cloud)
        while not leave and not cancel():
            time.sleep(0.01)
        return Projection(cloud, cloud.vectors[:, :2].numpy(), "UMAP", {}) if leave else None

    monkeypatch.setattr(analyses, "umap", slow)
    monkeypatch.setattr(analyses, "FORGET", 0.05)
    maps = Maps()

    def asked_until_ready():
        deadline = time.monotonic() + 60
        while (projection := maps.ask("key", analysis.cloud)) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return projection

    assert maps.ask("key", analysis.cloud) is None
    maps.jobs.get("key").future.result(60)  # nobody asks any more, so it ends by itself
    leave.append(1)
    projection = asked_until_ready()
    assert projection.method == "UMAP" and maps.ask("key", analysis.cloud) is projection and len(calls) == 2


def test_a_map_that_fails_says_so_and_can_be_asked_for_again(rooms, backbone, monkeypatch):
    analysis = looked(rooms, backbone, request())

    def broken(cloud, cancel):
        raise BadInput("no UMAP today")

    monkeypatch.setattr(analyses, "umap", broken)
    maps = Maps()
    for _ in range(2):
        with pytest.raises(BadInput, match="today"):
            while maps.ask("key", analysis.cloud) is None:
                time.sleep(0.01)


def test_a_searched_word_has_a_point_on_the_map_though_the_sample_left_it_out(rooms, backbone):
    analysis = looked(rooms, backbone, request())
    cloud = replace(analysis.cloud, points=analysis.cloud.points[:1], vectors=analysis.cloud.vectors[:1])
    marked = analyses.with_words(cloud, analysis.space, [5])
    assert [point.number for point in marked.points[1:]] == [5] and marked.vectors.shape[0] == 2
    torch.testing.assert_close(marked.vectors[1], analysis.space.unit[5])
    assert analyses.with_words(marked, analysis.space, [5]) is marked


def test_a_word_and_the_same_letters_inside_a_word_are_distinguished(rooms, backbone):
    first = looked(rooms, backbone, request()).nearest[0]
    whole, inside = replace(first, word=" check", whole=True), replace(first, word="check", whole=False)
    assert (view.visible_word(whole), view.visible_word(inside)) == ("check", "…check")
    assert view.visible_word(replace(first, word=",", whole=False)) == ","
    assert view.visible_word(replace(first, word=" |", whole=False)) == "␣|"


def test_a_z_score_is_a_word_first():
    assert "clear" in view._z(5.0) and "weak" in view._z(3.0) and "chance" in view._z(1.0)
    assert "clear" in view._z(-5.0, down=True) and "chance" in view._z(-5.0)
