"""Many callers, one model: everybody gets their own answer, nobody waits for ever, nobody else's error arrives."""

import itertools
import threading
import time

import pytest
import torch

from core.config.decode import DecodeConfig
from core.errors import BadInput, Busy, TooLong
from core.generation.generate import next_token_probs
from core.generation.types import Request
from core.models.loading import load_backbone
from core.prefix.prefix import Prefix
from core.serving.engine import Engine
from core.serving.scheduler import BatchScheduler, QueuedSequence
from tests.support.held_engine import held
from tests.support.serving import alone, asked, same
from tests.support.tiny_models import random_prefix

LONG = DecodeConfig(max_new=25, min_new=25)
SAMPLE = DecodeConfig("sample", max_new=25, min_new=25, temperature=0.9)


@pytest.fixture
def engine():
    new = Engine()
    yield new
    new.close()


def queued(engine, *jobs):
    """Threads that each wait for a job; all of these stand in the queue of a held engine."""
    threads = [threading.Thread(target=engine.run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    while len(engine._queues["jobs"].waiting) < len(jobs):
        time.sleep(0.001)
    return threads


def misfit(backbone):
    """A prefix of another model: the first forward call with it fails."""
    good = random_prefix(backbone, 4)
    return Prefix({site: kv[..., :-1] for site, kv in good.past.items()})


# ---- many at once


@pytest.mark.slow
@pytest.mark.parametrize("family", ["tiny", "bart"])
def test_twenty_clients_at_once_get_what_each_gets_alone(family, request, engine):
    backbone = request.getfixturevalue(family)
    requests = asked(backbone, 20)
    modes = [LONG, SAMPLE, DecodeConfig("sample", max_new=12, top_k=5), DecodeConfig("beam", beams=3, max_new=10, min_new=10)]
    results, ready = {}, threading.Barrier(20)

    def client(index):
        ready.wait()
        with engine.submit(backbone.model, backbone, requests[index], modes[index % 3 if index % 5 else 3]) as stream:
            texts = [token.text_so_far for token in stream]
            results[index] = (texts, stream.result())

    clients = [threading.Thread(target=client, args=(index,)) for index in range(20)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    for index, one in enumerate(requests):
        texts, outcome = results[index]
        decode = modes[index % 3 if index % 5 else 3]
        same(outcome, alone(backbone, one, decode))
        assert len(texts) == (0 if decode.mode == "beam" else len(outcome.ids))
        assert decode.mode == "beam" or texts[-1] == outcome.text


def test_models_do_not_mix(tiny, tiny_folder, engine):
    other = load_backbone(str(tiny_folder), "cpu")
    with torch.no_grad():
        other.model.transformer.wpe.weight.mul_(2)
    request = asked(tiny, 2)[1]
    streams = [engine.submit(backbone.model, backbone, request, LONG) for backbone in (tiny, other, tiny)]
    generations = [stream.result() for stream in streams]
    assert generations[0].ids == generations[2].ids == alone(tiny, request, LONG).ids
    assert generations[1].ids == alone(other, request, LONG).ids != generations[0].ids


# ---- turns


def test_streams_and_plain_jobs_take_turns(tiny, tiny_folder, engine):
    other, order = load_backbone(str(tiny_folder), "cpu"), []
    with held(engine):
        first = engine.submit(tiny.model, tiny, asked(tiny, 1)[0], LONG)
        second = engine.submit(other.model, other, asked(tiny, 1)[0], LONG)
        jobs = queued(engine, *[lambda: order.append((len(first._sequence.tokens), len(second._sequence.tokens)))] * 10)
    for job in jobs:
        job.join()
    first.result(), second.result()
    assert len(order) == 10
    for before, after in itertools.pairwise(order):
        assert before[0] < after[0] <= before[0] + 3 and before[1] < after[1] <= before[1] + 3


@pytest.mark.parametrize(("share", "first"), [(1e-9, range(25, 26)), (1.0, range(0, 4))])
def test_a_job_in_the_background_lets_all_others_go_first_but_not_for_ever(tiny, engine, monkeypatch, share, first):
    monkeypatch.setattr("core.serving.engine.BACKGROUND_SHARE", share)
    engine.run(lambda: None, background=True)
    order: list[int] = []
    with held(engine):
        stream = engine.submit(tiny.model, tiny, asked(tiny, 1)[0], LONG)
        note = lambda: order.append(len(stream._sequence.tokens))  # noqa: E731
        patient = threading.Thread(target=lambda: engine.run(note, background=True))
        patient.start()
        while "background" not in engine._queues:
            time.sleep(0.001)
    patient.join()
    stream.result()
    assert order[0] in first


@pytest.mark.parametrize("family", ["tiny", "bart"])
def test_others_go_on_during_a_beam_search(family, request, engine):
    backbone = request.getfixturevalue(family)
    search = DecodeConfig("beam", beams=4, max_new=40, min_new=40)
    with held(engine):
        beam = engine.submit(backbone.model, backbone, asked(backbone, 2)[1], search)
        stream = engine.submit(backbone.model, backbone, asked(backbone, 3)[2], LONG)
        order = []
        (job,) = queued(engine, lambda: order.append(beam._sequence.outcome))
    same(stream.result(), alone(backbone, asked(backbone, 3)[2], LONG))
    generation = beam.result()
    job.join()
    assert order == [None], "the job had to wait for the search"
    assert generation.ids == alone(backbone, asked(backbone, 2)[1], search).ids


def test_a_job_within_a_beam_search_reads_the_model_without_the_prefix_of_the_search(tiny, engine):
    ids = torch.tensor([[1, 2, 3]])

    def logits():
        with torch.no_grad():
            return tiny.model(ids, use_cache=False).logits

    expected = logits()
    with held(engine):
        beam = engine.submit(tiny.model, tiny, asked(tiny, 2)[1], DecodeConfig("beam", beams=3, max_new=30, min_new=30))
        read = []
        (job,) = queued(engine, lambda: read.append((beam._sequence.outcome, logits())))
    beam.result()
    job.join()
    ((outcome, logits_within),) = read
    assert outcome is None, "the job had to wait for the search"
    torch.testing.assert_close(logits_within, expected)


def scheduler_of(backbone, requests, limit=16, callers=None, decode=LONG):
    scheduler = BatchScheduler(limit, threading.Lock())
    callers = callers or [""] * len(requests)
    rows = [QueuedSequence(i, backbone.model, backbone, request, decode, callers[i]) for i, request in enumerate(requests)]
    scheduler.waiting += rows
    return scheduler, rows


def test_a_newcomer_joins_between_two_steps(tiny):
    scheduler, (first, second) = scheduler_of(tiny, asked(tiny, 2))
    scheduler.waiting = [first]
    for _ in range(5):
        scheduler.step()
    scheduler.waiting = [second]
    scheduler.step()
    assert (len(first.tokens), len(second.tokens)) == (6, 1) and scheduler.running == [first, second]
    while not scheduler.idle:
        scheduler.step()
    same(first.outcome, alone(tiny, first.request, LONG))
    same(second.outcome, alone(tiny, second.request, LONG))


def test_a_caller_with_nothing_going_comes_before_another_one_s_second_text(tiny):
    scheduler, rows = scheduler_of(tiny, asked(tiny, 6), limit=2, callers=["a", "a", "a", "a", "b", "c"])
    ends = []
    while not scheduler.idle:
        scheduler.step()
        ends += [row.number for row in rows if row.outcome is not None and row.number not in ends]
    assert ends == [0, 4, 1, 5, 2, 3]


# ---- leaving


def test_leaving_frees_the_place_and_keeps_what_came(tiny):
    scheduler, (first, second) = scheduler_of(tiny, asked(tiny, 2), limit=1)
    for _ in range(3):
        scheduler.step()
    assert scheduler.waiting == [second]
    first.cancelled = True
    scheduler.step()
    scheduler.step()
    assert first.outcome.finish == "cancelled" and first.outcome.ids == alone(tiny, first.request, LONG).ids[:4]
    assert scheduler.running == [second]
    while not scheduler.idle:
        scheduler.step()
    same(second.outcome, alone(tiny, second.request, LONG))


def test_leaving_while_waiting_while_searching_and_by_forgetting(tiny, engine):
    with held(engine):
        waits = engine.submit(tiny.model, tiny, asked(tiny, 1)[0], LONG)
        with engine.submit(tiny.model, tiny, asked(tiny, 1)[0], DecodeConfig("beam", max_new=40, min_new=40)) as beam:
            pass
        forgotten = engine.submit(tiny.model, tiny, asked(tiny, 1)[0], LONG)
        row = forgotten._sequence
        del forgotten
        waits.close()
    assert waits.result().finish == beam.result().finish == "cancelled"
    while row.token_queue.get() is not None:
        pass
    assert row.outcome.finish == "cancelled"
    assert engine.waiting() == 0


# ---- errors


@pytest.mark.parametrize("decode", [LONG, DecodeConfig("beam", beams=3, max_new=12, min_new=12)])
def test_an_error_reaches_only_its_own_caller(tiny, engine, decode):
    requests = asked(tiny, 5)
    requests.insert(2, Request(tiny.encode("x"), misfit(tiny)))
    with held(engine):
        streams = [engine.submit(tiny.model, tiny, request, decode) for request in requests]
    with pytest.raises(RuntimeError):
        streams.pop(2).result()
    for stream, request in zip(streams, asked(tiny, 5), strict=True):
        assert stream.result().ids == alone(tiny, request, decode).ids
    with pytest.raises(ZeroDivisionError):
        engine.run(lambda: 1 / 0)
    assert engine.run(next_token_probs, tiny.model, tiny, requests[0]) == next_token_probs(tiny.model, tiny, requests[0])


def test_a_newcomer_that_fails_does_not_disturb_those_who_go(tiny):
    scheduler, rows = scheduler_of(tiny, [*asked(tiny, 2), Request(tiny.encode("x"), misfit(tiny))])
    scheduler.waiting = rows[:2]
    scheduler.step()
    scheduler.waiting = rows[2:]
    scheduler.step()
    assert isinstance(rows[2].outcome, RuntimeError) and [len(row.tokens) for row in rows[:2]] == [2, 2]


def test_a_step_that_fails_in_company_is_taken_again_alone_and_reported_once(tiny, monkeypatch):
    """As where the batch is too large for the memory."""
    scheduler, rows = scheduler_of(tiny, asked(tiny, 3), decode=SAMPLE)
    expected = [alone(tiny, row.request, SAMPLE) for row in rows]
    for _ in range(4):
        scheduler.step()

    def fails():
        raise MemoryError("no room for three")

    monkeypatch.setattr(scheduler._batch, "logits", fails)
    while not scheduler.idle:
        scheduler.step()
    for row, generation in zip(rows, expected, strict=True):
        same(row.outcome, generation)
        ids = []
        while (token := row.token_queue.get()) is not None:
            ids.append(token.id)
        assert ids == generation.ids


def test_a_row_that_cannot_be_sampled_from_ends_alone(tiny, engine):
    broken = random_prefix(tiny, 3)
    broken.past["decoder"].fill_(torch.nan)
    good, bad = asked(tiny, 1)[0], Request(tiny.encode("x"), broken)
    with held(engine):
        streams = [engine.submit(tiny.model, tiny, request, SAMPLE) for request in (good, bad)]
    with pytest.raises(RuntimeError, match="nan"):
        list(streams[1])
    same(streams[0].result(), alone(tiny, good, SAMPLE))


def test_what_cannot_be_is_refused_at_once(tiny, engine):
    with pytest.raises(BadInput, match="empty"):
        engine.submit(tiny.model, tiny, Request([]), LONG)
    with pytest.raises(TooLong, match="has 250 tokens, and at most 231 fit"):
        engine.submit(tiny.model, tiny, Request([5] * 250), LONG)


# ---- busy, and the end


def test_too_many_are_refused_as_busy_and_the_others_served(tiny):
    engine = Engine(rows=1, waiting=2)
    with held(engine):
        streams = [engine.submit(tiny.model, tiny, request, LONG) for request in asked(tiny, 2)]
        with pytest.raises(Busy, match=r"The model is busy: 2 texts are waiting, which is the limit\. Try again in a moment"):
            engine.submit(tiny.model, tiny, asked(tiny, 1)[0], LONG)
    assert [len(stream.result().ids) for stream in streams] == [25, 25]
    engine.close()


def test_closing_answers_those_who_wait(tiny):
    engine = Engine()
    with held(engine):
        stream = engine.submit(tiny.model, tiny, asked(tiny, 1)[0], LONG)
        closer = threading.Thread(target=engine.close)
        closer.start()
        while not engine._closing:
            time.sleep(0.001)
    closer.join()
    with pytest.raises(Busy, match="being closed"):
        stream.result()
    with pytest.raises(Busy, match="being closed"):
        engine.run(len, "x")


def test_a_fault_of_the_engine_leaves_nobody_waiting(tiny, engine, monkeypatch):
    monkeypatch.setattr(BatchScheduler, "step", lambda scheduler: 1 / 0)
    stream = engine.submit(tiny.model, tiny, asked(tiny, 1)[0], LONG)
    with pytest.raises(ZeroDivisionError):
        stream.result()
    monkeypatch.undo()
    same(engine.submit(tiny.model, tiny, asked(tiny, 1)[0], LONG).result(), alone(tiny, asked(tiny, 1)[0], LONG))


def test_a_job_may_ask_for_a_job(engine):
    assert engine.run(lambda: engine.run(len, "four")) == 4
