"""HTML of the Attention tab's controls: which text, which reader, α and knock-outs."""

from collections.abc import Sequence

from analysis.attention.maps import PREFIX, SITE, SOURCE, AttentionMass
from analysis.attention.shares import by_layer
from app.attention.state import ALPHAS, GROUPS, AttentionState
from app.attention.view import AttentionViewModel, percent
from app.compare.comparison import SLOTS
from app.compare.run_picker import text_field
from app.shared.html import button, options, tag, text
from app.shared.method_labels import COLUMN_TITLES
from core.methods.loading import TEXT_RUN

AT = {  # what happens at each site of a model that has several
    "encoder": "The encoder reads the article, with its own virtual tokens before it.",
    "decoder": "The decoder reads what it has written itself, with its own virtual tokens before it.",
    "cross": "The decoder reads the article as the encoder hands it over, with virtual tokens of its own before it.",
}
NO_PREFIX = {
    "finetuned": "A fine-tuned run has no prefix: what it learned is in its own copy of the weights, so there is nothing to turn "
    "up, hide or knock out. Its attention on the input and on its own text is shown.",
    "base": "The frozen model has no prefix, so there is nothing to turn up, hide or knock out. Its attention on the input and "
    "on its own text is shown; set it beside a prefix to see what the prefix draws away.",
}
ODDS = {  # what α does to the odds of looking at the prefix
    0.0: "the prefix is hidden",
    0.25: "the odds of looking at the prefix are a quarter of what was learned",
    0.5: "the odds of looking at the prefix are halved",
    1.0: "the prefix is as it was learned",
    2.0: "the odds of looking at the prefix are doubled",
    4.0: "the odds of looking at the prefix are four times as high",
}


def controls(state: AttentionState, vm: AttentionViewModel) -> str:
    """The controls: text, reader, site and weighting; α, and knock-outs."""
    columns = [(kind, COLUMN_TITLES[kind]) for kind in SLOTS if kind in vm.record.columns]
    who = _labelled("Text by", _segment("column", columns, vm.column))
    beside = _labelled("Beside it", _beside(state, vm))
    weigh = _segment("weigh", [("", "Attention"), ("values", "× value norm")], state.weigh)
    group = GROUPS[group_of(state, list(vm.masses.values()))]
    groups = [("prefix", "prefix"), ("source", vm.labels.groups[1].removeprefix("the ")), ("written", "written")]
    tiles = _segment("group", groups if vm.site == SITE else groups[:2], group)
    first = who + _site(vm) + beside + _labelled("Weigh", weigh) + _labelled("Tiles", tiles) + _unit(state, vm)
    return tag("div", first, cls="pl-look-row") + tag("div", _turning(state, vm), cls="pl-look-row turning")


def _site(vm: AttentionViewModel) -> str:
    """Offer the sites of a model with several."""
    if len(vm.depths) == 1:
        return ""
    return _labelled("Look at", _segment("site", [(site, site) for site in vm.depths], vm.site), AT[vm.site])


def _unit(state: AttentionState, vm: AttentionViewModel) -> str:
    if not vm.by_sentence:
        return ""
    return _labelled("Article by", _segment("unit", [("", "sentences"), ("tokens", "tokens")], state.unit))


