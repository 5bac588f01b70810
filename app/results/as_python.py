"""The Results tab's tables as lines of Python."""

from collections.abc import Sequence

from analysis.experiments.desk import desk_runs, points_frame, runs_frame, select_rows
from analysis.experiments.evidence import evidence_frame
from analysis.experiments.result import Result
from analysis.experiments.tables import all_results, data_of, result_table
from analysis.figures.results import loss_overlay
from analysis.figures.style import save
from app.export.python_lines import Code, PythonLines
from app.results.handlers import metric_of
from app.results.state import ALL, ResultsState
from app.shared import urlstate
from app.shared.context import AppContext
from core.runs.status import read_training_log
from core.runs.store import store


def as_python(context: AppContext, search: str) -> str:
    """The lines that make the table that is shown, as a data frame."""
    state, lines, results = urlstate.read(search, ResultsState), PythonLines(), list[Result]()
    if state.view == "evidence":
        lines.use(evidence_frame)
        lines.add("frame = evidence_frame()")
    elif state.view == "runs":
        _add_runs(lines, state)
    else:
        lines.use(all_results, desk_runs, store)
        lines.add("results = all_results(desk_runs(store()))")
        results = all_results(desk_runs(context.store))
        if state.view == "scatter":
            lines.use(points_frame)
            lines.add(f"frame = {lines.call('points_frame', Code('results'), state.x, state.y)}")
        else:
            _add_table(lines, results, state)
    lines.add("print(frame.to_string(index=False))")
    if any(one.id == state.number for one in results):
        lines.add(
            f"result = next(one for one in results if one.id == {state.number!r})",
            "print({name: score['value'] for name, score in result.scores.items()}, result.command)",
        )
    return str(lines)


def _add_table(lines: PythonLines, results: Sequence[Result], state: ResultsState) -> None:
    choices = data_of(state.view, results)
    data = state.data if state.data in choices else choices[0]
    metric = metric_of(state, result_table(state.view, data, results))
    lines.use(result_table)
    lines.add(f"table = {lines.call('result_table', state.view, data, Code('results'))}")
    lines.add(f"frame = {lines.call('table.frame', *([] if metric == ALL else [metric]))}")


def _add_runs(lines: PythonLines, state: ResultsState) -> None:
    lines.use(desk_runs, runs_frame, select_rows, store)
    arguments = {name: value for name, value in (("words", state.words), ("sort", state.sort)) if value}
    lines.add("runs = desk_runs(store())")
    lines.add(f"frame = {lines.call('select_rows', Code('runs_frame(runs)'), **arguments)}")
    if state.runs:
        lines.use(loss_overlay, read_training_log, save)
        lines.add(f"logs = {{run.id: read_training_log(run.folder) for run in runs if run.id in {state.runs!r}}}")
        lines.add(f"save({lines.call('loss_overlay', Code('logs'), state.by)}, 'losses.html')")
