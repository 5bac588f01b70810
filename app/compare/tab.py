"""The Compare tab: a table or an article on the left, and on the right what the frozen model and runs on it write from it."""

from collections.abc import Callable
from functools import partial

import gradio as gr

from app.compare import columns, example_buttons, headline, run_picker, source_editor
from app.compare.comparison import ORDER, SLOTS
from app.compare.components import CompareComponents
from app.compare.handlers import Handlers
from app.compare.state import CompareState
from app.export.embed import Embeddable
from app.shared import urlstate
from app.shared.context import AppContext
from app.shared.events import LATEST, QUIET, Components
from app.shared.html import area, hidden, tag
from app.shared.method_labels import COLUMN_TITLES, column_braces
from app.shared.model_pool import MODEL, PAGES
from app.shared.shell import Shell
from core.config.decode import MODES
from core.config.decoding_defaults import DEFAULT_MODE

MODE_LABELS = {"greedy": "Greedy", "sample": "Sample", "beam": "Beam", "rerank": "Rerank"}
EMBEDDABLE = Embeddable(
    panels={
        "columns": "The texts",
        **{kind: f"One text: {title}" for kind, title in COLUMN_TITLES.items()},
        "panels": "Next word, references and costs",
        "left": "The table and the examples",
        "compare": "All of it",
    },
    controls={
        "headline": "The sentence above",
        "bar": "Generate and decoding",
        "samples": "The examples",
        "tell-all": "Run all examples",
    },
)
TABLE = """<div class="pl-grid"><div class="rows"></div><button type="button" class="pl-btn add">+ field</button></div>
<label class="pl-source"><span class="of-table">As the model reads it</span><span class="of-article">Article</span>
<textarea id="pl-source" rows="3" spellcheck="false" placeholder="Paste a table in any notation"></textarea></label>"""


def build(context: AppContext, shell: Shell) -> CompareComponents:
    """Draw the tab and wire it; call inside gr.Tab."""
    with gr.Row(elem_id="pl-compare"):
        with gr.Column(elem_id="pl-left", min_width=300):
            left = _left()
        with gr.Column(elem_id="pl-right", min_width=600):
            right = _right()
    states: Components = {name: gr.State("") for name in ("prefix", "finetuned", "other", "prompt")}
    order = hidden("-".join(ORDER), elem_id="pl-order")
    page = CompareComponents(**left, **right, **states, order=order, ticket=gr.State(0), current=gr.State([]))
    _wire(Handlers(context, shell, page), shell, page)
    return page


def _left() -> Components:
    area(tag("h3", "Table"), elem_classes=["pl-title", "of-table"])
    table = area(
        source_editor.editor_value([("name", "…")]),
        html_template=TABLE,
        js_on_load="PrefixLab.table(element, props, trigger, watch) /* 'input' 'blur' */",
        elem_id="pl-table",
    )
    note = area("", elem_id="pl-table-note")
    unknown = area("", elem_id="pl-unknown-words")
    area(tag("h3", "Examples"), elem_classes="pl-title")
    samples = area(example_buttons.sample_buttons(""), js_on_load="PrefixLab.samples(element, trigger)", elem_id="pl-samples")
    return {"table": table, "note": note, "unknown": unknown, "samples": samples}


def _right() -> Components:
    components: Components = {"headline": area(headline.skeleton(), elem_id="pl-headline")}
    with gr.Row(elem_id="pl-bar"):
        components["generate"] = gr.Button("Generate", variant="primary", elem_id="pl-generate", min_width=110)
        components["stop"] = gr.Button("Stop", elem_id="pl-stop", interactive=False, min_width=70)
        choices = [(MODE_LABELS[mode], mode) for mode in MODES]
        components["mode"] = gr.Radio(
            choices, value=DEFAULT_MODE, label="Decoding", show_label=False, container=False, elem_id="pl-mode"
        )
        components |= _numbers()
        components["add_column"] = gr.Button("+ Run", size="sm", elem_id="pl-add-column", min_width=60)
        area(example_buttons.view_buttons(), elem_id="pl-view")
    components["glance"] = area("", elem_id="pl-glance")
    components["braces"] = area(column_braces(["", "prefix", "finetune"]), elem_id="pl-braces")
    components |= _columns()
    area(columns.legend(), elem_id="pl-legend")
    components["panels"] = area("", elem_id="pl-panels")
    components["run_all_examples"] = gr.Button("Run all examples", elem_id="pl-tell-all", min_width=160)
    components["gallery"] = area("", elem_id="pl-gallery")
    return components


