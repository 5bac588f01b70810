"""The head of each column: its mark, its name, what was trained, and its run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.compare.prompting import prompts_for
from app.shared.catalog import RunCatalog, RunChoice, domain, for_task
from app.shared.html import button, count, options, tag, text
from app.shared.method_labels import COLUMN_METHODS, COLUMN_TITLES, label, mark, methods_of_column, mix_label, title, trained
from core.config.methods import METHODS, MIX_RUN, TEXT_PREFIX
from core.methods.loading import TEXT_RUN, UNSTORED
from core.models.backbone import Backbone
from core.prefix.mix import MIX
from core.runs.run import Run
from core.task import SUMMARIZATION

TEXT_SLOTS = ("prefix", "other")  # where a text can be typed in place of a run


@dataclass(frozen=True)
class RunSelection:
    """The runs of a comparison by slot ("" for none), the task, and the possible tasks."""

    task: str
    tasks: list[str]
    run_ids: dict[str, str]
    listed: list[RunChoice]

    def method(self, slot: str) -> str:
        """Return the method of a slot's run; "" without a run."""
        run_id = self.run_ids.get(slot, "")
        if run_id.startswith(TEXT_RUN):
            return TEXT_PREFIX.id
        if run_id.startswith(MIX):
            return MIX_RUN.id
        return next((choice.run.method for choice in self.listed if choice.run.id == run_id), "")

    def methods(self, order: Sequence[str]) -> list[str]:
        """Return the methods of the columns, "" for the frozen model; an empty column has the method that it is named after."""
        return [self.method(slot) or COLUMN_METHODS.get(slot, "") for slot in order]


def select_runs(
    catalog: RunCatalog, backbone: Backbone, task: str, requested: Mapping[str, str], order: Sequence[str] = ()
) -> RunSelection:
    """Choose the runs to compare on a backbone: the requested ones if they fit, else the first that do.

    The task is the requested one if the backbone has it, else that of a requested run, of a prefix, of a fine-tuned model, of
    any other run.
    """
    choices = catalog.choices(tuple(METHODS), backbone)
    fit = [choice.run for choice in choices if not choice.reason]
    own = SUMMARIZATION if backbone.is_encoder_decoder else ""  # what an encoder-decoder model is for
    tasks = sorted({run.task.name for run in fit} | {own} - {""})
    if task not in tasks:
        task = next((run.task.name for run in sorted(fit, key=lambda run: rank(run, requested))), own)
    listed = for_task(choices, task)
    run_ids = {slot: pick(slot, listed, requested.get(slot, "")) for slot in COLUMN_METHODS}
    if "other" in order or requested.get("other"):
        asked = requested.get("other", "")
        free = [choice for choice in listed if choice.run.id == asked or choice.run.id not in run_ids.values()]
        run_ids["other"] = pick("other", free, asked)
    return RunSelection(task, tasks, {"other": ""} | run_ids, listed)


def off_topic(choice: RunChoice) -> RunChoice:
    """Mark runs that were trained on E2E for inputs of another topic."""
    on_e2e = choice.run.task.name == "e2e" and "--data" in choice.run.command
    return replace(choice, domain=domain(choice.run)) if on_e2e and not choice.reason else choice


def rank(run: Run, requested: Mapping[str, str]) -> tuple[bool, ...]:
    """Sort key of runs: of a method, those on tables of many topics come first, then those on E2E, the paper's first task."""
    methods = run.method != COLUMN_METHODS["prefix"], run.method != COLUMN_METHODS["finetuned"]
    return run.id not in requested.values(), *methods, run.task.name != "tables", run.task.name != "e2e"


def pick(slot: str, choices: Sequence[RunChoice], requested: str) -> str:
    """Return the id of the run to show.

    The requested one if it fits or is a text; else the first of the page's task with the method that the slot is named after,
    else with a method that it shows by default, else none. The slot "other" takes any run, preferably a prefix.
    """
    if requested.startswith(UNSTORED):
        return requested
    fit = [choice.run for choice in choices if not choice.reason]
    if requested in [run.id for run in fit]:
        return requested
    if slot == "other":  # several prefixes on one model are what prefix-tuning is for
        return next((run.id for run in sorted(fit, key=lambda run: run.method != COLUMN_METHODS["prefix"])), "")
    methods = methods_of_column(slot)
    of_domain = [choice.run for choice in choices if not choice.reason and not choice.domain and choice.run.method in methods]
    return next((run.id for run in sorted(of_domain, key=lambda run: run.method != COLUMN_METHODS[slot])), "")


