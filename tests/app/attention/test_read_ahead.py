"""A class of pages asks for more readings in advance than there is time for."""

import threading

from app.attention.read_ahead import ReadAhead


def test_pages_are_read_one_by_one_and_the_oldest_of_too_many_is_dropped():
    begun, go_on, pages = threading.Event(), threading.Event(), []

    def read(page):
        pages.append((page, threading.current_thread()))
        begun.set()
        go_on.wait(60)

    ahead = ReadAhead(read, limit=3)
    ahead.add("first")
    assert begun.wait(60)
    for page in "abcdc":  # c asks twice
        ahead.add(page)
    go_on.set()
    ahead.join()
    assert [page for page, _ in pages] == ["first", "b", "d", "c"] and len({thread for _, thread in pages}) == 1
    ahead.add("later")  # the thread has ended
    ahead.join()
    assert pages[-1][0] == "later"
