"""The Prefix space tab's map and words, and the texts of the prefix on its own, as lines of Python."""

from analysis.experiments.prefix_alone import SAMPLING, sample_alone
from analysis.figures.first_words import first_words_figure
from analysis.figures.space import prefix_map
from analysis.figures.style import save
from analysis.named_runs import frozen_task, load_named_run, task_of
from analysis.space.neighbor_analysis import EMBEDDINGS, SITE, analyze, open_space, run_vectors
from analysis.space.projection import pca, umap
from analysis.space.vocabulary import vocabulary
from app.compare.as_python import add_backbone, request_on_page
from app.export.python_lines import Code, PythonLines
from app.shared import urlstate
from app.shared.context import AppContext
from app.space.alone_section import AloneState, title
from app.space.analyses import AnalysisCache
from app.space.request import ResolvedRequest, SpaceRequest, compared_run, resolve
from app.space.state import SpaceState, parted
from core.errors import BadInput


def as_python(context: AppContext, analyses: AnalysisCache, search: str, page: str) -> str:
    """The lines that place the chosen runs among words, name the words nearest to the chosen virtual token, and sample a prefix
    on its own where the page did."""
    comparison, backbone = request_on_page(context, search, page)
    request = _request(urlstate.read(search, SpaceState))
    resolved = resolve(analyses, backbone, request, compared_run(context.catalog, backbone, search))
    alone = urlstate.read(search, AloneState)
    if resolved.reason and not alone.run:
        raise BadInput("Nothing is on the map to write lines for. Choose a run with virtual tokens, or another space.")
    lines = PythonLines()
    lines.use(load_named_run, save)
    add_backbone(lines, context, comparison.name)
    if not resolved.reason:
        _add_map(lines, resolved, bool(vocabulary(backbone).ids_of(resolved.request.word)))
    if alone.run:
        _add_alone(lines, alone)
    return str(lines)


def _add_map(lines: PythonLines, resolved: ResolvedRequest, search: bool) -> None:
    request, (first, *_) = resolved.request, resolved.on_map
    run = request.token[0] if request.token and request.token[0] in resolved.on_map else first
    token = int(request.token[1]) if request.token else 0
    lines.use(open_space, run_vectors, analyze, prefix_map)
    where: dict[str, object] = {}
    if request.space != EMBEDDINGS:
        where["layer"] = request.layer - 1
        where |= {"head": request.head - 1} if request.head else {}
        where |= {"site": request.site} if request.site != SITE else {}
    lines.add(f"space = {lines.call('open_space', Code('backbone'), request.space, **where)}")
    lines.add(f"names = {list(resolved.on_map)!r}")
    lines.add("runs = [run_vectors(load_named_run(name, backbone), backbone) for name in names]")
    whole = {"whole": True} if request.whole else {}
    lines.add(f"neighbors = {lines.call('analyze', Code('space'), Code('runs'), **whole)}")
    lines.assign("run, token", (run, token))
    lines.add(
        "nearest = [one for one in neighbors.nearest if (one.run, one.token) == (run, token)]",
        "for one in nearest:",
        "    print(one.rank, repr(one.word), one.score, one.z_random)",
        "print(neighbors.verdict(run))",
    )
    if search:
        lines.add(f"for one in neighbors.search({request.word!r})[:10]:", "    print(one.run, one.token, one.rank, one.score)")
    project = umap if request.map == "umap" else pca
    lines.use(project)
    paths = {"paths": True} if request.paths else {}
    projection = Code(f"{project.__name__}(neighbors.cloud)")
    figure = lines.call("prefix_map", Code("neighbors"), projection, Code("(run, token)"), **paths)
    lines.add(f"save({figure}, 'map.html')")


def _add_alone(lines: PythonLines, state: AloneState) -> None:
    """The texts that a prefix and the frozen model write without an input, and how they begin."""
    lines.use(sample_alone, frozen_task, task_of, first_words_figure)
    lines.add(f"alone_run = {lines.call('load_named_run', state.run, Code('backbone'))}")
    lines.assign("decode", SAMPLING.replace(seed=state.seed, temperature=state.temperature))
    lines.add("task = task_of(alone_run, frozen_task(backbone))")
    arguments = [Code(one) for one in ("alone_run.model", "backbone", "task", "alone_run.prefix")]
    lines.add(
        f"alone = {lines.call('sample_alone', *arguments, decode=Code('decode'), seed=Code('decode.seed'))}",
        "for texts in zip(alone.prefix, alone.frozen):",
        "    print(*texts, sep='\\n    ')  # with the prefix, and of the frozen model",
        f"print({lines.call('alone.describe', title(state.run))})",
        f"save({lines.call('first_words_figure', Code('alone'), title(state.run))}, 'first-words.html')",
    )


def _request(state: SpaceState) -> SpaceRequest:
    """What the controls say, from the address."""
    runs = parted(state.runs)
    return SpaceRequest(
        tuple(runs),
        state.space,
        state.layer,
        state.head,
        state.map,
        bool(state.whole),
        bool(state.paths),
        state.word,
        (state.of or (runs or [""])[0], state.token - 1),
        state.site,
    )
