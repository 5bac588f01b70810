"""Fixed or nearly fixed HTML of the Compare tab."""

from app.examples import samples
from app.html import NAMES, tag, text
from core.tables import Fields

MARKS = [
    ("values", "Values", "Mark the table's values in the texts"),
    ("difference", "Difference", "Mark the words that prefix and fine-tuned do not share"),
    ("none", "Plain", "No marks"),
]


def lanes() -> str:
    """What the columns share, as braces above them."""
    shared = tag("span", "one batch, one set of frozen weights: only the prefix differs", cls="lane shared")
    return shared + tag("span", "its own copy of all weights", cls="lane own")


def view_buttons() -> str:
    """Marks, raw text and, in the presenter's view, which panels are shown. The page's script acts on them."""
    marks = [_button(name, data_marks=mark, title=title) for mark, name, title in MARKS]
    panels = [_button(name, data_panel=kind, aria_pressed="false") for kind, name in NAMES.items()]
    raw = _button("Raw", data_act="raw", title="The text exactly as the model wrote it", aria_pressed="false")
    return (
        tag("div", "".join(marks), cls="pl-segment marks", role="group", aria_label="Marks")
        + tag("div", raw, cls="pl-segment single")
        + tag("div", "".join(panels), cls="pl-segment panels", role="group", aria_label="Panels shown")
    )


def sample_buttons(current: str) -> str:
    """The examples by topic; the one in the table is pressed."""
    rows = []
    for topic in dict.fromkeys(sample.topic for sample in samples()):
        listed = [sample for sample in samples() if sample.topic == topic]
        held = " held out" if listed[0].held_out else ""
        buttons = [
            _button(sample.title, data_sample=sample.id, aria_pressed="true" if sample.id == current else "false")
            for sample in listed
        ]
        name = text(topic) + (tag("small", held, title="Not among the project's own training rows") if held else "")
        rows.append(tag("dt", name) + tag("dd", "".join(buttons)))
    return tag("dl", "".join(rows), cls="pl-samples")


def _button(shown: str, /, **attributes: str) -> str:
    return tag("button", text(shown), type="button", cls="pl-btn", **attributes)


def source_table(fields: Fields) -> str:
    """The table at a glance, for the presenter's view."""
    return tag("dl", "".join(tag("div", tag("dt", text(key)) + tag("dd", text(value))) for key, value in fields), cls="pl-glance")
