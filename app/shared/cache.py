"""A bounded cache that the web server's threads can share: cachetools' LRU cache behind a lock."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import Cache as Mapping
from cachetools import LRUCache

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class _LRU(LRUCache, Generic[Key, Value]):
    """Reports what it evicts."""

    evicted: Callable[[Key, Value], None]

    def popitem(self) -> tuple[Key, Value]:
        key, value = super().popitem()
        self.evicted(key, value)
        return key, value


class Cache(Generic[Key, Value]):
    """The entries that were used last, up to `maxsize`: a number of entries, or of whatever `getsizeof` measures.

    The newest entry is kept even if it alone is larger than `maxsize`. `on_evict(key, value)` is called for entries that have to
    make room, not for those that are replaced or removed. No lock is held while a value is computed.
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
        """The value of a key, which counts as used; None if there is none."""
        with self._lock:
            return self._entries.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Store a value, and evict what was not used for longest where there is no room."""
        with self._lock:
            self._entries.pop(key, None)  # a replaced entry counts as used, too
            self._entries[key] = value

    def get_or_compute(self, key: Key, compute: Callable[[], Value]) -> Value:
        """The value of a key, computed and stored if it is missing. Two threads that miss it together both compute it."""
        value = self.get(key)
        if value is None:
            value = compute()
            self.put(key, value)
        return value

    def pop(self, key: Key) -> Value | None:
        """Remove an entry; its value, or None."""
        with self._lock:
            return self._entries.pop(key, None)

    def remove_if(self, matches: Callable[[Key], bool]) -> None:
        """Remove the entries whose key matches."""
        with self._lock:
            for key in [key for key in self._entries if matches(key)]:
                del self._entries[key]

    def items(self) -> list[tuple[Key, Value]]:
        """A snapshot of all entries, in the order in which they were stored; they do not count as used."""
        with self._lock:
            return [(key, Mapping.__getitem__(self._entries, key)) for key in self._entries]

    def __contains__(self, key: Key) -> bool:
        with self._lock:
            return key in self._entries

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)
