"""The Attention tab's components by name, so that handlers return {component: value}."""

from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block


@dataclass
class AttentionPage:
    """The components that handlers read and write."""

    state: gr.State
    ticket: gr.State
    address: gr.Textbox
    nothing: gr.HTML
    headline: gr.HTML
    bar: gr.HTML
    reads: gr.HTML
    layers: gr.HTML
    heads: gr.HTML
    tokens: gr.HTML
    steps: gr.HTML
    effect: gr.HTML
    influence: gr.HTML

    @property
    def outputs(self) -> list[Block]:
        """The outputs of a refresh."""
        return [component for name, component in vars(self).items() if name not in ("state", "ticket")]
