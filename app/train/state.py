"""What the Train tab keeps in the page's address."""

from dataclasses import dataclass

from app.shared.urlstate import State
from app.shared.urlstate import kept as in_address


@dataclass(frozen=True)
class RunAddress(State):
    """The run that is shown."""

    run: str = in_address("", key="job")
