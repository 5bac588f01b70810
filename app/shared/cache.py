"""A bounded cache that the web server's threads can share: cachetools' LRU cache behind a lock."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import Cache as Mapping
from cachetools import LRUCache

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class _LRU(LRUCache, Generic[Key, Value]):
    """Reports evictions."""

    evicted: Callable[[Key, Value], None]

    def popitem(self) -> tuple[Key, Value]:
        key, value = super().popitem()
        self.evicted(key, value)
        return key, value


class Cache(Generic[Key, Value]):
    """The most recently used entries, up to `maxsize`: a number of entries, or the sum of `getsizeof`.

    The newest entry is kept even if it alone is larger than `maxsize`. `on_evict(key, value)` is called for entries that are
    evicted, not for those that are replaced or removed. No lock is held while a value is computed.
    """

    def __init__(
        self,
        maxsize: float,
        getsizeof: Callable[[Value], float] | None = None,
        on_evict: Callable[[Key, Value], None] | None = None,
    ) -> None:
        self._entries: _LRU[Key, Value] = _LRU(maxsize, (lambda value: min(getsizeof(value), maxsize)) if getsizeof else None)
        self._entries.evicted = on_evict or (lambda key, value: None)
        self._lock = threading.RLock()

    def get(self, key: Key) -> Value | None:
        """Return the value of a key, which counts as a use; None if there is none."""
        with self._lock:
            return self._entries.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Store a value, evicting the least recently used ones if there is no room."""
        with self._lock:
            self._entries.pop(key, None)  # a replaced entry counts as used, too
            self._entries[key] = value

    def get_or_compute(self, key: Key, compute: Callable[[], Value]) -> Value:
        """Return the value of a key, computing it if it is missing. Two threads that miss it at once both compute it."""
        value = self.get(key)
        if value is None:
            value = compute()
            self.put(key, value)
        return value

    def pop(self, key: Key) -> Value | None:
        """Remove an entry; returns its value, or None."""
        with self._lock:
            return self._entries.pop(key, None)

    def remove_if(self, matches: Callable[[Key], bool]) -> None:
        """Remove the entries whose key matches."""
        with self._lock:
            for key in [key for key in self._entries if matches(key)]:
                del self._entries[key]

    def items(self) -> list[tuple[Key, Value]]:
        """Return all entries in the order in which they were stored; this does not count as a use."""
        with self._lock:
            return [(key, Mapping.__getitem__(self._entries, key)) for key in self._entries]

    def __contains__(self, key: Key) -> bool:
        with self._lock:
            return key in self._entries

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)
