"""The Prefix space tab on an encoder-decoder model: a site at a time, and no lens where there is none."""

import pytest

from app.space import view
from app.space.analyses import AnalysisCache
from app.space.request import SpaceRequest, resolve


@pytest.fixture(scope="module")
def rooms(newsroom, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFIX_LAB_HOME", str(tmp_path_factory.mktemp("home")))
        yield AnalysisCache(newsroom)


def resolved(rooms, space="keys", layer=0, site=""):
    backbone = rooms.context.models.backbone(rooms.context.models.default)
    values = {"runs": [], "space": space, "layer": layer, "head": 0, "map": "pca", "whole": False, "paths": False, "word": ""}
    return resolve(rooms, backbone, SpaceRequest.of(values | {"token": [], "site": site}))


def looked(rooms, *values):
    backbone = rooms.context.models.backbone(rooms.context.models.default)
    return next(analysis for analysis, _, _ in rooms.look(backbone, resolved(rooms, *values).query) if analysis is not None)


def test_each_site_has_its_own_layers_and_words(rooms):
    scenes = {site: looked(rooms, "keys", 0, site) for site in ("encoder", "decoder", "cross")}
    assert [scene.space.layer for scene in scenes.values()] == [2, 1, 1]  # three layers in the encoder, two in the decoder
    assert scenes["encoder"].title.startswith("Keys at layer 3 of the encoder") and "cross-attention" in scenes["cross"].title
    firsts = [[one.word for one in scene.nearest] for scene in scenes.values()]
    assert firsts[0] != firsts[1] != firsts[2] and len(scenes["cross"].runs[0].vectors) == 4
    assert resolved(rooms, "keys", 3, "cross").request.layer == 2
    assert resolved(rooms, "keys", 0, "middle").request.site == "decoder"


def test_what_is_written_is_read_where_an_unembedding_stands_behind_it(rooms):
    assert looked(rooms, "writes", 0, "decoder").pushed_down and looked(rooms, "writes", 0, "cross").pushed_down
    reason = resolved(rooms, "writes", 0, "encoder").reason
    assert "feeds no unembedding" in reason and "keys or values" in reason
    assert "no final norm" in view.lead("writes", "decoder") and "no final norm" not in view.lead("writes")
    assert resolved(rooms, "values", 0, "encoder").reason == ""
