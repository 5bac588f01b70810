"""The keyboard: one list of keys, from which the page's table of keys is built. The tabs' scripts handle them."""

from dataclasses import dataclass

from app.shared.html import table, tag, text

DIALOG = "pl-keys"


@dataclass(frozen=True)
class KeyBinding:
    """`keys`: as printed on a keyboard, alternatives separated by spaces; `where`: what has to be open or focused."""

    keys: str
    where: str
    action: str


KEYS = (
    KeyBinding("Ctrl+Enter", "anywhere", "generate"),
    KeyBinding("Esc", "anywhere", "stop, and keep the text so far"),
    KeyBinding("← →", "anywhere", "previous or next example"),
    KeyBinding("P", "anywhere", "presenter's view: large type for a projector"),
    KeyBinding("?", "anywhere", "this table"),
    KeyBinding("← → Home End", "a tab in focus", "open another tab"),
    KeyBinding("[ ]", "Attention, Prefix space", "previous or next layer"),
    KeyBinding("← → ↑ ↓", "Attention, a grid in focus", "choose a tile"),
    KeyBinding("Enter", "Attention, a token in focus", "keep it chosen"),
    KeyBinding("PageUp PageDown", "a lesson", "one step back or on; so do ← and →"),
    KeyBinding("1 2 3 4", "a lesson", "answer"),
    KeyBinding("Esc", "a lesson", "end it"),
    KeyBinding("Esc", "a menu", "close it, and nothing else"),
)


def dialog() -> str:
    """The table of keys, which `?` and the button Keys open."""
    rows = "".join(
        tag("tr", tag("td", _caps(binding.keys)) + tag("td", text(binding.action)) + tag("td", text(binding.where)))
        for binding in KEYS
    )
    close = tag("form", tag("button", "Close", cls="pl-btn"), method="dialog")
    return tag("dialog", tag("h2", "Keys") + table(("Key", "Action", "Where"), rows) + close, id=DIALOG, aria_label="Keys")


def _caps(keys: str) -> str:
    return " ".join(tag("kbd", text(key)) for key in keys.split())
