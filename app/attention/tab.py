"""The Attention tab: where the model looked while it wrote the page's last text, and what changes when it cannot look there."""

from typing import Any

import gradio as gr

from app.attention import view
from app.attention.handlers import Handlers, Parts
from app.attention.state import AttentionState
from app.shared import plot_widget, urlstate
from app.shared.context import AppContext
from app.shared.html import area, tag
from app.shared.shell import Shell

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
LOOKING = "looking"  # readings are short steps on the one thread that owns the device, so several pages may look at once


def build(context: AppContext, shell: Shell, tab: gr.Tab) -> None:
    """Draw the tab and wire it; call inside its gr.Tab."""
    with gr.Column(elem_id="pl-attention"):
        parts = _draw()
    _wire(Handlers(context, shell, parts), shell, parts, tab)


def _draw() -> Parts:
    made: dict[str, Any] = {"state": gr.State(AttentionState()), "ticket": gr.State(0)}
    made["address"] = gr.Textbox(visible="hidden", elem_id="pl-attention-address", elem_classes="pl-hidden")
    made["nothing"] = area(view.empty_page(), elem_id="pl-look-nothing")
    made["bar"] = area("", js_on_load="PrefixLab.look.controls(element, trigger, watch) /* 'select' */", elem_id="pl-look-bar")
    made["reads"] = area("", elem_id="pl-look-reads")
    with gr.Row(elem_classes="pl-look-figures"):
        made["layers"] = plot_widget.plot("pl-look-layers", 300, name="Mass by layer")
        made["heads"] = plot_widget.plot("pl-look-heads", 300, name="Mass by head")
    made["tokens"] = area(
        "",
        html_template=tag("div", "", cls="pl-token-view"),
        js_on_load="PrefixLab.look.tokens(element, props, watch)",
        elem_id="pl-look-tokens",
    )
    made["steps"] = plot_widget.plot("pl-look-steps", 270, name="Mass by token")
    made["effect"] = area("", elem_id="pl-look-effect")
    made["influence"] = plot_widget.plot("pl-look-influence", 330, name="Attention and influence of each virtual token")
    area(tag("p", view.NOT_AN_EXPLANATION), elem_id="pl-look-caution")
    return Parts(**made)


def _wire(do: Handlers, shell: Shell, parts: Parts, tab: gr.Tab) -> None:
    asked, latest = [parts.state, parts.ticket], {"queue": False, "trigger_mode": "multiple", **QUIET}
    going = {"concurrency_id": LOOKING, "concurrency_limit": 4, "trigger_mode": "multiple", **QUIET}

    def then_look(event: gr.events.Dependency) -> None:
        shown = event.then(do.refresh, [parts.ticket, parts.state], [*parts.written, shell.status], **going)
        shown.then(do.fill, [parts.ticket, parts.state], [parts.influence, shell.status], **going)

    here: dict[str, Any] = {"js": "() => [PrefixLab.tabs.now()]", **latest}
    then_look(tab.select(do.come, shell.search, parts.ticket, **here))
    then_look(shell.subject.change(do.come, shell.search, parts.ticket, **here))
    then_look(parts.bar.select(do.turn, parts.state, asked, **latest))
    then_look(parts.heads.click(do.tile, parts.state, asked, **latest))
    parts.address.change(None, parts.address, None, js=urlstate.remember(AttentionState))
    shell.page.load(do.restore, shell.search, parts.state, js="() => [location.search]", **latest)
