"""The gallery of examples as HTML: a summary for trained topics and for others, then the texts side by side."""

from analysis.metrics.base import Score
from app.compare.columns import coverage_chips
from app.compare.example_buttons import NOT_TRAINED_ON, words_of_topic
from app.compare.gallery import Gallery, GalleryText
from app.shared.examples import Sample, split_by_domain
from app.shared.highlight import render
from app.shared.html import tag, text
from app.shared.method_labels import mark, titles
from core.text.checks import counted

LEAD = "What each run leaves out of the table and what it adds, example by example."


def gallery(result: Gallery) -> str:
    """Show the whole panel."""
    heading = tag("h3", "All examples") + tag("p", LEAD, cls="lead")
    body = tag("p", text(_state(result)), cls="meta", role="status") + _summary(result)
    for name, among in parts(result.form, result.task):
        body += tag("h4", text(name)) + "".join(_row(result, sample) for sample in among)
    return tag("section", tag("header", heading) + body, cls="pl-panel gallery", data_state="open" if result.open else "done")


def parts(form: str, task: str = "") -> list[tuple[str, list[Sample]]]:
    """Divide the samples into topics of the task's training rows, and others."""
    inside, outside = split_by_domain(form, task)
    if form != "table":
        return [("Categories seen in training", inside), ("Categories not seen in training", outside)]
    if len({sample.topic for sample in inside}) == 1:
        return [(f"{inside[0].topic.capitalize()}, tables of E2E's kind", inside), ("Other topics", outside)]
    return [("Topics trained on", inside), (NOT_TRAINED_ON, outside)]


def _state(result: Gallery) -> str:
    runs = " and ".join(run.id for run in result.runs.values())
    state = (
        f"{result.done} of {len(result.texts)} texts"
        if result.open or result.done < len(result.texts)
        else counted(result.done, "text")
    )
    ended = "" if result.open or result.done == len(result.texts) else "; stopped"
    return f"{runs}, {result.decode.describe()}: {state}{ended}."


def progress(result: Gallery) -> tuple[str, str]:
    """Return (phase, sentence) for the status line."""
    if result.open:
        return "running", f"Running all examples: {result.done} of {len(result.texts)} texts."
    if result.done < len(result.texts):
        return "cancelled", f"All examples: stopped after {result.done} of {len(result.texts)} texts."
    return "done", f"All examples: {counted(result.done, 'text')}."


def _summary(result: Gallery) -> str:
    names = titles(result.runs)
    kinds = {kind: mark(kind, run) + text(names[kind]) for kind, run in result.runs.items()}
    over = tag("th", "") + "".join(tag("th", name, cls=kind, colspan="2", scope="col") for kind, name in kinds.items())
    heads = tag("th", "coverage", scope="col") + tag("th", "unsupported a text", scope="col")
    under = tag("th", "") + heads * len(kinds)
    rows = ""
    for name, among in parts(result.form, result.task):
        cells = "".join(_cells(result.scores(kind, among)) for kind in kinds)
        rows += tag("tr", tag("th", f"{text(name)}, n={len(among)}", scope="row") + cells)
    note = "Coverage: the share of the tables' values in the texts. Unsupported: what a table lacks. A string check, few texts."
    return tag("table", tag("thead", tag("tr", over) + tag("tr", under)) + tag("tbody", rows)) + tag("p", note, cls="meta")


def _cells(scores: list[Score]) -> str:
    if not scores:
        return tag("td", "–") * 2
    coverage, unsupported = scores
    recipe = f"n={coverage.n}; {coverage.signature}"
    return tag("td", f"{coverage.value:.0f} %", title=recipe) + tag("td", f"{unsupported.value:.1f}", title=recipe)


def _row(result: Gallery, sample: Sample) -> str:
    source = "".join(tag("li", text(": ".join(row) if len(row) == 2 else " · ".join(row))) for row in sample.rows)
    about = tag("div", tag("b", text(words_of_topic(sample.topic))) + tag("ul", source), cls="source")
    cells = [_cell(kind, name, result.texts[sample.id, kind], sample, result.open) for kind, name in titles(result.runs).items()]
    return tag("article", about + "".join(cells), cls="row", data_sample=sample.id)


def _cell(kind: str, name_of: str, result: GalleryText, sample: Sample, is_open: bool) -> str:
    name = tag("span", text(name_of), cls="kind")
    if result.text is None or result.coverage is None:
        return tag("div", name + tag("p", "writing…" if is_open else "stopped", cls="meta"), cls=f"pl-col {kind}")
    html = tag("p", render(result.text, (), result.coverage.spans, result.coverage.unsupported_spans), cls="text")
    return tag("div", name + html + coverage_chips(result.coverage, list(sample.fields)), cls=f"pl-col {kind}")
