"""The queues that the engine's worker thread serves in turn: batches of streams, beam searches and plain jobs.

Everything here runs on the worker thread, with two exceptions: a caller reads a `QueuedSequence` while it grows, and adds new
ones to a `waiting` list, which the engine's lock protects.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from math import ceil
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from core.config.decode import DecodeConfig
from core.generation.decoding_batch import DecodingBatch, make_batch
from core.generation.generate import generate
from core.generation.sequence import SequenceState, decode_text
from core.generation.types import Generation, Request, Token
from core.models.backbone import Backbone
from core.prefix.attention import attach

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Job = tuple[Future[Any], Callable[..., object], tuple[object, ...]]  # the result, the function, its arguments


class QueuedSequence(SequenceState):
    """A request from its arrival to its end. The worker puts its tokens in `token_queue`, then sets `outcome` and puts None."""

    def __init__(
        self, number: int, model: "PreTrainedModel", backbone: Backbone, request: Request, decode: DecodeConfig, caller: str
    ) -> None:
        super().__init__(backbone, request, decode)
        self.number, self.model, self.caller = number, model, caller
        self.token_queue: SimpleQueue[Token | None] = SimpleQueue()
        self.done = threading.Event()
        self.outcome: Generation | Exception | None = None
        self.draft: list[int] = []  # ids of a beam search's best beam so far
        self.seconds = 0.0  # of the steps that it took part in
        self.cancelled = False  # set by the caller
        self.isolated = False  # a step shared with others failed: it is run alone from then on
        self.error: Exception | None = None
        self._sent = 0

    @property
    def complete(self) -> bool:
        """Whether no further token will be generated."""
        return self.cancelled or self.finished or self.error is not None

    def append_next(self, row: int, logprobs: Tensor) -> Token | None:
        """Choose the next token and send it to the caller. An error ends this sequence only."""
        try:
            token = super().append_next(0, logprobs)
        except Exception as error:
            self.error = error
            return None
        if token is not None and len(self.tokens) > self._sent:  # after a restart, tokens are not sent twice
            self._sent = len(self.tokens)
            self.token_queue.put(token)
        return token

    def end(self, outcome: Generation | Exception | None = None) -> None:
        """Send the result, or the error that ended the sequence."""
        self.outcome = outcome or self.error or self.to_generation(self.seconds, self.cancelled)
        self.token_queue.put(None)
        self.done.set()


def fair_order(waiting: Sequence[QueuedSequence], running: Sequence[QueuedSequence] = ()) -> list[QueuedSequence]:
    """Return waiting sequences as they may start: those whose caller has the fewest before them, then in order of arrival."""
    before, places = Counter(sequence.caller for sequence in running), {}
    for sequence in sorted(waiting, key=lambda sequence: sequence.number):
        places[sequence] = before[sequence.caller], sequence.number
        before[sequence.caller] += 1
    return sorted(places, key=places.__getitem__)


class WorkQueue(Protocol):
    """Work that the engine does in turns."""

    def step(self) -> None:
        """Do one short piece of work; errors go to the callers concerned."""
        ...

    @property
    def idle(self) -> bool:
        """Whether there is nothing left to do."""
        ...

    def fail_all(self, error: Exception) -> None:
        """End all work with an error."""
        ...


class BatchScheduler:
    """Continuous batching for one model: at most `limit` sequences run, the others wait.

    New sequences join between steps. Waiting sequences whose caller has the fewest running ones come first, then the order of
    arrival counts.
    """

    def __init__(self, limit: int, guard: threading.Lock) -> None:
        self.limit, self.guard = limit, guard
        self.waiting: list[QueuedSequence] = []
        self.running: list[QueuedSequence] = []
        self._batch: DecodingBatch | None = None

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.running)

    def step(self) -> None:
        """Do one decode step of the running sequences, and the first step of those that may join them."""
        try:
            if self._batch is not None:
                self._decode(self._batch, self.running)
            self._start(self._admit())
            self._remove_complete()
        except Exception as error:  # out of memory, or a fault of one sequence: its caller gets it, not the others
            sequences, self.running, self._batch = self.running, [], None
            self._fail(sequences, error)

    def _start(self, sequences: list[QueuedSequence]) -> None:
        """Take the first step of admitted sequences in a separate batch, then merge it with the running one."""
        if not sequences:
            return
        first = sequences[0]
        try:
            batch = make_batch(first.model, first.backbone, [sequence.request for sequence in sequences])
            self._decode(batch, sequences)
        except Exception as error:
            self._fail(sequences, error)
            return
        self.running = self.running + sequences
        if self._batch is None:
            self._batch = batch
        else:
            self._batch.merge(batch)

    def _decode(self, batch: DecodingBatch, sequences: list[QueuedSequence]) -> None:
        began = time.monotonic()
        batch.step(sequences)
        seconds = time.monotonic() - began
        for sequence in sequences:
            sequence.seconds += seconds

    def _remove_complete(self) -> None:
        """End complete and cancelled sequences, and free their places."""
        with self.guard:
            ending = [sequence for sequence in self.waiting if sequence.cancelled]  # asked once: it may change at any moment
            self.waiting = [sequence for sequence in self.waiting if sequence not in ending]
        complete = [sequence.complete for sequence in self.running]
        ending += [sequence for sequence, ends in zip(self.running, complete, strict=True) if ends]
        remaining = [row for row, ends in enumerate(complete) if not ends]
        if self._batch is not None and remaining and len(remaining) < len(complete):
            self._batch.select(remaining)
        self.running = [self.running[row] for row in remaining]
        if not self.running:
            self._batch = None
        for sequence in ending:
            sequence.end()

    def _admit(self) -> list[QueuedSequence]:
        """Take the sequences that may start now from `waiting`; an isolated sequence runs alone, so that its error affects no
        other."""
        with self.guard:
            isolated = next((sequence for sequence in self.waiting if sequence.isolated), None)
            if isolated is not None or any(sequence.isolated for sequence in self.running):
                admitted = [isolated] if isolated is not None and not self.running else []
            else:
                admitted = fair_order(self.waiting, self.running)[: max(0, self.limit - len(self.running))]
            self.waiting = [sequence for sequence in self.waiting if sequence not in admitted]
        return admitted

    def fail_all(self, error: Exception) -> None:
        for sequence in [*self.running, *self.waiting]:
            sequence.end(error)

    def _fail(self, sequences: list[QueuedSequence], error: Exception) -> None:
        """End a single sequence with the error; several are restarted alone, since any of them may have caused it."""
        if len(sequences) == 1:
            sequences[0].end(error)
            return
        for sequence in sequences:
            sequence.isolated = True
            sequence.restart()
        with self.guard:
            self.waiting = sequences + self.waiting


class BeamQueue:
    """Beam searches, one batch of similar requests after another; `between_steps` is called at each step of a search."""

    def __init__(self, limit: int, guard: threading.Lock, between_steps: Callable[[], None]) -> None:
        self.limit, self.guard, self.between_steps = limit, guard, between_steps
        self.waiting: list[QueuedSequence] = []

    @property
    def idle(self) -> bool:
        return not self.waiting

    def fail_all(self, error: Exception) -> None:
        for sequence in self.waiting:
            sequence.end(error)

    def step(self) -> None:
        """Run one batch to its end."""
        with self.guard:
            sequences = self._similar()
            self.waiting = [sequence for sequence in self.waiting if sequence not in sequences]
        try:
            self._search(sequences)
        except Exception as error:
            for sequence in sequences:
                self._retry_alone(sequence, len(sequences), error)

    def _similar(self) -> list[QueuedSequence]:
        """Return the first waiting request in fair order, and others of its model and settings, until there are `limit` beams."""
        ordered = fair_order(self.waiting)
        first = ordered[0]
        similar = [
            sequence
            for sequence in ordered
            if sequence.model is first.model and sequence.decode == first.decode.replace(seed=sequence.decode.seed)
        ]
        return similar[: ceil(self.limit / first.decode.beams)]

    def _retry_alone(self, sequence: QueuedSequence, batch: int, error: Exception) -> None:
        """Repeat a sequence of a failed batch alone, so that only the request that caused the error gets it."""
        if sequence.done.is_set():  # cancelled before the error
            return
        try:
            if batch == 1:
                raise error
            self._search([sequence])
        except Exception as own:
            sequence.end(own)

    def _search(self, sequences: Sequence[QueuedSequence]) -> None:
        def cancel() -> bool:
            with attach(first.model, None):  # the search's prefixes are not for what others run on the model
                self.between_steps()
            self._end_cancelled(sequences, time.monotonic() - began)
            return all(sequence.done.is_set() for sequence in sequences)

        def report(beams: list[list[int]]) -> None:
            for sequence, beam in zip(sequences, beams, strict=True):
                if not sequence.done.is_set() and sequence.draft[-1:] not in ends:  # a text that has ended stays
                    sequence.draft = beam

        began = time.monotonic()
        first, requests = sequences[0], [sequence.request for sequence in sequences]
        ends = [[token] for token in first.backbone.eos]
        generations = generate(first.model, first.backbone, requests, first.decode, cancel, report)
        for sequence, generation in zip(sequences, generations, strict=True):
            if not sequence.done.is_set():
                sequence.seconds = generation.seconds
                sequence.end(generation)

    def _end_cancelled(self, searched: Sequence[QueuedSequence], seconds: float) -> None:
        """End the cancelled sequences: those that wait, and those `searched` for so many seconds, with the best beam so far.

        The batch goes on for the others.
        """
        with self.guard:
            ending = [sequence for sequence in self.waiting if sequence.cancelled]  # asked once: it may change at any moment
            self.waiting = [sequence for sequence in self.waiting if sequence not in ending]
        for sequence in searched:
            if sequence.cancelled and not sequence.done.is_set():
                sequence.seconds = seconds
                ending.append(sequence)
        for sequence in ending:
            ids = sequence.draft
            sequence.end(Generation(decode_text(sequence.backbone, ids), ids, [], "cancelled", sequence.seconds))


class JobQueue:
    """Any other work on the device, one job per turn, in the order of arrival."""

    def __init__(self) -> None:
        self.waiting: deque[Job] = deque()

    @property
    def idle(self) -> bool:
        return not self.waiting

    def step(self) -> None:
        """Run the next job; its result or error goes to the future."""
        future, function, arguments = self.waiting.popleft()
        if not future.set_running_or_notify_cancel():
            return
        try:
            with torch.enable_grad():  # its turn may come in the middle of a beam search, which needs no gradients
                future.set_result(function(*arguments))
        except BaseException as error:  # the caller must hear of it, whatever it is
            future.set_exception(error)

    def fail_all(self, error: Exception) -> None:
        for future, _, _ in self.waiting:
            future.set_exception(error)
