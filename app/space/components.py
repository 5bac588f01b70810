"""The Prefix space tab's components by name, so that handlers of many outputs return {component: value}."""

from dataclasses import dataclass

import gradio as gr


@dataclass
class SpacePage:
    """What handlers read and write."""

    runs: gr.Dropdown
    space: gr.Radio
    site: gr.Radio
    layer: gr.Dropdown
    head: gr.Dropdown
    map: gr.Radio
    whole: gr.Checkbox
    paths: gr.Checkbox
    word: gr.Textbox
    told: gr.HTML
    lost: gr.HTML
    note: gr.HTML
    picture: gr.HTML
    detail: gr.HTML
    verdict: gr.HTML
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

    @property
    def controls(self) -> list:
        """What is chosen, in the order of `Handlers.refresh`."""
        return [self.runs, self.space, self.layer, self.head, self.map, self.whole, self.paths, self.word, self.token, self.site]

    @property
    def outputs(self) -> list:
        """What a refresh may write."""
        shown = [self.told, self.note, self.picture, self.detail, self.verdict, self.first, self.all, self.empty, self.csv]
        return [*self.controls, *shown, self.address]
