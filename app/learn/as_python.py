"""What the Learn tab shows as lines of Python: a demonstration's computation, a lesson's step, or the list of lessons."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs

from analysis.experiments.ladder import ladder
from analysis.experiments.prompt_rows import START, check_words, other_rows, training_rows
from analysis.experiments.shared_batch import write_both_ways
from analysis.experiments.token_search import search_tokens
from analysis.named_runs import frozen_task, load_named_run
from analysis.next_words import context_effect
from analysis.toy.tasks import TASKS
from analysis.toy.trial import toy_backbone, trial
from app.compare.as_python import add_backbone, request_on_page
from app.export.python_lines import Code, PythonLines
from app.learn.demos.batch import DECODING, FIRST, users_of
from app.learn.demos.figure1 import prefix_runs
from app.learn.demos.search import CANDIDATES, SWEEPS
from app.learn.demos.toy import UPDATES
from app.learn.state import ContextState, FigureState
from app.learn.tab import lessons
from app.shared import urlstate
from app.shared.context import AppContext
from core.generation.types import make_request
from core.models.backbone import Backbone
from core.runs.store import store

Inputs = dict[str, str]  # demonstration -> what stands in its field


def as_python(context: AppContext, search: str, page: str, inputs: Inputs) -> str:
    """The lines of the demonstration that is open; else of the lesson's step that the address names, else of the lessons."""
    query = parse_qs(search.lstrip("?"))
    demo, step = (query.get(name, [""])[0] for name in ("demo", "lesson"))
    lines = PythonLines()
    if demo == "toy":
        _toy(lines, inputs)
    elif demo in DEMOS:
        request, backbone = request_on_page(context, search, page)
        add_backbone(lines, context, request.name)
        DEMOS[demo](lines, context, backbone, search, inputs)
    else:
        _lesson(lines, step)
    return str(lines)


def _lesson(lines: PythonLines, place: str) -> None:
    """`place`: a lesson's name, a point, and the number of a step from 1."""
    lines.use(lessons)
    lines.add("every, faults = lessons()")
    match = re.fullmatch(r"(.+)\.(\d+)", place)
    lesson = next((one for one in lessons()[0] if match and one.name == match[1]), None)
    if lesson and match and 1 <= int(match[2]) <= len(lesson.steps):
        lines.add(
            f"lesson = next(one for one in every if one.name == {lesson.name!r})",
            f"step = lesson.steps[{int(match[2]) - 1}]",
            "print(step.text, step.open, step.question, sep='\\n')",
        )
    else:
        lines.add("for lesson in every:", "    print(lesson.name, lesson.title, lesson.minutes, len(lesson.steps))")


def _context(lines: PythonLines, _context: AppContext, _backbone: Backbone, search: str, _inputs: Inputs) -> None:
    state = urlstate.read(search, ContextState)
    lines.use(context_effect)
    lines.add(f"effect = {lines.call('context_effect', Code('backbone'), state.front, state.words, state.watch)}")
    lines.add("print(effect.word)")
    lines.add("for change in effect.likeliest:", "    print(repr(change.text), change.alone, change.with_front)")


def _search(lines: PythonLines, _context: AppContext, _backbone: Backbone, _search: str, inputs: Inputs) -> None:
    lines.use(check_words, training_rows, search_tokens)
    lines.add(f"start = {lines.call('check_words', Code('backbone'), inputs.get('search') or START)}")
    lines.add("rows = training_rows(backbone, len(backbone.encode(start)))")
    search = lines.call("search_tokens", Code("backbone"), Code("rows"), Code("start"), CANDIDATES, SWEEPS)
    lines.add(f"for step in {search}:", "    print(step.tried, step.loss, ''.join(step.tokens))")


def _ladder(lines: PythonLines, _context: AppContext, _backbone: Backbone, _search: str, inputs: Inputs) -> None:
    lines.use(check_words, training_rows, other_rows, ladder)
    lines.add(f"start = {lines.call('check_words', Code('backbone'), inputs.get('ladder') or START)}")
    lines.add(
        "length = len(backbone.encode(start))",
        "rows, others = training_rows(backbone, length), other_rows(backbone, length)",
        "for step in ladder(backbone, rows, others, start):",
        "    print(step.rung, step.share, step.loss, step.other)",
    )


def _figure1(lines: PythonLines, context: AppContext, backbone: Backbone, search: str, _inputs: Inputs) -> None:
    runs = prefix_runs(context.catalog, backbone)
    run_id = urlstate.read(search, FigureState).run
    run = next((run for run in runs if run.id == run_id), runs[0])
    lines.use(store)
    lines.add(
        f"run = store().get({run.id!r})",
        "print('parameters of the frozen model', backbone.spec.parameters)",
        "print('trained', run.trained, 'stored', run.stored, 'bytes', run.bytes)",
        "print('stored for each virtual token', run.stored // run.config['length'])",
    )


def _batch(lines: PythonLines, context: AppContext, backbone: Backbone, _search: str, inputs: Inputs) -> None:
    count = int(inputs["batch"]) if inputs.get("batch", "").isdecimal() else FIRST
    lines.use(load_named_run, frozen_task, make_request, write_both_ways)
    lines.assign("decode", DECODING)
    users = "".join(f"    {user!r},\n" for user in users_of(context.catalog, backbone, count))
    lines.add(
        f"users = [  # the run of each, and the table\n{users}]",
        "requests = []",
        "for name, table in users:",
        "    run = load_named_run(name, backbone) if name else None",
        "    task = run.task if run and not name.startswith('text:') else frozen_task(backbone)",
        "    requests.append(make_request(backbone, task, table, run.prefix if run else None))",
        "for progress in write_both_ways(backbone.model, backbone, requests, decode):",
        "    pass",
        "print(progress.ratio, 'times as long one by one;', sum(progress.same), 'texts are the same')",
    )


def _toy(lines: PythonLines, inputs: Inputs) -> None:
    task = inputs.get("toy", "")
    lines.use(toy_backbone, trial)
    task = task if task in TASKS else next(iter(TASKS))
    lines.add(f"for step in {lines.call('trial', Code('toy_backbone()'), task, UPDATES)}:")
    lines.add("    print(step.method, step.update, step.whole, step.right)")


DEMOS: dict[str, Callable[[PythonLines, AppContext, Backbone, str, Inputs], None]] = {
    "context": _context,
    "search": _search,
    "ladder": _ladder,
    "figure1": _figure1,
    "batch": _batch,
}
