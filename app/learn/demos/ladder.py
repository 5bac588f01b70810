"""From words to vectors at all layers: four ways to choose what stands in front, on the same tables and one axis of loss."""

from collections.abc import Iterator, Sequence
from functools import partial

import gradio as gr

from analysis.experiments.ladder import DISCRETE, EMBEDDING, PREFIX, RUNGS, TEXT, LadderStep, ladder
from analysis.experiments.prompt_rows import START, check_words, other_rows, training_rows
from app.learn.demos.chart import Curve, line_chart
from app.learn.demos.demo import Demo, PictureHandlers
from app.shared.context import AppContext
from app.shared.events import Update, errors_to_status
from app.shared.html import table, tag, text
from app.shared.shell import Shell

NAMES = {TEXT: "text", DISCRETE: "words, searched", EMBEDDING: "embedding-only", PREFIX: "prefix"}
KINDS = {TEXT: "base", DISCRETE: "other", EMBEDDING: "finetuned", PREFIX: "prefix"}


class LadderHandlers(PictureHandlers):
    """Trains on the way from words to a prefix."""

    activity = "ladder"

    @errors_to_status
    def start(self, words: str, name: str, request: gr.Request) -> Iterator[Update]:
        """Climb from the typed words on; the picture grows with every step."""
        page = request.session_hash or ""
        yield self.report(page, "loading", "Loading the model and the tables…")
        backbone = self.backbone(name)
        start = check_words(backbone, words)
        length = len(backbone.encode(start))
        steps: list[LadderStep] = []
        for step in self.live(page, ladder(backbone, training_rows(backbone, length), other_rows(backbone, length), start)):
            steps.append(step)
            yield {self.picture: picture(steps), **self.report(page, "running", f"{NAMES[step.rung].capitalize()}…")}
        whole = bool(steps) and steps[-1].rung == RUNGS[-1] and steps[-1].other is not None
        yield self.report(page, "done" if whole else "cancelled", f"{len({step.rung for step in steps})} of {len(RUNGS)} rungs.")


def picture(steps: Sequence[LadderStep]) -> str:
    """A curve for each rung, and its numbers below."""
    lowest = min(step.loss for step in steps)
    curves = [_curve(rung, [step for step in steps if step.rung == rung]) for rung in RUNGS]
    highest = max(step.loss for step in steps)
    room = 0.05 * (highest - lowest) + 0.05
    chart = line_chart(curves, (0, 100), (lowest - room, highest + room), "% of each one's steps", "loss, nats per token")
    return chart + _table(steps)


def _curve(rung: str, steps: Sequence[LadderStep]) -> Curve:
    points = [(100 * step.share, step.loss) for step in steps]
    if rung == TEXT and points:
        points = [(0.0, points[0][1]), (100.0, points[0][1])]
    return Curve(NAMES[rung], KINDS[rung], points, steps=rung == DISCRETE, dashed=rung == TEXT)


def _table(steps: Sequence[LadderStep]) -> str:
    last = {step.rung: step for step in steps}
    heads = ("", "parameters trained", "loss on these tables", "loss on four other tables")
    rows = "".join(
        tag(
            "tr",
            tag("th", text(NAMES[rung]), cls=KINDS[rung])
            + tag("td", f"{step.trained:,}" if step.trained else "0")
            + tag("td", f"{step.loss:.2f}")
            + tag("td", "…" if step.other is None else f"{step.other:.2f}"),
        )
        for rung, step in last.items()
    )
    words = last.get(DISCRETE)
    note = tag("p", f"Words that were found: {text(''.join(words.words).strip())}", cls="meta") if words else ""
    return table(heads, rows, cls="pl-rungs") + note


def _build(context: AppContext, shell: Shell) -> None:
    words = partial(gr.Textbox, START, label="All begin with these words", elem_id="pl-ladder-words", max_lines=1, min_width=220)
    LadderHandlers.build(context, shell, "ladder", words, "Climb", tag("p", "The four curves will appear here.", cls="meta"))


DEMO = Demo(
    "ladder",
    "Words to prefix",
    "From words to a prefix",
    "The same words stand in front of five bundled tables: left as they are, replaced by search, moved as input vectors, or "
    "moved as keys and values at every layer. Each step widens the space. Both trainings: 40 updates, seed 0, computed now.",
    _build,
)
