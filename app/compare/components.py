"""The Compare tab's components by name, so that handlers of many outputs return {component: value}."""

from dataclasses import dataclass

import gradio as gr


@dataclass
class Page:
    """What handlers read and write."""

    table: gr.HTML
    note: gr.HTML
    samples: gr.HTML
    generate: gr.Button
    stop: gr.Button
    mode: gr.Radio
    seed: gr.Number
    temperature: gr.Number
    top_p: gr.Number
    glance: gr.HTML
    lanes: gr.HTML
    heads: dict[str, gr.HTML]
    outputs: dict[str, gr.HTML]
    panels: gr.HTML
    tell_all: gr.Button
    gallery: gr.HTML
    prefix: gr.State
    finetuned: gr.State
    ticket: gr.State
    shown: gr.State  # [backbone, task] of what stands on the page

    @property
    def table_parts(self) -> list:
        """What changes with the table."""
        return [self.table, self.note, self.samples]

    @property
    def settings(self) -> list:
        """What changes with the decoding."""
        return [self.mode, self.seed, self.temperature, self.top_p]
