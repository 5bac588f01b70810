"""The Compare tab's part of the address: read when the page opens, written after each request."""

from collections.abc import Mapping

import gradio as gr

from app.compare import example_buttons, run_picker, source_editor
from app.compare.comparison import ORDER, RUN_SLOTS, CompareRequest
from app.compare.components import CompareComponents
from app.compare.state import CompareState
from app.shared import examples, shell, urlstate
from app.shared.context import AppContext
from app.shared.events import Update
from app.shared.html import tag
from core.config.decoding_defaults import DEFAULT_MODE
from core.task import SUMMARIZATION


def restore(context: AppContext, page: CompareComponents, frame: shell.Shell, search: str) -> Update:
    """Show what the address says when the page is opened; an example if it says nothing."""
    address = urlstate.read(search or "", CompareState)
    task = address.task or (SUMMARIZATION if address.article else "")
    name = address.backbone or context.catalog.backbone_for(task, context.models.default)
    runs = {slot: getattr(address, slot) for slot in RUN_SLOTS}
    first_task = address.task or _first_task(context, name, runs)
    is_sampled = address.mode == "sample"
    form = "article" if address.article else context.catalog.input_format(address.task)
    known = {sample.id: sample for sample in examples.samples(form)}
    if known and address.example and address.example not in known:
        address = address.without("example")
    if address.task and address.task not in {SUMMARIZATION, *(run.task.name for run in context.store.runs())}:
        address = address.without("task")
    update: Update = {
        frame.backbone: name,
        frame.task: gr.update(choices=[first_task] if first_task else [], value=first_task or None),
        page.prompt: address.prompt,
        page.order: "-".join(address.order),
        page.mode: address.mode or DEFAULT_MODE,
        page.seed: gr.update(value=address.seed, visible=is_sampled),
        page.temperature: gr.update(value=address.temperature, visible=is_sampled),
        page.top_p: gr.update(value=address.top_p, visible=is_sampled),
        frame.status: shell.say("loading", "Opening the page…"),
    } | {state: runs[slot] for slot, state in page.runs.items()}
    update |= _first_input(page, address, known, form, first_task)
    for sentence in address.problems:
        update[page.note] = tag("p", sentence, cls="meta") + str(update[page.note])
    return update


def _first_task(context: AppContext, name: str, runs: dict[str, str]) -> str:
    """Return the task with which a page opens; "" if the backbone has no run.

    It is sent at once: a chooser that is cleared while another tab is open stays empty.
    """
    listed = context.catalog.trained_on(name)
    return next((run.task.name for run in sorted(listed, key=lambda run: run_picker.rank(run, runs))), "")


def _first_input(
    page: CompareComponents, address: CompareState, known: Mapping[str, examples.Sample], form: str, task: str
) -> Update:
    source = address.article or address.source
    if not source and known:
        return show_example(page, known.get(address.example) or examples.opening(form, task), form, task)
    table, note = source_editor.editor_value_of_text(source, form)
    return {page.table: table, page.note: note, page.samples: example_buttons.sample_buttons("", form, task)}


def show_example(page: CompareComponents, sample: examples.Sample, form: str, task: str) -> Update:
    """Show an example in the editor, with its button pressed."""
    table = source_editor.parse_article(sample.text)[1] if form == "article" else source_editor.editor_value(sample.rows, form)
    return {page.table: table, page.note: "", page.samples: example_buttons.sample_buttons(sample.id, form, task)}


def address_of(request: CompareRequest, task: str, sample_id: str, default_backbone: str) -> str:
    """Return the query string of a request; it contains the source itself unless that is an example."""
    decode, source = request.decode, "" if sample_id else request.source
    return urlstate.write(
        CompareState(
            backbone="" if request.name == default_backbone else request.name,
            task=task,
            prefix=request.prefix,
            finetuned=request.finetuned,
            other=request.other if "other" in request.order else "",
            columns="" if request.order == ORDER else "-".join(request.order),
            prompt=request.prompt,
            example=sample_id,
            source=source if request.form != "article" else "",
            article=source if request.form == "article" else "",
            mode="" if decode.mode == DEFAULT_MODE else decode.mode,
            seed=decode.seed,
            temperature=decode.temperature,
            top_p=decode.top_p,
        )
    )
