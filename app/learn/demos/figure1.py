"""The paper's Figure 1, drawn with a run's own numbers: what is frozen, what is trained, what is stored, and what is dropped."""

from dataclasses import replace

import gradio as gr

from app.learn.demos.demo import HERE, Demo, DemoHandlers, opener
from app.learn.demos.figure1_view import STEPS, Numbers, drawing, numbers_of
from app.learn.state import FigureState
from app.shared import urlstate
from app.shared.catalog import RunCatalog
from app.shared.context import AppContext
from app.shared.events import LATEST, Update, errors_to_status
from app.shared.html import area, button, notes, problem, tag
from app.shared.shell import Shell
from core.errors import BadInput
from core.models.backbone import Backbone
from core.runs.run import Run


class FigureHandlers(DemoHandlers):
    """Bound to the drawing, to its step and to the choice of a run."""

    activity = "drawing"

    def __init__(
        self, context: AppContext, shell: Shell, state: gr.State, run: gr.Dropdown, picture: gr.HTML, address: gr.Textbox
    ) -> None:
        super().__init__(context, shell)
        self.state, self.run, self.picture, self.address = state, run, picture, address

    @errors_to_status
    def restore(self, search: str, name: str, request: gr.Request) -> Update:
        """Draw what the address says, when the demonstration is opened on a model."""
        return self._draw(urlstate.read(search or "", FigureState), name)

    @errors_to_status
    def step(self, state: FigureState, name: str, request: gr.Request, event: gr.EventData) -> Update:
        """A step was chosen."""
        return self._draw(replace(state.settled(), figure=int(event.run)), name)

    @errors_to_status
    def choose(self, state: FigureState, run: str, name: str, request: gr.Request) -> Update:
        """A run was chosen."""
        return self._draw(replace(state.settled(), run=run or ""), name)

    def failed(self, page: str, sentence: str, activity: str = "") -> Update:
        return {self.picture: problem(sentence)}

    def _draw(self, state: FigureState, name: str) -> Update:
        numbers, runs = self._numbers(state.run, name)
        if state.run not in ("", *runs):
            state = replace(state, run="").without("drawn")
        return {
            self.state: state,
            self.run: gr.update(choices=runs, value=numbers.run),
            self.picture: notes(state.problems) + drawing(numbers, max(1, state.figure)),
            self.address: urlstate.write(state),
        }

    def _numbers(self, run_id: str, name: str) -> tuple[Numbers, list[str]]:
        backbone, catalog = self.backbone(name), self.context.catalog
        runs = prefix_runs(catalog, backbone)
        run = next((run for run in runs if run.id == run_id), runs[0])
        copies = [choice.run for choice in catalog.choices(["finetune"], backbone, run.task.name)]
        copy = next((other for other in copies if other.task.name == run.task.name), None)
        return numbers_of(run, copy, backbone.spec), [run.id for run in runs]


def prefix_runs(catalog: RunCatalog, backbone: Backbone) -> list[Run]:
    """The runs that can be drawn. Raises BadInput where there is none."""
    runs = catalog.usable(["prefix"], backbone)
    if not runs:
        raise BadInput(
            f"There is no prefix for {backbone.spec.name} yet. Train one on the Train tab, or choose another backbone."
        )
    return runs


def _build(context: AppContext, shell: Shell) -> None:
    state = gr.State(FigureState())
    buttons = "".join(button(f"{number} {title}", data_do="step", data_run=number) for number, title in enumerate(STEPS, 1))
    steps = area(tag("div", buttons, cls="pl-choices"), js_on_load="PrefixLab.acts(element, trigger) /* 'select' */")
    picture = area("", elem_id="pl-figure1-drawing")
    run = gr.Dropdown([], label="Run", elem_id="pl-figure1-run", allow_custom_value=True, min_width=200)
    address = urlstate.address_box("pl-figure1-address", FigureState)
    do = FigureHandlers(context, shell, state, run, picture, address)
    outputs = [state, run, picture, address, shell.status]
    first = opener("figure1")
    first.select(do.restore, [shell.search, shell.backbone], outputs, js=HERE, **LATEST)
    steps.select(do.step, [state, shell.backbone], outputs, **LATEST)
    run.input(do.choose, [state, run, shell.backbone], outputs, **LATEST)


DEMO = Demo(
    "figure1",
    "The method",
    "The method, in numbers",
    "Figure 1 of Li and Liang (2021), drawn with the numbers of a run on this machine. What has a color is trained; what is gray "
    "is frozen.",
    _build,
)
