"""Helpers for HTML. All texts from models, files and people are escaped here."""

from collections.abc import Iterable, Mapping
from functools import partial
from html import escape

import gradio as gr

area = partial(gr.HTML, apply_default_css=False)  # a place for HTML in the page, without Gradio's own type styles
hidden = partial(gr.Textbox, visible="hidden", elem_classes="pl-hidden")  # a value that only scripts and handlers use


def tag(name: str, content: str = "", /, **attributes: object) -> str:
    """Return an element around ready HTML. Attribute values are escaped; `cls` is class, `_` in a name is `-`; None is left
    out."""
    parts = "".join(
        f' {key.removesuffix("_").replace("cls", "class").replace("_", "-")}="{escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{parts}>{content}</{name}>"


def text(value: object) -> str:
    """Escape a text for the inside of an element."""
    return escape(str(value), quote=True)


def table(heads: Iterable[str], rows: str, titles: Mapping[str, str] | None = None, **attributes: object) -> str:
    """Return a table of ready HTML; `titles`: the tooltips of some of its heads."""
    head = "".join(tag("th", head, title=(titles or {}).get(head)) for head in heads)
    return tag("table", tag("thead", tag("tr", head)) + tag("tbody", rows), **attributes)


def button(label: str, **attributes: object) -> str:
    """Return a small button."""
    return tag("button", text(label), type="button", cls="pl-btn", **attributes)


def notes(sentences: Iterable[str]) -> str:
    """Return small paragraphs, as of what was left out: unusable values of the address, files without results."""
    return "".join(tag("p", text(sentence), cls="meta") for sentence in sentences)


def problem(sentence: str, **attributes: object) -> str:
    """Return what stands in place of something that could not be made: a paragraph that says why."""
    return tag("p", text(sentence), cls="pl-problem", **attributes)


def options(choices: Iterable[tuple[str, str]], selected: str) -> str:
    """Return the options of a select, from (value, label) pairs."""
    marks = {selected: "selected"}
    return "".join(tag("option", text(label), value=value, selected=marks.get(value)) for value, label in choices)


def copy_button(line: str) -> str:
    """Return a button that copies a command line."""
    return button("Copy", data_copy=line, title="Copy this command line")


def count(number: float) -> str:
    """Format a parameter count: 92,160 as "92 k", 13,981,440 as "14.0 M"."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            value = number / size
            return f"{value:.1f} {unit}" if value < 100 and unit != "k" else f"{value:.0f} {unit}"
    return f"{number:.0f}"


def size(number: float) -> str:
    """Format a number of bytes, in powers of ten."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= limit:
            value = number / limit
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{number:.0f} bytes"
