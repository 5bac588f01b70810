"""Event handlers of the Results tab: read the state, make one call, format."""

import json
import time
from dataclasses import replace
from pathlib import Path

import gradio as gr

from analysis.experiments.cell import read_texts
from analysis.experiments.desk import desk_runs, differing_settings, points_frame, runs_frame, scatter_points, select_rows
from analysis.experiments.evidence import evidence_frame
from analysis.experiments.result import Result, home
from analysis.experiments.tables import DATA_NAMES, METRICS, ResultTable, all_results, data_of, result_table
from analysis.figures import results as figures
from app.results import view
from app.results.components import ResultsPage
from app.results.state import ALL, ResultsState
from app.results.texts import text_rows
from app.shared import plot_widget, shell, urlstate
from app.shared.context import AppContext
from app.shared.events import TabHandlers, Update, errors_to_status
from app.shared.html import notes
from core.errors import StoreError
from core.runs.run import Run
from core.runs.status import read_training_log

NOT_HERE = "The texts behind this number are not on this machine{}. {}"
OF_OTHERS = ": texts of other people's data sets are no part of the project"
OWN_DATA = ("records", "tables")  # written for the project
MAKES, OF_THE_NUMBER = (
    "This command makes them here:",
    "The command below made the number, or trained the run behind it; evaluate --hyps FILE keeps the texts.",
)


