"""Readings that are computed before anybody asks for them."""

import threading
from collections.abc import Callable

WAITING = 8  # pages; with more, the one that has waited longest goes without


class ReadAhead:
    """Calls `read` with one page after another on a thread of its own, which ends when no page waits.

    A page that waits already is not added twice, and of more than `limit` waiting pages the oldest is dropped: many pages at
    once would else ask for more than the device can compute.
    """

    def __init__(self, read: Callable[[str], None], limit: int = WAITING) -> None:
        self._read, self._limit = read, limit
        self._waiting: list[str] = []
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def add(self, page: str) -> None:
        """Have a page read as soon as those before it are."""
        with self._lock:
            self._waiting = [*(other for other in self._waiting if other != page), page][-self._limit :]
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="read ahead", daemon=True)
                self._thread.start()

    def join(self) -> None:
        """Wait until no page waits."""
        if thread := self._thread:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                page = self._waiting.pop(0)
            self._read(page)
