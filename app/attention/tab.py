"""The Attention tab: where the model looked while it wrote the page's last text, and what changes when it cannot look there."""

import gradio as gr

from app.attention import lens_section, view
from app.attention.components import AttentionPage
from app.attention.handlers import AttentionHandlers
from app.attention.readings import ReadingCache
from app.attention.state import AttentionState
from app.export.embed import Embeddable
from app.shared import plot_widget, urlstate
from app.shared.context import AppContext
from app.shared.events import EVERY, Components, streaming
from app.shared.html import area, tag
from app.shared.shell import Shell

CONTROLS = "PrefixLab.attention.controls(element, trigger, watch) /* 'select' */"
EMBEDDABLE = Embeddable(
    panels={
        "look-reads": "The text, and what is written with α or knock-outs",
        "look-heads": "Layers and heads",
        "look-layers": "Attention by layer",
        "look-tokens": "One head, token by token",
        "look-steps": "Attention by token",
        "look-effect": "The next word",
        "look-influence": "Knock-outs",
        "look-lens": "Layer by layer",
        "look-aside": "The prefix set aside",
        "attention": "All of it",
    },
    controls={
        "look-bar": "α, knock-outs and choices",
        "look-headline": "The sentence above",
        "look-caution": "The caution below",
    },
)
READINGS = "readings"  # short steps on the one thread that owns the device, so several pages may read at once
KNOCKOUTS = "knock-outs"  # long ones, in the background: no reading waits behind them


def build(context: AppContext, shell: Shell, tab: gr.Tab) -> ReadingCache:
    """Draw the tab and wire it; call inside its gr.Tab. The readings are returned, for a handout."""
    with gr.Column(elem_id="pl-attention"):
        components = _draw()
        section = lens_section.draw()
        area(tag("p", view.NOT_INFLUENCE), elem_id="pl-look-caution")
    handlers = AttentionHandlers(context, shell, components)
    lens_section.wire(handlers, shell, section, _wire(handlers, shell, components, tab))
    return handlers.readings


def _draw() -> AttentionPage:
    components: Components = {"state": gr.State(AttentionState()), "ticket": gr.State(0)}
    components["address"] = urlstate.address_box("pl-attention-address", AttentionState)
    components["nothing"] = area(view.waiting(), elem_id="pl-look-nothing")
    components["headline"] = area("", elem_id="pl-look-headline")
    components["bar"] = area("", js_on_load=CONTROLS, elem_id="pl-look-bar")
    components["reads"] = area("", elem_id="pl-look-reads")
    with gr.Row(elem_classes="pl-look-figures"):
        components["heads"] = plot_widget.plot(
            "pl-look-heads",
            300,
            name="Attention by layer and head. The arrow keys choose a head",
            hint="Click a tile for its head.",
        )
        components["tokens"] = area(
            "",
            html_template=tag("div", "", cls="pl-token-view"),
            js_on_load="PrefixLab.attention.tokens(element, props, watch)",
            elem_id="pl-look-tokens",
        )
        components["layers"] = plot_widget.plot("pl-look-layers", 300, name="Attention by layer")
    components["steps"] = plot_widget.plot("pl-look-steps", 270, name="Attention by token")
    components["effect"] = area("", elem_id="pl-look-effect")
    components["influence"] = plot_widget.plot("pl-look-influence", 330, name="Attention and influence of each virtual token")
    return AttentionPage(**components)


def _wire(do: AttentionHandlers, shell: Shell, page: AttentionPage, tab: gr.Tab) -> list[gr.events.Dependency]:
    """Wire the tab's events; the refreshes are returned, for what is shown after them."""
    refreshes: list[gr.events.Dependency] = []
    changed = [page.state, page.ticket]

    def then_refresh(event: gr.events.Dependency) -> None:
        refreshed = event.then(do.refresh, [page.ticket, page.state], [*page.outputs, shell.status], **streaming(READINGS, 8))
        refreshes.append(refreshed)
        refreshed.then(do.fill, [page.ticket, page.state], [page.influence, shell.status], **streaming(KNOCKOUTS))

    here = "() => [PrefixLab.tabs.now()]"
    then_refresh(tab.select(do.enter, shell.search, page.ticket, js=here, **EVERY))
    then_refresh(shell.comparison.change(do.enter, shell.search, page.ticket, js=here, **EVERY))
    then_refresh(page.bar.select(do.change, page.state, changed, **EVERY))
    then_refresh(page.heads.click(do.select_head, page.state, changed, **EVERY))
    shell.page.load(do.restore, shell.search, page.state, js="() => [location.search]", **EVERY)
    return refreshes
