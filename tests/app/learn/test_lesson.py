"""Lesson files: what a teacher writes is read, and a broken step is named and left out."""

import json
import re
from urllib.parse import parse_qsl

import pytest

from app.export.as_python import PythonHandlers
from app.learn.lesson import Fault, parse_lesson, read_lessons
from app.learn.state import ContextState, FigureState
from app.learn.tab import DEMOS, PAGE_KEYS, STATES, address_keys, read
from app.learn.view import lesson_list, strip_data
from app.shared import urlstate
from app.shared.context import AppContext
from app.shared.examples import samples
from core import paths
from core.runs.store import store

KEYS = frozenset({"tab", "example", "alpha"})
HEADER = "title: Mine\nminutes: 3\n---\n"


def lesson(body: str):
    return parse_lesson("en/mine", HEADER + body, KEYS)


def test_a_step_has_a_text_and_settings():
    (step,) = lesson(
        "One **thought**.\n\nopen: ?tab=compare&example=a\nring: #pl-x\ntry: This.\nask: Q? | a | *b\nbecause: So.\n"
    ).steps
    assert (step.text, step.open, step.ring, step.hint) == ("One **thought**.", "tab=compare&example=a", "#pl-x", "This.")
    assert step.question.answers == ("a", "b") and step.question.right == 1 and step.question.because == "So."


def test_a_whole_copied_link_is_an_address_too():
    (step,) = lesson("Text.\nopen: http://127.0.0.1:7860/?tab=compare\n").steps
    assert step.open == "tab=compare"


@pytest.mark.parametrize(
    "step, message",
    [
        ("open: tab=compare", "needs a text"),
        ("x" * 601, "this one has 601"),
        ("Text.\nopen: colour=red", "'colour'"),
        ("Text.\nopen: compare", "has no address"),
        ("Text.\nring: .pl-x div", "not the id"),
        ("Text.\nring: #a\nring: #b", "twice"),
        ("Text.\nring: #a\nMore text.", "follows them"),
        ("Text.\nask: Q? | a | b", "marked with"),
        ("Text.\nask: Q? | *a", "two to four"),
        ("Text.\nask: Q? | *a | ", "two to four"),
        ("Text.\nbecause: So.", "no 'ask'"),
    ],
)
def test_a_broken_step_is_left_out_and_named(step, message):
    good = lesson(f"First.\n---\n{step}\n---\nLast.\n")
    assert [one.text for one in good.steps] == ["First.", "Last."]
    (fault,) = good.faults
    assert fault.startswith("en/mine, step 2 is left out: ") and message in fault


@pytest.mark.parametrize(
    "text", ["", "Text only", "title: x\n---\nText.", "title: x\nminutes: soon\n---\nText.", HEADER, HEADER + "ring: #x"]
)
def test_a_file_without_a_lesson_is_refused(text):
    with pytest.raises(Fault, match="en/mine"):
        parse_lesson("en/mine", text, KEYS)


def test_lessons_of_ones_own_come_beside_and_replace_bundled_ones(tmp_path):
    bundled, own = tmp_path / "bundled", tmp_path / "own"
    for folder, name, title in ((bundled, "a", "A"), (bundled, "b", "B"), (own, "b", "Mine"), (own, "bad name", "C")):
        (folder / "en").mkdir(parents=True, exist_ok=True)
        (folder / "en" / f"{name}.md").write_text(f"title: {title}\nminutes: 1\n---\nText.\n")
    (own / "en" / "c.md").write_bytes(b"\xff\xfe\x00")
    lessons, faults = read_lessons([bundled, own], KEYS)
    assert [(one.name, one.title) for one in lessons] == [("en/a", "A"), ("en/b", "Mine")]
    assert len(faults) == 2 and "en/bad name" in faults[0] and "en/c" in faults[1]


def test_html_in_a_lesson_is_text():
    evil = parse_lesson(
        "en/evil", "title: <img src=x onerror=a()>\nminutes: 1\n---\n<script>a()</script> [x](javascript:a())\n", KEYS
    )
    html = json.loads(strip_data([evil]))["en/evil"]["steps"][0]["html"] + lesson_list([evil], ["<b>"])
    assert "<script" not in html and "<img" not in html and "<b>" not in html and 'href="javascript' not in html


def test_the_bundled_lessons_have_no_fault():
    lessons, faults = read_lessons([paths.LESSONS], address_keys())
    assert faults == [] and len(lessons) >= 5
    assert all(step.ring or step.question or step.open for one in lessons for step in one.steps)


def test_every_address_of_a_lesson_says_what_it_is_meant_to_and_round_trips():
    for lesson in read_lessons([paths.LESSONS], address_keys())[0]:
        for step in lesson.steps:
            values, again = dict(parse_qsl(step.open)), {}
            for kind in STATES:
                state = urlstate.read(step.open, kind)
                assert not state.ignored, (lesson.name, step.open)
                again |= dict(parse_qsl(urlstate.write(state)))
            assert {name: value for name, value in values.items() if name not in PAGE_KEYS} == again
            assert values.get("demo", "") in ("", *(demo.name for demo in DEMOS))
            assert values.get("example", "") in ("", *(sample.id for sample in samples()))


def test_every_lesson_asks_for_a_prediction():
    lessons = read_lessons([paths.LESSONS], address_keys())[0]
    assert {one.name[3:5] for one in lessons} == {f"{chapter:02}" for chapter in range(1, 12)}
    assert all(any(step.question for step in one.steps) for one in lessons)


def test_numbers_in_a_lesson_are_those_of_the_bundled_run():
    (lesson,) = (one for one in read_lessons([paths.LESSONS], address_keys())[0] if one.name.endswith("one-model-many-tasks"))
    because = next(step.question.because for step in lesson.steps if step.question)
    prefix, tuned = store().get("e2e-prefix"), store().get("e2e-finetuned")
    assert re.search(
        rf"{prefix.stored:,} parameters instead of {tuned.stored:,}: {prefix.stored / tuned.stored:.2%}",
        because.replace(" %", "%"),
    )


@pytest.mark.slow
def test_what_a_lesson_says_of_the_layers_is_what_the_page_shows(tmp_path, monkeypatch):
    """Of the bundled model, run and table, with the app's own decoding."""
    (lesson,) = (one for one in read_lessons([paths.LESSONS], address_keys())[0] if one.name.endswith("where-it-looks"))
    step = next(step for step in lesson.steps if step.question and "nats" in step.question.because)
    after_last, after_fifth = (float(number) for number in re.findall(r"by (\d\.\d)", step.question.because))
    names: dict = {}
    monkeypatch.chdir(tmp_path)  # where the lines save their figures
    exec(PythonHandlers(AppContext(), None, None, []).lines("attention", step.open, ""), names)
    means = names["lens"].kl.mean(1).tolist()
    assert [round(means[-1], 1), round(means[-2], 1)] == [after_last, after_fifth]


def test_the_page_gets_the_lessons_as_they_are_now(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path))
    assert "en/new" not in read()[0]
    (tmp_path / "lessons" / "en").mkdir(parents=True)
    (tmp_path / "lessons" / "en" / "new.md").write_text(HEADER + "Text.\n---\nring: no\n")
    data, page = read()
    assert json.loads(data)["en/new"]["title"] == "Mine" and "step 2 is left out" in page


def test_an_emptied_field_comes_back_empty_from_the_address():
    assert urlstate.read("?front=&words=", ContextState) == ContextState(front="", words="")
    assert urlstate.read("?figure=", FigureState) == FigureState() and not urlstate.read("?figure=", FigureState).ignored
