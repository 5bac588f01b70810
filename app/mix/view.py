"""HTML of the Mix tab, and the data of its slider."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from analysis.experiments.mix_curve import Stop, ends
from analysis.metrics.rouge import rouge
from app.compare.state import CompareState
from app.mix.mixing import MixInput, MixTexts, StopText
from app.mix.state import COUNTS, THREE, MixState
from app.shared import urlstate
from app.shared.examples import samples
from app.shared.highlight import render
from app.shared.html import button, options, tag, text
from app.shared.method_labels import mix_label
from app.shared.run_select import run_select
from app.space.state import SpaceState, joined
from core.config.decoding_defaults import batch_decoding
from core.methods.loading import TEXT_RUN, LoadedRun
from core.prefix.mix import MIX
from core.text.checks import counted

NAMES = {
    "fade": ("Cross-fade", "The prefixes are side by side; the odds of attending to each are multiplied by its share"),
    "join": ("Join", "All prefixes are side by side, at full strength"),
    "average": ("Average", "The weighted mean of keys and values, virtual token by virtual token"),
    "path": ("Along its training", "From the start of one training to its end, between the steps that were stored"),
    "swap": ("A’s keys, B’s values", "Where to attend is decided by one prefix, what is read there by the other"),
    "layers": ("Layer by layer", "One prefix in force in the first layers only: one more layer at each stop"),
}
DOES = {"fade": "Cross-fading", "join": "Joining", "average": "Averaging", "swap": "Taking keys and values of different prefixes"}
LETTERS = "ABC"
ABOUT_EXAMPLES = (
    "At every stop, on up to 20 bundled examples; where the input is a table, all are about restaurants. A run that was trained "
    "on the bundled tables has seen most of them."
)
MEASURED = (
    "On the bundled runs e2e-prefix and webnlg-prefix, with 19 tables, a mix does not add up what the two can do: e2e-prefix "
    "alone covers 77 of 109 values and webnlg-prefix 56 of 109; joined they cover 74 of 109, and no mix of the two more than "
    "78 of 109. A cross-fade goes gently from one to the other. An average does not: halfway, 28 statements are unsupported, "
    "where it is 6 and 12 at the ends. Keys of one with values of the other cover 25 of 109. One pair of runs; others may "
    "combine. Source: docs/results.md, Mixing prefixes."
)
WRITING = "The same input is being written at every stop of the slider…"


@dataclass
class MixViewModel:
    """The content of a refresh. `listed`: the available prefixes; `tasks`: task names by input format."""

    state: MixState
    backbone: str
    listed: Sequence[str]
    members: Sequence[LoadedRun]
    stops: Sequence[Stop]
    mix_input: MixInput
    tasks: dict[str, str]
    own: bool  # whether these runs can read the input on Compare
    notes: Sequence[str] = ()

    @property
    def depends(self) -> bool:
        """Whether the members have different input layouts."""
        return len({(run.task.lead, run.task.separator) for run in self.members if run.prefix}) > 1

    @property
    def ends(self) -> list[int]:
        """The stops that are one member alone, in the order of the members."""
        return ends(self.stops)

    @property
    def at(self) -> int:
        """The first stop to show."""
        return self.state.shown(len(self.stops))


# ---- controls


def bar(state: MixState) -> str:
    """The kinds of mixes."""
    buttons = [
        button(name, data_set="kind", data_value=kind, title=title, aria_pressed=str(kind == state.kind).lower())
        for kind, (name, title) in NAMES.items()
    ]
    about = tag("span", NAMES[state.kind][1] + ".", cls="meta") if state.kind else ""
    return tag(
        "div", tag("div", "".join(buttons), cls="pl-segment", role="group", aria_label="Kind of mix") + about, cls="pl-mix-kinds"
    )


def member(state: MixState, place: int, listed: Sequence[str]) -> str:
    """The chooser of one run; empty if the kind has no member at this place."""
    count, members = COUNTS[state.kind], state.members
    if place >= count + (state.kind in THREE) or place > len(members):
        return ""
    run_id = members[place] if place < len(members) else ""
    label, none = LETTERS[place] if count > 1 else "Run", "no third run" if place >= count else ""
    return run_select(listed, run_id, label, f"member-{place}", none, texts=state.kind != "path")


def example(vm: MixViewModel) -> str:
    """The chooser of the input."""
    choices = [("", "the input on Compare")] if vm.own else []
    choices += [(sample.id, sample.title) for form in vm.tasks for sample in samples(form)]
    select = tag("select", options(choices, vm.mix_input.example), aria_label="Input", data_chosen=vm.mix_input.example)
    return tag("label", tag("b", "Input") + select, cls="pl-run-select")


def acts() -> str:
    """The actions for the mix at the current stop, which the page's script inserts."""
    links = "".join(tag("a", name, href="#", data_open=where, cls="pl-btn pl-act") for where, name in LINKS.items())
    name = tag(
        "input", name="name", placeholder="name of the run", aria_label="Name of the run", maxlength="80", spellcheck="false"
    )
    keep = name.removesuffix("</input>") + tag("button", "Keep as a run", type="submit", data_do="keep", cls="pl-btn pl-act")
    called = tag("code", "", cls="pl-mix-name", title="The name of this mix: it can be used like a run in every address")
    return (
        tag("div", tag("span", "Open in", cls="meta") + links, cls="pl-mix-open") + tag("form", keep, cls="pl-mix-keep") + called
    )


