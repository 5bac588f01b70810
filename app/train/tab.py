"""The Train tab: what to train on the left; on the right a training as it runs, and all runs."""

import gradio as gr
from gradio.blocks import Block

from app.export.embed import Embeddable
from app.shared import plot_widget
from app.shared.context import AppContext
from app.shared.events import LATEST, Components
from app.shared.html import area, tag
from app.shared.setting_labels import TRAINING_LABELS
from app.shared.shell import ACTS, Shell
from app.shared.urlstate import address_box
from app.train import view
from app.train.components import TrainPage
from app.train.handlers import WHERE, TrainHandlers
from app.train.headline import skeleton
from app.train.jobs import Jobs
from app.train.request import LOW, PRESET_LABELS, settings_of
from app.train.state import RunAddress
from core.config.methods import METHODS
from core.config.presets import preset
from core.config.train import TrainConfig

SECONDS = 1.5  # between two checks of what trains
EMBEDDABLE = Embeddable(
    panels={
        "train-watch": "One text as it is learned",
        "train-loss": "The loss",
        "train-mass": "Attention on the prefix",
        "train-right": "The training",
        "train-left": "What to train",
        "train-runs": "The runs",
    },
    controls={"train-headline": "The sentence above", "train-own": "The settings", "train-command": "The command line"},
)
INPUTS = {
    "table": "a table, in any notation",
    "article": "an article to summarize",
    "webnlg": "triples",
    "dart": "triples, as DART",
    "text": "any text",
}
PASTE = "name,food,area,text\nThe Eagle,Chinese,riverside,The Eagle by the river serves Chinese food."


def build(context: AppContext, shell: Shell, tab: gr.Tab) -> TrainPage:
    """Draw the tab and wire it; call inside gr.Tab."""
    headline = area(skeleton(), elem_id="pl-train-headline")
    with gr.Row(elem_id="pl-train"):
        with gr.Column(elem_id="pl-train-left", min_width=300):
            components = _what() | _data() | _before()
        with gr.Column(elem_id="pl-train-right", min_width=600):
            components |= _live() | _runs()
    states: Components = {
        "upload_path": gr.State(""),
        "run_id": gr.State(""),
        "change_token": gr.State(""),
        "timer": gr.Timer(SECONDS, active=False),
    }
    address = address_box("pl-train-address", RunAddress)
    page = TrainPage(**components, **states, headline=headline, address=address, offer=shell.offer)
    jobs = Jobs(context.store, context.models.device)
    jobs.wake()
    _wire(TrainHandlers(context, shell, page, jobs), shell, page, tab)
    return page


def _what() -> Components:
    area(tag("h3", "What to train"), elem_classes="pl-title")
    plain = preset("fast").to_dict()
    components: Components = {
        "preset": gr.Radio(
            [(label, name) for name, label in PRESET_LABELS.items()],
            value="demo",
            show_label=False,
            container=False,
            elem_id="pl-train-preset",
        ),
        "lead": area("", elem_id="pl-train-lead"),
    }
    with gr.Row(elem_classes="pl-pair"):
        methods = [(info.title, name) for name, info in METHODS.items()]
        components["method"] = gr.Dropdown(
            methods, value=TrainConfig.method, label="Method", elem_id="pl-train-method", min_width=120
        )
        components["name"] = gr.Textbox("", label="Name of the run", elem_id="pl-train-name", min_width=120)
    components["rows"] = gr.Radio(list(LOW), value=LOW[0], label="Examples to train on", visible=False, elem_id="pl-train-rows")
    with gr.Group(visible=False, elem_id="pl-train-own") as components["own_box"]:
        components["own"] = {name: _setting(name, label, plain[name]) for name, label in TRAINING_LABELS.items()}
    return components


def _setting(name: str, label: str, value: object) -> gr.Number | gr.Textbox:
    visible, elem_id = name in settings_of(TrainConfig.method), f"pl-own-{name}"
    if isinstance(value, int | float):
        return gr.Number(value, label=label, min_width=90, visible=visible, elem_id=elem_id)
    return gr.Textbox(str(value), label=label, visible=visible, elem_id=elem_id)


def _data() -> Components:
    area(tag("h3", "Data"), elem_classes="pl-title")
    choices = [("Bundled tables", "bundled"), *WHERE]
    components: Components = {
        "where": gr.Radio(choices, value="bundled", show_label=False, container=False, elem_id="pl-train-where")
    }
    with gr.Group(visible=False, elem_id="pl-train-data") as components["own_data"]:
        kinds = [".csv", ".tsv", ".jsonl", ".json", ".gz"]
        components["file"] = gr.File(label="CSV, TSV or JSON", file_types=kinds, height=110, elem_id="pl-train-file")
        components["paste"] = gr.Textbox(
            "", label="CSV with a header, or JSON", lines=5, placeholder=PASTE, elem_id="pl-train-paste"
        )
        with gr.Group(visible=False) as components["mapping"]:
            components["source"] = gr.Dropdown([], multiselect=True, label="Columns of the input", elem_id="pl-train-source")
            components["target"] = gr.Dropdown([], multiselect=True, label="The text to write", elem_id="pl-train-target")
            forms = [(label, name) for name, label in INPUTS.items()]
            components["form"] = gr.Dropdown(forms, value="table", label="One input column holds", elem_id="pl-train-form")
        components["preview"] = area("", elem_id="pl-train-preview")
    return components


