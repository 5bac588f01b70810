"""Prefix space of runs that were kept near a text: it reads the text out, and sets the loss beside that without the penalty."""

from dataclasses import replace

import pytest

from app.shared.context import AppContext
from app.space.analyses import AnalysisCache
from app.space.near_text_view import command_without_penalty, near_text_sections, sentence
from core.runs.store import Store
from tests.support.tiny_models import make_run

NEAR = dict(updates=20, rate=3e-2, near_text="a <b>", autocast="off")


@pytest.fixture(scope="module")
def analyses(house, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("near"))
    for name, weight, changes in (("held", 50.0, {}), ("free", 0.0, {}), ("slow", 50.0, {"rate": 1e-3})):
        make_run(house.backbone, store.folder, name, "embedding", near_weight=weight, **NEAR | changes)
    make_run(house.backbone, store.folder, "plain", "embedding", updates=2, autocast="off", length=3)
    return AnalysisCache(AppContext(house.backbone, "cpu", store))


@pytest.fixture
def backbone(analyses, house):
    return analyses.context.models.backbone(house.backbone)


def test_the_words_of_the_text_are_read_out_and_the_same_training_stands_beside(analyses, backbone):
    (group,) = analyses.readings(backbone, ["held", "plain"])
    free, held = group  # by the weight; "slow" is another training
    assert [reading.run.id for reading in group] == ["free", "held"]
    words = [backbone.decode([token]) for token in held.nearest]
    assert "".join(words) == held.text == "a <b>" and held.matches == len(held.ids) == 5
    assert held.distance < free.distance and held.weight == 50
    message = sentence(held, free)
    assert "5 of its 5 virtual tokens" in message
    assert f"{held.run.valid_loss:.3f}, and {free.run.valid_loss:.3f} without the penalty (free)" in message
    html = near_text_sections([group], backbone, ["held"])
    assert "&lt;b" in html and "<b></b>" not in html and html.count("<ol") == 1 and html.count("<tr") == 3


def test_both_runs_on_the_map_share_a_section(analyses, backbone):
    groups = analyses.readings(backbone, ["held", "free"])
    html = near_text_sections(groups, backbone, ["held", "free"])
    assert html.count("<section") == 1 and html.count("<ol") == 2


def test_alone_it_names_the_command_that_trains_it_without_the_penalty(analyses, backbone):
    ((reading,),) = analyses.readings(backbone, ["slow"])
    typed = "python launch.py train --method embedding --near-text 'a <b>' --near-weight=50 --run slow --rate 1e-3"
    reading = replace(reading, run=replace(reading.run, command=typed))
    line = command_without_penalty(reading)
    assert line == (
        "python launch.py train --method embedding --near-text 'a <b>' --rate 1e-3 --near-weight 0 --run slow-without"
    )
    assert "slow-without" in near_text_sections([[reading]], backbone, ["slow"])
    assert "slow-without" not in near_text_sections(
        [[replace(reading, run=replace(reading.run, command=""))]], backbone, ["slow"]
    )


def test_a_run_without_a_text_has_no_section(analyses, backbone):
    assert analyses.readings(backbone, ["plain"]) == [] and near_text_sections([], backbone, ["plain"]) == ""
