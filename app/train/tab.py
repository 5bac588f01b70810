"""The Train tab: what to train on the left; on the right a training as it goes, and all runs."""

from typing import Any

import gradio as gr

from app.shared import plot_widget
from app.shared.context import AppContext
from app.shared.html import area, tag
from app.shared.shell import ACTS, Shell
from app.shared.urlstate import remember
from app.train import view as pieces
from app.train.components import TrainPage
from app.train.handlers import WHERE, TrainHandlers
from app.train.jobs import Jobs
from app.train.progress import RunAddress
from app.train.request import LOW, OWN, SHOWN, fields_of
from core.config.methods import METHODS
from core.config.presets import preset
from core.config.train import TrainConfig

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
SECONDS = 1.5  # between looks at what trains
INPUTS = {
    "table": "a table, in any notation",
    "article": "an article to sum up",
    "webnlg": "triples",
    "dart": "triples, as DART",
    "text": "any text",
}
PASTE = "name,food,area,text\nThe Eagle,Chinese,riverside,The Eagle by the river serves Chinese food."


def build(context: AppContext, shell: Shell, tab: gr.Tab) -> TrainPage:
    """Draw the tab and wire it; call inside gr.Tab."""
    with gr.Row(elem_id="pl-train"):
        with gr.Column(elem_id="pl-train-left", min_width=300):
            made = _what() | _data() | _before()
        with gr.Column(elem_id="pl-train-right", min_width=600):
            made |= _live() | _runs()
    states: dict[str, Any] = {
        "given": gr.State(""),
        "chosen": gr.State(""),
        "seen": gr.State(""),
        "timer": gr.Timer(SECONDS, active=False),
    }
    address = gr.Textbox(visible="hidden", elem_id="pl-train-address")
    page = TrainPage(**made, **states, address=address, offer=shell.offer)
    address.change(None, address, None, js=remember(RunAddress))
    jobs = Jobs(context.store, context.models.device)
    jobs.wake()
    _wire(TrainHandlers(context, shell, page, jobs), shell, page, tab)
    return page


def _what() -> dict[str, Any]:
    area(tag("h3", "What to train"), elem_classes="pl-title")
    plain = preset("fast").to_dict()
    made: dict[str, Any] = {
        "preset": gr.Radio(
            [(shown, name) for name, shown in SHOWN.items()],
            value="demo",
            show_label=False,
            container=False,
            elem_id="pl-train-preset",
        ),
        "lead": area("", elem_id="pl-train-lead"),
    }
    with gr.Row(elem_classes="pl-pair"):
        methods = [(info.title, name) for name, info in METHODS.items()]
        made["method"] = gr.Dropdown(methods, value=TrainConfig.method, label="Method", elem_id="pl-train-method", min_width=120)
        made["name"] = gr.Textbox("", label="Name of the run", elem_id="pl-train-name", min_width=120)
    made["rows"] = gr.Radio(list(LOW), value=LOW[0], label="Examples to train on", visible=False, elem_id="pl-train-rows")
    with gr.Group(visible=False, elem_id="pl-train-own") as made["own_box"]:
        made["own"] = {name: _setting(name, shown, plain[name]) for name, shown in OWN.items()}
    return made


def _setting(name: str, shown: str, value: Any) -> gr.Number | gr.Textbox:
    has: dict[str, Any] = {"label": shown, "visible": name in fields_of(TrainConfig.method), "elem_id": f"pl-own-{name}"}
    if isinstance(value, str):
        return gr.Textbox(value, **has)
    return gr.Number(value, precision=0 if isinstance(value, int) else None, minimum=0, min_width=90, **has)


def _data() -> dict[str, Any]:
    area(tag("h3", "Data"), elem_classes="pl-title")
    choices = [("Bundled tables", "bundled"), *WHERE]
    made: dict[str, Any] = {
        "where": gr.Radio(choices, value="bundled", show_label=False, container=False, elem_id="pl-train-where")
    }
    with gr.Group(visible=False, elem_id="pl-train-data") as made["own_data"]:
        kinds = [".csv", ".tsv", ".jsonl", ".gz"]
        made["file"] = gr.File(label="CSV, TSV or JSON lines", file_types=kinds, height=110, elem_id="pl-train-file")
        made["paste"] = gr.Textbox(
            "", label="CSV with a header, or JSON lines", lines=5, placeholder=PASTE, elem_id="pl-train-paste"
        )
        with gr.Group(visible=False) as made["mapping"]:
            made["source"] = gr.Dropdown([], multiselect=True, label="Columns of the input", elem_id="pl-train-source")
            made["target"] = gr.Dropdown([], multiselect=True, label="The text to write", elem_id="pl-train-target")
            forms = [(shown, name) for name, shown in INPUTS.items()]
            made["form"] = gr.Dropdown(forms, value="table", label="One input column holds", elem_id="pl-train-form")
        made["preview"] = area("", elem_id="pl-train-preview")
    return made


