"""Fixed or nearly fixed HTML of the Compare tab."""

import re
from collections.abc import Sequence

from app.shared.examples import Sample, samples
from app.shared.html import tag, text
from app.shared.method_labels import COLUMN_TITLES

MARKS = [
    ("values", "Support", "Mark what the input supports in the texts, and what it does not"),
    ("difference", "Difference", "Mark the words that the first two runs do not share"),
    ("none", "Plain", "No marks"),
]

OUTSIDE = {"table": "Topics that E2E does not have", "triples": "Topics not trained on"}


def view_buttons() -> str:
    """Marks, raw text and, in the presenter's view, which panels are shown. The page's script acts on them."""
    marks = [_button(name, data_marks=mark, title=title) for mark, name, title in MARKS]
    panels = [_button(name, data_panel=kind, aria_pressed="false") for kind, name in COLUMN_TITLES.items()]
    raw = _button("Raw", data_act="raw", title="The text exactly as the model wrote it", aria_pressed="false")
    return (
        tag("div", "".join(marks), cls="pl-segment marks", role="group", aria_label="Marks")
        + tag("div", raw, cls="pl-segment single")
        + tag("div", "".join(panels), cls="pl-segment panels", role="group", aria_label="Panels shown")
    )


def sample_buttons(current: str, form: str = "table") -> str:
    """The examples of a form by topic, those of the paper's sets first; the one in the table is pressed."""
    inside = [sample for sample in samples(form) if in_domain(sample)]
    outside = [sample for sample in samples(form) if not in_domain(sample)]
    other = OUTSIDE["table" if form == "table" else "triples"]
    return _topics(inside, current) + (tag("h4", other, cls="pl-outside") + _topics(outside, current) if outside else "")


def in_domain(sample: Sample) -> bool:
    """Whether the paper's set of the sample's kind has its topic among its training rows: restaurants in E2E, the categories seen
    in WebNLG's training. Articles have no such set."""
    return sample.seen is not False and (not sample.fields or sample.seen is True or sample.topic == samples("table")[0].topic)


def _topics(listed: Sequence[Sample], current: str) -> str:
    rows = []
    for topic in dict.fromkeys(sample.topic for sample in listed):
        ones = [sample for sample in listed if sample.topic == topic]
        buttons = [
            _button(sample.title, data_sample=sample.id, aria_pressed="true" if sample.id == current else "false")
            for sample in ones
        ]
        rows.append(tag("dt", text(words_of_topic(topic)) + _apart(ones[0])) + tag("dd", "".join(buttons)))
    return tag("dl", "".join(rows), cls="pl-samples")


def words_of_topic(topic: str) -> str:
    """ "MeanOfTransportation" as a person writes it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", topic).capitalize() if topic[:1].isupper() else topic


def _apart(sample: Sample) -> str:
    """What tells a topic from those that were trained on."""
    if sample.seen is False:
        return tag("small", " unseen", title="WebNLG's training data has nothing of this category")
    return tag("small", " held out", title="Not among the project's own training rows") if sample.held_out else ""


def _button(shown: str, /, **attributes: str) -> str:
    return tag("button", text(shown), type="button", cls="pl-btn", **attributes)


def source_table(rows: Sequence[Sequence[str]]) -> str:
    """The table at a glance, for the presenter's view: fields, or triples with their subjects."""
    pairs = [(" · ".join(names), value) for *names, value in rows]
    return tag("dl", "".join(tag("div", tag("dt", text(key)) + tag("dd", text(value))) for key, value in pairs), cls="pl-glance")
