"""Small pieces of HTML. Every text that comes from a model, a file or a person is escaped here."""

from functools import partial
from html import escape

import gradio as gr

area = partial(gr.HTML, apply_default_css=False)  # a place for HTML in the page, without Gradio's own type styles


def tag(name: str, content: str = "", /, **attributes: object) -> str:
    """An element around ready HTML. Attribute values are escaped; `cls` is class, `_` in a name is `-`; None is left out."""
    parts = "".join(
        f' {key.removesuffix("_").replace("cls", "class").replace("_", "-")}="{escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{parts}>{content}</{name}>"


def text(value: object) -> str:
    """Any text, safe inside an element."""
    return escape(str(value), quote=True)


def count(number: float) -> str:
    """A parameter count for people: 92,160 as "92 k", 13,981,440 as "14.0 M"."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            value = number / size
            return f"{value:.1f} {unit}" if value < 100 and unit != "k" else f"{value:.0f} {unit}"
    return f"{number:.0f}"


def size(number: float) -> str:
    """Bytes for people, in powers of ten."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= limit:
            value = number / limit
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{number:.0f} bytes"


def percent(share: float) -> str:
    """A share with the digits that matter: 0.0033 as "0.33 %", 1.0 as "100 %"."""
    value = share * 100
    if value >= 10:
        return f"{value:.0f} %"
    return f"{value:.2g} %" if value else "0 %"