def _before() -> Components:
    area(tag("h3", "Before it starts"), elem_classes="pl-title")
    return {
        "facts": area("", elem_id="pl-train-facts"),
        "start": gr.Button("Start training", variant="primary", interactive=False, elem_id="pl-train-start"),
        "command": area("", elem_id="pl-train-command"),
    }


def _live() -> Components:
    components: Components = {
        "head": area("", js_on_load=ACTS, elem_id="pl-train-head"),
        "zip": gr.File(visible=False, label="The run as a zip", interactive=False, elem_id="pl-train-zip", height=70),
    }
    components["watch"] = area("", js_on_load="PrefixLab.timeline(element, watch)", elem_id="pl-train-watch")
    with gr.Row(elem_classes="pl-charts"):
        components["loss"] = plot_widget.plot("pl-train-loss", 280, name="Training and validation loss")
        components["mass"] = plot_widget.plot("pl-train-mass", 280, name="Attention on the virtual tokens, by layer and update")
    components["rate"] = plot_widget.plot("pl-train-rate", 190, name="Learning rate")
    components["details"] = area("", js_on_load=ACTS, elem_id="pl-train-details")
    return components


def _runs() -> Components:
    with gr.Row(elem_id="pl-train-runs-head"):
        area(tag("h3", "Runs"), elem_classes="pl-title")
        upload = gr.UploadButton("Import a zip", file_types=[".zip"], size="sm", elem_id="pl-train-import")
    return {
        "upload": upload,
        "runs": area(view.run_list([], "", 0), js_on_load=ACTS, elem_id="pl-train-runs"),
        "bin": area("", js_on_load=ACTS, elem_id="pl-train-bin"),
    }


def _wire(do: TrainHandlers, shell: Shell, page: TrainPage, tab: gr.Tab) -> None:
    inputs: set[Block] = {shell.backbone, *page.request_inputs.values()}
    estimated = [page.facts, page.command, page.start, page.preview]
    uploaded = [page.upload_path, page.preview, page.mapping, page.source, page.target, page.form]
    settings = [page.lead, page.rows, page.own_box, page.name, *page.own.values()]
    preset_inputs: set[Block] = {page.preset, page.method, page.name, shell.backbone}
    bundled = [page.where, page.own["init_words"]]
    after = [*page.run_outputs, page.zip, shell.status, page.name]

    def then_estimate(event: gr.events.Dependency) -> None:
        event.then(do.estimate, inputs, estimated, **LATEST)

    changed = [page.lead, *bundled, *estimated]
    shell.backbone.change(do.change_backbone, {page.change_token, *inputs}, changed, **LATEST)
    then_estimate(page.preset.change(do.choose_preset, preset_inputs, settings, **LATEST))
    then_estimate(page.method.change(do.choose_preset, preset_inputs, settings, **LATEST))
    data = [page.own_data, page.file, page.paste, page.mapping, page.preview, page.upload_path]
    then_estimate(page.where.change(do.where, page.where, data, **LATEST))
    then_estimate(page.file.change(do.uploaded, page.file, uploaded, **LATEST))
    then_estimate(page.paste.change(do.pasted, page.paste, uploaded, **LATEST))
    for choice in (page.rows, page.source, page.target, page.form):
        choice.input(do.estimate, inputs, estimated, **LATEST)
    for typed in (page.name, *page.own.values()):
        typed.blur(do.estimate, inputs, estimated, **LATEST)
    then_estimate(page.start.click(do.start, inputs, after, **LATEST))
    shell.page.load(do.offered, None, page.offer, **LATEST)
    for part in (page.offer, page.head, page.details, page.runs, page.bin):
        part.select(do.act, page.run_id, after, **LATEST)
    page.zip.change(None, page.zip, None, js=DOWNLOAD)
    page.upload.upload(do.imported, page.upload, after, **LATEST)
    page.timer.tick(do.tick, [page.run_id, page.change_token], page.live, **LATEST)
    opened = tab.select(do.open, [shell.search, page.run_id], [*page.run_outputs, page.timer], js=SEARCH, **LATEST)
    entered = opened.then(do.enter, preset_inputs, settings, **LATEST)
    then_estimate(entered.then(do.bundled_data, shell.backbone, bundled, **LATEST))


SEARCH = "(search, run) => [location.search, run]"
DOWNLOAD = "(file) => PrefixLab.download(file)"
