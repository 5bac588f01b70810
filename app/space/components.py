"""The Prefix space tab's components by name, so that handlers of many outputs return {component: value}."""

from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block


@dataclass
class SpacePage:
    """The components that handlers read and write."""

    runs: gr.Dropdown
    space: gr.Radio
    site: gr.Radio
    layer: gr.Dropdown
    head: gr.Dropdown
    map: gr.Radio
    whole: gr.Checkbox
    paths: gr.Checkbox
    word: gr.Textbox
    lead: gr.HTML
    ignored: gr.HTML
    note: gr.HTML
    picture: gr.HTML
    detail: gr.HTML
    headline: gr.HTML
    near_text: gr.HTML
    first: gr.HTML
    all: gr.HTML
    empty: gr.HTML
    csv: gr.Button
    down: gr.Button
    up: gr.Button
    table: gr.Textbox
    address: gr.Textbox
    token: gr.State  # [run, number from 0]; [] for the first
    ready: gr.Textbox  # not empty once the page has the controls as the address says
    search: gr.Textbox  # the page's address, which the page's script fills in
    active: gr.Textbox  # the name of the tab that is shown, which the page's script fills in

    @property
    def request_inputs(self) -> dict[str, Block]:
        """The components that `SpaceRequest.of` reads, by name."""
        names = ("runs", "space", "layer", "head", "map", "whole", "paths", "word", "token", "site")
        return {name: getattr(self, name) for name in names}

    @property
    def controls(self) -> list[Block]:
        """The components of `request_inputs`."""
        return list(self.request_inputs.values())

    @property
    def outputs(self) -> list[Block]:
        """The outputs of a refresh."""
        views = [self.lead, self.note, self.picture, self.detail, self.headline, self.near_text, self.first, self.all, self.empty]
        return [*self.controls, *views, self.csv, self.address]
