"""The Train tab's view of a training and of all runs, read from disk each time."""

from pathlib import Path

from analysis.figures.training import learning_rate_curve, loss_curves, mass_over_training
from app.shared import examples, plot_widget
from app.shared.catalog import is_trained_on
from app.shared.context import AppContext
from app.shared.events import Update
from app.shared.urlstate import write
from app.train import view
from app.train.components import TrainPage
from app.train.headline import headline, nothing
from app.train.jobs import Jobs
from app.train.state import RunAddress
from core.errors import BadInput
from core.methods.near_text import stored_distance
from core.runs.layout import RunFiles, unfinished
from core.runs.manage import TRASH, list_trash
from core.runs.run import Run
from core.runs.status import RunStatus, TrainingLog, read_status, read_training_log
from core.text.tables import linearise
from core.training.sample_log import Sample, read_samples

PARTS = 25  # pictures of a training, from its first update to its last


class RunProgressView:
    """A run, in training or finished, and the list of all runs, as updates of the page's components."""

    def __init__(self, context: AppContext, page: TrainPage, jobs: Jobs) -> None:
        self.context, self.page, self.jobs = context, page, jobs

    def _change_token(self, run_id: str) -> str:
        """Return a text that changes when the tab has to be drawn again: for every change except progress of less than 1/PARTS.

        Figures that are drawn each second would slow down the training, which shares the machine.
        """
        store, parts = self.context.store.folder, []
        for run in dict.fromkeys([run_id, *self.jobs.training()]):
            run_status = read_status(store / run) if run else RunStatus()
            times = [path.stat().st_mtime_ns for path in self._files(run) if path.exists()]
            parts.append(f"{run} {self._state(run)} {int(run_status.fraction * PARTS)} {times}")
        places = [path.stat().st_mtime_ns for path in (store, self.jobs.folder, store / TRASH) if path.exists()]
        return f"{parts} {places} {[(job.run, job.started, job.alive) for job in self.jobs.jobs()]} {self.jobs.obstacle}"

    def _files(self, run_id: str) -> list[Path]:
        files = RunFiles(self.context.store.folder / run_id)
        return [files.run_json, files.samples] if run_id else []

    def _state(self, run_id: str) -> str:
        if not run_id:
            return ""
        state = self.jobs.state(run_id)
        bundled = self.context.store.bundled
        return state or (read_status(bundled / run_id).state if bundled else "")

    def show(self, run_id: str) -> Update:
        """Show one run and the list of all."""
        page, (listed, whole) = self.page, self._listed()
        rows = [(one, self._state(one), self._stands(one, whole.get(one)), whole.get(one)) for one in listed[: view.LISTED]]
        update: Update = {
            page.change_token: self._change_token(run_id),
            page.run_id: run_id,
            page.address: write(RunAddress(run=run_id)),
            page.runs: view.run_list(rows, run_id, len(listed) - view.LISTED),
            page.bin: view.trash_view(list_trash(self.context.store)),
            page.offer: self.offered(),
        }
        state = self._state(run_id)
        if not state:
            bundled = sum(run.bundled for run in whole.values())
            cleared = dict.fromkeys((page.head, page.details, page.watch), "")
            return (
                update
                | cleared
                | {page.headline: nothing(len(whole) - bundled, bundled)}
                | self._charts(TrainingLog(), [], "", 0)
            )
        run = whole.get(run_id)
        folder = run.folder if run else self.context.store.folder / run_id
        log, samples, ended = read_training_log(folder), read_samples(folder), state in ("done", "cancelled", "failed")
        update[page.head] = self._head(run_id, run)
        update[page.headline] = headline(run_id, state, read_status(folder), log, samples, run)
        context = run.config.get("context") if run else None  # of an in-context run
        of_context = view.context_view(context) if context and isinstance(context, str) else ""
        update[page.watch] = of_context or view.samples_view(samples, run_id)
        update[page.details] = view.details(run) if run and ended else ""
        return update | self._charts(log, samples, run_id, read_status(folder).total)

    def offered(self) -> str:
        """Show the interrupted trainings that can be resumed, in the bar above the tabs."""
        return view.interrupted_view([(run, read_status(self.context.store.folder / run)) for run in self.jobs.interrupted()])

    def _head(self, run_id: str, run: Run | None) -> str:
        state, folder = self._state(run_id), run.folder if run else self.context.store.folder / run_id
        run_status, log = read_status(folder), read_training_log(folder)
        links = ""
        if run is not None and state in ("done", "cancelled"):
            links = view.links(run, self._example(read_samples(folder)), self._backbone(run))
        return view.run_head(run_id, state, run_status, run, self._status_text(run_id, state, run_status, log, run), links)

    def _charts(self, log: TrainingLog, samples: list[Sample], name: str, total: int) -> Update:
        page, mass = self.page, mass_over_training(samples, name)
        has_curve = len(log.update) > 1
        return {
            page.loss: plot_widget.value(loss_curves(log, name, total), f"{name}-loss") if has_curve else plot_widget.NOTHING,
            page.rate: plot_widget.value(learning_rate_curve(log, name, total), f"{name}-rate")
            if has_curve
            else plot_widget.NOTHING,
            page.mass: plot_widget.value(mass, f"{name}-attention") if mass is not None else plot_widget.NOTHING,
        }

    def _status_text(self, run_id: str, state: str, run_status: RunStatus, log: TrainingLog, run: Run | None) -> str:
        if state == "queued":
            if ahead := self.jobs.ahead(run_id):
                return view.text(f"Waits behind {', '.join(ahead)}.")
            return view.text(f"It cannot start yet. {self.jobs.obstacle}" if self.jobs.obstacle else "It starts in a moment.")
        if state == "loading":
            return "Its process is loading the model."
        if state == "finishing":
            return "The last update is done; the run is being saved."
        if state == "running":
            return view.progress_text(run_status, log) if run_status.update else "The first update is being computed."
        problem = self.jobs.problem(run_id)
        if state == "interrupted":
            how = "It can resume from its last checkpoint." if run_status.resumable else "It has no checkpoint: start again."
            where = f"Interrupted at update {run_status.update:,} of {run_status.total:,}."
            return view.text(f"{where} {problem} {how}")
        result = self._result(run) if run else ""
        return " ".join(part for part in (view.text(problem), result) if part)

    def _result(self, run: Run) -> str:
        """Describe a run, beside its backbone if that is loaded."""
        name = self._backbone(run)
        if not self.context.models.is_loaded(name):
            return view.result_text(run)
        backbone = self.context.models.backbone(name)
        try:
            distance = stored_distance(run, backbone) if run.fingerprint == backbone.spec.fingerprint else None
        except BadInput:  # damaged weights: Compare says so
            distance = None
        return view.result_text(run, backbone.spec.parameters, distance)

    def _backbone(self, run: Run) -> str:
        """Return the name of the run's backbone on the page; empty for the default one."""
        names = [name for _, name in self.context.catalog.backbone_names() if is_trained_on(run, name)]
        return "" if not names or names[0] == self.context.models.default else names[0]

    def _example(self, samples: list[Sample]) -> str:
        """Return the id of the sampled bundled table or article."""
        source = samples[-1].get("source") if samples else ""
        known = [*examples.samples(), *examples.samples("article")]
        return next((one.id for one in known if source == (one.text or linearise(one.fields))), "")

    def _listed(self) -> tuple[list[str], dict[str, Run]]:
        """Return the ids of all runs (training, waiting, interrupted, finished, bundled), and the finished runs by id."""
        store, whole = self.context.store, {run.id: run for run in self.context.store.runs()}
        waiting, training = self.jobs.waiting(), self.jobs.training()
        started = [job.run for job in self.jobs.jobs() if job.started]
        broken = unfinished(store.folder)
        first = dict.fromkeys([*training, *waiting, *started, *broken])
        own = [run_id for run_id in whole if not whole[run_id].bundled and run_id not in first]
        bundled = [run_id for run_id in whole if whole[run_id].bundled]
        return [*first, *own, *bundled], whole

    def _stands(self, run_id: str, run: Run | None) -> RunStatus:
        return read_status(run.folder if run else self.context.store.folder / run_id)
