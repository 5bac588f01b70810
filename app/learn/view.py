"""Lessons as the page shows them: the list of the Learn tab, and the data of the strip at the page's foot."""

import json
from collections.abc import Sequence

from markdown_it import MarkdownIt

from app.learn.demos.demo import Demo
from app.learn.lesson import Lesson, Question
from app.shared.html import button, tag, text
from core.text.checks import counted

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable(["image", "heading"])  # HTML in a lesson is shown as text


def strip_data(lessons: Sequence[Lesson]) -> str:
    """JSON for learn.js: every lesson's steps, with their text as safe HTML."""
    return json.dumps(
        {
            lesson.name: {
                "title": lesson.title,
                "steps": [
                    {
                        "html": _MARKDOWN.render(step.text),
                        "open": step.open,
                        "ring": step.ring,
                        "try": step.hint,
                        "ask": _question(step.question) if step.question else None,
                    }
                    for step in lesson.steps
                ],
            }
            for lesson in lessons
        }
    )


def _question(question: Question) -> dict[str, object]:
    return {"text": question.text, "answers": question.answers, "right": question.right, "because": question.because}


def demo_buttons(demos: Sequence[Demo]) -> str:
    """The lessons' list and the live demonstrations, as a row of buttons of which one is pressed."""
    names = [("", "Lessons"), *((demo.name, demo.short_title) for demo in demos)]
    buttons = (button(title, data_show_demo=name, aria_pressed="false") for name, title in names)
    return tag("nav", "".join(buttons), cls="pl-choices", aria_label="Lessons and live demonstrations")


def lesson_list(lessons: Sequence[Lesson], faults: Sequence[str]) -> str:
    """The Learn tab's content: one card per lesson, and what is wrong with lessons of one's own."""
    cards = [
        tag(
            "li",
            tag("a", text(lesson.title), href=f"?lesson={lesson.name}.1", data_lesson=lesson.name)
            + tag("span", f"{lesson.minutes} min · {counted(len(lesson.steps), 'step')}", cls="length")
            + tag("span", "", cls="progress"),
        )
        for lesson in lessons
    ]
    broken = tag("ul", "".join(tag("li", text(fault)) for fault in faults), cls="pl-lesson-faults") if faults else ""
    return tag("ol", "".join(cards), cls="pl-lessons") + broken
