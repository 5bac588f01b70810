"""Base of the settings classes: an unknown field or a bad value raises BadConfig, in a sentence that names it."""

import dataclasses
import difflib
import math
from collections.abc import Mapping
from typing import Self

from core.errors import BadConfig


class Config:
    """Base of the frozen settings classes: built from plain values, checked, and turned back into plain values."""

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        """Build from a dict; BadConfig names an unknown field and the nearest known one."""
        known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f" Did you mean {near[0]!r}?" if near else f" Choose one of: {', '.join(known)}."
                raise BadConfig(f"{cls.__name__} has no field {name!r}.{hint}")
        return cls(**values)

    def to_dict(self) -> dict[str, object]:
        """Return plain values, ready for JSON."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    def replace(self, **changes: object) -> Self:
        """Return a copy with some fields changed; it is checked like a new one."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def _check(self, ok: bool, name: str, rule: str) -> None:
        if not ok:
            raise BadConfig(f"{name} must be {rule}; given: {getattr(self, name)!r}.", name)

    def _check_number(self, name: str, low: float, high: float = math.inf, whole: bool = False) -> None:
        value = getattr(self, name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        kind = "a whole number" if whole else "a number"
        rule = f"{kind} of at least {_digits(low)}" if high == math.inf else f"{kind} from {_digits(low)} to {_digits(high)}"
        self._check(number and low <= value <= high and (not whole or value == int(value)), name, rule)


def _digits(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,.10g}"