LINKS = {"compare": "Compare", "attention": "Attention", "space": "Prefix space"}


# ---- the slider


def stage(vm: MixViewModel, texts: MixTexts) -> str:
    """Return JSON for mix.js: every stop with its text as safe HTML, and the first stop to show."""
    ends = [vm.members[0], vm.members[-1]]
    names = [short(run.run.id) for run in ends]
    names = {"path": ["start of training", names[0]], "layers": ["no layer", names[0]]}.get(vm.state.kind, names)
    stops = [_stop(vm, one) for one in texts.stops]
    return json.dumps({"stops": stops, "at": vm.at, "ends": names, "kind": vm.state.kind})


def _stop(vm: MixViewModel, one: StopText) -> dict[str, object]:
    values, unsupported = (one.coverage.spans, one.coverage.unsupported_spans) if one.coverage else ([], ())
    caret = tag("i", "", cls="caret") if one.open else ""
    called = mix_label(one.stop.run) if one.stop.run.startswith(MIX) else short(one.stop.run)
    return {
        "label": one.stop.label,
        "name": called,
        "run": one.stop.run,
        "html": render(one.text, values=values, unsupported=unsupported) + caret,
        "count": _count(one, vm.mix_input),
        "open": links(vm, one.stop.run),
    }


def _count(one: StopText, mix_input: MixInput) -> str:
    if one.open or one.coverage is None:
        return "" if one.open else counted(len(one.text.split()), "word")
    extra = f" · {len(one.coverage.unsupported)}\u00a0unsupported" if one.coverage.unsupported else ""
    return f"{len(one.coverage.present)} of {len(mix_input.fields)} values{extra}"


def links(vm: MixViewModel, run: str) -> dict[str, str]:
    """Return the addresses at which the other tabs show a run on the same input."""
    mix_input, task = vm.mix_input, vm.tasks.get(vm.mix_input.form, "")
    own = "" if mix_input.example else mix_input.source.strip()
    article, source = (own, "") if mix_input.form == "article" else ("", own)
    mode = batch_decoding(mix_input.form).mode
    link = partial(
        CompareState, backbone=vm.backbone, task=task, example=mix_input.example, source=source, article=article, mode=mode
    )
    state = link(prefix=run)
    beside = [one.run.id for one in vm.members if one.run.id != run]
    compared = state
    if len(vm.members) > 1 and len(beside) == len(vm.members):
        compared = link(prefix=beside[0], other=run, finetuned=beside[-1], columns="prefix-other-finetuned")
    space = urlstate.write(SpaceState(runs=joined((run, *beside[:2]))))
    return {
        "compare": f"?{urlstate.write(compared)}",
        "attention": f"?tab=attention&{urlstate.write(state)}",
        "space": f"?tab=space&{urlstate.write(state)}&{space}",
    }


