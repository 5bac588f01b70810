"""What the Train tab keeps in the page's address."""

from dataclasses import dataclass

from app.shared.urlstate import State, url_field


@dataclass(frozen=True)
class RunAddress(State):
    """The run that is shown."""

    run: str = url_field("", key="job")
