"""Limits on what one browser may request at once."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.requests import Request

from app.classroom.roles import Bucket
from app.shared.cache import Cache
from core.errors import BadInput, Busy

JSON_BYTES = 16_000
SECONDS = 60.0  # in which a request's body has to arrive
BURST, PER_SECOND = 30, 2.0  # requests of one guest
STREAMS, COMPARISONS = 4, 8  # open streams of one browser; comparisons at once of all guests


class TooLarge(Exception):
    """A request's body is larger than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


async def receive(request: Request, limit: int, write: Callable[[bytes], object]) -> None:
    """Pass a request's body on as it arrives. Raises TooLarge past `limit` bytes, whatever its header says; BadInput if it is
    slow."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > limit:
        raise TooLarge(limit)
    remaining = limit
    try:
        async with asyncio.timeout(SECONDS):
            async for chunk in request.stream():
                remaining -= len(chunk)
                if remaining < 0:
                    raise TooLarge(limit)
                write(chunk)
    except TimeoutError as error:
        raise BadInput(f"The request did not arrive within {SECONDS:.0f} seconds. Try again.") from error


class Slots:
    """Counts requests in progress, by sender and in total."""

    def __init__(self, each: int, most: int) -> None:
        self.each, self.most, self._counts = each, most, Counter[str]()

    def check(self, who: str) -> None:
        """Raise Busy if this sender, or all together, have too many requests."""
        if self._counts[who] >= self.each:
            raise Busy("This is being done for you already. Wait until it is finished.")
        if self._counts.total() >= self.most:
            raise Busy("Too many ask for this at once. Try again in a moment.")

    @contextmanager
    def take(self, who: str) -> Iterator[None]:
        """Occupy a slot. Raises Busy if there is none."""
        self.check(who)
        self._counts[who] += 1
        try:
            yield
        finally:
            self._counts[who] -= 1
            if not self._counts[who]:
                del self._counts[who]


class Pace:
    """Limits how often each guest may send requests."""

    def __init__(self) -> None:
        self._buckets: Cache[str, Bucket] = Cache(1024)

    def check(self, who: str) -> None:
        """Raise Busy if `who` sends requests too often."""
        bucket = self._buckets.get_or_compute(who, lambda: Bucket(BURST, PER_SECOND))
        if bucket.wait() > 0:
            raise Busy("That was too often. Wait a moment, then try again.")
        bucket.take()