def _numbers() -> dict[str, gr.Number]:
    """What matters to sampled text only, and so begins hidden.

    Without a minimum: DecodeConfig refuses numbers in a sentence that names them, and Gradio in one that does not.
    """
    number = partial(gr.Number, visible=False, min_width=64)
    return {
        "seed": number(0, label="Seed", elem_id="pl-seed"),
        "temperature": number(1.0, label="Temperature", step=0.1, elem_id="pl-temperature"),
        "top_p": number(1.0, label="Top-p", step=0.05, elem_id="pl-top-p"),
    }


def _columns() -> dict[str, dict[str, gr.HTML]]:
    heads, outputs = {}, {}
    with gr.Row(elem_id="pl-columns"):
        for kind in SLOTS:
            with gr.Column(elem_id=f"pl-{kind}", elem_classes=["pl-column"], min_width=200):
                first = run_picker.blank_head(kind)
                heads[kind] = area(first, js_on_load="PrefixLab.chooser(element, trigger, watch)", elem_id=f"pl-head-{kind}")
                outputs[kind] = area(columns.skeleton(kind), elem_id=f"pl-out-{kind}")
    return {"heads": heads, "outputs": outputs}


def _wire(do: Handlers, shell: Shell, page: CompareComponents) -> None:
    inputs = {page.ticket, page.table, shell.backbone, shell.task, *page.choices}
    outputs = [
        *page.heads.values(),
        *page.outputs.values(),
        *page.runs.values(),
        *page.table_parts,
        page.unknown,
        page.prompt,
        page.order,
        page.headline,
        page.panels,
        page.glance,
        page.braces,
        page.stop,
        page.current,
        page.mode,
        page.gallery,
        shell.status,
        shell.facts,
        shell.backbone,
        shell.task,
        shell.address,
        shell.comparison,
    ]

    def then_run(event: gr.events.Dependency, ask: Callable = do.ask, inputs_of_ask: list | None = None) -> None:
        ask_outputs = [page.ticket, shell.status, page.stop]
        ticket = event.then(ask, inputs_of_ask, ask_outputs, queue=False, trigger_mode="multiple", **QUIET)
        ticket.then(None, None, None, js="() => PrefixLab.begun()")
        ticket.then(do.run, inputs, outputs, concurrency_id=MODEL, concurrency_limit=PAGES, trigger_mode="multiple", **QUIET)

    results = [page.gallery, page.stop, shell.status]
    page.run_all_examples.click(do.run_all_examples, page.choices, results, concurrency_limit=PAGES, **QUIET)
    page.table.input(do.read, [page.table, shell.backbone, page.prefix], [page.table, page.note, page.unknown], **LATEST)
    page.table.blur(do.text_left, page.table, page.table, **LATEST)
    page.mode.change(do.show_settings, page.mode, [page.seed, page.temperature, page.top_p], **LATEST)
    for setting in page.decoding:
        setting.input(None, None, None, js="() => PrefixLab.stale('decoding')")
    page.stop.click(do.stop, None, None, js="() => PrefixLab.note('Stopping…')", **LATEST)
    then_run(page.generate.click(None, **QUIET))
    then_run(page.samples.select(do.sample, [page.table, shell.task], page.table_parts, **LATEST))
    for slot in SLOTS:
        state = page.prompt if slot == "base" else page.runs[slot]
        then_run(page.heads[slot].select(do.chooser(slot), page.order, [state, page.order], **LATEST))
    then_run(page.add_column.click(do.add_column, page.order, page.order, **LATEST))
    for choice in (shell.backbone, shell.task):  # these report a choice when they are merely left, too
        then_run(choice.input(None, **QUIET), do.ask_if_new, [shell.backbone, shell.task, page.current])
    page.order.change(None, page.order, None, js="(order) => PrefixLab.columns(order)")
    shell.address.change(None, shell.address, None, js=urlstate.remember(CompareState))
    shell.page.unload(do.leave)
    restored = [*page.table_parts, *page.decoding, *page.runs.values(), page.prompt, page.order]
    restored += [shell.backbone, shell.task, shell.status]
    then_run(shell.page.load(do.restore, shell.search, restored, js="() => [location.search]", **LATEST))
