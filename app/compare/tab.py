"""The Compare tab: a table or an article on the left, told by three models on the right."""

from typing import Any

import gradio as gr

from app.compare import columns, example_buttons, run_picker, source_editor
from app.compare.comparison import KINDS
from app.compare.components import Page
from app.compare.handlers import Handlers
from app.shared.context import AppContext
from app.shared.events import LATEST, QUIET
from app.shared.html import area, tag
from app.shared.method_labels import lanes
from app.shared.model_pool import MODEL, PAGES
from app.shared.shell import Shell
from app.shared.urlstate import MODES

SHOWN = {"greedy": "Greedy", "sample": "Sample", "beam": "Beam"}
TABLE = """<div class="pl-grid"><div class="rows"></div><button type="button" class="pl-btn add">+ field</button></div>
<label class="pl-source"><span class="of-table">As the model reads it</span><span class="of-article">Article</span>
<textarea id="pl-source" rows="3" spellcheck="false" placeholder="Paste a table in any notation"></textarea></label>"""


def build(context: AppContext, shell: Shell) -> Page:
    """Draw the tab and wire it; call inside gr.Tab."""
    with gr.Row(elem_id="pl-compare"):
        with gr.Column(elem_id="pl-left", min_width=300):
            left = _left()
        with gr.Column(elem_id="pl-right", min_width=600):
            right = _right()
    page = Page(**left, **right, prefix=gr.State(""), finetuned=gr.State(""), ticket=gr.State(0), shown=gr.State([]))
    _wire(Handlers(context, shell, page), shell, page)
    return page


def _left() -> dict[str, Any]:
    area(tag("h3", "Table"), elem_classes=["pl-title", "of-table"])
    table = area(
        source_editor.table_of([("name", "…")]),
        html_template=TABLE,
        js_on_load="PrefixLab.table(element, props, trigger, watch) /* 'input' 'blur' */",
        elem_id="pl-table",
    )
    note = area("", elem_id="pl-table-note")
    area(tag("h3", "Examples"), elem_classes="pl-title")
    samples = area(example_buttons.sample_buttons(""), js_on_load="PrefixLab.samples(element, trigger)", elem_id="pl-samples")
    return {"table": table, "note": note, "samples": samples}


def _right() -> dict[str, Any]:
    made: dict[str, Any] = {}
    with gr.Row(elem_id="pl-bar"):
        made["generate"] = gr.Button("Generate", variant="primary", elem_id="pl-generate", min_width=110)
        made["stop"] = gr.Button("Stop", elem_id="pl-stop", interactive=False, min_width=70)
        choices = [(SHOWN[mode], mode) for mode in MODES]
        made["mode"] = gr.Radio(choices, value="greedy", show_label=False, container=False, elem_id="pl-mode")
        made |= _numbers()
        area(example_buttons.view_buttons(), elem_id="pl-view")
    made["glance"] = area("", elem_id="pl-glance")
    made["lanes"] = area(lanes("prefix", "finetune"), elem_id="pl-lanes")
    made |= _columns()
    made["panels"] = area("", elem_id="pl-panels")
    made["tell_all"] = gr.Button("Tell every example", elem_id="pl-tell-all", min_width=160)
    made["gallery"] = area("", elem_id="pl-gallery")
    return made


def _numbers() -> dict[str, gr.Number]:
    """What matters to sampled text only, and so begins hidden."""
    hidden: dict[str, Any] = {"visible": False, "min_width": 64}
    return {
        "seed": gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="pl-seed", **hidden),
        "temperature": gr.Number(1.0, label="Temperature", minimum=0.01, step=0.1, elem_id="pl-temperature", **hidden),
        "top_p": gr.Number(1.0, label="Top-p", minimum=0.001, maximum=1, step=0.05, elem_id="pl-top-p", **hidden),
    }


def _columns() -> dict[str, dict[str, gr.HTML]]:
    heads, outputs = {}, {}
    with gr.Row(elem_id="pl-columns"):
        for kind in KINDS:
            with gr.Column(elem_id=f"pl-{kind}", elem_classes=["pl-column"], min_width=200):
                first = run_picker.base_head(None) if kind == "base" else run_picker.blank_head(kind)
                heads[kind] = area(first, js_on_load="PrefixLab.chooser(element, trigger, watch)", elem_id=f"pl-head-{kind}")
                outputs[kind] = area(columns.empty(kind), elem_id=f"pl-out-{kind}")
    return {"heads": heads, "outputs": outputs}


def _wire(do: Handlers, shell: Shell, page: Page) -> None:
    asked = [page.ticket, page.table, shell.backbone, shell.task, page.prefix, page.finetuned, *page.settings, page.shown]
    written = [
        *page.heads.values(),
        *page.outputs.values(),
        page.panels,
        page.glance,
        page.lanes,
        page.stop,
        page.prefix,
        page.finetuned,
        page.shown,
        page.table,
        page.note,
        page.gallery,
    ]
    written += [page.samples, page.mode, shell.status, shell.facts, shell.backbone, shell.task, shell.address, shell.subject]

    def then_run(event: gr.events.Dependency, ask=do.ask, given: list | None = None) -> None:
        ticket = event.then(ask, given, [page.ticket, shell.status], queue=False, trigger_mode="multiple", **QUIET)
        ticket.then(do.run, asked, written, concurrency_id=MODEL, concurrency_limit=PAGES, trigger_mode="multiple", **QUIET)

    told = [page.shown, page.prefix, page.finetuned, *page.settings]
    page.tell_all.click(do.tell_all, told, [page.gallery, page.stop, shell.status], concurrency_limit=PAGES, **QUIET)
    page.table.input(do.read, [page.table, shell.backbone, page.prefix], [page.table, page.note], **LATEST)
    page.table.blur(do.settled, page.table, page.table, **LATEST)
    page.mode.change(do.show_settings, page.mode, [page.seed, page.temperature, page.top_p], **LATEST)
    page.stop.click(do.stop, None, None, js="() => PrefixLab.note('Stopping…')", **LATEST)
    then_run(page.generate.click(None, **QUIET))
    then_run(page.samples.select(do.sample, page.table, page.table_parts, **LATEST))
    then_run(page.heads["prefix"].select(do.choose, None, page.prefix, **LATEST))
    then_run(page.heads["finetuned"].select(do.choose, None, page.finetuned, **LATEST))
    for choice in (shell.backbone, shell.task):  # these report a choice when they are merely left, too
        then_run(choice.input(None, **QUIET), do.ask_if_new, [shell.backbone, shell.task, page.shown])
    shell.page.unload(do.leave)
    restored = [*page.table_parts, *page.settings, shell.backbone, shell.task, page.prefix, page.finetuned, shell.status]
    then_run(shell.page.load(do.restore, shell.search, restored, js="() => [location.search]", **LATEST))
