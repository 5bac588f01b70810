"""The columns as HTML: text, marks, coverage, and how generation ended."""

from dataclasses import dataclass, field
from functools import lru_cache

from analysis.metrics.coverage import Coverage, cover, cover_article
from analysis.metrics.unsupported import LIMITS
from app.compare.comparison import Column, Comparison
from app.compare.model_card import card_texts
from app.compare.prompting import INSTRUCTION
from app.shared.highlight import render, word_diff
from app.shared.html import problem, tag, text
from app.shared.method_labels import COLUMN_METHODS, title, train_command
from core.text.checks import counted, listing
from core.text.detokenize import readable
from core.text.tables import Fields

ENDS = {
    "eos": "ended by itself",
    "length": "cut at the token limit",
    "cancelled": "stopped before its end",
    "streaming": "writing…",
    "searching": "the best beam so far; it may change",
    "waiting": "waiting…",
}


_cover_article = lru_cache(maxsize=32)(cover_article)  # an article is long, and a text is drawn several times


@dataclass
class MarkedText:
    """A column's readable text, with where it differs, which values it covers, and what the input does not support."""

    text: str
    coverage: Coverage | None = None
    different: list[tuple[int, int]] = field(default_factory=list)
    fields: Fields = field(default_factory=list)


def mark_texts(comparison: Comparison, fields: Fields) -> dict[str, MarkedText]:
    """Return detokenised texts by slot; with coverage once they have ended, and a word diff once the first two runs have."""
    article = comparison.request.source if comparison.request.form == "article" else ""
    texts = {kind: MarkedText(readable(column.text, comparison.request.form)) for kind, column in comparison.columns.items()}
    whole = [slot for slot, column in comparison.columns.items() if column.text and not column.is_open]
    for slot in whole:
        if fields:
            texts[slot].coverage, texts[slot].fields = cover(fields, texts[slot].text), fields
        elif article:
            texts[slot].coverage = _cover_article(article, texts[slot].text)
    pair = [slot for slot in comparison.columns if slot != "base"][:2]  # the first two runs are set against each other
    if len(pair) == 2 and set(pair) <= set(whole):
        left, right = (texts[slot] for slot in pair)
        left.different, right.different = word_diff(left.text, right.text)
    return texts


def columns(comparison: Comparison, fields: Fields) -> dict[str, str]:
    """The HTML of the columns by slot."""
    texts = mark_texts(comparison, fields)
    return {slot: column(data, texts[slot], comparison) for slot, data in comparison.columns.items()}


def column(data: Column, marks: MarkedText, comparison: Comparison) -> str:
    """One column."""
    if data.state == "missing":
        return _frame(data, missing(data.kind, comparison.request.name, comparison.request.form))
    if data.state == "error":
        return _frame(data, problem(data.note))
    values, unsupported = (marks.coverage.spans, marks.coverage.unsupported_spans) if marks.coverage else ([], ())
    caret = tag("i", "", cls="caret") if data.is_open else ""
    empty_text = "It had not begun when it was stopped." if data.state == "cancelled" else "The model wrote nothing."
    parts = [
        tag("div", render(marks.text, marks.different, values, unsupported) + caret, cls="generated"),
        tag("div", text(data.text) + caret, cls="generated raw"),
        tag("p", empty_text, cls="meta") if not (data.text or data.is_open) else "",
        tag("p", _meta(data), cls="meta"),
        coverage_chips(marks.coverage, marks.fields) if marks.coverage else "",
        as_read(data, comparison),
        why(comparison) if data.kind == "base" and not data.is_open else "",
    ]
    return _frame(data, "".join(parts))


def as_read(data: Column, comparison: Comparison) -> str:
    """Show everything that the model reads: virtual tokens, the text before the input, the input, and the separator."""
    if data.task is None or data.read is None:
        return ""
    source = comparison.request.source if data.kind != "base" else comparison.request.source.strip()
    virtual = tag("b", f"[{counted(data.virtual, 'virtual token')}]") + " " if data.virtual else ""
    around = [tag("mark", _visible(part)) if part else "" for part in (data.task.lead, data.task.separator)]
    cut = tag("i", " … cut here") if data.read.is_cut else ""
    content = tag("code", virtual + around[0] + text(source[: data.read.end]) + cut + around[1])
    window = comparison.backbone.spec.window_note if data.virtual else ""
    content += tag("p", text(window), cls="meta") if window else ""
    count = counted(len(data.prompt_ids), "token")
    if data.task.input_format == "article":  # the note below the article counts those only
        count += f", {data.read.used:,} of them the article's"
    return tag("details", tag("summary", f"As the model reads it: {count}") + content, cls="pl-read")


