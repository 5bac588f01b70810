"""A live search for words to put in front: discrete prompts, chosen by gradient and evaluated exactly (paper §4.1)."""

from collections.abc import Iterator
from functools import partial

import gradio as gr

from analysis.experiments.prompt_rows import START, check_words, training_rows
from analysis.experiments.token_search import SearchStep, search_tokens
from app.learn.demos.chart import Curve, line_chart
from app.learn.demos.demo import Demo, PictureHandlers
from app.shared.context import AppContext
from app.shared.events import Update, errors_to_status
from app.shared.html import tag, text
from app.shared.shell import Shell
from core.text.checks import counted

CANDIDATES, SWEEPS = 6, 12


class SearchHandlers(PictureHandlers):
    """Searches for words."""

    activity = "word search"

    @errors_to_status
    def start(self, words: str, name: str, request: gr.Request) -> Iterator[Update]:
        """Search from the typed words on; the picture grows with every evaluation."""
        page = request.session_hash or ""
        yield self.report(page, "loading", "Loading the model and the tables…")
        backbone = self.backbone(name)
        start = check_words(backbone, words)
        rows = training_rows(backbone, len(backbone.encode(start)))
        steps: list[SearchStep] = []
        for step in self.live(page, search_tokens(backbone, rows, start, CANDIDATES, SWEEPS)):
            steps.append(step)
            done = "done" if step.finished else "running"
            yield {self.picture: picture(steps), **self.report(page, done, f"{counted(step.tried, 'prompt')} tried.")}
        if steps and not steps[-1].finished:
            yield {self.picture: picture(steps), **self.report(page, "cancelled", f"{counted(steps[-1].tried, 'prompt')} tried.")}


def picture(steps: list[SearchStep]) -> str:
    """The loss over the evaluations, the words now, and what was tried last."""
    first, last = steps[0], steps[-1]
    words = [
        tag("span", text(word.strip() or "␣"), cls="changed" if word != start else None)
        for word, start in zip(last.tokens, first.tokens, strict=True)
    ]
    chart = line_chart(
        [Curve("with these words", "other", [(step.tried, step.loss) for step in steps], steps=True)],
        (1, max(20, last.tried)),
        (last.loss - 0.35 * max(0.2, first.loss - last.loss), first.loss + 0.05),
        "prompts tried",
        "loss, nats per token",
    )
    gain = f"{first.loss:.2f} → {last.loss:.2f} nats per token after {counted(last.tried, 'prompt')}. {_ending(last)}"
    return tag("p", "".join(words), cls="pl-prompt-words") + tag("p", text(gain), cls="watched") + chart


def _ending(last: SearchStep) -> str:
    if not last.finished:
        return f"Trying “{last.candidate.strip()}” at place {last.position + 1}."
    return f"Stopped after {SWEEPS} rounds." if last.improved else "No proposed word lowers the loss any further."


def _build(context: AppContext, shell: Shell) -> None:
    words = partial(gr.Textbox, START, label="Begin with these words", elem_id="pl-search-words", max_lines=1, min_width=220)
    note = tag("p", "The words and their loss will appear here.", cls="meta")
    SearchHandlers.build(context, shell, "search", words, "Start the search", note)


DEMO = Demo(
    "search",
    "Word search",
    "Choosing the words by search",
    "The words in front of five bundled tables are replaced one by one. A gradient proposes words, each is then tried, and the "
    "best one stays if it makes the right sentences likelier. The model stays frozen.",
    _build,
)