def _turning(state: AttentionState, vm: AttentionViewModel) -> str:
    if not vm.reader.length:
        return tag("p", NO_PREFIX["base" if vm.reader.kind == "base" else "finetuned"], cls="meta")
    alphas = [(f"{value:g}", label) for value, label in ALPHAS.items()]
    several, level = len(vm.depths) > 1, state.level(vm.site)
    own = f"{vm.site.capitalize()} prefix × α" if several else "Prefix × α"
    name = "alpha" if vm.site == SITE else vm.site  # the field of the state
    turn = _labelled(
        own, _segment(name, alphas, f"{level:g}") + _alpha_effect(state, vm, level), "The odds of looking at the prefix, times α"
    )
    if several and any(state.level(site) != level for site in vm.depths):
        turn += _button(f"{ALPHAS[level]} at every site", "everywhere", vm.site, "The same α for all three prefixes")
    out, at = set(state.out.split(".")), f"{vm.site}-" if several else ""
    tokens = "".join(_place(f"P{i + 1}", at, out) for i in range(vm.reader.length))
    layers = "".join(_place(f"L{i + 1}", at, out) for i in range(vm.depths[vm.site]))
    which = tag("div", tokens, cls="pl-places") + tag("div", layers, cls="pl-places layers")
    where = f", at {vm.labels.site_name}" if several else ""
    knock = _labelled("Knock out", which, f"A click hides a virtual token everywhere, or the whole prefix in one layer{where}")
    # it is always there, so that no control moves from under the mouse
    undo = _button("Reset", "reset", "", "Undo α and all knock-outs", idle=_idle(state, vm))
    return turn + knock + undo


def _alpha_effect(state: AttentionState, vm: AttentionViewModel, level: float) -> str:
    """Describe what α does to the odds, and the prefix's share of attention under it and all knock-outs."""
    if vm.plain is None:
        return ""
    masses = [vm.plain] if vm.changed is None else [vm.plain, vm.changed]
    shares = [percent(float(by_layer(mass, weighted=state.weigh == "values")[:, PREFIX].mean())) for mass in masses]
    verb = "is" if vm.changed is None else "stays at" if len(set(shares)) == 1 else "goes from"
    change = f"share {verb} {' to '.join(dict.fromkeys(shares))}"
    sentence = f"the prefix's {change}" if level == 1 and vm.changed is not None else f"{ODDS[level]}; its {change}"
    return tag("span", sentence, cls="meta pl-odds")


def _idle(state: AttentionState, vm: AttentionViewModel) -> bool:
    """Whether there is nothing to reset."""
    return not state.out and all(state.level(site) == 1 for site in vm.depths)


def _labelled(name: str, content: str, title: str | None = None) -> str:
    return tag("div", tag("span", text(name), cls="name", title=title) + content, cls="pl-control", role="group", aria_label=name)


def _segment(name: str, choices: Sequence[tuple[str, str]], selected: str) -> str:
    buttons = [_button(label, name, value, None, value == selected) for value, label in choices]
    return tag("div", "".join(buttons), cls="pl-segment")


def _button(label: str, name: str, value: str, title: str | None = None, pressed: bool | None = None, idle: bool = False) -> str:
    state = None if pressed is None else str(pressed).lower()
    disabled = "" if idle else None
    return button(label, data_set=name, data_value=value, aria_pressed=state, title=title, disabled=disabled)


def _place(name: str, at: str, out: set[str]) -> str:
    """Name a virtual token or a layer `at` a site ("cross-"), or of a model's only one ("")."""
    hidden = name in out or at + name in out
    title = f"{name} is hidden: click to bring it back" if hidden else f"Hide {name}"
    attributes = {"data_set": "out", "data_value": at + name, "aria_pressed": str(hidden).lower(), "title": title}
    return tag("button", name, type="button", cls="pl-place", **attributes)


def _beside(state: AttentionState, vm: AttentionViewModel) -> str:
    typed = state.beside.startswith(TEXT_RUN)
    choices = [("", "nothing"), *vm.beside_choices, (TEXT_RUN, "text prefix…")]
    selected = TEXT_RUN if typed else state.beside if state.beside in dict(choices) else ""
    select = tag("select", options(choices, selected), aria_label="Beside it", data_set="beside", data_chosen=selected)
    return select + text_field(state.beside, "beside", hidden=not typed)


def group_of(state: AttentionState, masses: Sequence[AttentionMass]) -> int:
    """Return the group of keys whose mass the heads show: the chosen one, or the input if a reader has no prefix."""
    if state.group == "prefix" and not all(mass.virtual for mass in masses):
        return SOURCE
    if state.group == "written" and any(mass.site != SITE for mass in masses):  # only the decoder reads what it has written
        return PREFIX if all(mass.virtual for mass in masses) else SOURCE
    return GROUPS.index(state.group)
