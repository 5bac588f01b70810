"""The sentences of Train: over a run, in the queue, before a start."""

from types import SimpleNamespace

import pytest

from app.shared.tickets import Tickets
from app.train.handlers import TrainHandlers
from app.train.headline import headline
from app.train.progress import RunProgressView
from core.runs.status import RunStatus, TrainingLog


def test_a_stopped_run_says_how_far_it_came():
    run = SimpleNamespace(trained=10, valid_loss=None, status="cancelled")
    html = headline("demo", "cancelled", RunStatus("cancelled", 4, 100), TrainingLog(), [], run)
    assert "demo was stopped after 4 of 100 updates. It has no validation loss." in html
    done = SimpleNamespace(trained=10, valid_loss=1.5, status="done")
    assert "demo ended at a validation loss of 1.50." in headline(
        "demo", "done", RunStatus("done", 100, 100), TrainingLog(), [], done
    )


@pytest.mark.parametrize(("current", "is_named"), [("", True), ("gone", False)])
def test_a_run_of_the_address_that_is_not_there_is_named(current, is_named):
    jobs = SimpleNamespace(**dict.fromkeys(("try_tick", "waiting", "training", "interrupted"), list))
    page = SimpleNamespace(headline="headline", timer="timer")
    do = SimpleNamespace(jobs=jobs, page=page, _state=lambda run: "", show=lambda run: {"headline": "Nothing is being trained."})
    update = TrainHandlers.open(do, "?tab=train&job=ghost", current)
    assert ("no usable value for: job." in update["headline"]) is is_named and "Nothing is" in update["headline"]


@pytest.mark.parametrize(
    ("ahead", "obstacle", "sentence"),
    [
        (["one", "two"], "", "Waits behind one, two."),
        ([], "", "It starts in a moment."),
        ([], "Cannot write x: no space left. Free some.", "It cannot start yet. Cannot write x: no space left. Free some."),
    ],
)
def test_a_queued_run_says_what_it_waits_for(ahead, obstacle, sentence):
    jobs = SimpleNamespace(ahead=lambda run: ahead, obstacle=obstacle)
    html = RunProgressView._status_text(SimpleNamespace(jobs=jobs), "next", "queued", RunStatus(), TrainingLog(), None)
    assert sentence in html


def test_an_estimate_that_a_later_one_overtook_is_dropped():
    tickets, page = Tickets(), SimpleNamespace(session_hash="page")

    def slow(inputs):  # meanwhile another name is typed
        if inputs == "first name":
            assert estimate("second name") == {"facts": "second name"}
        return {"facts": inputs}

    do = SimpleNamespace(context=SimpleNamespace(tickets=tickets), _estimate=slow)
    estimate = lambda inputs: TrainHandlers._newest_estimate(do, inputs, page)  # noqa: E731
    assert estimate("first name") == {}
