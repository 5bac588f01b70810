"""One panel of a tab for an iframe in slides, by `?embed=1&show=…&hide=…`, and the form that builds such a link."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from app.shared.html import button, tag

DIALOG = "pl-embed"
PAGE_CONTROLS = {"header": "Title, model and buttons", "tabs": "The row of tabs", "status": "The status line"}


@dataclass(frozen=True)
class Embeddable:
    """What `show` and `hide` may name on a tab: name -> title. A name is the id of an element without its `pl-`.

    `controls` can be left out of the page, as can every panel.
    """

    panels: Mapping[str, str]
    controls: Mapping[str, str]


def dialog(tabs: Mapping[str, Embeddable]) -> str:
    """The form "For slides…"; app/export/embed.js fills in the panels of the tab that is open."""
    listed = {tab: {"panels": dict(one.panels), "controls": PAGE_CONTROLS | dict(one.controls)} for tab, one in tabs.items()}
    themes = [("", "As the viewer's"), ("light", "Light"), ("dark", "Dark")]
    fields = [
        _field("Panel", tag("select", "", name="show")),
        tag("fieldset", tag("legend", "Leave out") + tag("div", "", cls="pl-hidable")),
        _field("Colors", tag("select", "".join(tag("option", name, value=value) for value, name in themes), name="theme")),
        tag("label", '<input type="checkbox" name="present">' + tag("span", "Large type")),
        _field("Link", '<input name="link" readonly>' + _copy("link")),
        _field("For slides in HTML", tag("textarea", "", name="frame", rows=3, readonly="") + _copy("frame")),
    ]
    ends = tag("a", "Open the link", href="#", target="_blank", cls="pl-btn pl-act") + tag("button", "Close", cls="pl-btn pl-act")
    form = tag("form", "".join(fields) + tag("div", ends, cls="pl-ends"), method="dialog")
    lead = "One panel of this page, as it is now, for an iframe. It stays live: the app must run where the slides are shown."
    content = tag("h2", "For slides") + tag("p", lead) + form
    return tag("dialog", content, id=DIALOG, cls="pl-dialog", aria_label="For slides", data_tabs=json.dumps(listed))


def _field(name: str, content: str) -> str:
    return tag("label", tag("span", name) + content)


def _copy(name: str) -> str:
    return button("Copy", data_copy_field=name)
