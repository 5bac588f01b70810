"""What the Attention tab shows, as it stands in the address."""

import re
from dataclasses import dataclass, replace
from typing import Any

from app.comparison import KINDS
from app.urlstate import State, kept
from core.intervene import UNTOUCHED, Intervention

ALPHAS = {0.0: "0", 0.25: "¼", 0.5: "½", 1.0: "1", 2.0: "2", 4.0: "4"}
GROUPS = ("prefix", "source", "written")  # as analysis/attention.py numbers them
SAME = "same"  # beside a run that is turned up or down: the same run, untouched
_PLACE = re.compile(r"(?:P(\d{1,4}))?(?:L(\d{1,3}))?")


def places(out: str) -> list[tuple[int | None, int | None]]:
    """The knock-outs in "P3.L2.P1L4" as (virtual token, layer) from 0, None for all; ValueError where it is no such list."""
    found = []
    for part in filter(None, out.split(".")):
        match = _PLACE.fullmatch(part)
        if match is None or not part:
            raise ValueError(part)
        token, layer = (int(number) - 1 if number else None for number in match.groups())
        if token == -1 or layer == -1:
            raise ValueError(part)
        found.append((token, layer))
    return found


def _readable(out: str) -> bool:
    return len(places(out)) <= 200


@dataclass(frozen=True)
class AttentionState(State):
    """`column`: whose text (empty: the prefix's where there is one); `beside`: who else reads it: a run, a column's kind or SAME.

    `layer` and `head` count from 1, 0 is none; `out` is what `places` reads; `group`: on whose mass the heads are shown.
    """

    column: str = kept("", lambda value: value in KINDS, key="text")
    beside: str = kept("", lambda value: len(value) <= 2000)
    layer: int = kept(0, lambda value: 0 <= value <= 1000)
    head: int = kept(0, lambda value: 0 <= value <= 1000)
    alpha: float = kept(1.0, lambda value: value in ALPHAS)
    out: str = kept("", _readable)
    group: str = kept("prefix", lambda value: value in GROUPS, key="on")
    weigh: str = kept("", lambda value: value in ("", "values"))

    def turned(self, name: str, value: Any) -> "AttentionState":
        """After a control was used; as it is where the page sent nothing usable."""
        try:
            if name == "out":
                return self._toggled(str(value))
            if name == "reset":
                return replace(self, alpha=1.0, out="")
            if name == "step":
                return replace(self, layer=max(1, self.layer + int(value)), head=self.head or 1)
            found = next(one for one in self.__dataclass_fields__.values() if one.name == name and "key" in one.metadata)
            changed = type(getattr(self, name))(value)
            return replace(self, **{name: changed}) if found.metadata["check"](changed) else self
        except (ValueError, TypeError, StopIteration):
            return self

    def _toggled(self, place: str) -> "AttentionState":
        places(place)
        kept_out = [part for part in self.out.split(".") if part]
        rest = [part for part in kept_out if part != place]
        return replace(self, out=".".join(rest if place in kept_out else [*kept_out, place]))

    def intervention(self, length: int, layers: int) -> Intervention:
        """What is done to a prefix of so many virtual tokens and layers; places that it does not have are left out."""
        done = UNTOUCHED if self.alpha == 1 else Intervention(self.alpha)
        for token, layer in places(self.out):
            if (token is None or token < length) and (layer is None or layer < layers):
                done = done.without(token, layer)
        return done

    def missing(self, length: int, layers: int) -> list[str]:
        """The places of `out` that there are not."""
        return [
            part
            for part, (token, layer) in zip(self.out.split("."), places(self.out), strict=False)
            if (token is not None and token >= length) or (layer is not None and layer >= layers)
        ]