def _before() -> dict[str, Any]:
    area(tag("h3", "Before it starts"), elem_classes="pl-title")
    return {
        "facts": area("", elem_id="pl-train-facts"),
        "start": gr.Button("Start training", variant="primary", interactive=False, elem_id="pl-train-start"),
        "command": area("", js_on_load="PrefixLab.copying(element)", elem_id="pl-train-command"),
    }


def _live() -> dict[str, Any]:
    made: dict[str, Any] = {
        "head": area("", js_on_load=ACTS, elem_id="pl-train-head"),
        "zip": gr.File(visible=False, label="The run as a zip", interactive=False, elem_id="pl-train-zip", height=70),
    }
    made["watch"] = area("", elem_id="pl-train-watch")
    with gr.Row(elem_classes="pl-charts"):
        made["loss"] = plot_widget.plot("pl-train-loss", 280, name="Training and validation loss")
        made["mass"] = plot_widget.plot("pl-train-mass", 280, name="Attention on the virtual tokens, by layer and update")
    made["rate"] = plot_widget.plot("pl-train-rate", 190, name="Learning rate")
    made["details"] = area("", js_on_load=ACTS + "; PrefixLab.copying(element)", elem_id="pl-train-details")
    return made


def _runs() -> dict[str, Any]:
    with gr.Row(elem_id="pl-train-runs-head"):
        area(tag("h3", "Runs"), elem_classes="pl-title")
        upload = gr.UploadButton("Import a zip", file_types=[".zip"], size="sm", elem_id="pl-train-import")
    return {
        "upload": upload,
        "runs": area(pieces.listing([], "", 0), js_on_load=ACTS, elem_id="pl-train-runs"),
        "bin": area("", js_on_load=ACTS, elem_id="pl-train-bin"),
    }


def _wire(do: TrainHandlers, shell: Shell, page: TrainPage, tab: gr.Tab) -> None:
    latest: dict[str, Any] = {"queue": False, "trigger_mode": "always_last", **QUIET}
    asked, told = [shell.backbone, *page.asked], [page.facts, page.command, page.start, page.preview]
    found = [page.given, page.preview, page.mapping, page.source, page.target, page.form]
    changed = [page.lead, page.rows, page.own_box, page.name, *page.own.values()]
    what, kind = [page.preset, page.method, page.name, shell.backbone], [page.where, page.own["init_words"]]
    after = [*page.shown, page.zip, shell.status, page.name]

    def then_plan(event: gr.events.Dependency) -> None:
        event.then(do.plan, asked, told, **latest)

    shell.backbone.change(do.moved, [page.seen, *asked], [page.lead, *kind, *told], **latest)
    then_plan(page.preset.change(do.preset, what, changed, **latest))
    then_plan(page.method.change(do.preset, what, changed, **latest))
    gone = [page.own_data, page.file, page.paste, page.mapping, page.preview, page.given]
    then_plan(page.where.change(do.where, page.where, gone, **latest))
    then_plan(page.file.change(do.uploaded, page.file, found, **latest))
    then_plan(page.paste.change(do.pasted, page.paste, found, **latest))
    for choice in (page.rows, page.source, page.target, page.form):
        choice.input(do.plan, asked, told, **latest)
    for typed in (page.name, *page.own.values()):
        typed.blur(do.plan, asked, told, **latest)
    page.start.click(do.start, asked, after, **latest).then(do.plan, asked, told, **latest)
    shell.page.load(do.offered, None, page.offer, **latest)
    for part in (page.offer, page.head, page.details, page.runs, page.bin):
        part.select(do.act, page.chosen, after, **latest)
    page.upload.upload(do.imported, page.upload, after, **latest)
    page.timer.tick(do.tick, [page.chosen, page.seen], page.live, **latest)
    shown = tab.select(do.open, [shell.search, page.chosen], [*page.shown, page.timer], js=SEARCH, **latest)
    first = shown.then(do.begin, what, changed, **latest).then(do.kind, shell.backbone, kind, **latest)
    first.then(do.plan, asked, told, **latest)


SEARCH = "(search, chosen) => [location.search, chosen]"
