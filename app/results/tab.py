"""The Results tab: the paper's tables and figures beside two re-runs of them and ours, the evidence, and all runs."""

import gradio as gr

from app.export.embed import Embeddable
from app.results.components import ResultsPage
from app.results.handlers import ResultsHandlers
from app.results.state import ResultsState
from app.shared import plot_widget, urlstate
from app.shared.context import AppContext
from app.shared.events import EVERY, Components
from app.shared.html import area, hidden
from app.shared.shell import Shell

CONTROLS = "PrefixLab.results(element, trigger, watch) /* 'select' */"
EMBEDDABLE = Embeddable(
    panels={"results-main": "The table", "results-plot": "The figure", "results": "All of it"},
    controls={"results-bar": "The choices above", "results-texts": "The texts behind a number"},
)
SAVE = "(text) => text && PrefixLab.saveFile(text)"


def build(context: AppContext, shell: Shell, tab: gr.Tab) -> None:
    """Draw the tab and wire it; call inside its gr.Tab."""
    with gr.Column(elem_id="pl-results"):
        components: Components = {"state": gr.State(ResultsState())}
        components["bar"] = area("", js_on_load=CONTROLS, elem_id="pl-results-bar")
        components["plot"] = plot_widget.plot("pl-results-plot", 420, name="Figure of the results")
        components["main"] = area("", js_on_load=CONTROLS, elem_id="pl-results-main")
        components["detail"] = area("", js_on_load=CONTROLS, elem_id="pl-results-texts")
        components["address"] = urlstate.address_box("pl-results-address", ResultsState)
        components["file"] = hidden(elem_id="pl-results-file")
    page = ResultsPage(**components)
    _wire(ResultsHandlers(context, shell, page), shell, page, tab)


def _wire(do: ResultsHandlers, shell: Shell, page: ResultsPage, tab: gr.Tab) -> None:
    outputs = [*page.outputs, shell.status]

    def then_refresh(event: gr.events.Dependency) -> None:
        event.then(do.refresh, page.state, outputs, **EVERY)

    for place in (page.bar, page.main, page.detail):
        then_refresh(place.select(do.change, page.state, [page.state, page.file], **EVERY))
    then_refresh(page.plot.click(do.open_point, page.state, page.state, **EVERY))
    tab.select(do.refresh, page.state, outputs, **EVERY)
    then_refresh(shell.page.load(do.restore, shell.search, page.state, js="() => [location.search]", **EVERY))
    page.file.change(None, page.file, None, js=SAVE)
