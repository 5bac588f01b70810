"""The Train tab's components by name, so that handlers of many outputs return {component: value}."""

from dataclasses import dataclass

import gradio as gr

from app.train_state import OWN, Data, Wish


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
        return [self.head, self.loss, self.rate, self.mass, self.watch, self.details, self.runs, self.bin, self.seen]

    @property
    def shown(self) -> list:
        """What choosing a run writes."""
        return [*self.live, self.chosen, self.address]


def wish(backbone: str, preset, method, name, rows, where, given, source, target, form, *own) -> Wish:
    """What the page asks for, as it stands."""
    bundled = where == "bundled"
    named = (name or "").strip()
    data = Data() if bundled else Data(given or "", tuple(source or ()), tuple(target or ()), form or "table", named)
    changed = {key: value for key, value in zip(OWN, own, strict=True) if value is not None} if preset == "own" else {}
    whole = {key: int(value) if key not in ("rate", "init_words") else value for key, value in changed.items()}
    return Wish(named, preset, method, backbone, int(rows or 0) if preset == "low" else 0, data, whole)
