"""The Compare tab's components by name, so that handlers of many outputs return {component: value}."""

from dataclasses import dataclass

import gradio as gr


@dataclass
class CompareComponents:
    """The components that handlers read and write."""

    table: gr.HTML
    note: gr.HTML
    unknown: gr.HTML  # words of the input that the backbone's tokenizer does not know
    samples: gr.HTML
    generate: gr.Button
    stop: gr.Button
    mode: gr.Radio
    seed: gr.Number
    temperature: gr.Number
    top_p: gr.Number
    glance: gr.HTML
    braces: gr.HTML
    headline: gr.HTML
    add_column: gr.Button
    heads: dict[str, gr.HTML]
    outputs: dict[str, gr.HTML]
    panels: gr.HTML
    run_all_examples: gr.Button
    gallery: gr.HTML
    prefix: gr.State
    finetuned: gr.State
    other: gr.State
    prompt: gr.State  # how the frozen model is prompted
    order: gr.Textbox  # the slots shown, joined by "-"; the page's script follows it
    ticket: gr.State
    current: gr.State  # [backbone, task] of what stands on the page

    @property
    def table_parts(self) -> list:
        """The components that change with the table."""
        return [self.table, self.note, self.samples]

    @property
    def decoding(self) -> list:
        """The components of the decoding settings."""
        return [self.mode, self.seed, self.temperature, self.top_p]

    @property
    def runs(self) -> dict[str, gr.State]:
        """The components with the run of each slot."""
        return {"prefix": self.prefix, "finetuned": self.finetuned, "other": self.other}

    @property
    def choices(self) -> set:
        """The components that a comparison depends on, besides the input."""
        return {*self.runs.values(), self.prompt, self.order, *self.decoding, self.current}
