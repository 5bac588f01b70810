"""The Mix tab: two or three prefixes of one backbone, mixed, and the text written again at every stop of a slider."""

import gradio as gr

from app.export.embed import Embeddable
from app.mix import view
from app.mix.components import MixPage
from app.mix.handlers import MixHandlers
from app.mix.state import MixState
from app.shared import plot_widget, urlstate
from app.shared.context import AppContext
from app.shared.events import EVERY, LATEST, Components, streaming
from app.shared.html import area, tag
from app.shared.shell import Shell
from core.prefix.mix import MOST

WRITINGS = "mixes"
EMBEDDABLE = Embeddable(
    panels={"mix-stage": "The slider and its texts", "mix-curve": "Loss and coverage", "mix": "All of it"},
    controls={
        "mix-headline": "The sentence above",
        "mix-bar": "The kinds of mixes",
        "mix-choices": "Runs and input",
        "mix-acts": "Links and keeping",
        "mix-measure": "Measuring",
        "mix-found": "What was found",
    },
)
STAGE = """<div class="pl-mix-now"><div class="pl-mix-head"><h3></h3><span class="meta count"></span></div>
<p class="generated" aria-live="polite"></p></div>
<div class="pl-mix-slider"><span class="end first"></span>
<input type="range" min="0" max="1" step="1" aria-label="Stop of the mix"><span class="end last"></span></div>
<ol class="pl-mix-rows"></ol>"""


def build(context: AppContext, shell: Shell, tab: gr.Tab) -> None:
    """Draw the tab and wire it; call inside its gr.Tab."""
    with gr.Column(elem_id="pl-mix"):
        page = _draw()
    _wire(MixHandlers(context, shell, page), shell, page, tab)


def _draw() -> MixPage:
    chooser = "PrefixLab.chooser(element, trigger, watch) /* 'select' */"
    components: Components = {"state": gr.State(MixState()), "ticket": gr.State(0)}
    components["address"] = urlstate.address_box("pl-mix-address", MixState)
    components["headline"] = area(view.headline(view.WRITING), elem_id="pl-mix-headline")
    components["bar"] = area("", js_on_load="PrefixLab.mix.bar(element, trigger) /* 'select' */", elem_id="pl-mix-bar")
    with gr.Row(elem_id="pl-mix-choices"):
        components["members"] = [area("", js_on_load=chooser, elem_id=f"pl-mix-run-{place}") for place in range(MOST)]
        components["example"] = area("", js_on_load=chooser, elem_id="pl-mix-example")
    stage = "PrefixLab.mix.stage(element, props, trigger, watch) /* 'select' */"
    components["stage"] = area("", html_template=STAGE, js_on_load=stage, elem_id="pl-mix-stage")
    components["acts"] = area("", js_on_load="PrefixLab.mix.acts(element, trigger, watch) /* 'select' */", elem_id="pl-mix-acts")
    components["note"] = area("", elem_id="pl-mix-note")
    with gr.Row(elem_id="pl-mix-measure"):
        components["measure"] = gr.Button("Measure loss and coverage", elem_id="pl-mix-start", min_width=200)
        components["stop"] = gr.Button("Stop", elem_id="pl-mix-stop", interactive=False, min_width=70)
        area(tag("span", view.ABOUT_EXAMPLES, cls="meta"), elem_id="pl-mix-about")
    components["curve"] = plot_widget.plot("pl-mix-curve", 380, name="Loss and coverage along the slider")
    area(tag("p", view.MEASURED, cls="meta"), elem_id="pl-mix-found")
    return MixPage(**components)


def _wire(do: MixHandlers, shell: Shell, page: MixPage, tab: gr.Tab) -> None:
    with_address = "(...values) => [...values.slice(0, -1), location.search]"
    changed, slow = [page.state, page.ticket], streaming(WRITINGS, 8)

    def then_refresh(event: gr.events.Dependency) -> None:
        requested = [page.ticket, page.state, shell.backbone, shell.search]
        event.then(do.refresh, requested, [*page.outputs, shell.status], js=with_address, **slow)

    here = "() => [PrefixLab.tabs.now()]"
    then_refresh(tab.select(do.enter, shell.search, page.ticket, js=here, **EVERY))
    then_refresh(shell.backbone.change(do.enter, shell.search, page.ticket, js=here, **EVERY))
    then_refresh(shell.comparison.change(do.follow, shell.search, page.ticket, js=here, **EVERY))
    then_refresh(page.bar.select(do.change, page.state, changed, **EVERY))
    for place, member in enumerate(page.members):
        then_refresh(member.select(do.choose(place), page.state, changed, **EVERY))
    then_refresh(page.example.select(do.choose_example, page.state, changed, **EVERY))
    page.stage.select(do.slide, page.state, [page.state, page.address], **LATEST)
    page.acts.select(do.keep, [shell.backbone, page.state], [*page.members, page.note, shell.status], **LATEST)
    measured = [page.curve, page.stop, page.headline, page.stage, shell.status]
    page.measure.click(do.measure, [page.state, shell.backbone, shell.search], measured, js=with_address, **slow)
    page.stop.click(do.stop_measuring, None, None, **LATEST)
    shell.page.load(do.restore, shell.search, page.state, js="() => [location.search]", **EVERY)
