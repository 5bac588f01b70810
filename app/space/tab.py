"""The Prefix space tab: virtual tokens among the words of the frozen model, as a map and as tables."""

from functools import partial
from typing import Any

import gradio as gr
from gradio.blocks import Block

from analysis.attention.maps import SITE, SITES
from analysis.space.neighbor_analysis import EMBEDDINGS, KEYS, LOGIT_LENS, VALUES
from app.shared import plot_widget, urlstate
from app.shared.context import AppContext
from app.shared.events import QUIET
from app.shared.html import area
from app.shared.shell import Shell
from app.space import alone_section, view
from app.space.components import SpacePage
from app.space.handlers import SpaceHandlers
from app.space.state import MAPS, MOST, SpaceState

SPACE_LABELS = {KEYS: "Keys", VALUES: "Values", LOGIT_LENS: "Writes", EMBEDDINGS: "Embeddings"}
MAP_LABELS = {"pca": "PCA", "umap": "UMAP"}
LINE: dict[str, Any] = {"concurrency_id": "space", "concurrency_limit": 8, "trigger_mode": "multiple"}
HIGH, LOW = 560, 300  # px
SAVE = "(text) => text && PrefixLab.plots.give('prefix-lab-nearest-words.csv', new Blob([text], { type: 'text/csv' }))"
SEARCH = "() => [location.search]"
ACTIVE_TAB = "(...inputs) => [...inputs.slice(0, -1), PrefixLab.space.refreshing()]"
LINKED = "PrefixLab.space.{part}(element, trigger, watch) /* 'select' */"


def build(context: AppContext, shell: Shell, tab: gr.Tab) -> SpacePage:
    """Draw the tab and wire it; call inside gr.Tab."""
    components: dict[str, Any] = {"headline": area(view.skeleton(), elem_id="pl-space-verdict", elem_classes="pl-maybe")}
    components |= _controls()
    components |= {name: area("", elem_id=f"pl-space-{name}", elem_classes="pl-maybe") for name in ("lost", "note", "empty")}
    with gr.Row(elem_id="pl-space"):
        with gr.Column(elem_id="pl-space-left", min_width=500):
            components["picture"] = plot_widget.plot("pl-space-map", HIGH, bar=True, name="Map of virtual tokens among words")
        with gr.Column(elem_id="pl-space-right", min_width=300):
            components["detail"] = area("", js_on_load=LINKED.format(part="rows"), elem_id="pl-space-detail")
            components["lead"] = area("", elem_id="pl-space-told", elem_classes="pl-maybe")
            area(view.warning())
    components["first"] = plot_widget.plot(
        "pl-space-first", LOW, name="The first word of each virtual token, and what chance gives"
    )
    components["all"] = area("", js_on_load=LINKED.format(part="table"), elem_id="pl-space-all")
    hidden: dict[str, Any] = {"visible": "hidden"}
    components |= {
        "table": gr.Textbox(elem_id="pl-space-csv", **hidden),
        "address": gr.Textbox(elem_id="pl-space-address", **hidden),
    }
    components |= {
        name: gr.Button("", elem_id=f"pl-space-{name}", elem_classes="pl-key") for name in ("down", "up")
    }  # keys [ and ]
    # `active` is made last: Gradio sorts a set of inputs by age, so its value is the last argument of ACTIVE_TAB.
    page = SpacePage(**components, token=gr.State([]), ready=gr.Textbox(**hidden), active=gr.Textbox(**hidden))
    _wire(SpaceHandlers(context, shell, page), shell, page, tab)
    alone_section.build(context, shell, tab)
    return page


def _controls() -> dict[str, Any]:
    components: dict[str, Any] = {}
    # Custom values: a choice that the server has just replaced by others must not be refused.
    small: dict[str, Any] = {"container": True, "min_width": 80, "allow_custom_value": True}
    plain: dict[str, Any] = {"show_label": False, "container": False}
    with gr.Row(elem_id="pl-space-bar"):
        components["space"] = gr.Radio([(name, kind) for kind, name in SPACE_LABELS.items()], value=KEYS, **plain)
        components["site"] = gr.Radio(list(SITES), value=SITE, visible=False, elem_id="pl-space-site", **plain)
        components["layer"] = gr.Dropdown([0], value=0, label="Layer", elem_id="pl-space-layer", **small)
        components["head"] = gr.Dropdown([("all", 0)], value=0, label="Head", elem_id="pl-space-head", **small)
        components["map"] = gr.Radio([(MAP_LABELS[kind], kind) for kind in MAPS], value="pca", **plain)
        components["paths"] = gr.Checkbox(False, label="All paths", container=False, min_width=90)
        components["whole"] = gr.Checkbox(False, label="Whole words", container=False, min_width=110)
    with gr.Row(elem_id="pl-space-more"):
        components["runs"] = gr.Dropdown(
            [], value=[], multiselect=True, max_choices=MOST, allow_custom_value=True, label="Runs", elem_id="pl-space-runs"
        )
        components["word"] = gr.Textbox(
            label="Find a word", placeholder="pub", elem_id="pl-space-word", max_lines=1, min_width=120
        )
        components["csv"] = gr.Button("CSV", elem_id="pl-space-save", min_width=60, interactive=False)
    return components


def _wire(do: SpaceHandlers, shell: Shell, page: SpacePage, tab: gr.Tab) -> None:
    controls: set[Block] = {shell.backbone, *page.controls}
    refresh: dict[str, Any] = {
        "fn": do.refresh,
        "inputs": controls | {page.ready, page.active},
        "outputs": [*page.outputs, shell.status],
        "js": ACTIVE_TAB,
        **LINE,
        **QUIET,
    }
    for control in (page.space, page.site, page.layer, page.head, page.map, page.paths, page.whole, page.runs):
        control.input(**refresh)
    shell.backbone.change(**refresh)  # also where the address names one
    page.word.submit(**refresh)
    tab.select(**refresh)
    for key, step in ((page.down, -1), (page.up, 1)):
        key.click(partial(do.step, step), controls, page.layer, queue=False, **QUIET).then(**refresh)
    chosen: dict[str, Any] = {"inputs": [shell.backbone], "outputs": [page.token, page.word], "queue": False, **QUIET}
    for place in (page.picture, page.first):
        place.click(do.choose, **chosen).then(**refresh)
    for place in (page.detail, page.all):
        place.select(do.choose, **chosen).then(**refresh)
    restored = [*page.controls, page.lost, page.ready]
    shell.page.load(do.restore, shell.search, restored, js=SEARCH, queue=False, **QUIET).then(**refresh)
    page.address.change(None, page.address, None, js=urlstate.remember(SpaceState))
    page.csv.click(do.table, controls, page.table, **LINE, **QUIET).then(None, page.table, None, js=SAVE)