def short(run: str) -> str:
    """Return a short form of a run's name."""
    name = f"“{run.removeprefix(TEXT_RUN)}”" if run.startswith(TEXT_RUN) else run
    return name if len(name) <= 30 else name[:29] + "…"


# ---- what is measured


def headline(sentence: str) -> str:
    """What a class should look at."""
    return tag("p", text(sentence), cls="pl-sentence")


def verdict(vm: MixViewModel, texts: MixTexts) -> str:
    """Describe the effect of mixing on this text, computed from the texts of all stops."""
    if texts.open:
        return WRITING
    kind, stops = vm.state.kind, texts.stops
    if not all(stop.coverage for stop in stops):
        return _verdict_without_table(vm, stops)
    counts = [len(stop.coverage.present) for stop in stops if stop.coverage]
    total = len(vm.mix_input.fields)
    if kind in ("path", "layers"):
        first = next(i for i, count in enumerate(counts) if count >= counts[-1])
        where = "at the start of its training" if kind == "path" else "with no layer"
        when = f"at {stops[first].stop.label} of the way" if kind == "path" else f"with {stops[first].stop.label}"
        reached = f" The text first covers that many {when}." if first else ""
        return f"The whole prefix covers {counts[-1]} of {total} values; {where} the text covers {counts[0]}.{reached}"
    inner = [i for i in range(len(stops)) if i not in vm.ends]
    best, worst = max(vm.ends, key=lambda i: counts[i]), min(inner, key=lambda i: counts[i])
    loss = counts[best] - counts[worst]
    name = short(vm.members[vm.ends.index(best)].run.id)
    label, pair = stops[worst].stop.label, len(vm.members) == 2
    at = "" if len(inner) == 1 else f" at {label} {short(vm.members[1].run.id)}" if pair else f" at the stop {label}"
    if loss > 0:
        sentence = f"{DOES[kind]} lost {loss} of {total} values{at}: {counts[worst]} covered, and {counts[best]} by {name} alone."
    else:
        alone = f"{counts[best]} of {total} that {name} covers alone"
        mixed = "every mixed stop" if len(inner) > 1 else "the mixed text"
        sentence = f"{DOES[kind]} lost no value: {mixed} covers at least the {alone}."
    return sentence + _unsupported(vm, stops, inner)


def _unsupported(vm: MixViewModel, stops: Sequence[StopText], inner: Sequence[int]) -> str:
    counts = [len(stop.coverage.unsupported) for stop in stops if stop.coverage]
    mixed, alone = max(counts[i] for i in inner), max(counts[i] for i in vm.ends)
    statements = counted(mixed, "unsupported statement")
    return f" Mixed, a text makes up to {statements}; with one prefix alone, {alone or 'none'}." if mixed > alone else ""


def _verdict_without_table(vm: MixViewModel, stops: Sequence[StopText]) -> str:
    """For summaries: ROUGE-L if there is a reference, else the number of words."""
    if vm.mix_input.references:
        scores = [rouge([stop.text], [list(vm.mix_input.references)])[-1].value if stop.text else 0.0 for stop in stops]
        lowest = min(range(len(stops)), key=lambda i: scores[i])
        between = f", and {scores[lowest]:.0f} at its lowest, at {stops[lowest].stop.label}"
        sentence = f"ROUGE-L is {scores[0]:.0f} and {scores[-1]:.0f} at the ends of the slider"
        lower = round(scores[lowest]) < round(min(scores[0], scores[-1]))
        return f"{sentence}{between if lower else ''} (n=1: one summary, not a system score)."
    words = [len(stop.text.split()) for stop in stops]
    return f"From {min(words)} to {counted(max(words), 'word')} are written along the slider."


def notes(vm: MixViewModel) -> str:
    """What was left out, and the input's layout."""
    sentences = list(vm.notes)
    if vm.depends:
        sentences.append(
            "The prefixes were trained on different layouts of the input. Each stop uses that of the one with most weight."
        )
    return "".join(tag("p", text(sentence), cls="meta") for sentence in sentences)
