"""The head of each column: its mark, its name, what was trained, and which run it shows."""

from collections.abc import Sequence

from app.html import KIN, METHODS, NAMES, count, mark, percent, tag, text
from app.session import Choice
from core.backbone import Backbone
from core.methods.table import TITLES
from core.runs import TEXT
from core.store import Run


def pick(choices: Sequence[Choice], wanted: str) -> str:
    """The id of the run to show: the wanted one where it fits or is a text, else the first that does, else none."""
    if wanted.startswith(TEXT):
        return wanted
    fit = [choice.run.id for choice in choices if not choice.reason]
    return wanted if wanted in fit else next(iter(fit), "")


def base_head(backbone: Backbone | None) -> str:
    """The base column has nothing to choose: it is the backbone."""
    sub = f"{count(backbone.spec.parameters)} weights, all frozen" if backbone else "the frozen model"
    return _head("base", sub, tag("p", f"{text(backbone.spec.name)} as it is" if backbone else "", cls="pl-run"))


def blank_head(kind: str) -> str:
    """Before a model is loaded."""
    return _head(kind, "…", "")


def run_head(kind: str, choices: Sequence[Choice], chosen: str, wanted: str, backbone: Backbone) -> str:
    """Name, what was trained, and the select of runs; those that do not fit are listed with the reason."""
    run = next((choice.run for choice in choices if choice.run.id == chosen), None)
    sub = _trained(run, backbone) if run else f"no run on {text(backbone.spec.name)}"
    if typed := chosen.startswith(TEXT):
        sub = "a text in front, nothing trained"
    note = ""
    if wanted and wanted != chosen:
        why = next((choice.reason for choice in choices if choice.run.id == wanted), "there is no such run")
        note = tag("p", f"{text(wanted)}: {text(why)}.", cls="pl-note meta")
    if kind == "prefix":  # a text will do where there is no run
        return _head(kind, sub, _select(kind, choices, chosen) + text_field(chosen, "prefix", hidden=not typed) + note)
    return _head(kind, sub, (_select(kind, choices, chosen) if choices else "") + note)


def text_field(run_id: str, name: str, hidden: bool) -> str:
    """Where a text prefix is typed; it shows beside a select whose choice is "text prefix…"."""
    shown = {
        "value": run_id.removeprefix(TEXT) if run_id.startswith(TEXT) else "",
        "data_text": name,
        "aria_label": "Text prefix",
        "placeholder": "Type an instruction or an example, then Enter",
        "title": "Any text, read by the frozen model before the input, on a line of its own: a prefix without training",
        "maxlength": 1500,
        "spellcheck": "false",
        "hidden": "hidden" if hidden else None,
    }
    return tag("input", type="text", cls="pl-text", **shown).removesuffix("</input>")


def _head(kind: str, sub: str, content: str) -> str:
    title = tag("h2", NAMES[kind]) + tag("p", sub, cls="sub")
    return tag("header", mark(kind) + tag("div", title) + content, cls=f"pl-head {kind}")


def _trained(run: Run, backbone: Backbone) -> str:
    if run.method in KIN["prefix"]:
        length = run.config.get("length")
        return f"{length} virtual tokens, {percent(run.stored / backbone.spec.parameters)}"
    return f"{count(run.stored)} weights of its own"


def _select(kind: str, choices: Sequence[Choice], chosen: str) -> str:
    options = "".join(_option(choice, chosen) for choice in choices)
    if kind == "prefix":
        options += tag("option", "text prefix…", value=TEXT, selected="selected" if chosen.startswith(TEXT) else None)
    if not chosen:
        options = tag("option", "No run fits this backbone", value="") + options
    return tag(
        "select",
        options,
        aria_label=f"Run of the column {NAMES[kind]}",
        data_chosen=TEXT if chosen.startswith(TEXT) else chosen,
        cls="pl-run",
        name=METHODS[kind],
    )


def _option(choice: Choice, chosen: str) -> str:
    run = choice.run
    off = "disabled" if choice.reason else None
    name = run.id if run.method in METHODS.values() else f"{run.id}, {TITLES[run.method]}"
    label = f"{name} ({choice.reason})" if choice.reason else name + ("" if run.status == "done" else " (stopped early)")
    return tag("option", text(label), value=run.id, disabled=off, selected="selected" if run.id == chosen else None)
