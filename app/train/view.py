"""HTML of the Train tab: the estimate, the progress of a training, its samples, and the list of runs."""

import json
import time
from collections.abc import Sequence
from urllib.parse import urlencode

from analysis.space.spaces import EMBEDDINGS
from app.shared.html import copy_button, count, size, tag, text
from app.shared.method_labels import column_of
from core.config.methods import method_info
from core.data.uploads import FilePreview
from core.models.backbone import Backbone
from core.runs.manage import Deleted
from core.runs.run import Run
from core.runs.status import RunStatus, TrainingLog
from core.text.checks import counted, duration, percent
from core.text.detokenize import detokenise
from core.training.estimate import TrainingEstimate
from core.training.sample_log import Sample

STATES = {
    "queued": "Waiting",
    "loading": "Loading",
    "running": "Training",
    "finishing": "Saving",
    "done": "Done",
    "cancelled": "Stopped",
    "failed": "Failed",
    "interrupted": "Interrupted",
}
LISTED = 40  # runs on the page
OFFERED = 3  # interrupted trainings above the tabs
MOST_BAD_ROWS = 5  # rows that cannot be used


# ---- before starting


def facts(estimate: TrainingEstimate, backbone: Backbone, data: str, unknown: str = "") -> str:
    """Show parameters, file size and time before the start. `unknown`: on words that the tokenizer does not know."""
    whole = backbone.spec.parameters
    trains = f"{count(estimate.trained)} parameters, {percent(estimate.trained / whole)} of {text(backbone.spec.name)}"
    keeps = f"{count(estimate.stored)} parameters, {size(estimate.bytes)}"
    rows = [
        ("Trains", trains if estimate.trained else "nothing: examples stand as text before every input"),
        ("Keeps", keeps if estimate.trained else "that text"),
        ("Data", data),
        (
            "Takes",
            tag("b", f"about {duration(estimate.seconds)}")
            + " here"
            + (f", {counted(estimate.updates, 'update')}" if estimate.updates else ""),
        ),
    ]
    note = tag("p", text(unknown), cls="meta", role="status") if unknown else ""
    return tag("dl", "".join(tag("dt", name) + tag("dd", value) for name, value in rows), cls="pl-facts-list") + note


def command_box(line: str, title: str = "The same on the command line") -> str:
    """Show the equivalent command line, to copy."""
    head = tag("h4", title) + copy_button(line)
    return tag("div", head, cls="pl-command-head") + tag("code", text(line))


def preview(file: FilePreview, bad: Sequence[str] = (), good: int | None = None, odd: Sequence[str] = ()) -> str:
    """Show the first rows of a file, its unusable rows, and warnings."""
    head = tag("tr", "".join(tag("th", text(name)) for name in file.columns))
    rows = "".join(tag("tr", "".join(tag("td", text(cell)) for cell in row)) for row in file.rows)
    html = tag("div", tag("table", head + rows), cls="pl-preview", tabindex="0")
    if good is not None:
        html += tag(
            "p", f"{counted(good, 'row')} can be used" + (f", {len(bad):,} cannot and are left out:" if bad else "."), cls="meta"
        )
    html += "".join(tag("p", text(sentence), cls="meta pl-odd", role="status") for sentence in odd)
    if bad:
        more = tag("li", f"and {len(bad) - MOST_BAD_ROWS:,} more") if len(bad) > MOST_BAD_ROWS else ""
        html += tag("ul", "".join(tag("li", text(sentence)) for sentence in bad[:MOST_BAD_ROWS]) + more, cls="pl-bad meta")
    return html


# ---- one training


def run_head(run_id: str, state: str, run_status: RunStatus, run: Run | None, status: str, links: str = "") -> str:
    """Show name, state, progress and actions of a run."""
    title = tag("h2", text(run_id)) + tag("span", STATES.get(state, "No such run"), cls=f"pl-state {state}", data_state=state)
    parts = [tag("div", title + tag("div", _actions(run_id, state, run_status, run), cls="pl-acts"), cls="pl-run-title")]
    if _has_bar(state, run_status):
        parts.append(_bar(run_status))
    parts.append(tag("p", status, cls="pl-run-status", role="status"))
    return tag("section", "".join(parts) + links + _delete(run_id, state, run), cls="pl-run-head")


