"""The Mix tab's components by name, so that handlers return {component: value}."""

from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block


@dataclass
class MixPage:
    """What handlers read and write."""

    state: gr.State
    ticket: gr.State
    address: gr.Textbox
    headline: gr.HTML
    bar: gr.HTML
    members: list[gr.HTML]  # a chooser of each run
    example: gr.HTML
    stage: gr.HTML
    note: gr.HTML
    acts: gr.HTML
    measure: gr.Button
    stop: gr.Button
    curve: gr.HTML

    @property
    def outputs(self) -> list[Block]:
        """What a refresh writes."""
        return [
            self.state,
            self.address,
            self.headline,
            self.bar,
            *self.members,
            self.example,
            self.stage,
            self.note,
            self.acts,
            self.curve,
        ]
