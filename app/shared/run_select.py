"""A chooser of one prefix: a backbone's runs, or any text instead. The page's script is `PrefixLab.chooser`."""

from collections.abc import Sequence

from app.compare.run_picker import text_field
from app.shared.html import options, tag
from app.shared.method_labels import mix_label
from core.methods.loading import TEXT_RUN
from core.prefix.mix import MIX


def run_select(listed: Sequence[str], run_id: str, label: str, name: str, none: str = "", texts: bool = True) -> str:
    """A labelled select, with a field for a text prefix where `texts` can be chosen. `none`: the label for no run, if that is a
    choice; a chosen mix is one, too."""
    typed = run_id.startswith(TEXT_RUN)
    choices = [("", none)] if none else []
    choices += [(run, run) for run in listed]
    choices += [(run_id, mix_label(run_id))] if run_id.startswith(MIX) else []
    choices += [(TEXT_RUN, "text prefix…")] if texts else []
    value = TEXT_RUN if typed else run_id
    select = tag("select", options(choices, value), aria_label=label if len(label) > 1 else f"Run {label}", data_chosen=value)
    return tag("label", tag("b", label) + select, cls="pl-run-select") + text_field(run_id, name, hidden=not typed)