def base_head(backbone: Backbone, form: str = "table", prompt: str = "") -> str:
    """The head of the frozen model's column, which offers prompts instead of runs."""
    items = options(prompts_for(backbone, form).items(), prompt)
    select = tag("select", items, aria_label="How the frozen model is prompted", data_chosen=prompt, cls="pl-run", name="prompt")
    return _head("base", f"{text(backbone.spec.name)}, {count(backbone.spec.parameters)} weights", select)


def blank_head(kind: str) -> str:
    """A head before a model is loaded."""
    return _head(kind, "…", "")


def run_head(slot: str, choices: Sequence[RunChoice], run_id: str, requested: str, backbone: Backbone) -> str:
    """Name, what was trained, and the select of runs; those that do not fit are listed with the reason."""
    choice = next((choice for choice in choices if choice.run.id == run_id), None)
    run = choice.run if choice else None
    sub = text(trained(run, backbone)) if run else f"no run on {text(backbone.spec.name)}"
    if typed := run_id.startswith(TEXT_RUN):
        sub = "a text in front, nothing trained"
    elif run_id.startswith(MIX):
        sub = "mixed on the tab Mix, nothing trained"
    select = _select(slot, choices, run_id, backbone)
    note = tag("p", text(choice.domain), cls="pl-note pl-domain meta") if choice and choice.domain else ""
    if requested and requested != run_id:
        why = next((choice.reason for choice in choices if choice.run.id == requested), "there is no such run")
        note += tag("p", f"{text(requested)}: {text(why)}.", cls="pl-note meta")
    if slot in TEXT_SLOTS:  # a text will do where there is no run
        return _head(slot, sub, select + text_field(run_id, slot, hidden=not typed) + note, run)
    return _head(slot, sub, (select if choices else "") + note, run)


def text_field(run_id: str, name: str, hidden: bool) -> str:
    """The field for a text prefix, visible beside a select whose choice is "text prefix…"."""
    attributes = {
        "value": run_id.removeprefix(TEXT_RUN) if run_id.startswith(TEXT_RUN) else "",
        "data_text": name,
        "aria_label": "Text prefix",
        "placeholder": "Type an instruction or an example, then Enter",
        "title": "Any text, read by the frozen model before the input, on a line of its own: a prefix without training",
        "maxlength": 1500,
        "spellcheck": "false",
        "hidden": "hidden" if hidden else None,
    }
    return tag("input", type="text", cls="pl-text", **attributes).removesuffix("</input>")


def _head(kind: str, sub: str, content: str, run: Run | None = None) -> str:
    titles = tag("h2", text(title(kind, run))) + tag("p", sub, cls="sub")
    return tag(
        "header", mark(kind, run) + tag("div", titles, title=title(kind, run)) + _arrange(kind) + content, cls=f"pl-head {kind}"
    )


def _arrange(slot: str) -> str:
    """Buttons that move or remove a column."""
    name = COLUMN_TITLES[slot]
    moves = [
        ("left", "‹", f"Move {name} to the left"),
        ("right", "›", f"Move {name} to the right"),
        ("remove", "×", f"Remove {name}"),
    ]
    buttons = [button(sign, data_move=move, title=title, aria_label=title) for move, sign, title in moves]
    return tag("span", "".join(buttons), cls="pl-arrange")


def _select(kind: str, choices: Sequence[RunChoice], run_id: str, backbone: Backbone) -> str:
    methods = methods_of_column(kind)
    methods = methods if kind != "other" else tuple(METHODS)
    near = [_option(kind, choice, run_id, backbone) for choice in choices if choice.run.method in methods]
    others = [_option(kind, choice, run_id, backbone) for choice in choices if choice.run.method not in methods]
    options = "".join(near)
    if kind in TEXT_SLOTS:
        options += tag("option", "text prefix…", value=TEXT_RUN, selected="selected" if run_id.startswith(TEXT_RUN) else None)
    if run_id.startswith(MIX):
        options += tag("option", text(mix_label(run_id)), value=run_id, selected="selected")
    if others:
        options += tag("optgroup", "".join(others), label="Other methods")
    if not run_id:
        options = tag("option", "No run fits this backbone", value="") + options
    return tag(
        "select",
        options,
        aria_label=f"Run of the column {COLUMN_TITLES[kind]}",
        data_chosen=TEXT_RUN if run_id.startswith(TEXT_RUN) else run_id,
        cls="pl-run",
        name=COLUMN_METHODS.get(kind, kind),
    )


def _option(kind: str, choice: RunChoice, run_id: str, backbone: Backbone) -> str:
    run = choice.run
    off = "disabled" if choice.reason else None
    name = run.id if choice.reason else label(run, backbone, kind) + (f", {choice.domain}" if choice.domain else "")
    caption = f"{name} ({choice.reason})" if choice.reason else name + ("" if run.status == "done" else " (stopped early)")
    return tag("option", text(caption), value=run.id, disabled=off, selected="selected" if run.id == run_id else None)
