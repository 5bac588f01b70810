"""What a prefix cannot do: on a toy model, a prefix picks a task that was met before, and does not learn one that was not."""

from collections.abc import Iterator, Sequence
from functools import partial

import gradio as gr

from analysis.toy.tasks import TASKS
from analysis.toy.trial import FINETUNE, METHODS, PREFIX, TrialStep, toy_backbone, trial
from app.learn.demos.chart import Curve, line_chart
from app.learn.demos.demo import Demo, PictureHandlers
from app.shared.context import AppContext
from app.shared.events import LATEST, Update, errors_to_status
from app.shared.html import tag, text
from app.shared.shell import Shell

NAMES, KINDS = {PREFIX: "prefix", FINETUNE: "fine-tuned"}, {PREFIX: "prefix", FINETUNE: "finetuned"}
UPDATES = 200
EXAMPLE = (3, 1, 4, 1, 5)


class ToyHandlers(PictureHandlers):
    """Trains the toy model, whichever backbone the page has."""

    activity = "toy model"

    def show(self, task: str) -> Update:
        """A task was chosen: say what it is."""
        return {self.picture: _about(task)}

    @errors_to_status
    def start(self, task: str, _: str, request: gr.Request) -> Iterator[Update]:
        """Train a prefix and a fine-tuned copy on the task, side by side."""
        page = request.session_hash or ""
        yield self.report(page, "loading", "Loading the toy model…")
        backbone = self.context.models.run_job(toy_backbone)
        steps: list[TrialStep] = []
        for step in self.live(page, trial(backbone, task, UPDATES)):
            steps.append(step)
            yield {self.picture: picture(task, steps), **self.report(page, "running", f"{step.update} of {UPDATES} updates.")}
        whole = bool(steps) and steps[-1].update == UPDATES
        yield self.report(page, "done" if whole else "cancelled", f"{steps[-1].update if steps else 0} updates of each.")


def picture(task: str, steps: Sequence[TrialStep]) -> str:
    """The share of right answers over the updates, and the numbers so far."""
    curves = [
        Curve(NAMES[name], KINDS[name], [(step.update, 100 * step.whole) for step in steps if step.method == name])
        for name in METHODS
    ]
    last = {step.method: step for step in steps}
    numbers = "; ".join(
        f"{NAMES[name]}: {100 * step.whole:.0f} % of the answers without a mistake, {100 * step.right:.0f} % of the digits, "
        f"{step.trained:,} parameters trained"
        for name, step in last.items()
    )
    chart = line_chart(curves, (0, UPDATES), (0, 100), "updates of 64 lists each", "answers without a mistake, %")
    return (
        _about(task) + chart + tag("p", f"{numbers}. 200 new lists, seed 0; guessing gets 10 % of the digits right.", cls="meta")
    )


def _about(name: str) -> str:
    task = TASKS[name]
    met = "The model has met this task." if task.pretrained else "The model has never met this task."
    return tag("p", f"{text(task.title)}: {tag('code', task.example(EXAMPLE))}. {met}", cls="watched")


def _build(context: AppContext, shell: Shell) -> None:
    choices = [(f"{task.title}{'' if task.pretrained else ' (never met)'}", task.name) for task in TASKS.values()]
    first = choices[0][1]
    task = partial(gr.Radio, choices, value=first, label="Task", elem_id="pl-toy-task", min_width=420)
    do = ToyHandlers.build(context, shell, "toy", task, "Train both", _about(first))
    do.field.input(do.show, do.field, do.picture, **LATEST)


DEMO = Demo(
    "toy",
    "A new task",
    "What a prefix cannot do",
    "A tiny model of digits has met four tasks and is never told which one is wanted. A prefix and fine-tuning now learn the "
    "task that you choose, on your machine; the prefix leaves all weights as they are.",
    _build,
)
