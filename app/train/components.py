"""The Train tab's components by name, so that handlers of many outputs return {component: value}."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from app.shared.numbers import typed
from app.train.request import TrainRequest, UploadedData, settings_of
from core.config.train import TrainConfig


@dataclass
class TrainPage:
    """The components that handlers read and write."""

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
    headline: gr.HTML
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
    upload_path: gr.State  # path of the uploaded or pasted rows
    run_id: gr.State  # id of the run on the page
    change_token: gr.State  # what of it the page shows already
    address: gr.Textbox
    timer: gr.Timer

    @property
    def request_inputs(self) -> dict[str, Block]:
        """The components that `train_request` reads, by name."""
        names = ("preset", "method", "name", "rows", "where", "upload_path", "source", "target", "form")
        return {name: getattr(self, name) for name in names} | self.own

    @property
    def live(self) -> list[Block]:
        """The outputs of a tick."""
        charts = [self.loss, self.rate, self.mass]
        return [self.headline, self.head, *charts, self.watch, self.details, self.runs, self.bin, self.offer, self.change_token]

    @property
    def run_outputs(self) -> list[Block]:
        """The outputs of choosing a run."""
        return [*self.live, self.run_id, self.address]


def train_request(values: Mapping[str, Any], backbone: str, encoder_decoder: bool) -> TrainRequest:
    """Return the request that the page describes. `values`: see `TrainPage.request_inputs`."""
    name, preset, method = (values["name"] or "").strip(), values["preset"], values["method"]
    data = UploadedData(form="article" if encoder_decoder else "table")
    if values["where"] != "bundled":
        columns = tuple(values["source"] or ()), tuple(values["target"] or ())
        data = UploadedData(values["upload_path"] or "", *columns, values["form"] or "table", name)
    settings = settings_of(method) if preset == "own" else ()
    changed: dict[str, object] = {key: _typed(key, values[key]) for key in settings if values[key] is not None}
    return TrainRequest(name, preset, method, backbone, int(values["rows"] or 0) if preset == "low" else 0, data, changed)


def _typed(name: str, value: str | float) -> str | float:
    """Return a value with its type: a number field gives 10.0 for 10."""
    if name == "near_text":
        return str(value).strip()
    return typed(float(value)) if isinstance(getattr(TrainConfig(), name), int) else value