def _has_bar(state: str, run_status: RunStatus) -> bool:
    """Whether the share of finished updates is known. A finished run records only the updates made, not the planned ones."""
    if state in ("running", "finishing"):
        return run_status.total > 0
    return state in ("interrupted", "cancelled", "queued", "loading") and run_status.update < run_status.total


def _bar(run_status: RunStatus) -> str:
    filled, done = tag("i", "", style=f"width:{100 * run_status.fraction:.1f}%"), f"{100 * run_status.fraction:.0f}"
    limits = {"aria_valuemin": "0", "aria_valuemax": "100", "aria_valuenow": done}
    return tag("div", filled, cls="pl-progress", role="progressbar", aria_label="Progress", **limits)


def _actions(run_id: str, state: str, run_status: RunStatus, run: Run | None) -> str:
    acts: list[tuple[str, str, str]] = []
    if state == "running":
        acts.append(("stop", "Stop and keep", "Stop after this update; what was learned is saved"))
    elif state == "loading":
        acts.append(("stop", "Stop", "It has not made an update"))
    elif state == "queued":
        acts.append(("stop", "Remove from the queue", "It has not started"))
    elif state != "finishing":
        if run_status.resumable and state in ("interrupted", "cancelled"):
            acts.append(("go", "Resume", "From the last checkpoint"))
        if run is not None:
            acts.append(("export", "Export", "Save as a zip"))
    return "".join(_button(name, act, run_id, title) for act, name, title in acts)


def _delete(run_id: str, state: str, run: Run | None) -> str:
    """At the bottom of the card, away from Stop."""
    if state in ("", "running", "loading", "queued", "finishing") or (run is not None and run.bundled):
        return ""
    return tag("div", _button("Delete", "delete", run_id, "To the trash; it can be restored"), cls="pl-run-foot")


def deleted(run_id: str) -> str:
    """Shown instead of a run that was moved to the trash."""
    sentence = f"{tag('b', text(run_id))} was moved to the trash. "
    return tag("section", tag("p", sentence + _button("Undo", "restore", run_id)), cls="pl-empty")


def interrupted_view(trainings: Sequence[tuple[str, RunStatus]]) -> str:
    """Show interrupted trainings, each with its actions."""
    rows = []
    for run_id, run_status in trainings[:OFFERED]:
        sentence = (
            f"was interrupted at update {run_status.update:,} of {run_status.total:,}. It can resume from its last checkpoint."
        )
        acts = _button("Resume", "go", run_id, tab="train") + _button("Show", "open", run_id, tab="train")
        rows.append(tag("li", tag("span", f"The training {tag('b', text(run_id))} {sentence}") + acts))
    more = tag("li", f"and {len(trainings) - OFFERED:,} more, on the tab Train") if len(trainings) > OFFERED else ""
    return tag("ul", "".join(rows) + more, role="status") if rows else ""


def _button(name: str, act: str, run_id: str, title: str = "", tab: str | None = None) -> str:
    """`tab`: the tab that it also opens."""
    return tag("button", name, type="button", data_do=act, data_run=run_id, title=title, data_tab=tab, cls="pl-btn pl-act")


def progress_text(run_status: RunStatus, log: TrainingLog) -> str:
    """Describe the progress of a training in one line."""
    pace = log.rows_per_second()
    parts = [f"Update {run_status.update:,} of {run_status.total:,}"]
    if log.loss:
        parts.append(f"loss {log.loss[-1]:.3f}")
    if log.valid:
        parts.append(f"validation {log.valid[-1][1]:.3f}")
    if log.distance:
        parts.append(f"distance from its text {log.distance[-1]:.3f}")
    if log.rate:
        parts.append(f"rate {log.rate[-1]:.1e}")
    if pace:
        parts.append(f"{pace:.1f} examples/s")
    if len(log.seconds) > 1 and run_status.update:
        each = log.seconds[-1] / len(log.seconds)
        parts.append(f"about {duration(each * (run_status.total - run_status.update))} left")
    return " · ".join(parts)


