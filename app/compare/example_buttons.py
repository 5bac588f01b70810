"""HTML of the Compare tab's example and view buttons."""

import re
from collections.abc import Sequence

from app.shared.examples import Sample, split_by_domain
from app.shared.html import button, tag, text
from app.shared.method_labels import COLUMN_TITLES

MARKS = [
    ("values", "Support", "Mark what the input supports in the texts, and what it does not"),
    ("difference", "Difference", "Mark the words that the first two runs do not share"),
    ("none", "Plain", "No marks"),
]

NOT_TRAINED_ON = "Topics not trained on"
OUTSIDE = {"e2e": "Topics that E2E does not have"}  # task -> heading of the examples of other topics
FEW = 12  # topics of one example each that stand open


def view_buttons() -> str:
    """Buttons for marks, raw text and, in the presenter's view, panels. The page's script acts on them."""
    marks = [button(name, data_marks=mark, title=title) for mark, name, title in MARKS]
    panels = [button(name, data_panel=kind, aria_pressed="false") for kind, name in COLUMN_TITLES.items()]
    raw = button("Raw", data_act="raw", title="The text exactly as the model wrote it", aria_pressed="false")
    return (
        tag("div", "".join(marks), cls="pl-segment marks", role="group", aria_label="Marks")
        + tag("div", raw, cls="pl-segment single")
        + tag("div", "".join(panels), cls="pl-segment panels", role="group", aria_label="Panels shown")
    )


def sample_buttons(current: str, form: str = "table", task: str = "") -> str:
    """Buttons for the examples of a form by topic, the task's own topics first; the one in the table is pressed."""
    inside, outside = split_by_domain(form, task)
    other = tag("h4", OUTSIDE.get(task, NOT_TRAINED_ON), cls="pl-outside")
    return _topics(inside, current) + (other + _topics(outside, current) if outside else "")


def _topics(samples_of_part: Sequence[Sample], current: str) -> str:
    """One line per topic; many topics with one example each are buttons with the topic's name, folded."""
    by_topic: dict[str, list[Sample]] = {}
    for sample in samples_of_part:
        by_topic.setdefault(sample.topic, []).append(sample)
    single = [topic[0] for topic in by_topic.values() if len(topic) == 1]
    folded = single if len(single) > FEW else []
    rows = ""
    for topic, ones in by_topic.items():
        if ones[0] not in folded:
            buttons = "".join(_example_button(sample, sample.title, current) for sample in ones)
            rows += tag("dt", text(words_of_topic(topic)) + _apart(ones[0])) + tag("dd", buttons)
    lines = tag("dl", rows, cls="pl-samples")
    if not folded:
        return lines
    chips = "".join(_example_button(sample, words_of_topic(sample.topic), current, title=sample.title) for sample in folded)
    is_open = "open" if current in [sample.id for sample in folded] else None
    summary = tag("summary", f"{len(folded)} more topics")
    return lines + tag("details", summary + tag("div", chips, cls="pl-samples chips"), open=is_open, cls="pl-more")


def _example_button(sample: Sample, label: str, current: str, **attributes: str) -> str:
    return button(label, data_sample=sample.id, aria_pressed="true" if sample.id == current else "false", **attributes)


def words_of_topic(topic: str) -> str:
    """Write "MeanOfTransportation" as words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", topic).capitalize() if topic[:1].isupper() else topic


def _apart(sample: Sample) -> str:
    """Say how a topic differs from the trained ones."""
    if sample.seen is False:
        return tag("small", " unseen", title="WebNLG's training data has nothing of this category")
    return tag("small", " held out", title="Not among the project's own training rows") if sample.held_out else ""


def source_table(rows: Sequence[Sequence[str]]) -> str:
    """Show the table for the presenter's view: fields, or triples with their subjects."""
    pairs = [(" · ".join(names), value) for *names, value in rows]
    return tag("dl", "".join(tag("div", tag("dt", text(key)) + tag("dd", text(value))) for key, value in pairs), cls="pl-glance")
