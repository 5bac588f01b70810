"""The state in the page's address: enough to show the same again. Bad values are left out and named, never fatal.

Each tab has a small frozen dataclass of its own, a `State`: a field is a value in the address, under the field's name or
the one given with `key`. `write` leaves defaults out. The tabs share one address, so no two states may use one name.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlencode

MODES = ("greedy", "sample", "beam")
Value = TypeVar("Value", str, int, float)
LIMIT = 4000  # characters of one value kept in the address; a longer one is left out


def url_field(default: Value, check: Callable[[Value], bool] | None = None, key: str = "") -> Value:
    """A field of a State: its default, the check of a value from the address, and its key there if that differs from its name."""
    return field(default=default, metadata={"check": check, "key": key})


@dataclass(frozen=True)
class State:
    """What one tab keeps in the address. Fields are str, int or float; `ignored` names the values that could not be read."""

    ignored: tuple[str, ...] = field(default=(), compare=False, kw_only=True)


Kind = TypeVar("Kind", bound=State)


def keys(state: State | type[State]) -> dict[str, str]:
    """Field -> name in the address."""
    return {
        attribute.name: attribute.metadata["key"] or attribute.name for attribute in fields(state) if "key" in attribute.metadata
    }


def read(query: str, kind: type[Kind]) -> Kind:
    """The state of one tab in an address's query string ("?seed=1&…")."""
    try:
        parameters = parse_qs(query.lstrip("?"), max_num_fields=80) if len(query) < 20_000 else {}
    except ValueError:  # more fields than any address of ours has
        parameters = {}
    values: dict[str, Any] = {}
    plain, names, ignored = kind(), keys(kind), []
    for attribute in fields(kind):
        key = names.get(attribute.name, "")
        if key not in parameters:
            continue
        try:
            value = type(getattr(plain, attribute.name))(parameters[key][0])
            if attribute.metadata["check"] and not attribute.metadata["check"](value):
                raise ValueError
            values[attribute.name] = value
        except ValueError:
            ignored.append(key)
    return kind(**values, ignored=tuple(ignored))


def write(state: State) -> str:
    """The query string of a state, defaults left out: "seed=1&example=cafe-001"."""
    plain = type(state)()
    changed = {key: getattr(state, name) for name, key in keys(state).items() if getattr(state, name) != getattr(plain, name)}
    return urlencode({key: value for key, value in changed.items() if len(str(value)) <= LIMIT}, errors="replace")


def remember(kind: type[State]) -> str:
    """The page's script that puts what `write` gave into the address, in place of this tab's part only."""
    return f"(query) => PrefixLab.remember(query, {list(keys(kind).values())})"
