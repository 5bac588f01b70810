"""One model, many prefixes (paper §8.1, §8.2): one worker owns the device, and everybody's requests go through it.

Requests that share a model are written as one batch, each with its own prefix or none and its own decoding
settings; they join and leave between two steps. Models, beam searches and plain jobs take turns: a step of each, round
and round, so that nothing waits for ever. What comes out is what each request would give alone.

    engine = Engine()
    with engine.submit(backbone.model, backbone, request, decode) as stream:
        for token in stream:
            print(token.text_so_far)
    engine.run(next_word, backbone.model, backbone, request)
"""

import atexit
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import Empty
from typing import Any, TypeVar

from core.config.decode import DecodeConfig
from core.errors import Busy
from core.generation.generate import Generation, Request, Token, check
from core.models.backbone import Backbone
from core.serving.scheduler import Jobs, Lane, Row, Searches, Source

ROWS = 16  # going at once through a model
WAITING = 128  # that may wait for a place
CLOSED = "The model is being closed, and nothing more is written. Open the app again."

Result = TypeVar("Result")


class Stream:
    """A request's tokens as they come, and its result. Leaving it (`close`, or the end of a `with`) frees its place.

    Beam search tells no tokens: its result comes when it is whole.
    """

    def __init__(self, row: Row) -> None:
        self._row = row
        self.open = True  # whether more may come

    def __iter__(self) -> Iterator[Token]:
        """Tokens until the end, waiting for each; then the request's own error, where it ended in one."""
        while self.open:
            yield from self.ready(None)
        self.result()

    def ready(self, seconds: float | None = 0) -> list[Token]:
        """The tokens that have come since the last call; waits up to `seconds` (None: as long as it takes) for the first."""
        found: list[Token] = []
        try:
            token = self._row.told.get(timeout=seconds) if seconds != 0 else self._row.told.get_nowait()
            while token is not None:
                found.append(token)
                token = self._row.told.get_nowait()
            self.open = False
        except Empty:
            pass
        return found

    def result(self) -> Generation:
        """Wait for the end: the whole text, or the error that ended this request. A stream that was left is "cancelled"."""
        while self.open:
            self.ready(None)
        if isinstance(self._row.outcome, Exception):
            raise self._row.outcome
        assert self._row.outcome is not None
        return self._row.outcome

    def wait(self, seconds: float) -> bool:
        """Wait for the end, up to so long; whether it has come."""
        return self._row.done.wait(seconds)

    @property
    def seconds(self) -> float:
        """What its steps have taken so far, those of its neighbours in the batch included, other models' not."""
        return self._row.seconds

    def close(self) -> None:
        """Ask for no more. Closing twice, or after the end, does nothing."""
        self._row.left = True

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()  # nobody can read it any more


class Engine:
    """Owns the device through one thread of its own. `prepare` is run there first; `close` ends it."""

    def __init__(self, rows: int = ROWS, waiting: int = WAITING, prepare: Callable[[], None] | None = None) -> None:
        self.rows, self.limit, self._prepare = rows, waiting, prepare
        self._guard = threading.Lock()
        self._changed = threading.Condition(self._guard)
        self._sources: OrderedDict[Any, Source] = OrderedDict()  # with work to do, by whose turn is next
        self._numbers = 0
        self._closing = False
        self._worker = threading.Thread(target=self._serve, name="model", daemon=True)
        self._worker.start()
        atexit.register(self.close)

    def submit(self, model: Any, backbone: Backbone, request: Request, decode: DecodeConfig, caller: str = "") -> Stream:
        """Have a text written; returns at once. Among those who wait, each `caller` gets its share.

        Raises BadInput and TooLong for a request that cannot be, Busy where too many wait.
        """
        check(backbone, [request], decode)
        with self._changed:
            self._check_open()
            if (waiting := self._waiting()) >= self.limit:
                raise Busy(f"The model is busy: {waiting} texts wait for it, and no more may. Try again in a moment.")
            self._numbers += 1
            row = Row(self._numbers, model, backbone, request, decode, caller)
            source = self._searches() if decode.mode == "beam" else self._lane(model)
            source.waiting.append(row)
            self._changed.notify()
        return Stream(row)

    def run(self, job: Callable[..., Result], *given) -> Result:
        """Any other work on the device: wait for its turn, then for its result. Keep it short: others wait meanwhile."""
        if threading.current_thread() is self._worker:
            return job(*given)
        future: Future[Result] = Future()
        with self._changed:
            self._check_open()
            jobs = self._sources.setdefault("jobs", Jobs())
            assert isinstance(jobs, Jobs)
            jobs.waiting.append((future, job, given))
            self._changed.notify()
        return future.result()

    def waiting(self) -> int:
        """How many requests wait for a place."""
        with self._guard:
            return self._waiting()

    def before(self, stream: Stream) -> int:
        """How many requests of its model wait and came earlier; 0 where it waits no more."""
        row = stream._row
        with self._guard:
            lists = [source.waiting for source in self._sources.values() if isinstance(source, Lane | Searches)]
            return next((sum(other.number < row.number for other in rows) for rows in lists if row in rows), 0)

    def going(self) -> int:
        """How many requests are being streamed."""
        with self._guard:
            return sum(len(source.going) for source in self._sources.values() if isinstance(source, Lane))

    def close(self) -> None:
        """End the worker after its present step. Whoever still waits hears that the model is busy."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if threading.current_thread() is not self._worker:
            self._worker.join()
        atexit.unregister(self.close)

    def _check_open(self) -> None:
        if self._closing:
            raise Busy(CLOSED)

    def _lane(self, model: Any) -> Lane:
        lane = self._sources.setdefault(id(model), Lane(self.rows, self._guard))
        assert isinstance(lane, Lane)
        return lane

    def _searches(self) -> Searches:
        searches = self._sources.setdefault("searches", Searches(self.rows, self._guard, self._between))
        assert isinstance(searches, Searches)
        return searches

    def _waiting(self) -> int:
        return sum(len(source.waiting) for source in self._sources.values() if isinstance(source, Lane | Searches))

    def _serve(self) -> None:
        if self._prepare is not None:
            self._prepare()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._sources or self._closing)
                if self._closing:
                    break
                key = next(iter(self._sources))
            self._turn(key)
        for source in self._sources.values():
            source.abandon(Busy(CLOSED))

    def _turn(self, key: Any) -> None:
        """One source's turn; then it is last in line."""
        source = self._sources[key]
        try:
            source.turn()
        except Exception as error:  # a fault of the engine's own: nobody must wait for ever because of it
            with self._guard:
                del self._sources[key]
            source.abandon(error)
            return
        with self._guard:
            self._sources.move_to_end(key)
            if source.idle:
                del self._sources[key]

    def _between(self) -> None:
        """A turn for every other source while a beam search is under way, which may take many seconds."""
        if self._closing:
            raise Busy(CLOSED)
        with self._guard:
            others = [key for key in self._sources if key != "searches"]
        for key in others:
            self._turn(key)
