"""The Prefix space tab: virtual tokens among the words of the frozen model, as a map and as tables."""

from collections.abc import Callable
from functools import partial

import gradio as gr
from gradio.blocks import Block

from analysis.attention.maps import SITE, SITES
from analysis.space.neighbor_analysis import EMBEDDINGS, KEYS, LOGIT_LENS, VALUES
from app.export.embed import Embeddable
from app.shared import plot_widget, urlstate
from app.shared.context import AppContext
from app.shared.events import QUIET, Components, streaming
from app.shared.html import area, hidden
from app.shared.shell import Shell
from app.space import alone_section, view
from app.space.analyses import AnalysisCache
from app.space.components import SpacePage
from app.space.handlers import SpaceHandlers
from app.space.state import MAPS, MOST, SpaceState

EMBEDDABLE = Embeddable(
    panels={
        "space-map": "The map",
        "space-detail": "One virtual token",
        "space-near-text": "Kept near a text",
        "space": "The map and one virtual token",
        "space-first": "Nearest words against chance",
        "space-all": "Words of all virtual tokens",
        "alone-words": "On its own: first words",
        "alone-texts": "On its own: the texts",
    },
    controls={
        "space-bar": "Space, layer, head and map",
        "space-more": "Runs and search",
        "space-verdict": "The sentence above",
        "space-warning": "The caution beside the map",
        "alone-bar": "On its own: seed and sampling",
    },
)
SPACE_LABELS = {KEYS: "Keys", VALUES: "Values", LOGIT_LENS: "Writes", EMBEDDINGS: "Embeddings"}
MAP_LABELS = {"pca": "PCA", "umap": "UMAP"}
SLOW = streaming("space", 8)
HIGH, LOW = 560, 300  # px
SAVE = "(text) => text && PrefixLab.plots.giveText('prefix-lab-nearest-words.csv', text, 'text/csv')"
SEARCH = "() => [location.search]"
FROM_PAGE = "(...inputs) => [...inputs.slice(0, -2), location.search, PrefixLab.space.refreshing()]"
LINKED = "PrefixLab.space.{part}(element, trigger, watch) /* 'select' */"


def build(context: AppContext, shell: Shell, tab: gr.Tab) -> AnalysisCache:
    """Draw the tab and wire it; call inside gr.Tab. The analyses are returned, for the lines of Python."""
    components: Components = {"headline": area(view.skeleton(), elem_id="pl-space-verdict", elem_classes="pl-maybe")}
    components["near_text"] = area("", elem_id="pl-space-near-text", elem_classes="pl-maybe")
    components |= _controls()
    components |= {name: area("", elem_id=f"pl-space-{name}", elem_classes="pl-maybe") for name in ("ignored", "note", "empty")}
    with gr.Row(elem_id="pl-space"):
        with gr.Column(elem_id="pl-space-left", min_width=500):
            components["picture"] = plot_widget.plot("pl-space-map", HIGH, bar=True, name="Map of virtual tokens among words")
        with gr.Column(elem_id="pl-space-right", min_width=300):
            components["detail"] = area("", js_on_load=LINKED.format(part="rows"), elem_id="pl-space-detail")
            components["lead"] = area("", elem_id="pl-space-told", elem_classes="pl-maybe")
            area(view.warning(), elem_id="pl-space-warning")
    components["first"] = plot_widget.plot(
        "pl-space-first", LOW, name="The nearest word of each virtual token, and what chance gives"
    )
    components["all"] = area("", js_on_load=LINKED.format(part="table"), elem_id="pl-space-all")
    components["table"] = hidden(elem_id="pl-space-csv")
    components["address"] = urlstate.address_box("pl-space-address", SpaceState)
    components |= {
        name: gr.Button("", elem_id=f"pl-space-{name}", elem_classes="pl-key") for name in ("down", "up")
    }  # keys [ and ]
    # `search` and `active` are made last: Gradio sorts a set of inputs by age, so theirs are the last arguments of FROM_PAGE.
    page = SpacePage(**components, token=gr.State([]), ready=hidden(), search=hidden(), active=hidden())
    do = SpaceHandlers(context, shell, page)
    _wire(do, shell, page, tab)
    alone_section.build(context, shell, tab)
    return do.analyses


def _controls() -> Components:
    components: Components = {}
    # Custom values: a choice that the server has just replaced by others must not be refused.
    dropdown = partial(gr.Dropdown, container=True, min_width=80, allow_custom_value=True)
    radio = partial(gr.Radio, show_label=False, container=False)
    with gr.Row(elem_id="pl-space-bar"):
        components["space"] = radio([(name, kind) for kind, name in SPACE_LABELS.items()], value=KEYS)
        components["site"] = radio(list(SITES), value=SITE, visible=False, elem_id="pl-space-site")
        components["layer"] = dropdown([0], value=0, label="Layer", elem_id="pl-space-layer")
        components["head"] = dropdown([("all", 0)], value=0, label="Head", elem_id="pl-space-head")
        components["map"] = radio([(MAP_LABELS[kind], kind) for kind in MAPS], value="pca")
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
    inputs, outputs = controls | {page.ready, page.search, page.active}, [*page.outputs, shell.status]

    def refresh_on(listen: Callable[..., gr.events.Dependency]) -> None:
        listen(do.refresh, inputs, outputs, js=FROM_PAGE, **SLOW)

    for control in (page.space, page.site, page.layer, page.head, page.map, page.paths, page.whole, page.runs):
        refresh_on(control.input)
    refresh_on(shell.backbone.change)  # also where the address names one
    refresh_on(page.word.submit)
    refresh_on(tab.select)
    for key, step in ((page.down, -1), (page.up, 1)):
        refresh_on(key.click(partial(do.step, step), controls, page.layer, queue=False, **QUIET).then)
    for choose in (page.picture.click, page.first.click, page.detail.select, page.all.select):
        refresh_on(choose(do.choose, shell.backbone, [page.token, page.word], queue=False, **QUIET).then)
    restored = [*page.controls, page.ignored, page.ready]
    refresh_on(shell.page.load(do.restore, shell.search, restored, js=SEARCH, queue=False, **QUIET).then)
    page.csv.click(do.table, controls, page.table, **SLOW).then(None, page.table, None, js=SAVE)