def result_text(run: Run, whole: int | None = None, distance: float | None = None) -> str:
    """Describe what a run learned, and what it cost. `whole`: the backbone's parameters; `distance`: from the text that it was
    kept near."""
    title = text(method_info(run.method).title)
    if not run.trained:
        valid = f" Validation loss {run.valid_loss:.3f}." if run.valid_loss is not None else ""
        return f"{title} on {text(run.backbone)}: nothing is trained.{valid}"
    share = f" ({percent(run.stored / whole)} of {text(run.backbone)})" if whole else ""
    valid = f", validation loss {run.valid_loss:.3f}" if run.valid_loss is not None else ""
    near = f" Kept near “{text(str(run.config.get('near_text')))}”: distance {distance:.3f}." if distance is not None else ""
    return (
        f"{title} on {text(run.backbone)}: {counted(run.updates, 'update')} in {duration(run.seconds)}{valid}.{near} "
        f"Trained {count(run.trained)} parameters, keeps {count(run.stored)}{share}, {size(run.bytes)}."
    )


def links(run: Run, example: str, backbone: str) -> str:
    """Links to the tabs that show a run; a method without virtual tokens has nothing to show in two of them."""
    column = column_of(run.method)
    here = {column: run.id, "task": run.task.name} | ({"example": example} if example else {})
    here |= {"backbone": backbone} if backbone else {}
    tabs: list[tuple[str, dict[str, str]]] = [("Compare", {})]
    if column == "prefix":
        space = {"space": EMBEDDINGS} if method_info(run.method).at_input else {}
        tabs += [("Attention", {"tab": "attention"}), ("Prefix space", {"tab": "space", "among": run.id} | space)]
    anchors = [tag("a", f"{name} with it", href="?" + urlencode(here | more), cls="pl-btn pl-link") for name, more in tabs]
    return tag("nav", "".join(anchors), cls="pl-links", aria_label="See it in")


def details(run: Run) -> str:
    """Name and notes of a user's run, to be changed; the command that trained it."""
    line = command_box(run.command, "The command that trained it") if run.command else ""
    if run.bundled:
        notes = tag("p", text(run.notes), cls="meta") if run.notes else ""
        return tag("section", tag("p", "This run comes with the project.", cls="meta") + notes + line, cls="pl-details")
    name = tag("label", "Name" + '<input name="name" maxlength="80" value="' + text(run.id) + '">')
    notes = tag("label", "Notes" + tag("textarea", text(run.notes), name="notes", rows="2", maxlength="2000"))
    save = _button("Save name and notes", "save", run.id)
    return tag("section", tag("form", name + notes + save) + line, cls="pl-details")


# ---- what the example becomes


def samples_view(samples: Sequence[Sample], run_id: str) -> str:
    """Show the sampled example of a run: its source, the frozen model's text, the current text, and a timeline of earlier
    texts."""
    if not samples:
        return ""
    last, stretches = samples[-1], _stretches(samples)
    lead = "One example that is not trained on, generated again during the training."
    heading = tag("header", tag("h3", "Watch it learn") + tag("p", lead, cls="lead"))
    source = tag("p", text(last.get("source", "")), cls="pl-watch-source")
    rows = [_sample("Frozen model", str(last["frozen"]), "", "frozen")] if isinstance(last.get("frozen"), str) else []
    rows.append(_sample(f"Update {last['update']:,}", last["text"], _mass(last), "latest"))
    rows.append(_sample("A person", str(last.get("reference", "")), "", "person"))
    earlier = "".join(_sample(when, generated, _mass(sample), None) for when, generated, sample in reversed(stretches[:-1]))
    title = f"Its {len(stretches) - 1} earlier texts" if len(stretches) > 2 else "Its earlier text"
    more = tag("details", tag("summary", title) + tag("ol", earlier)) if earlier else ""
    body = heading + source + tag("ol", "".join(rows)) + (_timeline(stretches) if earlier else "") + more
    return tag("section", body, cls="pl-panel pl-watch", data_run=run_id)


def _timeline(stretches: Sequence[tuple[str, str, Sample]]) -> str:
    """A slider over the texts so far, and a play button; app/train/train.js moves them into the latest row."""
    frames = [[f"Update {when}", detokenise(generated) or "(nothing)", _mass(sample)] for when, generated, sample in stretches]
    last = str(len(frames) - 1)
    replay = tag(
        "button", "Replay", type="button", data_replay="", cls="pl-btn", title="Play the texts from the first to the last"
    )
    slider = tag("input", "", type="range", min="0", max=last, value=last, step="1", aria_label="Which of its texts is shown")
    return tag("div", replay + slider, cls="pl-timeline", data_frames=json.dumps(frames, ensure_ascii=False))


