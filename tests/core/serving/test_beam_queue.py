"""Beam searches in batches: the best beam so far, turns of the pages, and leaving a batch."""

import threading

import pytest

from core.config.decode import DecodeConfig
from core.generation.generate import generate
from core.serving.engine import Stream
from core.serving.scheduler import BeamQueue, QueuedSequence
from tests.support.serving import alone, asked, same


@pytest.mark.parametrize("family", ["tiny", "bart"])
def test_a_beam_search_has_its_best_beam_until_it_ends(family, request):
    backbone = request.getfixturevalue(family)
    search, (one, other) = DecodeConfig("beam", beams=3, max_new=8, min_new=8), asked(backbone, 2)
    drafts = []
    generations = generate(backbone.model, backbone, [one, other], search, report=drafts.append)
    assert [len(ids) for step in drafts for ids in step] == [count for step in range(1, 9) for count in (step, step)]
    assert drafts[-1] == [generation.ids for generation in generations]  # all texts have one length: the likeliest
    queue = BeamQueue(16, threading.Lock(), lambda: None)
    queue.waiting = [QueuedSequence(0, backbone.model, backbone, one, search, "")]
    stream = Stream(queue.waiting[0])
    assert stream.draft == ""
    queue.step()
    assert stream.draft == stream.result().text == generations[0].text


def test_beam_searches_of_one_page_do_not_hold_up_those_of_another(tiny):
    search, queue = DecodeConfig("beam", beams=2, max_new=4), BeamQueue(4, threading.Lock(), lambda: None)
    callers = ["many", "many", "many", "many", "one"]
    rows = [
        QueuedSequence(number, tiny.model, tiny, request, search, caller)
        for number, (request, caller) in enumerate(zip(asked(tiny, 5), callers, strict=True))
    ]
    queue.waiting = list(rows)
    queue.step()
    assert [row.done.is_set() for row in rows] == [True, False, False, False, True]
    queue.step()
    assert [row.done.is_set() for row in rows] == [True, True, True, False, True]


def searches(backbone, count, limit, between_steps):
    """A queue of beam searches of which `limit` beams run at once, and its sequences."""
    search = DecodeConfig("beam", beams=2, max_new=12, min_new=12)
    queue = BeamQueue(limit, threading.Lock(), between_steps)
    queue.waiting = [
        QueuedSequence(number, backbone.model, backbone, request, search, "")
        for number, request in enumerate(asked(backbone, count))
    ]
    return queue, list(queue.waiting)


@pytest.mark.parametrize("family", ["tiny", "bart"])
def test_leaving_a_batch_of_beam_searches_ends_one_at_once_and_leaves_the_others_as_they_are(family, request):
    backbone, steps = request.getfixturevalue(family), []

    def between_steps():
        steps.append((leaver.done.is_set(), waiter.done.is_set()))
        leaver.cancelled = waiter.cancelled = len(steps) >= 4

    queue, (leaver, stayer, waiter, next_one) = searches(backbone, 4, limit=4, between_steps=between_steps)
    drafts = []
    generate(backbone.model, backbone, [leaver.request, stayer.request], leaver.decode, report=drafts.append)
    queue.step()
    assert steps[:5] == [(False, False)] * 4 + [(True, True)] and len(steps) == 12
    assert (leaver.outcome.finish, leaver.outcome.ids) == ("cancelled", drafts[3][0])
    assert Stream(leaver).draft == leaver.outcome.text != "" and leaver.token_queue.qsize() == 1
    assert (waiter.outcome.finish, waiter.outcome.text) == ("cancelled", "")
    assert queue.waiting == [next_one]
    same(stayer.outcome, alone(backbone, stayer.request, stayer.decode))


def test_a_batch_of_beam_searches_that_all_have_left_stops(tiny):
    steps = []

    def between_steps():
        steps.append(1)
        rows[len(steps) % 2].cancelled = True

    queue, rows = searches(tiny, 2, limit=4, between_steps=between_steps)
    queue.step()
    assert len(steps) == 2 and [len(row.outcome.ids) for row in rows] == [2, 1]


def test_who_has_left_a_batch_is_not_searched_for_again_after_an_error(tiny):
    steps = []

    def between_steps():
        steps.append(1)
        rows[0].cancelled = True
        if len(steps) == 3:
            raise MemoryError("no room for two")

    queue, rows = searches(tiny, 2, limit=4, between_steps=between_steps)
    queue.step()
    assert rows[0].outcome.finish == "cancelled" and rows[0].token_queue.qsize() == 1 and len(steps) == 3 + 12
    same(rows[1].outcome, alone(tiny, rows[1].request, rows[1].decode))
