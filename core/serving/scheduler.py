"""What the engine's worker does in turn: the streams of a model, beam searches, plain jobs. A turn is short.

All of it runs on the worker's thread but for two things: whoever asked reads a `Row` while it grows, and puts new
ones on a list `waiting`, which `guard` keeps.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Protocol

from torch import Tensor

from core.config.decode import DecodeConfig
from core.generation import generate
from core.generation.decoding_batch import Decoder, decoder_of
from core.generation.generate import Generation, Request, Token
from core.models.backbone import Backbone


class Row(generate.Draft):
    """One request from its arrival to its end. The worker writes tokens into `told`, then `outcome`, then None."""

    def __init__(self, number: int, model: Any, backbone: Backbone, request: Request, decode: DecodeConfig, caller: str) -> None:
        super().__init__(request, decode)
        self.number, self.model, self.backbone, self.request, self.caller = number, model, backbone, request, caller
        self.told: SimpleQueue[Token | None] = SimpleQueue()
        self.done = threading.Event()
        self.outcome: Generation | Exception | None = None
        self.seconds = 0.0  # of the steps that it took part in
        self.left = False  # whoever asked is gone
        self.alone = False  # a step that it shared with others failed
        self.error: Exception | None = None
        self._sent = 0

    @property
    def over(self) -> bool:
        """Whether nothing more is to be written."""
        return self.left or self.full or self.error is not None

    def restarted(self) -> "Row":
        """Back to its beginning; what was told is not told twice."""
        self.alone = True
        super().__init__(self.request, self.decode)
        return self

    def take(self, logprobs: Tensor) -> int:
        """Choose the next token by log-probabilities (vocabulary,), and hand it out. What goes wrong ends this row only."""
        try:
            self.advance(0, logprobs, self.backbone)
        except Exception as error:
            self.error = error
            return 0
        if len(self.tokens) > self._sent:
            self._sent = len(self.tokens)
            self.told.put(self.tokens[-1])
        return self.ids[-1]

    def end(self, outcome: Generation | Exception | None = None) -> None:
        """Hand out the result, or the error that ended it."""
        self.outcome = outcome or self.error or generate.finished(self.tokens, self.decode, self.seconds, self.left)
        self.told.put(None)
        self.done.set()


class Source(Protocol):
    """Something that takes turns."""

    def turn(self) -> None:
        """One short piece of work; errors go to whoever asked."""
        ...

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do."""
        ...

    def abandon(self, error: Exception) -> None:
        """Tell everybody who waits that nothing more is done."""
        ...


