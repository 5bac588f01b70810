""" "As Python": the lines that make from a notebook what a tab shows now, in a panel with a button that copies them."""

import json
from collections.abc import Callable

import gradio as gr

from app.attention import as_python as attention
from app.compare import as_python as compare
from app.learn import as_python as learn
from app.mix import as_python as mix
from app.results import as_python as results
from app.shared.context import AppContext
from app.shared.events import QUIET, sentence_of
from app.shared.html import area, hidden, tag
from app.shared.shell import Shell
from app.space import as_python as space
from app.space.analyses import AnalysisCache
from app.train import as_python as train
from app.train.components import TrainPage, train_request
from app.train.request import is_encoder_decoder

FIELDS = {
    "search": "pl-search-words",
    "ladder": "pl-ladder-words",
    "toy": "pl-toy-task",
    "batch": "pl-batch-users",
}  # demonstration -> id of its field


class PythonHandlers:
    """Writes the lines. `train_page` has the Train tab's form; `fields` are those of FIELDS by name."""

    def __init__(self, context: AppContext, analyses: AnalysisCache, train_page: TrainPage, fields: list[str]) -> None:
        self.context, self.analyses, self.train_page, self.fields = context, analyses, train_page, fields

    def ask(self, request: gr.Request, search: str, tab: str, backbone: str, *values: object) -> str:
        """JSON for as_python.js: {"lines"}, or {"problem": a sentence}. `values`: see `lines`."""
        try:
            return json.dumps({"lines": self.lines(tab, search or "", request.session_hash or "", backbone, values)})
        except Exception as error:
            return json.dumps({"problem": sentence_of(error)})

    def lines(self, tab: str, search: str, page: str, backbone: str = "", values: tuple[object, ...] = ()) -> str:
        """The lines for a tab. `values`: of the demonstrations' fields, then of the Train tab's form. Errors of what it shows."""
        count = len(self.fields)
        inputs = {name: str(value or "") for name, value in zip(self.fields, values[:count], strict=False)}
        writers: dict[str, Callable[[], str]] = {
            "compare": lambda: compare.as_python(self.context, search, page),
            "attention": lambda: attention.as_python(self.context, search, page),
            "space": lambda: space.as_python(self.context, self.analyses, search, page),
            "mix": lambda: mix.as_python(self.context, search, page),
            "train": lambda: self._train(search, backbone, values[count:]),
            "results": lambda: results.as_python(self.context, search),
            "learn": lambda: learn.as_python(self.context, search, page, inputs),
        }
        return writers[tab]()

    def _train(self, search: str, backbone: str, values: tuple[object, ...]) -> str:
        name = backbone or self.context.models.default
        form = dict(zip(self.train_page.request_inputs, values, strict=True))
        return train.as_python(self.context, train_request(form, name, is_encoder_decoder(self.context, name)), search)


def dialog() -> str:
    """The panel; app/export/as_python.js fills it in."""
    copy = tag("button", "Copy", type="button", cls="pl-btn pl-act", data_copy_python="")
    ends = copy + tag("button", "Close", cls="pl-btn pl-act")
    lead = "Code that makes what this tab shows, for a notebook. Run it in the project's folder; docs/python.md has more."
    code = tag("pre", tag("code", ""), cls="pl-code", tabindex="0", aria_label="Lines of Python")
    content = tag("h2", "As Python") + tag("p", lead) + code + tag("form", tag("div", ends, cls="pl-ends"), method="dialog")
    return tag("dialog", content, id="pl-python", cls="pl-dialog", aria_label="As Python")


def build(context: AppContext, shell: Shell, analyses: AnalysisCache, train_page: TrainPage) -> None:
    """The panel, the button that the page's script presses, and the place for the lines; call inside gr.Blocks after the tabs."""
    area(dialog(), js_on_load="PrefixLab.python.ready(element)", elem_id="pl-python-place")
    fields = {block.elem_id: block for block in shell.page.blocks.values() if getattr(block, "elem_id", None)}
    form = [*(fields[name] for name in FIELDS.values()), *train_page.request_inputs.values()]
    do = PythonHandlers(context, analyses, train_page, list(FIELDS))
    ask = gr.Button("", elem_id="pl-python-ask", elem_classes="pl-key")
    tab = hidden(elem_id="pl-python-tab")
    answer = hidden(elem_id="pl-python-lines")
    here = "(...inputs) => [location.search, PrefixLab.tabs.now(), ...inputs.slice(2)]"
    inputs = [shell.search, tab, shell.backbone, *form]
    click = ask.click(do.ask, inputs, answer, js=here, concurrency_id="python", concurrency_limit=4, **QUIET)
    click.then(None, answer, None, js="(answer) => PrefixLab.python.show(answer)")
