"""Base of the settings classes. Unknown or bad fields are refused with a sentence that names them."""

import difflib
from dataclasses import asdict, fields, replace
from typing import Any, Self

from core.errors import BadConfig


class Config:
    """Base of the settings classes: made from plain values, checked, turned back into plain values."""

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """Build from a dict; BadConfig names an unknown field and the nearest known one."""
        known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(known)}."
                raise BadConfig(f"{cls.__name__} has no field {name!r}.{hint}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)  # type: ignore[call-overload]

    def but(self, **changes: Any) -> Self:
        """A copy with some fields changed, checked again."""
        return replace(self, **changes)  # type: ignore[type-var]

    def _check(self, ok: bool, name: str, rule: str) -> None:
        if not ok:
            raise BadConfig(f"{name} must be {rule}; given: {getattr(self, name)!r}.")

    def _check_number(self, name: str, low: float, high: float = float("inf"), whole: bool = False) -> None:
        value = getattr(self, name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        kind = "a whole number" if whole else "a number"
        rule = f"{kind} of at least {low:g}" if high == float("inf") else f"{kind} from {low:g} to {high:g}"
        self._check(number and low <= value <= high and (not whole or value == int(value)), name, rule)
