"""The training that the Train tab describes, and the run that it shows, as lines of Python."""

from dataclasses import replace

from analysis.figures.style import save
from analysis.figures.training import loss_curves
from app.export.python_lines import Code, PythonLines
from app.shared import urlstate
from app.shared.context import AppContext
from app.train.request import TrainRequest, free_name
from app.train.state import RunAddress
from core.runs.status import read_training_log
from core.runs.store import store
from core.training.trainer import new_training


def as_python(context: AppContext, request: TrainRequest, search: str) -> str:
    """The lines that draw the losses of the run that is shown, and those that train what the form describes into the store."""
    lines = PythonLines()
    _add_run(lines, context, urlstate.read(search, RunAddress).run)
    lines.use(new_training, store)
    if not request.run:
        request = replace(request, run=free_name(context.store, set(), request.preset))
    lines.assign("spec", request.spec())
    device = {} if context.models.device == "auto" else {"device": context.models.device}
    lines.add(
        f"training = {lines.call('new_training', Code('spec'), Code('store()'), **device)}",
        "examples, valid = spec.source.load_train_valid([])",
        "for step in training.steps(examples, valid):",
        "    print(step.index, step.loss, step.valid_loss)",
        "print(training.run.id, training.run.stored, training.run.valid_loss)",
    )
    return str(lines)


def _add_run(lines: PythonLines, context: AppContext, run_id: str) -> None:
    if not any(run.id == run_id for run in context.store.runs()):  # none, or one that still trains
        return
    lines.use(store, read_training_log, loss_curves, save)
    lines.add(
        f"run = store().get({run_id!r})",
        "print(run.command, run.valid_loss, sep='; ')",
        "save(loss_curves(read_training_log(run.folder), run.id), 'loss.html')",
        "",
    )