def context_view(content: str) -> str:
    """The text of an in-context run."""
    lead = tag("p", "What the frozen model reads before every input.", cls="lead")
    heading = tag("header", tag("h3", "Its text") + lead)
    return tag("section", heading + tag("pre", text(content), tabindex="0"), cls="pl-panel pl-context")


def _stretches(samples: Sequence[Sample]) -> list[tuple[str, str, Sample]]:
    """Group consecutive samples with the same text: (updates, text, the last sample)."""
    stretches: list[list[Sample]] = []
    for sample in samples:
        if stretches and stretches[-1][0]["text"] == sample["text"]:
            stretches[-1].append(sample)
        else:
            stretches.append([sample])
    return [(_when(some[0]["update"], some[-1]["update"]), some[0]["text"], some[-1]) for some in stretches]


def _when(first: int, last: int) -> str:
    return f"{first:,} to {last:,}" if last > first else f"{first:,}"


def _mass(sample: Sample) -> str:
    mass = sample.get("mass")
    if not isinstance(mass, list) or not mass:
        return ""
    return f"{100 * sum(mass) / len(mass):.0f} % of the attention on the prefix"


def _sample(when: str, generated: str, note: str, kind: str | None) -> str:
    body = tag("span", text(detokenise(generated) or "(nothing)"), cls="generated")
    small = tag("small", note, title="Mean of all layers and heads, while the text was written") if note else ""
    return tag("li", tag("b", when) + tag("div", body + small), cls=kind)


# ---- all runs


def run_list(rows: Sequence[tuple[str, str, RunStatus, Run | None]], selected: str, more: int) -> str:
    """The table of runs. `rows`: id, state, status and, if it is finished, the run."""
    if not rows:
        return tag("p", "No runs yet.", cls="meta")
    body = "".join(_run_row(*row, selected=row[0] == selected) for row in rows[:LISTED])
    names = ("Run", "Method", "State", "Keeps", "Loss", "When")
    table = tag("table", tag("tr", "".join(tag("th", name) for name in names)) + body)
    older = tag("p", f"and {more:,} older ones: python launch.py runs", cls="meta") if more > 0 else ""
    return tag("div", table, cls="pl-scroll") + older


def _run_row(run_id: str, state: str, run_status: RunStatus, run: Run | None, selected: bool) -> str:
    name = tag("button", text(run_id), type="button", data_do="open", data_run=run_id, cls="pl-open", title="Show this run")
    method = run.method if run else str(run_status.config.get("method", ""))
    progress = (
        f" {100 * run_status.fraction:.0f} %"
        if state in ("running", "interrupted", "cancelled") and _has_bar(state, run_status)
        else ""
    )
    stored = size(run.bytes) if run else ""
    loss = f"{run.valid_loss:.2f}" if run and run.valid_loss is not None else ""
    when = ("bundled" if run.bundled else run.created[:16].replace("T", " ")) if run else ""
    state_html = tag("span", STATES.get(state, state) + progress, cls=f"pl-state {state}")
    cells = [name, text(method_info(method).title), state_html, stored, loss, text(when)]
    return tag("tr", "".join(tag("td", cell) for cell in cells), aria_selected="true" if selected else None)


def trash_view(trash: Sequence[Deleted]) -> str:
    """The deleted runs that can be restored."""
    if not trash:
        return ""
    rows = [
        tag("li", tag("span", text(one.id)) + tag("small", _ago(one.when)) + _button("Restore", "restore", one.id))
        for one in trash[:5]
    ]
    empty = tag("button", "Empty the trash", type="button", data_do="empty", data_sure="Delete for good", cls="pl-btn pl-act")
    title = tag("h4", f"In the trash: {len(trash)}")
    return tag("section", tag("header", title + empty) + tag("ul", "".join(rows)), cls="pl-bin")


def _ago(when: float) -> str:
    return f"deleted {duration(max(0.0, time.time() - when))} ago"
