"""The cache of the page: bounded, and shared by threads."""

import threading

from app.shared.cache import Cache


def test_what_was_used_last_is_kept():
    evicted = []
    cache = Cache(2, on_evict=lambda key, value: evicted.append((key, value)))
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert "b" not in cache and cache.get("b") is None and evicted == [("b", 2)]
    cache.put("a", 4)  # replaced and removed entries are not evicted
    assert cache.pop("a") == 4 and cache.pop("a") is None and len(evicted) == 1
    assert cache.items() == [("c", 3)]
    cache.remove_if(lambda key: key == "c")
    assert len(cache) == 0


def test_sizes_count_and_the_newest_is_kept_however_large_it_is():
    cache = Cache(10, getsizeof=len)
    for key, size in (("a", 4), ("b", 4), ("c", 4)):
        cache.put(key, "x" * size)
    assert [key for key, _ in cache.items()] == ["b", "c"]
    cache.put("large", "x" * 50)
    assert [key for key, _ in cache.items()] == ["large"]


def test_threads_share_it():
    """An OrderedDict in its place raised KeyError and "changed size during iteration"."""
    cache, errors = Cache(8), []

    def use(seed: int) -> None:
        try:
            for i in range(3000):
                key = (seed * 31 + i * 17) % 24
                assert cache.get_or_compute(key, lambda key=key: key + 1) == key + 1
                cache.items()
                cache.remove_if(lambda other, key=key: other == key)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and len(cache) <= 8
