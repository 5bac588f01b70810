"""The HTML of the Train tab: what models, files and people wrote is escaped, and links lead where a run can be shown."""

from dataclasses import replace

from app.shared.html import problem
from app.train import view
from core.data.uploads import FilePreview
from core.runs.status import RunStatus

EVIL = "<img src=x onerror=alert(1)>"


def test_a_run_is_linked_to_the_tabs_that_can_show_it(house):
    run = house.store.get("tiny-prefix")
    html = view.links(run, "cafe-019", "")
    assert html.count("<a ") == 3 and "among=tiny-prefix" in html and "example=cafe-019" in html
    html = view.links(replace(run, method="adapter"), "", "/models/my gpt")
    assert html.count("<a ") == 1 and "finetuned=tiny-prefix" in html and "my+gpt" in html


def test_nothing_that_was_written_becomes_part_of_the_page(house):
    run = replace(house.store.get("tiny-prefix"), notes=EVIL, command=EVIL, backbone=EVIL)
    looks = [{"update": n, "text": EVIL + str(n), "source": EVIL, "reference": EVIL, "frozen": EVIL} for n in (0, 5)]
    parts = [
        view.samples_view(looks, "a"),
        view.details(run),
        view.result_text(run, 100),
        view.preview(FilePreview((EVIL,), ((EVIL,),)), [EVIL], 1),
        problem(EVIL),
        view.context_view(EVIL),
        view.interrupted_view([(EVIL, RunStatus("interrupted", 3, 9))]),
    ]
    assert all("<img" not in part and "&lt;img" in part for part in parts)


def test_samples_with_the_same_text_are_shown_once():
    looks = [{"update": n, "text": text, "mass": [0.1, 0.3]} for n, text in enumerate(["a", "b", "b", "b", "c"])]
    html = view.samples_view(looks, "a")
    assert "Its 2 earlier texts" in html and "1 to 3" in html and "20 % of the attention" in html
    assert view.samples_view([], "a") == ""


def test_a_stopped_runs_bar_says_how_far_it_came_and_none_claims_more_than_is_known(house):
    run = replace(house.store.get("tiny-prefix"), status="cancelled")
    part = view.run_head("a", "cancelled", RunStatus("cancelled", 20, 100), run, "")
    assert 'aria-valuenow="20"' in part
    assert "progressbar" not in view.run_head("a", "cancelled", RunStatus("cancelled", 20, 20), run, "")
    assert "progressbar" not in view.run_head("a", "loading", RunStatus("done", 20, 20), None, "")
    assert "Saving" in view.run_head("a", "finishing", RunStatus("done", 20, 20), None, "")


def test_delete_is_at_the_foot_of_the_card_and_not_among_the_buttons_where_stop_was(house):
    run = house.store.get("tiny-prefix")
    stopped = view.run_head("a", "cancelled", RunStatus("cancelled", 20, 100, resumable=True), run, "")
    buttons, _, foot = stopped.partition("pl-run-status")
    assert 'data-do="delete"' not in buttons and 'data-do="delete"' in foot and 'data-do="go"' in buttons
    assert 'data-do="delete"' not in view.run_head("a", "running", RunStatus("running", 20, 100), None, "")


def test_earlier_samples_are_frames_of_a_timeline():
    samples = [{"update": n, "text": word, "mass": [0.5]} for n, word in ((0, "a"), (10, "b"), (20, "b"))]
    html = view.samples_view(samples, "a")
    assert 'type="range"' in html and "Update 10 to 20" in html and "Replay" in html
    assert "pl-timeline" not in view.samples_view(samples[:1], "a")
