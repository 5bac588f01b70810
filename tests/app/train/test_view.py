"""The HTML of the Train tab: what models, files and people wrote is escaped, and links lead where a run can be shown."""

from dataclasses import replace

from app.train import view as pieces
from core.data.uploads import FilePreview
from core.runs.status import RunStatus

EVIL = "<img src=x onerror=alert(1)>"


def test_a_run_is_linked_to_the_tabs_that_can_show_it(house):
    run = house.store.get("tiny-prefix")
    made = pieces.links(run, "cafe-019", "")
    assert made.count("<a ") == 3 and "among=tiny-prefix" in made and "example=cafe-019" in made
    made = pieces.links(replace(run, method="adapter"), "", "/models/my gpt")
    assert made.count("<a ") == 1 and "finetuned=tiny-prefix" in made and "my+gpt" in made


def test_nothing_that_was_written_becomes_part_of_the_page(house):
    run = replace(house.store.get("tiny-prefix"), notes=EVIL, command=EVIL, backbone=EVIL)
    looks = [{"update": n, "text": EVIL + str(n), "source": EVIL, "reference": EVIL, "frozen": EVIL} for n in (0, 5)]
    shown = [
        pieces.watched(looks),
        pieces.details(run),
        pieces.finished(run, 100),
        pieces.preview(FilePreview((EVIL,), ((EVIL,),)), [EVIL], 1),
        pieces.problem(EVIL),
        pieces.context(EVIL),
        pieces.offer([(EVIL, RunStatus("interrupted", 3, 9))]),
    ]
    assert all("<img" not in part and "&lt;img" in part for part in shown)


def test_looks_with_the_same_text_are_told_once():
    looks = [{"update": n, "text": text, "mass": [0.1, 0.3]} for n, text in enumerate(["a", "b", "b", "b", "c"])]
    made = pieces.watched(looks)
    assert "Its 2 earlier texts" in made and "1 to 3" in made and "20 % of the attention" in made
    assert pieces.watched([]) == ""