class ResultsHandlers(TabHandlers):
    """Handlers with the components that they write."""

    activity = "results"
    tab = "results"

    def __init__(self, context: AppContext, frame: shell.Shell, components: ResultsPage) -> None:
        super().__init__(context, frame)
        self.components = components

    def restore(self, search: str) -> ResultsState:
        """Read the address when the page is opened; only runs that exist stay ticked."""
        state = urlstate.read(search or "", ResultsState)
        if not state.ticked:
            return state
        known = {run.id for run in self.runs()}
        usable = replace(state, ticked=",".join(run for run in state.runs if run in known))
        return usable if usable == state else usable.without("ticked")

    def change(self, state: ResultsState, event: gr.EventData) -> tuple:
        """Apply the use of a control. A file to save goes to the page as {"name", "text"}, with a time that makes each one
        new."""
        if str(event.name) == "save":
            return state, json.dumps(self._file(state, str(event.value)) | {"at": time.time()})
        return state.after(str(event.name), event.value), gr.skip()

    def open_point(self, state: ResultsState, event: gr.EventData) -> ResultsState:
        """Open the point of the scatter plot that was clicked."""
        points = event.points
        return state.after("number", str(points[0]["data"])) if points and points[0].get("data") else state

    @errors_to_status
    def refresh(self, state: ResultsState, request: gr.Request) -> Update:
        """Show everything on the tab."""
        page = self.components
        update: Update = {page.plot: plot_widget.NOTHING, page.detail: "", page.address: urlstate.write(state)}
        if state.view == "runs":
            return update | self._desk(state)
        if state.view == "evidence":
            return update | {page.bar: view.bar(state, [], ()), page.main: view.evidence() + notes(state.problems)}
        faults: list[str] = []
        results = all_results(self.runs(), faults)
        if state.data not in ("", *_data_sets(state.view, results)):
            state = state.without("set")
        if state.view == "scatter":
            update |= self._scatter(state, results)
        else:
            table = self._table(state, results)
            if state.metric not in ("", ALL, *table.metrics):
                state = state.without("metric")
            update |= self._grid(state, results, table)
        update[page.main] = f"{update[page.main]}{notes([*state.problems, *faults])}"
        if state.number:
            update[page.detail] = self._texts(state, results)
        return update

    def runs(self) -> list[Run]:
        """The runs of the store, and the trainings of experiments."""
        return desk_runs(self.context.store)

    # ---- tables and figures

    def _grid(self, state: ResultsState, results: list[Result], table: ResultTable) -> Update:
        page, choices = self.components, data_of(state.view, results)
        metric = metric_of(state, table)
        update: Update = {page.bar: view.bar(state, choices, table.metrics, table.data, metric)}
        update[page.main] = view.table(table, "" if metric == ALL else metric, state.number)
        if state.view.startswith("figure"):
            figure = figures.curves(table, table.metrics[0] if metric == ALL else metric)
            update[page.plot] = plot_widget.value(figure, f"{state.view}-{table.data}") if figure else plot_widget.NOTHING
        return update

    @staticmethod
    def _table(state: ResultsState, results: list[Result]) -> ResultTable:
        choices = data_of(state.view, results)
        return result_table(state.view, state.data if state.data in choices else choices[0], results)

    def _scatter(self, state: ResultsState, results: list[Result]) -> Update:
        page, choices = self.components, _data_sets("scatter", results)
        data = state.data if state.data in choices else choices[0]
        points = scatter_points([result for result in results if result.cell.data == data], state.x, state.y)
        figure = figures.scatter(points, state.x, state.y, DATA_NAMES[data])
        return {
            page.bar: view.bar(state, choices, (), data),
            page.plot: plot_widget.value(figure, f"{data}-{state.y}-{state.x}") if figure else plot_widget.NOTHING,
            page.main: view.points_table(points, state.x, state.y, data),
        }

    def _texts(self, state: ResultsState, results: list[Result]) -> str:
        result = next((one for one in results if one.id == state.number), None)
        if result is None:
            return view.texts_missing(f"There is no result {state.number!r} here.", "")
        try:
            rows = text_rows(result, results, state.metric, _texts_of)
        except StoreError:
            why = "" if result.cell.data in OWN_DATA else OF_OTHERS
            how = MAKES if result.id == result.cell.id else OF_THE_NUMBER
            return view.texts_missing(NOT_HERE.format(why, how), result.command)
        return view.texts(result, rows)

    # ---- runs

    def _desk(self, state: ResultsState) -> Update:
        page, runs = self.components, self.runs()
        ticked = [run for name in state.runs for run in runs if run.id == name]
        figure = figures.loss_overlay({run.id: read_training_log(run.folder) for run in ticked}, state.by) if ticked else None
        frame = select_rows(runs_frame(runs), state.words, state.sort)
        return {
            page.bar: view.desk_bar(state),
            page.plot: plot_widget.value(figure, "losses") if figure else plot_widget.NOTHING,
            page.main: view.desk(frame, state) + view.settings(differing_settings(ticked)) + notes(state.problems),
        }

    # ---- taking away

    def _file(self, state: ResultsState, form: str) -> dict[str, str]:
        """Return the current table as CSV, LaTeX or Markdown."""
        if state.view == "runs":
            frame = select_rows(runs_frame(self.runs()), state.words, state.sort)
        elif state.view == "evidence":
            frame = evidence_frame()
        elif state.view == "scatter":
            results = all_results(self.runs())
            frame = points_frame(results, state.x, state.y)
        else:
            table = self._table(state, all_results(self.runs()))
            metric = metric_of(state, table)
            frame = table.frame("" if metric == ALL else metric)
        ending = {"latex": "tex", "markdown": "md"}.get(form, "csv")
        return {"name": f"prefix-lab-{state.view}.{ending}", "text": view.format_table(frame, form)}


def _data_sets(name: str, results: list[Result]) -> list[str]:
    """The data sets to choose from in a view: those of the table or figure; in the scatter plot, those with results."""
    if name != "scatter":
        return data_of(name, results)
    present = {result.cell.data for result in results}
    return [data for data in METRICS if data in present] or ["records"]


def metric_of(state: ResultsState, table: ResultTable) -> str:
    """The metric that a table is shown by: ALL where the state names none of its own."""
    return state.metric if state.metric in table.metrics else ALL


def _texts_of(result: Result) -> list:
    """Return the texts of a result that was computed on this machine."""
    files = [path for path in home().glob("*/texts/*.jsonl") if path.stem == result.id and result.fingerprint in path.parts[-3]]
    return read_texts(files[0] if files else Path(f"{result.id}.jsonl"))
