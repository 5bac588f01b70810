"""The newest request of a page wins: it ends the earlier ones."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from app.shared.cache import Cache

PAGES = 1024  # whose requests are remembered; three or so a page
Result = TypeVar("Result")


@dataclass
class _Requests:
    newest: int = 0
    stopped: int = 0


class Tickets:
    """Numbers the requests of each page. `what` separates requests of one page that do not end each other.

    A ticket is a number above 0. Numbers are never reused, so a forgotten page cannot get an old one again.
    """

    def __init__(self, pages: int = PAGES) -> None:
        self._requests: Cache[tuple[str, str], _Requests] = Cache(pages)
        self._numbers, self._lock = count(1), threading.Lock()

    def take(self, page: str, what: str = "") -> int:
        """Return the number of a new request, which makes the page's earlier ones stale."""
        with self._lock:
            requests = self._requests.get_or_compute((page, what), _Requests)
            requests.newest = next(self._numbers)
            return requests.newest

    def stop(self, page: str, what: str = "") -> None:
        """Stop the page's requests, running or waiting."""
        with self._lock:
            requests = self._requests.get_or_compute((page, what), _Requests)
            requests.stopped = requests.newest

    def stop_all(self, page: str) -> None:
        """Stop everything that a page has asked for, as when it is closed."""
        with self._lock:
            for (asking, _), requests in self._requests.items():
                if asking == page:
                    requests.stopped = requests.newest

    def is_stale(self, page: str, ticket: int, what: str = "") -> bool:
        """Whether the page has made a newer request."""
        requests = self._requests.get((page, what))
        return requests is not None and requests.newest > ticket

    def is_stopped(self, page: str, ticket: int, what: str = "") -> bool:
        """Whether a request was stopped, or has become stale."""
        requests = self._requests.get((page, what))
        return requests is not None and (requests.stopped >= ticket or requests.newest > ticket)

    def while_newest(self, page: str, ticket: int, results: Iterator[Result], what: str = "") -> Iterator[Result]:
        """Yield results until the request is stale, and drop the rest."""
        for result in results:
            if self.is_stale(page, ticket, what):
                return
            yield result
