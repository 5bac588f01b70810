"""Serve many prefixes with one model (paper §8.1, §8.2): all requests go through one worker thread, which owns the device.

Requests that share a model are generated as one batch, each with its own prefix (or none) and its own decoding settings; they
join and leave between steps. Models, beam searches and plain jobs take turns, one step each, so that none waits for ever; jobs in
the background run when nothing else waits, and for a tenth of the time when something does. A request gets the same result as it
would alone.

    engine = Engine()
    with engine.submit(backbone.model, backbone, request, decode) as stream:
        for token in stream:
            print(token.text_so_far)
    engine.run(next_token_probs, backbone.model, backbone, request)
"""

import atexit
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from queue import Empty
from typing import TYPE_CHECKING, TypeVar

from core.config.decode import DecodeConfig
from core.errors import Busy
from core.generation.limits import check_requests
from core.generation.sequence import decode_text
from core.generation.types import Generation, Request, Token
from core.models.backbone import Backbone
from core.serving.scheduler import BatchScheduler, BeamQueue, JobQueue, QueuedSequence, WorkQueue

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ROWS = 16  # sequences that run at once on a model
WAITING = 128  # requests that may wait for a place
BACKGROUND = "background"  # the queue of jobs that nobody waits for
BACKGROUND_SHARE = 0.1  # the part of the time that these get at least, while other work waits
CLOSED = "The model is being closed, and nothing more is generated. Open the app again."

Result = TypeVar("Result")


