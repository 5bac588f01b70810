"""The state in the page's address, which restores the same view. Bad values are left out and named, never fatal.

Each tab has a small frozen dataclass, a `State`: a field is a value in the address, under the field's name or the one given
with `key`. `write` leaves defaults out. The tabs share one address, so no two states may use the same name.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self, TypeVar
from urllib.parse import parse_qs, urlencode

import gradio as gr

from app.shared.html import hidden

Value = TypeVar("Value", str, int, float)
READABLE = 20_000  # characters of an address that is read
SEEDS = range(2**53)  # a browser has larger whole numbers only roughly
LIMIT = 9000  # characters of one state in the address, percent-encoded: several tabs share it
TOO_LONG = "(too long for a link)"  # stands for a value that was left out; shell.js looks for it


def url_field(default: Value, check: Callable[[Value], bool] | None = None, key: str = "") -> Value:
    """A field of a State: its default, the check of a value from the address, and its key there if that differs from its name."""
    return field(default=default, metadata={"check": check, "key": key})


@dataclass(frozen=True)
class State:
    """What one tab keeps in the address. Fields are str, int or float; `ignored` names the unusable values, `too_long` those
    that had no room in the link; `remarks`: sentences on what stands in place of a value that is not there."""

    ignored: tuple[str, ...] = field(default=(), compare=False, kw_only=True)
    too_long: tuple[str, ...] = field(default=(), compare=False, kw_only=True)
    remarks: tuple[str, ...] = field(default=(), compare=False, kw_only=True)

    @property
    def problems(self) -> list[str]:
        """Sentences that name the values which the link does not bring back, if there are any."""
        sentences = []
        if self.ignored:
            sentences.append(f"Left out, as the address has no usable value for: {', '.join(self.ignored)}.")
        if self.too_long:
            sentences.append(f"This link does not contain the {' and '.join(self.too_long)}: too long for a link. Paste it here.")
        return [*sentences, *self.remarks]

    def settled(self) -> Self:
        """The state after a change on the page: its values are the page's now, and the address's problems have been said."""
        return replace(self, ignored=(), too_long=(), remarks=())

    def without(self, *unusable: str) -> Self:
        """The state that names these of its address's values as unusable, too."""
        return replace(self, ignored=tuple(dict.fromkeys((*self.ignored, *unusable))))

    def remarked(self, *sentences: str) -> Self:
        """The state that says what stands in place of some of its address's values, too."""
        return replace(self, remarks=tuple(dict.fromkeys((*self.remarks, *sentences))))


Kind = TypeVar("Kind", bound=State)


def keys(state: State | type[State]) -> dict[str, str]:
    """Return field -> name in the address."""
    return {
        attribute.name: attribute.metadata["key"] or attribute.name for attribute in fields(state) if "key" in attribute.metadata
    }


def read(query: str, kind: type[Kind]) -> Kind:
    """Read the state of one tab from an address's query string ("?seed=1&…")."""
    try:
        parameters = parse_qs(query.lstrip("?"), keep_blank_values=True, max_num_fields=80) if len(query) < READABLE else {}
    except ValueError:  # more fields than any address of ours has
        parameters = {}
    values: dict[str, Any] = {}
    plain, names, ignored, too_long = kind(), keys(kind), [], []
    for attribute in fields(kind):
        key = names.get(attribute.name)
        if key is None or key not in parameters:
            continue
        if parameters[key][0] == TOO_LONG:
            too_long.append(key)
            continue
        try:
            value = type(getattr(plain, attribute.name))(parameters[key][0])
            if attribute.metadata["check"] and not attribute.metadata["check"](value):
                raise ValueError
            values[attribute.name] = value
        except ValueError:
            if parameters[key][0]:
                ignored.append(key)
    return kind(**values, ignored=tuple(ignored), too_long=tuple(too_long))


def write(state: State) -> str:
    """Return the query string of a state without defaults: "seed=1&example=cafe-001".

    Where it would be too long, TOO_LONG stands in place of the longest values.
    """
    plain = type(state)()
    changed = {key: getattr(state, name) for name, key in keys(state).items() if getattr(state, name) != getattr(plain, name)}
    parts = {key: urlencode({key: value}, errors="replace") for key, value in changed.items()}
    while len("&".join(parts.values())) > LIMIT:
        longest = max(parts, key=lambda key: len(parts[key]))
        parts[longest] = urlencode({longest: TOO_LONG})
    return "&".join(parts.values())


def remember(kind: type[State]) -> str:
    """Return the page's script that writes the result of `write` into this tab's part of the address."""
    return f"(query) => PrefixLab.remember(query, {list(keys(kind).values())})"


def address_box(elem_id: str, kind: type[State]) -> gr.Textbox:
    """Draw a hidden box whose value, the result of `write`, goes into this tab's part of the address."""
    box = hidden(elem_id=elem_id)
    box.change(None, box, None, js=remember(kind))
    return box
