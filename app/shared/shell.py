"""The frame around the tabs: header, status bar and the table of keys."""

from dataclasses import dataclass

import gradio as gr

from app.shared import keys
from app.shared.context import AppContext
from app.shared.html import area, count, hidden, tag
from app.shared.status import line as say
from core.models.backbone import Backbone

ACTS = "PrefixLab.acts(element, trigger) /* 'select' */"  # buttons that say what is to be done with a run


@dataclass
class Shell:
    """The shell's components that tabs read and write."""

    page: gr.Blocks
    backbone: gr.Dropdown
    task: gr.Dropdown
    facts: gr.HTML
    status: gr.HTML
    search: gr.Textbox
    address: gr.Textbox
    offer: gr.HTML  # trainings that were interrupted, to go on with
    comparison: gr.Textbox  # the number of the page's last finished comparison; empty while there is none


def header(context: AppContext, page: gr.Blocks) -> Shell:
    """Draw the header and the status bar; call inside gr.Blocks, before the tabs."""
    # Not a link to "#pl-generate": Gradio's base address would make that a new page.
    area(tag("button", "Skip to Generate", type="button", data_act="skip", cls="pl-skip"), elem_id="pl-skip-link")
    with gr.Row(elem_id="pl-header"):
        area(tag("h1", "Prefix Lab"), elem_id="pl-brand")
        backbone = gr.Dropdown(
            context.catalog.backbone_names(),
            value=context.models.default,
            label="Backbone",
            allow_custom_value=True,
            elem_id="pl-backbone",
            min_width=120,
        )
        task = gr.Dropdown([], value=None, label="Task", elem_id="pl-task", min_width=80)
        facts = area("", elem_id="pl-facts")
        area(_buttons(), elem_id="pl-acts")
    status = area(say("loading", "Opening the page…"), elem_id="pl-status")
    area(tag("span", "", cls="note", aria_live="polite"), elem_id="pl-note")
    offer = area("", js_on_load=ACTS, elem_id="pl-offer")
    area(keys.dialog(), elem_id="pl-keys-place")
    search = hidden(elem_id="pl-search")
    address = hidden(elem_id="pl-address")
    comparison = hidden(elem_id="pl-subject")
    return Shell(page, backbone, task, facts, status, search, address, offer, comparison)


def _buttons() -> str:
    acts = [
        ("theme", "Dark", "Dark or light"),
        ("controls", "Controls", "Show or hide the controls that the large type leaves no room for"),
        ("present", "Present", "Large type for a projector (key P)"),
        ("keys", "Keys", "All keys (key ?)"),
    ]
    shares = [
        ("link", "Copy link", "to this page as it is"),
        ("embed", "For slides…", "one panel of this page, live, in a frame"),
        ("handout", "Handout", "this page as one file, without a network"),
        ("python", "As Python", "code that reproduces it in a notebook"),
    ]
    buttons = [tag("button", name, type="button", data_act=act, title=title, cls="pl-btn pl-act") for act, name, title in acts]
    items = "".join(tag("button", name + tag("small", about), type="button", data_act=act) for act, name, about in shares)
    menu = tag("summary", "Share", cls="pl-act", title="Share this page") + tag("div", items)
    return "".join([*buttons[:-1], tag("details", menu, cls="pl-share"), buttons[-1]])


def facts(backbone: Backbone) -> str:
    """The loaded model, for the header."""
    spec = backbone.spec
    device = {"cpu": "CPU", "cuda": "GPU", "mps": "Apple GPU"}.get(backbone.device.type, backbone.device.type)
    shape = f"{spec.layers} layers, width {spec.width}, {spec.heads} heads, {spec.positions} positions"
    detail = f"{shape}; weights {spec.fingerprint}"
    return tag("span", f"{count(spec.parameters)} parameters on the {device}", title=detail)
