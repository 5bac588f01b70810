"""P(next word | context) as live bars: the same text alone, and with words in front (paper §4.1)."""

from collections.abc import Sequence

import gradio as gr

from analysis.next_words import ContextEffect, WordChange, context_effect
from app.learn.demos.demo import HERE, Demo, DemoHandlers, opener
from app.learn.state import ContextState
from app.shared import urlstate
from app.shared.context import AppContext
from app.shared.events import LATEST, Update, errors_to_status
from app.shared.html import area, button, notes, problem, tag, text
from app.shared.shell import Shell

EXAMPLES = (  # words in front, text, word to watch
    ("She is a novelist.", "She released her first", "novel"),
    ("She was a film director.", "She released her first", "film"),
    ("She is a pilot in the air force.", "She is a", "pilot"),
    ("", "She released her first", "novel"),
)


class ContextHandlers(DemoHandlers):
    """Bound to the fields, and to the places of the bars and of what the address does not bring back."""

    activity = "next words"

    def __init__(
        self, context: AppContext, shell: Shell, fields: Sequence[gr.Textbox], bars: gr.HTML, note: gr.HTML, address: gr.Textbox
    ) -> None:
        super().__init__(context, shell)
        (self.front, self.words, self.watch), self.bars, self.address = fields, bars, address
        self.note = note

    @errors_to_status
    def restore(self, search: str, name: str, request: gr.Request) -> Update:
        """Fill the fields from the address when the demonstration is opened on a model, and show their bars."""
        state = urlstate.read(search or "", ContextState)
        return {self.note: notes(state.problems), **self._filled(state.front, state.words, state.watch, name)}

    @errors_to_status
    def example(self, name: str, request: gr.Request, event: gr.EventData) -> Update:
        """One of the examples was clicked."""
        return {self.note: "", **self._filled(*EXAMPLES[int(event.run)], name)}

    @errors_to_status
    def show(self, front: str, words: str, watch: str, name: str, request: gr.Request) -> Update:
        """Something was typed: the bars for it, unless more was typed since."""
        page, tickets = request.session_hash or "", self.context.tickets
        ticket = tickets.take(page, self.activity)
        update = self._bars(front, words, watch, name)
        return self.no_update() if tickets.is_stale(page, ticket, self.activity) else update

    def failed(self, page: str, sentence: str, activity: str = "") -> Update:
        return {self.bars: problem(sentence)}

    def _filled(self, front: str, words: str, watch: str, name: str) -> Update:
        return {self.front: front, self.words: words, self.watch: watch, **self._bars(front, words, watch, name)}

    def _bars(self, front: str, words: str, watch: str, name: str) -> Update:
        backbone = self.backbone(name)
        effect = self.context.models.run_job(context_effect, backbone, front, words, watch)
        state = ContextState(front=front, words=words, watch=watch)
        return {self.bars: bars(effect, words.strip()), self.address: urlstate.write(state)}


def bars(effect: ContextEffect, words: str) -> str:
    """The watched word's sentence, and for each likely token a bar, or two where words stand in front."""
    front = any(change.with_front != change.alone for change in effect.likeliest)
    rows = "".join(_row(change, front) for change in effect.likeliest)
    key = tag("span", "alone", cls="base") + (tag("span", "with the words in front", cls="prefix") if front else "")
    return (_watched(effect.word, words) if effect.word else "") + tag("p", key, cls="key") + tag("ol", rows, cls="pl-bars")


def _watched(word: WordChange, words: str) -> str:
    times = word.with_front / word.alone if word.alone else 0
    change = f"{times:.1f} times as likely" if times >= 1 else f"{1 / times:.1f} times less likely" if times else "less likely"
    name = f"P({word.text} | {'…' if word.with_front != word.alone else ''} {words})".replace("|  ", "| ")
    if word.with_front == word.alone:
        return tag("p", f"{text(name)} = {tag('b', _percent(word.alone))}. Now put words in front.", cls="watched")
    numbers = f"{tag('b', _percent(word.alone), cls='base')} → {tag('b', _percent(word.with_front), cls='prefix')}"
    return tag("p", f"{text(name)}: {numbers}, {change}.", cls="watched")


def _row(change: WordChange, front: bool) -> str:
    label = change.text.strip() if change.text[:1] == " " else f"-{change.text}"
    both = "".join(
        tag("span", tag("i", "", style=f"width:{max(0.3, 100 * value):.1f}%") + tag("small", _percent(value)), cls=kind)
        for kind, value in (("base", change.alone), ("prefix", change.with_front))[: 1 + front]
    )
    return tag("li", tag("b", text(label)) + tag("div", both))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %" if share >= 1e-4 else "< 0.01 %"


def _build(context: AppContext, shell: Shell) -> None:
    with gr.Row(elem_id="pl-context-fields"):
        fields = [
            gr.Textbox(label="Words in front", elem_id="pl-context-front", max_lines=1, min_width=220),
            gr.Textbox(label="Text", elem_id="pl-context-text", max_lines=1, min_width=220),
            gr.Textbox(label="Watch the word", elem_id="pl-context-word", max_lines=1, min_width=120),
        ]
    buttons = "".join(
        button(f"{front or '(no words)'} … {watch}", data_do="example", data_run=number)
        for number, (front, _, watch) in enumerate(EXAMPLES)
    )
    examples = area(tag("div", buttons, cls="pl-choices"), js_on_load="PrefixLab.acts(element, trigger) /* 'select' */")
    note = area("", elem_id="pl-context-note", elem_classes="pl-maybe")
    bars_area = area("", elem_id="pl-context-bars")
    address = urlstate.address_box("pl-context-address", ContextState)
    do = ContextHandlers(context, shell, fields, bars_area, note, address)
    outputs = [*fields, bars_area, note, address, shell.status]
    first = opener("context")
    first.select(do.restore, [shell.search, shell.backbone], outputs, js=HERE, **LATEST)
    examples.select(do.example, shell.backbone, outputs, **LATEST)
    for field in fields:
        field.change(do.show, [*fields, shell.backbone], outputs, **LATEST)


DEMO = Demo(
    "context",
    "Context",
    "Context steers",
    "What the frozen model expects as the next word, alone and when other words stand in front.",
    _build,
)
