"""The Mix tab's slider as lines of Python."""

from analysis.experiments.mix_curve import slider
from analysis.named_runs import frozen_task, load_named_run, request_of
from app.compare.as_python import add_backbone, request_on_page
from app.export.python_lines import Code, PythonLines
from app.mix.request import input_for, settle, tasks_of
from app.mix.state import MixState
from app.shared import urlstate
from app.shared.context import AppContext
from core.config.decoding_defaults import batch_decoding
from core.generation.generate import generate


def as_python(context: AppContext, search: str, page: str) -> str:
    """The lines that mix the chosen runs at every stop of the slider, and generate all texts in one batch."""
    comparison, backbone = request_on_page(context, search, page)
    state, _, _ = settle(urlstate.read(search, MixState), context.catalog, backbone)
    loaded = [context.models.load(run, backbone) for run in state.members]
    mix_input = input_for(state, tasks_of(loaded, backbone), (comparison.form, comparison.source))
    layers = max(backbone.spec.depths.values())
    count = len(slider(state.kind, state.members, layers))
    stop = state.shown(count)

    lines = PythonLines()
    lines.use(slider, load_named_run, request_of, generate)
    add_backbone(lines, context, comparison.name)
    lines.assign("source", mix_input.source)
    lines.assign("decode", batch_decoding(mix_input.form))
    depth = {"layers": layers} if state.kind == "layers" else {}
    lines.add(f"stops = {lines.call('slider', state.kind, list(state.members), **depth)}")
    lines.add("runs = [load_named_run(stop.run, backbone) for stop in stops]")
    task = {}
    if mix_input.form == "article":
        lines.use(frozen_task)
        task = {"task": Code("frozen_task(backbone, 'article')")}
    request = lines.call("request_of", Code("backbone"), Code("source"), Code("run"), **task)
    lines.add(f"requests = [{request} for run in runs]")
    lines.add("texts = generate(backbone.model, backbone, requests, decode)")
    lines.add("for stop, text in zip(stops, texts):", "    print(stop.label, text.text, sep=': ')")
    lines.add(f"print(stops[{stop}].run, texts[{stop}].text, sep=': ')  # the stop that is shown")
    return str(lines)
