"""The Attention tab's readings as lines of Python."""

from analysis.attention.maps import SITE, attention_labels
from analysis.attention.shares import by_head, by_layer
from analysis.figures.attention import heads, mass_by_layer
from analysis.figures.layer_lens import layer_lens_grid
from analysis.figures.style import save
from analysis.inspect_run import inspect_run
from analysis.named_runs import load_named_run
from app.attention.handlers import first_column
from app.attention.lens_section import LensState
from app.attention.readings import title_of
from app.attention.state import SAME, AttentionState
from app.compare.as_python import add_backbone, add_layout, other_form, request_on_page
from app.export.python_lines import Code, PythonLines
from app.shared import urlstate
from app.shared.context import AppContext
from core.prefix.interventions import NO_INTERVENTION, Intervention


def as_python(context: AppContext, search: str, page: str) -> str:
    """The lines that read the attention of the page's text, at the site and under the intervention that are shown.

    After it the layer grid with the chosen cell, and the prefix set aside, where the text is not the frozen model's.
    """
    request, backbone = request_on_page(context, search, page)
    state = urlstate.read(search, AttentionState)
    column = state.column if state.column in request.order else first_column(request.order)
    run, depths = request.run(column), backbone.spec.depths
    site = state.site if state.site in depths else list(depths)[-1]
    prefix = context.models.load(run, backbone).prefix if run else None
    intervention = state.intervention(prefix.length, depths) if prefix else NO_INTERVENTION

    lines = PythonLines()
    lines.use(inspect_run, by_layer, by_head)
    add_backbone(lines, context, request.name)
    lines.assign("source", request.source)
    lines.assign("decode", request.decode)
    frozen = add_layout(lines, request, backbone) if not run or request.form == "article" else {}
    form = other_form(context, request, run, backbone) if run else {}
    call = lines.call("inspect_run", run, Code("source"), Code("decode"), backbone=Code("backbone"), **frozen, **form)
    lines.add(f"inspection = {call}")
    lines.add("print(inspection.generation.text)")
    _add_masses(lines, state, intervention, site)
    weighted = {"weighted": True} if state.weigh == "values" else {}
    lines.add(
        "for name, mass in masses.items():",
        f"    print(name, {lines.call('by_layer', Code('mass'), **weighted)})  # layer × (prefix, input, text written so far)",
        f"    print(name, {lines.call('by_head', Code('mass'), **weighted)})  # layer × head: the share of the prefix",
    )
    _add_selection(lines, state, site, intervention, request.form == "article" and backbone.is_encoder_decoder)
    lines.use(mass_by_layer, heads, save, attention_labels)
    labels = lines.call("attention_labels", Code("backbone"), site)
    lines.add(f"labels = {labels}")
    figure = {**weighted, "labels": Code("labels")}
    lines.add(f"save({lines.call('mass_by_layer', Code('masses'), **figure)}, 'attention-by-layer.html')")
    lines.add(f"save({lines.call('heads', Code('masses'), **figure)}, 'attention-by-head.html')")
    if run:
        _add_lens(lines, urlstate.read(search, LensState), title_of(run), intervention)
    if prefix and intervention.alpha:
        differences = lines.call("inspection.content_differences", **_how(lines, site, intervention))
        lines.add(f"print({differences})  # by layer: the prefix set aside")
    return str(lines)


def _how(lines: PythonLines, site: str, intervention: Intervention) -> dict[str, object]:
    """The arguments for a site and an intervention, those that differ from the defaults."""
    done = {} if intervention.is_identity else {"intervention": Code("intervention")}
    return done | ({} if site == SITE else {"site": site})


def _add_masses(lines: PythonLines, state: AttentionState, intervention: Intervention, site: str) -> None:
    """The masses by name: the text's own model under the intervention, and what stands beside it."""
    if not intervention.is_identity:
        lines.assign("intervention", intervention)
        lines.add("print(inspection.write(intervention).text)  # the text generated again under it")
    read = lines.call("inspection.read", **_how(lines, site, intervention))
    lines.add(f"masses = {{inspection.name or 'frozen': {read}}}")
    if not state.beside or (state.beside == SAME and intervention.is_identity):
        return
    other: dict[str, object] = {}
    if state.beside == "base":
        other = {"frozen": True}
    elif state.beside != SAME:
        lines.use(load_named_run)
        other = {"run": Code(lines.call("load_named_run", state.beside, Code("backbone")))}
    name = "unchanged" if state.beside == SAME else "frozen, beside it" if state.beside == "base" else state.beside
    lines.add(f"masses[{name!r}] = {lines.call('inspection.read', **_how(lines, site, NO_INTERVENTION), **other)}")


def _add_selection(lines: PythonLines, state: AttentionState, site: str, intervention: Intervention, article: bool) -> None:
    """The chosen head token by token, or an article by its sentences."""
    how = _how(lines, site, intervention)
    if article and site != SITE and state.unit != "tokens":
        call = lines.call("inspection.by_sentence", **({"site": site} | how))
        lines.add(f"sentences = {call}", "print(sentences.weights.shape)  # layers, heads, queries, P1 … and the sentences")
    elif state.layer and state.head:
        call = lines.call("inspection.map", state.layer - 1, **how)
        lines.add(f"weights = {call}.weights[0, {state.head - 1}]  # query × key", "print(weights)")


def _add_lens(lines: PythonLines, cell: LensState, title: str, intervention: Intervention) -> None:
    """The layer grid, and both models' words in its chosen cell."""
    lines.use(layer_lens_grid)
    lines.add(f"lens = {lines.call('inspection.lens', **_how(lines, SITE, intervention))}", "print(lens.describe())")
    cell_argument = {}
    if cell.layer and cell.step:
        lines.add(
            "layers, steps = lens.kl.shape",
            f"layer, step = min({cell.layer}, layers) - 1, min({cell.step}, steps) - 1",
            "print(float(lens.kl[layer, step]), lens.frozen[layer][step], lens.prefix[layer][step], sep='\\n')",
        )
        cell_argument = {"selected": Code("(layer, step)")}
    lines.add(f"save({lines.call('layer_lens_grid', Code('lens'), title, **cell_argument)}, 'layer-by-layer.html')")
