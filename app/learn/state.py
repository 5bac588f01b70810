"""What the Learn tab keeps in the page's address, beside the names of the demonstration (`demo`) and the lesson (`lesson`)."""

from dataclasses import dataclass

from app.shared.urlstate import State, url_field


@dataclass(frozen=True)
class ContextState(State):
    """The demonstration of P(next word | context): words in front, the text, and the word that is watched."""

    front: str = url_field("She is a novelist.")
    words: str = url_field("She released her first")
    watch: str = url_field("novel")


@dataclass(frozen=True)
class FigureState(State):
    """The drawing of the method: which step of it (0 for the first), and of which run (empty for the first)."""

    figure: int = url_field(0, lambda value: 0 <= value <= 6)
    run: str = url_field("", key="drawn")
