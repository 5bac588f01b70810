"""The status line says what is true now, whichever tab spoke last."""

import app.main  # noqa: F401  # all tabs
from app.shared.events import TabHandlers
from app.shared.status import StatusLine


def test_what_is_under_way_is_shown_until_it_ends():
    status = StatusLine()
    assert 'data-phase="running"' in status.report("page", "comparison", "running", "Writing…")
    both = status.report("page", "examples", "running", "1 of 20 texts.")
    assert "1 of 20 texts. Also under way: comparison." in both and 'data-under-way="comparison examples"' in both
    still = status.report("page", "comparison", "done", "in 0.3 s")
    assert (
        "1 of 20 texts." in still
        and "Also" not in still
        and 'data-phase="running"' in still
        and 'data-under-way="examples"' in still
    )
    assert "all 20 texts" in status.report("page", "examples", "done", "all 20 texts")
    assert "in 0.3 s" in status.clear("page", "examples")


def test_pages_do_not_see_each_other():
    status = StatusLine()
    status.report("a", "comparison", "running", "Writing…")
    assert "Writing" not in status.report("b", "comparison", "error", "Problem <1>")
    assert "Problem &lt;1&gt;" in status.report("b", "comparison", "error", "Problem <1>")


def test_what_was_asked_for_last_is_reported_when_all_is_done_and_a_problem_always():
    status = StatusLine()
    status.report("page", "comparison", "running", "Writing…")
    status.report("page", "mix", "running", "Writing at every stop…")
    assert "Also under way: comparison" in status.report("page", "comparison", "running", "Searching…")
    status.report("page", "mix", "done", "3 texts")
    assert "3 texts" in status.report("page", "comparison", "done", "in 0.3 s")
    status.report("page", "mix", "running", "Writing at every stop…")
    status.report("page", "comparison", "running", "Writing…")
    status.begin("page", "mix")  # another mix is asked for before the first has ended
    status.report("page", "mix", "done", "3 texts")
    assert "3 texts" in status.report("page", "comparison", "done", "in 0.3 s")
    status.report("page", "comparison", "running", "Writing…")
    status.report("page", "mix", "running", "Writing at every stop…")
    status.report("page", "mix", "done", "3 texts")
    assert "no memory" in status.report("page", "comparison", "error", "no memory")


def test_a_report_says_which_tab_it_belongs_to():
    status = StatusLine()
    status.report("page", "comparison", "done", "in 0.3 s", "compare")
    assert 'data-tab="mix"' in status.report("page", "mix", "running", "Writing…", "mix")
    assert 'data-tab="compare"' in status.clear("page", "mix")


def test_every_tabs_handlers_name_their_tab():
    named = {handlers: handlers.tab for handlers in _all(TabHandlers) if handlers.__module__.startswith("app.")}
    assert set(named.values()) == {"compare", "attention", "space", "mix", "train", "results", "learn"}


def _all(kind):
    return {kind for child in kind.__subclasses__() for kind in {child, *_all(child)}}