def _visible(part: str) -> str:
    """Show the spaces and line ends of a layout as symbols."""
    lines = text(part).replace(" ", "␣") if not part.strip() else text(part)
    return lines.replace("\n", "⏎\n")


def why(comparison: Comparison) -> str:
    """Explain what the frozen model was trained on, and what prompts it."""
    backbone, prompt = comparison.backbone.spec, comparison.request.prompt
    texts = card_texts(backbone.name) if backbone.origin == "bundled" else ()  # a folder of that name is another model
    read = f"Its card says that it has read {listing(texts)}. " if texts else ""
    asks = {"": "Only the input", INSTRUCTION: "The instruction"}.get(prompt, "The example" if prompt == "1" else "The examples")
    verb = "say" if asks.endswith("s") else "says"
    article = "a summary" if comparison.request.form == "article" else "a text"
    sentence = f"{read}{asks} {verb} that {article} is wanted; a prefix does so by trained vectors, and no weight changes."
    return tag("p", text(sentence), cls="why")


def _frame(data: Column, content: str) -> str:
    return tag(
        "article", content, cls=f"pl-col {data.kind}", data_state=data.state, aria_label=f"{title(data.kind, data.run)}: output"
    )


def _meta(data: Column) -> str:
    end = tag("span", ENDS[data.state], cls=f"end {data.state}")
    if not data.tokens:
        return end
    rate = data.tokens / data.seconds if data.seconds else 0
    speed = f"{rate:.0f} tokens/s" if rate >= 10 else f"{rate:.1f} tokens/s"
    return tag("span", counted(data.tokens, "token")) + tag("span", speed, title="Within its own batch") + end


_TRAINING_DATA = {  # form of the input: the options that name data, and that data in words
    "table": ("", "on the bundled tables"),
    "article": ("--task summarization --data articles-folder", "on articles with their summaries"),
    "text": ("--set columns --data mine.csv --source COLUMN --target COLUMN --source-form text", "on a file of your own"),
}


def missing(kind: str, backbone: str, form: str) -> str:
    """Explain why a column has no run for an input format, and how to get one."""
    method, task = COLUMN_METHODS.get(kind, "prefix"), "" if form == "table" else " for this task"
    data, where = _TRAINING_DATA.get(form, (f"--set {form} --data {form}-folder", "on the set's own files"))
    reason = f"This backbone has no {'fine-tuned copy' if method == 'finetune' else 'prefix'}{task} yet."
    return tag(
        "div",
        tag("p", reason)
        + tag("p", "Train one on the Train tab, or choose another run above. It appears here when it is done.")
        + tag("p", f"From the command line, {where}:", cls="meta")
        + tag("code", text(train_command(method, backbone, data))),
        cls="pl-missing",
    )


def coverage_chips(coverage: Coverage, fields: Fields) -> str:
    """Show which values are covered, which are missing, and what the table does not support."""
    left_out = [f"{key}: {value}" for (key, value), covered in zip(fields, coverage.covered, strict=True) if not covered]
    total = len(coverage.present) + len(coverage.missing)
    rows = [
        _chips(f"covered, {len(coverage.present)} of {total}", "present", coverage.present),
        _chips("left out", "missing", left_out),
        _chips("unsupported", "beyond", coverage.unsupported),
    ]
    return tag("div", "".join(rows), cls="chips", title=LIMITS)


def _chips(label: str, name: str, items: list[str]) -> str:
    if not items:
        return ""
    return tag("p", tag("span", label, cls="lead") + "".join(tag("span", text(item), cls=f"chip {name}") for item in items))


RERANKED = "With Rerank, the same check also chooses each text among the beams; Beam shows the most likely one."


def legend() -> str:
    """Explain the marks in the texts, one line for each kind of marks; the page shows the current one."""
    value = tag("span", tag("span", "a value of the table", cls="v"), cls="of-table")
    support = value + tag("span", tag("span", "unsupported", cls="u") + ": not in the input")
    support += tag("span", f"{LIMITS} {RERANKED}", cls="limits")
    differs = tag("span", tag("span", "a word", cls="d") + " that the first two runs do not share")
    return tag("p", support, cls="pl-legend", data_of="values") + tag("p", differs, cls="pl-legend", data_of="difference")


def empty(kind: str) -> str:
    """Show a column without a text, after an error that the status line reports."""
    sentence = tag("p", "No text: the line at the foot of the page says why.", cls="meta")
    return tag("article", sentence, cls=f"pl-col {kind}", data_state="idle")


def skeleton(kind: str) -> str:
    """Show grey lines instead of a text while the page loads."""
    lines = tag("div", tag("i") * 4, cls="pl-skeleton", role="status", aria_label="Loading")
    return tag("article", lines, cls=f"pl-col {kind}", data_state="loading")