class Lane:
    """The rows that go through one model together: at most `limit` going, the others waiting for a place.

    Newcomers join between two steps. Among those who wait, callers with fewer rows going come first, then the
    order of arrival.
    """

    def __init__(self, limit: int, guard: threading.Lock) -> None:
        self.limit, self.guard = limit, guard
        self.waiting: list[Row] = []
        self.going: list[Row] = []
        self._decoder: Decoder | None = None

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.going)

    def turn(self) -> None:
        """A step of those that go, and the first step of those that may join them now."""
        try:
            if self._decoder is not None:
                self._step(self._decoder, self.going)
            self._enter(self._admitted())
            self._leave()
        except Exception as error:  # out of memory, or something wrong with a row: its caller is told, not the others
            rows, self.going, self._decoder = self.going, [], None
            self._fail(rows, error)

    def _enter(self, rows: list[Row]) -> None:
        if not rows:
            return
        try:
            fresh = decoder_of(rows[0].model, rows[0].backbone, [row.request for row in rows])
            self._step(fresh, rows)
        except Exception as error:
            self._fail(rows, error)
            return
        self.going = self.going + rows
        if self._decoder is None:
            self._decoder = fresh
        else:
            self._decoder.join(fresh)

    def _step(self, decoder: Decoder, rows: list[Row]) -> None:
        began = time.monotonic()
        logprobs = decoder.logits().log_softmax(-1).cpu()  # (B, vocabulary)
        decoder.push([row.take(logprobs[place]) for place, row in enumerate(rows)])
        seconds = time.monotonic() - began
        for row in rows:
            row.seconds += seconds

    def _leave(self) -> None:
        """Those who are done, or whose caller left, make place."""
        with self.guard:
            gone = [row for row in self.waiting if row.left]  # a caller may leave at any moment, so each is asked once
            self.waiting = [row for row in self.waiting if row not in gone]
        over = [row.over for row in self.going]
        gone += [row for row, ends in zip(self.going, over, strict=True) if ends]
        stay = [place for place, ends in enumerate(over) if not ends]
        if self._decoder is not None and stay and len(stay) < len(over):
            self._decoder.keep(stay)
        self.going = [self.going[place] for place in stay]
        if not self.going:
            self._decoder = None
        for row in gone:
            row.end()

    def _admitted(self) -> list[Row]:
        """Who may join now. A row whose step failed goes alone, so that what is wrong with it meets nobody else."""
        with self.guard:
            alone = next((row for row in self.waiting if row.alone), None)
            if alone is not None or any(row.alone for row in self.going):
                chosen = [alone] if alone is not None and not self.going else []
            else:
                chosen = self._fairest(self.limit - len(self.going))
            self.waiting = [row for row in self.waiting if row not in chosen]
        return chosen

    def _fairest(self, places: int) -> list[Row]:
        held, left = Counter(row.caller for row in self.going), list(self.waiting)
        chosen: list[Row] = []
        while left and len(chosen) < places:
            row = min(left, key=lambda row: (held[row.caller], row.number))
            left.remove(row)
            chosen.append(row)
            held[row.caller] += 1
        return chosen

    def abandon(self, error: Exception) -> None:
        for row in [*self.going, *self.waiting]:
            row.end(error)

    def _fail(self, rows: list[Row], error: Exception) -> None:
        """Of several rows nobody knows which is to blame: each goes on alone. One alone is."""
        if len(rows) == 1:
            rows[0].end(error)
            return
        with self.guard:
            self.waiting = [row.restarted() for row in rows] + self.waiting


class Searches:
    """Beam searches, one batch of like requests after the other; `between` is called between the steps of a search."""

    def __init__(self, limit: int, guard: threading.Lock, between: Callable[[], None]) -> None:
        self.limit, self.guard, self.between = limit, guard, between
        self.waiting: list[Row] = []

    @property
    def idle(self) -> bool:
        return not self.waiting

    def abandon(self, error: Exception) -> None:
        for row in self.waiting:
            row.end(error)

    def turn(self) -> None:
        """One batch to its end."""
        with self.guard:
            rows = self._alike()
            self.waiting = [row for row in self.waiting if row not in rows]
        try:
            self._search(rows)
        except Exception as error:
            for row in rows:
                self._alone(row, len(rows), error)

    def _alike(self) -> list[Row]:
        """The first that waits, and others like it: as many as their beams leave room for."""
        first = self.waiting[0]
        like = [row for row in self.waiting if row.model is first.model and row.decode == first.decode.but(seed=row.decode.seed)]
        return like[: max(1, self.limit // first.decode.beams)]

    def _alone(self, row: Row, batch: int, error: Exception) -> None:
        """After an error of its batch (see Lane): again without the others, so that only the one to blame is told."""
        try:
            if batch == 1:
                raise error
            self._search([row])
        except Exception as own:
            row.end(own)

    def _search(self, rows: Sequence[Row]) -> None:
        def cancel() -> bool:
            self.between()
            return all(row.left for row in rows)

        first, requests = rows[0], [row.request for row in rows]
        found = generate.generate(first.model, first.backbone, requests, first.decode, cancel)
        for row, generation in zip(rows, found, strict=True):
            row.seconds = generation.seconds
            row.end(generation)


class Jobs:
    """Any other work on the device, one job a turn, in the order of arrival."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Future, Callable, tuple]] = deque()

    @property
    def idle(self) -> bool:
        return not self.waiting

    def turn(self) -> None:
        """The next job; its result or its error goes to the future."""
        future, job, given = self.waiting.popleft()
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(job(*given))
        except BaseException as error:  # whoever waits must hear of it, whatever it is
            future.set_exception(error)

    def abandon(self, error: Exception) -> None:
        for future, _, _ in self.waiting:
            future.set_exception(error)
