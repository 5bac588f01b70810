"""The Train tab's components by name, so that handlers of many outputs return {component: value}."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.train.request import OWN, Data, Wish, fields_of
from core.config.train import TrainConfig


@dataclass
class TrainPage:
    """What handlers read and write."""

    preset: gr.Radio
    lead: gr.HTML
    method: gr.Dropdown
    name: gr.Textbox
    rows: gr.Radio
    own_box: gr.Group
    own: dict[str, gr.Number | gr.Textbox]
    where: gr.Radio
    own_data: gr.Group
    file: gr.File
    paste: gr.Textbox
    mapping: gr.Group
    source: gr.Dropdown
    target: gr.Dropdown
    form: gr.Dropdown
    preview: gr.HTML
    facts: gr.HTML
    start: gr.Button
    command: gr.HTML
    head: gr.HTML
    loss: gr.HTML
    rate: gr.HTML
    mass: gr.HTML
    watch: gr.HTML
    details: gr.HTML
    zip: gr.File
    runs: gr.HTML
    bin: gr.HTML
    offer: gr.HTML
    upload: gr.UploadButton
    given: gr.State  # path of the uploaded or pasted rows
    chosen: gr.State  # the run that is shown
    seen: gr.State  # what of it the page shows already
    address: gr.Textbox
    timer: gr.Timer

    @property
    def asked(self) -> list:
        """What `wish` reads, in its order, after the backbone."""
        fixed = [self.preset, self.method, self.name, self.rows, self.where, self.given, self.source, self.target, self.form]
        return fixed + [self.own[name] for name in OWN]

    @property
    def live(self) -> list:
        """What a tick of the clock may write."""
        return [self.head, self.loss, self.rate, self.mass, self.watch, self.details, self.runs, self.bin, self.offer, self.seen]

    @property
    def shown(self) -> list:
        """What choosing a run writes."""
        return [*self.live, self.chosen, self.address]


def wish(backbone: str, apart: bool, preset, method, name, rows, where, given, source, target, form, *own) -> Wish:
    """What the page asks for, as it stands. `apart`: the backbone reads and writes apart; what is bundled are articles then."""
    named, values = (name or "").strip(), dict(zip(OWN, own, strict=True))
    data = Data(form="article" if apart else "table")
    if where != "bundled":
        data = Data(given or "", tuple(source or ()), tuple(target or ()), form or "table", named)
    own_settings = fields_of(method) if preset == "own" else ()
    changed = {key: _typed(key, values[key]) for key in own_settings if values[key] is not None}
    return Wish(named, preset, method, backbone, int(rows or 0) if preset == "low" else 0, data, changed)


def _typed(name: str, value: Any) -> Any:
    """A number field gives 10.0 for 10."""
    return int(value) if isinstance(getattr(TrainConfig(), name), int) else value
