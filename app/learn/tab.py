"""The Learn tab: lessons that operate the page, and the strip at the page's foot that leads through one."""

import gradio as gr

from app.attention.lens_section import LensState
from app.attention.state import AttentionState
from app.compare.state import CompareState
from app.export.embed import Embeddable
from app.learn import view
from app.learn.demos import batch, figure1, ladder, search, toy
from app.learn.demos import context as context_demo
from app.learn.lesson import Lesson, read_lessons
from app.learn.state import ContextState, FigureState
from app.mix.state import MixState
from app.results.state import ResultsState
from app.shared.context import AppContext
from app.shared.events import QUIET
from app.shared.html import area, tag
from app.shared.shell import Shell
from app.shared.urlstate import keys
from app.space.alone_section import AloneState
from app.space.state import SpaceState
from app.train.state import RunAddress
from core import paths

PAGE_KEYS = frozenset(
    {"tab", "demo", "theme", "present", "panels", "marks", "embed", "show", "hide"}
)  # what the page's own scripts keep in the address
STATES = (
    *(CompareState, AttentionState, LensState, SpaceState, AloneState, MixState, RunAddress, ResultsState),
    *(ContextState, FigureState),
)
DEMOS = (context_demo.DEMO, search.DEMO, ladder.DEMO, figure1.DEMO, batch.DEMO, toy.DEMO)
EMBEDDABLE = Embeddable(
    panels={f"demo-{demo.name}": demo.title for demo in DEMOS} | {"learn-list": "The lessons"},
    controls={"demos": "The row of demonstrations", "learn-lead": "The introduction", "learn-own": "How to write lessons"},
)
LEAD = (
    "Each lesson leads through the app step by step: it opens the page that it talks about, asks for a prediction, and shows "
    "what happens. Page Up, Page Down, the arrow keys or a clicker go back and on; 1 to 4 answer; Esc ends the lesson and leaves "
    "the page as it is."
)
OWN = (
    "Lessons of your own are Markdown files in the folder lessons/LANGUAGE of Prefix Lab's data folder; docs/lessons.md "
    "describes them."
)


def address_keys() -> frozenset[str]:
    """Every name that the page's address may hold: those of all tabs' states, and the page's own."""
    return PAGE_KEYS.union(*(keys(state).values() for state in STATES))


def lessons() -> tuple[list[Lesson], list[str]]:
    """The bundled lessons and those of the user, as their files are now, and a sentence for each fault."""
    return read_lessons([paths.LESSONS, paths.home() / "lessons"], address_keys())


def read() -> tuple[str, str]:
    """The strip's data and the tab's list."""
    every, faults = lessons()
    return view.strip_data(every), view.lesson_list(every, faults)


def strip() -> gr.HTML:
    """The strip at the page's foot; call inside gr.Blocks, outside the tabs."""
    return area(
        "",
        html_template=tag("section", "", id="pl-lesson", hidden="", aria_label="Lesson"),
        js_on_load="PrefixLab.lesson.start(element, props, watch)",
        elem_id="pl-lesson-place",
    )


def build(context: AppContext, shell: Shell, data: gr.HTML) -> None:
    """Draw the tab and wire it; call inside its gr.Tab."""
    area(view.demo_buttons(DEMOS), js_on_load="PrefixLab.demos.nav(element)", elem_id="pl-demos")
    for demo in DEMOS:
        demo.draw(context, shell)
    shell.backbone.change(None, js="() => PrefixLab.demos.refill()", **QUIET)
    area(tag("h2", "Learn") + tag("p", LEAD), elem_id="pl-learn-lead")
    listed = area("", js_on_load="PrefixLab.lesson.list(element, watch)", elem_id="pl-learn-list")
    area(tag("p", OWN), elem_id="pl-learn-own")
    shell.page.load(read, None, [data, listed], queue=False, show_progress="hidden", api_visibility="private")
