"""The head of each column: its mark, its name, what was trained, and which run it shows."""

from collections.abc import Sequence

from app.shared.catalog import RunChoice
from app.shared.html import count, tag, text
from app.shared.method_labels import COLUMN_METHODS, COLUMN_TITLES, label, mark, methods_of_column, title, trained
from core.config.methods import TEXT_PREFIX
from core.methods.loading import TEXT_RUN
from core.models.backbone import Backbone
from core.runs.run import Run


def pick(kind: str, choices: Sequence[RunChoice], wanted: str) -> str:
    """The id of the run to show: the wanted one where it fits or is a text; else the first that does of the method that the
    column is named after, else of its kin, else none."""
    if wanted.startswith(TEXT_RUN):
        return wanted
    fit = [choice.run for choice in choices if not choice.reason]
    methods = methods_of_column(kind)
    first = sorted((run for run in fit if run.method in methods), key=lambda run: run.method != COLUMN_METHODS[kind])
    return wanted if wanted in [run.id for run in fit] else next((run.id for run in first), "")


def base_head(backbone: Backbone | None) -> str:
    """The base column has nothing to choose: it is the backbone."""
    sub = f"{count(backbone.spec.parameters)} weights, all frozen" if backbone else "the frozen model"
    return _head("base", sub, tag("p", f"{text(backbone.spec.name)} as it is" if backbone else "", cls="pl-run"))


def blank_head(kind: str) -> str:
    """Before a model is loaded."""
    return _head(kind, "…", "")


def run_head(kind: str, choices: Sequence[RunChoice], chosen: str, wanted: str, backbone: Backbone) -> str:
    """Name, what was trained, and the select of runs; those that do not fit are listed with the reason."""
    run = next((choice.run for choice in choices if choice.run.id == chosen), None)
    sub = text(trained(run, backbone)) if run else f"no run on {text(backbone.spec.name)}"
    if typed := chosen.startswith(TEXT_RUN):
        sub = TEXT_PREFIX.summary
    select = _select(kind, choices, chosen, backbone)
    note = ""
    if wanted and wanted != chosen:
        why = next((choice.reason for choice in choices if choice.run.id == wanted), "there is no such run")
        note = tag("p", f"{text(wanted)}: {text(why)}.", cls="pl-note meta")
    if kind == "prefix":  # a text will do where there is no run
        return _head(kind, sub, select + text_field(chosen, "prefix", hidden=not typed) + note, run)
    return _head(kind, sub, (select if choices else "") + note, run)


def text_field(run_id: str, name: str, hidden: bool) -> str:
    """Where a text prefix is typed; it shows beside a select whose choice is "text prefix…"."""
    shown = {
        "value": run_id.removeprefix(TEXT_RUN) if run_id.startswith(TEXT_RUN) else "",
        "data_text": name,
        "aria_label": "Text prefix",
        "placeholder": "Type an instruction or an example, then Enter",
        "title": "Any text, read by the frozen model before the input, on a line of its own: a prefix without training",
        "maxlength": 1500,
        "spellcheck": "false",
        "hidden": "hidden" if hidden else None,
    }
    return tag("input", type="text", cls="pl-text", **shown).removesuffix("</input>")


def _head(kind: str, sub: str, content: str, run: Run | None = None) -> str:
    titles = tag("h2", text(title(kind, run))) + tag("p", sub, cls="sub")
    return tag("header", mark(kind, run) + tag("div", titles) + content, cls=f"pl-head {kind}")


def _select(kind: str, choices: Sequence[RunChoice], chosen: str, backbone: Backbone) -> str:
    methods = methods_of_column(kind)
    near = [_option(kind, choice, chosen, backbone) for choice in choices if choice.run.method in methods]
    others = [_option(kind, choice, chosen, backbone) for choice in choices if choice.run.method not in methods]
    options = "".join(near)
    if kind == "prefix":
        options += tag("option", "text prefix…", value=TEXT_RUN, selected="selected" if chosen.startswith(TEXT_RUN) else None)
    if others:
        options += tag("optgroup", "".join(others), label="Other methods")
    if not chosen:
        options = tag("option", "No run fits this backbone", value="") + options
    return tag(
        "select",
        options,
        aria_label=f"Run of the column {COLUMN_TITLES[kind]}",
        data_chosen=TEXT_RUN if chosen.startswith(TEXT_RUN) else chosen,
        cls="pl-run",
        name=COLUMN_METHODS[kind],
    )


def _option(kind: str, choice: RunChoice, chosen: str, backbone: Backbone) -> str:
    run = choice.run
    off = "disabled" if choice.reason else None
    name = run.id if choice.reason else label(run, backbone, kind)
    shown = f"{name} ({choice.reason})" if choice.reason else name + ("" if run.status == "done" else " (stopped early)")
    return tag("option", text(shown), value=run.id, disabled=off, selected="selected" if run.id == chosen else None)
