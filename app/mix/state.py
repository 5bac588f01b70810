"""What the Mix tab keeps in the page's address."""

from dataclasses import dataclass, field, replace

from app.shared.urlstate import State, url_field
from app.space.state import joined, parted
from core.methods.loading import TEXT_RUN
from core.prefix.mix import KINDS, MOST, ONE_MEMBER

COUNTS = {kind: 1 if kind in ONE_MEMBER else 2 for kind in KINDS}  # members that a kind takes
THREE = ("fade", "join", "average")  # kinds that may have a third
MIDDLE = -1


@dataclass(frozen=True)
class MixState(State):
    """`runs`: up to three ids in one value, quoted where they hold commas; `stop`: a place of the slider from 0, MIDDLE for its
    middle; `example`: a bundled example, empty for the input on Compare; `unavailable`: runs of the address that the backbone
    does not have, which are named until a control is used."""

    kind: str = url_field("", lambda value: value in ("", *KINDS), key="mix-kind")
    runs: str = url_field("", key="mix-runs")
    stop: int = url_field(MIDDLE, lambda value: MIDDLE <= value < 1000, key="mix-stop")
    example: str = url_field("", lambda value: len(value) <= 80, key="mix-example")
    unavailable: tuple[str, ...] = field(default=(), compare=False)

    @property
    def members(self) -> tuple[str, ...]:
        """The runs, those that are texts included."""
        return tuple(parted(self.runs)[:MOST])

    def shown(self, stops: int) -> int:
        """The place that is shown of a slider with so many stops; in the middle are, of kinds without a strength, the mixes."""
        last = stops - 1
        middle = last - 1 if self.kind in ("join", "swap") else last // 2
        return middle if self.stop == MIDDLE else min(self.stop, last)

    def with_member(self, place: int, run: str) -> "MixState":
        """Another run at a place from 0; an empty one takes the place away."""
        members = list(self.members)
        members[place : place + 1] = [run] if run and run != TEXT_RUN else []
        return self._with(runs=joined(members[:MOST]))

    def changed(self, name: str, value: object) -> "MixState":
        """After a control was used; as it is where the page sent nothing usable."""
        if name == "kind" and value in KINDS:
            return self._with(kind=str(value), stop=MIDDLE)
        if name == "example":
            return self._with(example=str(value)[:80])
        if name == "stop" and str(value).isdecimal():
            return self._with(stop=int(str(value)))
        return self

    def _with(self, **values: object) -> "MixState":
        return replace(self.settled(), unavailable=(), **values)  # type: ignore[arg-type]
