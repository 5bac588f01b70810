"""What all live demonstrations share: how one is drawn and opened, and how its steps reach the page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self, TypeVar

import gradio as gr

from app.shared.context import AppContext
from app.shared.events import LATEST, TabHandlers, Update, streaming
from app.shared.html import area, tag
from app.shared.shell import Shell
from core.models.backbone import Backbone

LIVE = streaming("demos")
HERE = "(search, backbone) => [location.search, backbone]"
Step = TypeVar("Step")
Field = gr.Radio | gr.Textbox


@dataclass(frozen=True)
class Demo:
    """A demonstration: its name in the address, on its button and as a heading, a paragraph about it, and what draws it."""

    name: str
    short_title: str
    title: str
    lead: str
    build: Callable[[AppContext, Shell], None]

    def draw(self, context: AppContext, shell: Shell) -> None:
        """Draw it; call inside the Learn tab."""
        with gr.Column(elem_id=f"pl-demo-{self.name}", elem_classes="pl-demo"):
            area(tag("h3", self.title) + tag("p", self.lead, cls="lead"))
            self.build(context, shell)


def opener(name: str) -> gr.HTML:
    """A component whose `select` event comes when the demonstration is first on the page, and again after another backbone
    was chosen."""
    return area("", js_on_load=f"PrefixLab.demos.opener('{name}', trigger) /* 'select' */", elem_classes="pl-hidden")


class DemoHandlers(TabHandlers):
    """Handlers of one demonstration; a page's newest request ends its earlier ones."""

    tab = "learn"

    def backbone(self, name: str) -> Backbone:
        """The page's backbone, loaded."""
        return self.context.models.backbone(name or self.context.models.default)

    def stop(self, request: gr.Request) -> None:
        """Stop what runs; what is on the page stays."""
        self.context.tickets.stop(request.session_hash or "", self.activity)

    def live(self, page: str, steps: Iterator[Step]) -> Iterator[Step]:
        """Compute steps one at a time on the thread that owns the device, until the last one or until they are stopped."""
        tickets = self.context.tickets
        ticket = tickets.take(page, self.activity)
        while not tickets.is_stopped(page, ticket, self.activity):
            step = self.context.models.run_job(next, steps, None)
            if step is None:
                return
            yield step


class PictureHandlers(DemoHandlers):
    """Handlers of a demonstration with one field and one picture, which the steps of `start` draw."""

    start: Callable[..., Iterator[Update]]

    def __init__(self, context: AppContext, shell: Shell, field: Field, picture: gr.HTML) -> None:
        super().__init__(context, shell)
        self.field, self.picture = field, picture

    @classmethod
    def build(cls, context: AppContext, shell: Shell, name: str, field: Callable[[], Field], button: str, picture: str) -> Self:
        """Draw the field, the buttons that start and stop, and `picture`; `name` begins their ids."""
        with gr.Row(elem_classes="pl-demo-bar"):
            value = field()
            start = gr.Button(button, variant="primary", elem_id=f"pl-{name}-start", min_width=110)
            stop = gr.Button("Stop", elem_id=f"pl-{name}-stop", min_width=70)
        do = cls(context, shell, value, area(picture, elem_id=f"pl-{name}-picture"))
        start.click(do.start, [value, shell.backbone], [do.picture, shell.status], **LIVE)
        stop.click(do.stop, None, None, **LATEST)
        return do
