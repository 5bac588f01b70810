"""The Compare tab's texts as lines of Python; and what stands on it, for the tabs that read them."""

from analysis.named_runs import frozen_task, load_named_run, write
from app.compare.comparison import RUN_SLOTS, CompareRequest
from app.compare.prompting import BETWEEN_EXAMPLES, INSTRUCTION, base_task
from app.compare.run_picker import select_runs
from app.compare.source_editor import parse_article, parse_rows, parse_text
from app.compare.state import CompareState
from app.export.python_lines import Code, PythonLines
from app.shared import examples, urlstate
from app.shared.context import AppContext
from core.config.decoding_defaults import DEFAULT_MODE, default_decoding
from core.errors import BadInput, PrefixLabError
from core.models.backbone import Backbone
from core.models.inputs import with_instruction
from core.models.loading import load_backbone
from core.task import SUMMARIZATION
from core.text.detokenize import detokenise


def request_on_page(context: AppContext, search: str, page: str) -> tuple[CompareRequest, Backbone]:
    """What the page compares: its last texts where they are finished, else what the address says, else the page's first example.

    Raises the errors of the backbone, and those of an input that cannot be read.
    """
    state, record = urlstate.read(search, CompareState), context.comparisons.get(page)
    task = state.task or (SUMMARIZATION if state.article else "")
    name = state.backbone or context.catalog.backbone_for(task, context.models.default)
    name = record.name or context.models.default if record else name
    backbone = context.models.backbone(name)
    requested = {slot: getattr(state, slot) for slot in RUN_SLOTS}
    selection = select_runs(context.catalog, backbone, task, requested, state.order)
    if record:
        runs = {slot: record.columns[slot].run if slot in record.columns else "" for slot in RUN_SLOTS}
        order = tuple(slot for slot in state.order if slot in record.columns)
        form, source, decode = record.form, record.source, record.decode
    else:
        runs = selection.run_ids
        order = tuple(slot for slot in state.order if slot == "base" or runs[slot])
        form = context.catalog.input_format(selection.task)
        source, usual = _source(state, form, selection.task), default_decoding(form, state.mode or DEFAULT_MODE)
        decode = usual.replace(seed=state.seed, temperature=state.temperature, top_p=state.top_p)
    return CompareRequest(source, name=name, decode=decode, form=form, order=order, prompt=state.prompt, **runs), backbone


def _source(state: CompareState, form: str, task: str) -> str:
    """The input that the address names; BadInput where it names none and there is no bundled one."""
    if text := state.article or state.source:
        return parse_text(form, text).source
    known = examples.samples(form)
    if not known:
        raise BadInput("This task needs a text of its own: write or paste one on Compare.")
    sample = next((one for one in known if one.id == state.example), examples.opening(form, task))
    return parse_article(sample.text)[0].source if form == "article" else parse_rows(form, sample.rows).source


def add_backbone(lines: PythonLines, context: AppContext, name: str) -> None:
    """The line that loads a backbone, on the app's device where one was chosen."""
    lines.use(load_backbone)
    device = () if context.models.device == "auto" else (context.models.device,)
    lines.add(f"backbone = {lines.call('load_backbone', name, *device)}")


def add_layout(lines: PythonLines, request: CompareRequest, backbone: Backbone) -> dict[str, object]:
    """The line that says how the frozen model reads the input, where it is not the usual way.

    Returns the arguments that `write` and `inspect_run` take for the frozen model.
    """
    usual = request.form == ("article" if backbone.is_encoder_decoder else "table")
    if usual and not request.prompt:
        return {}
    lines.use(frozen_task)
    expression = lines.call("frozen_task", Code("backbone"), request.form)
    if request.prompt == INSTRUCTION:
        lines.use(with_instruction)
        expression = f"with_instruction({expression})"
    elif request.prompt:  # examples in front
        lead = base_task(backbone, request.form, request.source, request.prompt).lead
        expression = lines.call(f"{expression}.replace", lead=lead)
    lines.add(f"frozen = {expression}")
    arguments: dict[str, object] = {"task": Code("frozen")}
    return arguments | ({"stop": BETWEEN_EXAMPLES} if request.prompt.isdigit() else {})


def other_form(context: AppContext, request: CompareRequest, run: str, backbone: Backbone) -> dict[str, object]:
    """The argument that `write` and `inspect_run` take where an input is not of the form that a run was trained on."""
    try:
        own = context.models.load(run, backbone).task.input_format
    except PrefixLabError:  # its column says why, and so do the lines
        return {}
    return {} if request.form in (own, "article") else {"form": request.form}


def as_python(context: AppContext, search: str, page: str) -> str:
    """The lines that generate the texts of the page's columns."""
    request, backbone = request_on_page(context, search, page)
    lines = PythonLines()
    lines.use(write, *([] if request.form == "article" else [detokenise]))
    add_backbone(lines, context, request.name)
    lines.assign("source", request.source)
    lines.assign("decode", request.decode)
    frozen = add_layout(lines, request, backbone)
    as_article = {"task": frozen["task"]} if frozen and request.form == "article" else {}
    lines.add("texts = {}")
    arguments = Code("backbone"), Code("source")
    for slot in request.order:
        if slot == "base":
            call = lines.call("write", *arguments, decode=Code("decode"), **frozen)
        else:
            lines.use(load_named_run)
            run = Code(lines.call("load_named_run", request.run(slot), Code("backbone")))
            form = other_form(context, request, request.run(slot), backbone)
            call = lines.call("write", *arguments, run, Code("decode"), **as_article, **form)
        lines.add(f"texts[{slot!r}] = {call}")
    plain = "text.text" if request.form == "article" else "detokenise(text.text)"
    lines.add("for column, text in texts.items():", f"    print(f'{{column}}: {{{plain}}}')")
    return str(lines)
