"""The Results tab's components by name, so that handlers return {component: value}."""

from dataclasses import dataclass

import gradio as gr


@dataclass
class ResultsPage:
    """The components that handlers read and write. `file`: what the page has to save, as JSON; `state`: a ResultsState."""

    state: gr.State
    bar: gr.HTML
    main: gr.HTML
    plot: gr.HTML
    detail: gr.HTML
    address: gr.Textbox
    file: gr.Textbox

    @property
    def outputs(self) -> list:
        """The outputs of a refresh."""
        return [self.bar, self.main, self.plot, self.detail, self.address]
