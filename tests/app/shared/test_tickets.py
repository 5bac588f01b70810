"""Newest request wins, for many pages, without remembering all of them."""

from app.shared.tickets import Tickets


def test_a_newer_request_ends_an_older_one_of_the_same_kind_only():
    tickets = Tickets()
    first = tickets.take("page")
    other, elsewhere = tickets.take("page", "examples"), tickets.take("another page")
    second = tickets.take("page")
    assert tickets.is_stale("page", first) and not tickets.is_stale("page", second)
    assert not tickets.is_stale("page", other, "examples") and not tickets.is_stale("another page", elsewhere)
    tickets.stop("page")
    assert tickets.is_stopped("page", second) and not tickets.is_stopped("page", other, "examples")
    assert not tickets.is_stopped("page", tickets.take("page"))


def test_results_of_a_stale_request_are_dropped():
    tickets = Tickets()
    results = tickets.while_newest("page", tickets.take("page"), iter("abc"))
    assert next(results) == "a"
    tickets.take("page")
    assert list(results) == []


def test_a_page_that_was_forgotten_gets_no_old_number_again():
    tickets = Tickets(pages=2)
    old = tickets.take("a")
    for page in "bcd":
        tickets.take(page)
    assert not tickets.is_stale("a", old)
    assert tickets.take("a") > old and tickets.is_stale("a", old)


def test_a_closed_page_stops_all_its_own_requests():
    tickets = Tickets()
    ours, examples, theirs = tickets.take("page"), tickets.take("page", "examples"), tickets.take("another page")
    tickets.stop_all("page")
    assert tickets.is_stopped("page", ours) and tickets.is_stopped("page", examples, "examples")
    assert not tickets.is_stopped("another page", theirs)