class Stream:
    """The tokens of a request as they are generated, and its result. Closing it (or leaving its `with` block) frees its place.

    Beam search yields no tokens: its result is available when it is complete; until then, `draft` is its best beam.
    """

    def __init__(self, sequence: QueuedSequence) -> None:
        self._sequence = sequence
        self.open = True  # whether more may come

    def __iter__(self) -> Iterator[Token]:
        """Yield tokens until the end, waiting for each. Raises the request's error if it ended in one."""
        while self.open:
            yield from self.ready(None)
        self.result()

    def ready(self, seconds: float | None = 0) -> list[Token]:
        """Return the tokens since the last call, waiting up to `seconds` (None: without limit) for the first."""
        tokens: list[Token] = []
        queue = self._sequence.token_queue
        try:
            token = queue.get(timeout=seconds) if seconds != 0 else queue.get_nowait()
            while token is not None:
                tokens.append(token)
                token = queue.get_nowait()
            self.open = False
        except Empty:
            pass
        return tokens

    def result(self) -> Generation:
        """Wait for the end and return the text, or raise the request's error. A closed stream's text is "cancelled"."""
        while self.open:
            self.ready(None)
        outcome = self._sequence.outcome
        if isinstance(outcome, Exception):
            raise outcome
        assert outcome is not None
        return outcome

    @property
    def draft(self) -> str:
        """The text of a beam search's best beam so far, from which the result may differ in every word; else empty."""
        return decode_text(self._sequence.backbone, self._sequence.draft)

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the end; returns whether it was reached."""
        return self._sequence.done.wait(seconds)

    @property
    def seconds(self) -> float:
        """The time of its steps so far; includes other rows of the same batch, but not other models."""
        return self._sequence.seconds

    def close(self) -> None:
        """Stop generating. Has no effect after the end."""
        self._sequence.cancelled = True

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()  # nobody can read it any more


class Engine:
    """Owns the device through a worker thread. `prepare` runs on it first; `close` ends it."""

    def __init__(self, rows: int = ROWS, waiting: int = WAITING, prepare: Callable[[], None] | None = None) -> None:
        self.rows, self.limit, self._prepare = rows, waiting, prepare
        self._guard = threading.Lock()
        self._changed = threading.Condition(self._guard)
        self._queues: OrderedDict[Hashable, WorkQueue] = OrderedDict()  # those with work to do, the next one first
        self._numbers = 0
        self._background_due = 0.0  # when a job in the background gets a turn although other work waits
        self._closing = False
        self._worker = threading.Thread(target=self._work, name="model", daemon=True)
        self._worker.start()
        atexit.register(self.close)

    def submit(
        self, model: "PreTrainedModel", backbone: Backbone, request: Request, decode: DecodeConfig, caller: str = ""
    ) -> Stream:
        """Queue a request and return its stream at once. Places are shared fairly between callers.

        Raises BadInput and TooLong for a request that cannot be generated, Busy if too many are waiting.
        """
        check_requests(backbone, [request], decode)
        with self._changed:
            self._check_open()
            if (waiting := self._waiting()) >= self.limit:
                raise Busy(f"The model is busy: {waiting} texts are waiting, which is the limit. Try again in a moment.")
            self._numbers += 1
            sequence = QueuedSequence(self._numbers, model, backbone, request, decode, caller)
            queue = self._beam_queue() if decode.is_beam_search else self._scheduler(model)
            queue.waiting.append(sequence)
            self._changed.notify()
        return Stream(sequence)

    def run(self, function: Callable[..., Result], *arguments: object, background: bool = False) -> Result:
        """Run a function on the device's thread and return its result. Keep it short, since other requests wait.

        `background`: nobody waits for the result, and other work comes first.
        """
        if threading.current_thread() is self._worker:
            return function(*arguments)
        future: Future[Result] = Future()
        with self._changed:
            self._check_open()
            jobs = self._queues.setdefault(BACKGROUND if background else "jobs", JobQueue())
            assert isinstance(jobs, JobQueue)
            jobs.waiting.append((future, function, arguments))
            self._changed.notify()
        return future.result()

    def waiting(self) -> int:
        """How many requests are waiting."""
        with self._guard:
            return self._waiting()

    def queue_position(self, stream: Stream) -> int:
        """Return how many requests are ahead of a stream in its queue; 0 once it runs."""
        sequence = stream._sequence
        with self._guard:
            lines = [queue.waiting for queue in self._queues.values() if isinstance(queue, BatchScheduler | BeamQueue)]
            return next((sum(other.number < sequence.number for other in line) for line in lines if sequence in line), 0)

    def running(self) -> int:
        """How many streams are running."""
        with self._guard:
            return sum(len(queue.running) for queue in self._queues.values() if isinstance(queue, BatchScheduler))

    def close(self) -> None:
        """End the worker after its current step. Waiting callers get Busy."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if threading.current_thread() is not self._worker:
            self._worker.join()
        atexit.unregister(self.close)

    def _check_open(self) -> None:
        if self._closing:
            raise Busy(CLOSED)

    def _scheduler(self, model: "PreTrainedModel") -> BatchScheduler:
        scheduler = self._queues.setdefault(id(model), BatchScheduler(self.rows, self._guard))
        assert isinstance(scheduler, BatchScheduler)
        return scheduler

    def _beam_queue(self) -> BeamQueue:
        queue = self._queues.setdefault("beams", BeamQueue(self.rows, self._guard, self._step_others))
        assert isinstance(queue, BeamQueue)
        return queue

    def _waiting(self) -> int:
        return sum(len(queue.waiting) for queue in self._queues.values() if isinstance(queue, BatchScheduler | BeamQueue))

    def _work(self) -> None:
        if self._prepare is not None:
            self._prepare()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queues or self._closing)
                if self._closing:
                    break
                key = self._next()
            self._step(key)
        for queue in self._queues.values():
            queue.fail_all(Busy(CLOSED))

    def _next(self) -> Hashable:
        """The queue whose turn it is. The caller holds the lock."""
        due = time.monotonic() >= self._background_due
        return next((key for key in self._queues if due or key != BACKGROUND), BACKGROUND)

    def _step(self, key: Hashable) -> None:
        """Give one queue its turn, and move it to the end of the order."""
        queue, began = self._queues[key], time.monotonic()
        try:
            queue.step()
        except Exception as error:  # a fault of the engine itself: nobody may wait for ever because of it
            with self._guard:
                del self._queues[key]
            queue.fail_all(error)
            return
        with self._guard:
            if key == BACKGROUND:
                now = time.monotonic()
                self._background_due = now + (now - began) * (1 / BACKGROUND_SHARE - 1)
            self._queues.move_to_end(key)
            if queue.idle:
                del self._queues[key]

    def _step_others(self) -> None:
        """Give every other queue a turn during a beam search, which may take many seconds."""
        if self._closing:
            raise Busy(CLOSED)
        with self._guard:
            others = [key for key in self._queues if key not in ("beams", BACKGROUND)]
        for key in others:
            self._step(key)
