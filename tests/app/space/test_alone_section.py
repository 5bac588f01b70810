"""The prefix on its own: twenty texts of it beside the frozen model's, for every run and text prefix."""

import json
from dataclasses import fields
from html import unescape
from types import SimpleNamespace

import pytest

from analysis.experiments.prefix_alone import SAMPLING, TEXTS, sample_alone
from app.shared import urlstate
from app.space.alone_section import AloneHandlers, AloneSection, AloneState

REQUEST = SimpleNamespace(session_hash="alone")


@pytest.fixture
def do(context):
    section = AloneSection(**{field.name: field.name for field in fields(AloneSection)})
    return AloneHandlers(context, SimpleNamespace(status="status"), section)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr("app.space.alone_section.SAMPLING", SAMPLING.replace(max_new=6, min_new=3))


def sampled(do, state, seed=0, temperature=1.0):
    result: dict = {}
    for update in do.sample(state, seed, temperature, "", "", REQUEST):
        result |= update
    return result


def test_twenty_texts_of_the_prefix_stand_beside_those_of_the_frozen_model(do, context, house):
    update = sampled(do, AloneState(), seed=7, temperature=0.8)  # without a choice: the first prefix
    assert update["state"] == AloneState("tiny-prefix", 7, 0.8) == urlstate.read("?" + update["address"], AloneState)
    backbone = context.models.backbone(house.backbone)
    loaded = context.models.load("tiny-prefix", backbone)
    decode = SAMPLING.replace(max_new=6, min_new=3, temperature=0.8, seed=7)
    alone = sample_alone(loaded.model, backbone, loaded.task, loaded.prefix, decode=decode, seed=7)
    assert update["texts"].count("<tr>") == TEXTS + 1 and ">26</th>" in update["texts"]
    rows = json.loads(update["words"])["data"]
    assert [row["name"] for row in rows] == ["tiny-prefix", "frozen model"]
    assert f"of {TEXTS} texts of tiny-prefix begin with" in update["verdict"] and "separators of the task" in update["verdict"]
    assert [row[0] for row in alone.first_words()] == [unescape(word) for word in rows[0]["y"]]


def test_a_text_prefix_and_a_mix_are_sampled_from_and_a_fine_tuned_run_is_refused(do):
    assert "of text:Hello there" in sampled(do, AloneState("text:Hello there"))["verdict"]
    assert "joined: tiny-prefix, triples-prefix" in sampled(do, AloneState("mix:join::tiny-prefix,triples-prefix"))["verdict"]
    for run, problem in (("tiny-finetuned", "has no virtual tokens"), ("ghost", "There is no run &#x27;ghost&#x27;")):
        note, failed = do.open(AloneState(run), "", REQUEST)
        assert "no usable value for: alone-run." in note["verdict"] and problem in failed["status"]
    (failed,) = do.sample(AloneState("tiny-prefix"), 0, 0.0, "", "", REQUEST)
    assert "Temperature" in failed["status"] and "error" in failed["status"]


def test_what_the_address_says_is_restored_and_what_it_cannot_say_is_named(do):
    restored = do.restore("?alone-run=tiny-prefix&alone-seed=3&alone-temperature=hot")
    assert (restored["state"].run, restored["seed"], restored["temperature"]) == ("tiny-prefix", 3, 1.0)
    assert "alone-temperature" in restored["verdict"]
    assert list(do.open(AloneState(), "", REQUEST)) == [do.no_update()]
    listed = do.choices(AloneState("text:Hi"), "space", "", "", REQUEST)["run"]
    assert "tiny-prefix" in listed and "tiny-finetuned" not in listed and 'value="Hi"' in listed
    listed = do.choices(AloneState(), "space", "", "?prefix=triples-prefix", REQUEST)["run"]
    assert 'value="triples-prefix" selected' in listed  # the run of Compare's prefix column
    assert do.choices(AloneState(), "compare", "", "", REQUEST) == do.no_update()


def test_a_link_brings_every_seed_back_that_is_accepted(do):
    seed = 2**53 - 1
    update = sampled(do, AloneState(), seed=seed)
    assert urlstate.read("?" + update["address"], AloneState).seed == seed and f">{seed}</th>" in update["texts"]
    for wrong in (-1, 2**53, 1.5):
        (failed,) = do.sample(AloneState(), wrong, 1.0, "", "", REQUEST)
        assert f"The seed {wrong} cannot be used" in failed["status"] and "address" not in failed


def test_an_encoder_decoder_model_samples_too(newsroom):
    section = AloneSection(**{field.name: field.name for field in fields(AloneSection)})
    do = AloneHandlers(newsroom, SimpleNamespace(status="status"), section)
    for run in ("news-prefix", "text:Hello there"):
        assert f"texts of {run} begin with" in sampled(do, AloneState(run))["verdict"]
