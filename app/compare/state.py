"""What the Compare tab keeps in the page's address."""

from dataclasses import dataclass

from app.compare.comparison import LEAST, ORDER, SLOTS
from app.compare.prompting import PROMPTS
from app.shared.urlstate import SEEDS, State, url_field
from core.config.decode import MODES


def _is_order(value: str) -> bool:
    slots = value.split("-")
    return not value or (len(set(slots)) == len(slots) >= LEAST and set(slots) <= set(SLOTS))


@dataclass(frozen=True)
class CompareState(State):
    """`example` is the id of a bundled table or article; `source` a table of one's own, or `article` an article, and then
    `example` is empty. `columns`: the slots shown, in their order; `prompt`: how the frozen model is prompted."""

    backbone: str = url_field("")
    task: str = url_field("")
    prefix: str = url_field("")
    finetuned: str = url_field("")
    other: str = url_field("")
    columns: str = url_field("", _is_order)
    prompt: str = url_field("", lambda value: value in PROMPTS, key="base")
    example: str = url_field("")
    source: str = url_field("", key="table")
    article: str = url_field("")
    mode: str = url_field("", lambda value: value in MODES)  # "": what is usual for the task
    seed: int = url_field(0, lambda value: value in SEEDS)
    temperature: float = url_field(1.0, lambda value: 0.01 <= value <= 100)
    top_p: float = url_field(1.0, lambda value: 0.001 <= value <= 1)

    @property
    def order(self) -> tuple[str, ...]:
        """The slots shown, from left to right."""
        return tuple(self.columns.split("-")) if self.columns else ORDER


def move_column(columns: str, slot: str, move: str) -> str:
    """The columns ("base-prefix") after one has moved "left" or "right" or is gone ("remove"); the same where that cannot be."""
    slots = columns.split("-")
    if slot not in slots:
        return columns
    place = slots.index(slot)
    if move == "remove":
        return "-".join(other for other in slots if other != slot) if len(slots) > LEAST else columns
    neighbor = place + (1 if move == "right" else -1)
    if 0 <= neighbor < len(slots):
        slots[place], slots[neighbor] = slots[neighbor], slots[place]
    return "-".join(slots)


def add_column(columns: str) -> str:
    """The columns with the first slot that is not among them at the end."""
    slots = columns.split("-")
    return "-".join([*slots, *[slot for slot in SLOTS if slot not in slots][:1]])
