"""HTML of the Attention tab: controls, the text with its underlines, and the effect of an intervention."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from analysis.attention.maps import (
    PREFIX,
    SITE,
    SITES,
    SOURCE,
    AttentionLabels,
    AttentionMass,
    by_layer,
    describe_mass,
    token_mass,
)
from analysis.attention.sentences import ArticleSentences, SentenceMap, describe_sentences
from analysis.figures.style import visible_token
from analysis.metrics.bleu import original_bleu
from analysis.metrics.coverage import cover
from analysis.metrics.rouge import rouge
from app.attention.readings import AttentionSource
from app.attention.state import ALPHAS, GROUPS, SAME, AttentionState
from app.compare.columns import coverage_chips
from app.compare.comparison import SLOTS, Column
from app.compare.panels import bars
from app.compare.run_picker import text_field
from app.shared import examples
from app.shared.highlight import render, word_diff
from app.shared.html import button, options, tag, text
from app.shared.last_comparison import ColumnRecord, ComparisonRecord
from app.shared.method_labels import COLUMN_TITLES
from core.data.registry import table_of_source
from core.errors import BadTable
from core.methods.loading import TEXT_RUN
from core.text.detokenize import detokenise, readable
from core.text.tables import Fields

NOT_INFLUENCE = (
    "<b>Attention is not influence.</b> A large share says where values were read from, not what they changed: a model can look "
    "at something and make no use of it. The map of knock-outs shows what each virtual token does change, for this text only."
)
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


@dataclass
class AttentionViewModel:
    """The content of one refresh, filled step by step.

    `depths`: the number of layers of each site; `site`: the current one, `named` its names; `parts`: the sentences of an
    article. `masses`: the reader's under the intervention, then those of the one beside it. `plain`: the reader's without an
    intervention; `changed`: the reader's under it, None without one. `sentence_map`: cross-attention by sentence.
    """

    record: ComparisonRecord
    column: str
    reader: AttentionSource
    text: ColumnRecord
    depths: dict[str, int]
    site: str = SITE
    labels: AttentionLabels = field(default_factory=AttentionLabels)
    parts: ArticleSentences | None = None
    beside: AttentionSource | None = None
    masses: dict[str, AttentionMass] = field(default_factory=dict)
    plain: AttentionMass | None = None
    changed: AttentionMass | None = None
    sentence_map: SentenceMap | None = None
    beside_choices: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def article(self) -> str:
        """The article as far as the model reads it."""
        return self.record.source[: self.text.end]

    @property
    def by_sentence(self) -> bool:
        """Whether the site reads an article by sentences."""
        return self.parts is not None and self.site != SITE


def waiting() -> str:
    """Show a placeholder until there is a text: the earlier content dimmed, or a skeleton."""
    button = tag("button", "Generate the default example", type="button", cls="pl-btn pl-first", data_press="#pl-generate")
    lead = tag("p", "Attention is read from a finished text. This page fills as soon as Compare has written one.", role="status")
    boxes = tag("div", tag("i", "") + tag("i", "") + tag("i", "") + tag("i", ""), cls="pl-skeleton", aria_hidden="true")
    return tag("div", tag("div", lead + button, cls="pl-wait-status") + boxes, cls="pl-waiting")


def headline(state: AttentionState, vm: AttentionViewModel) -> str:
    """Summarize what to look at, in one sentence computed from the attention."""
    mass = vm.changed or vm.plain
    assert mass is not None
    sentence = describe_mass(mass, vm.labels.groups[1], state.weigh == "values", vm.labels.site_name)
    if vm.changed is not None:
        sentence = f"The first text read again, {name_of(state, vm)}: {sentence[0].lower()}{sentence[1:]}"
    if vm.sentence_map is not None and vm.parts is not None:
        by_sentence = vm.sentence_map
        shares = by_sentence.weights[:, :, list(by_sentence.step_queries), by_sentence.virtual : -1].mean((0, 1, 2))
        sentence += f" {describe_sentences(vm.parts.spans, vm.article, shares)}"
    return tag("p", text(sentence.replace(" %", "\u00a0%")), cls="pl-sentence")


# ---- controls


def controls(state: AttentionState, vm: AttentionViewModel) -> str:
    """The controls: text, reader, site and weighting; α, and knock-outs."""
    columns = [(kind, COLUMN_TITLES[kind]) for kind in SLOTS if kind in vm.record.columns]
    who = _labelled("Text by", _segment("column", columns, vm.column))
    beside = _labelled("Beside it", _beside(state, vm))
    weigh = _segment("weigh", [("", "Mass"), ("values", "× size of values")], state.weigh)
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
        own, _segment(name, alphas, f"{level:g}") + _alpha_effect(vm, level), "The odds of looking at the prefix, times α"
    )
    if several and any(state.level(site) != level for site in vm.depths):
        turn += _button(f"{ALPHAS[level]} at every site", "everywhere", vm.site, "The same α for all three prefixes")
    out, at = set(state.out.split(".")), f"{vm.site}-" if several else ""
    tokens = "".join(_place(f"P{i + 1}", at, out) for i in range(vm.reader.length))
    layers = "".join(_place(f"L{i + 1}", at, out) for i in range(vm.depths[vm.site]))
    which = tag("div", tokens, cls="pl-places") + tag("div", layers, cls="pl-places layers")
    where = f", at {vm.labels.site_name}" if several else ""
    knock = _labelled("Knock out", which, f"A click hides a virtual token everywhere, or the whole prefix in one layer{where}")
    undo = "" if _idle(state, vm) else _button("As it was", "reset", "", "Undo α and all knock-outs")
    return turn + knock + undo


def _alpha_effect(vm: AttentionViewModel, level: float) -> str:
    """Describe what α does to the odds, and the resulting share of attention."""
    if vm.plain is None:
        return ""
    before = float(by_layer(vm.plain)[:, PREFIX].mean())
    share = f"its share is {_percent(before)}"
    if vm.changed is not None and level != 1:
        share = f"its share goes from {_percent(before)} to {_percent(float(by_layer(vm.changed)[:, PREFIX].mean()))}"
    return tag("span", f"{ODDS[level]}; {share}", cls="meta pl-odds")


def _idle(state: AttentionState, vm: AttentionViewModel) -> bool:
    """Whether there is nothing to reset."""
    return not state.out and all(state.level(site) == 1 for site in vm.depths)


def _labelled(name: str, content: str, title: str | None = None) -> str:
    return tag("div", tag("span", text(name), cls="name", title=title) + content, cls="pl-control", role="group", aria_label=name)


def _segment(name: str, choices: Sequence[tuple[str, str]], selected: str) -> str:
    buttons = [_button(label, name, value, None, value == selected) for value, label in choices]
    return tag("div", "".join(buttons), cls="pl-segment")


def _button(label: str, name: str, value: str, title: str | None = None, pressed: bool | None = None) -> str:
    state = None if pressed is None else str(pressed).lower()
    return button(label, data_set=name, data_value=value, aria_pressed=state, title=title)


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


# ---- the text


def reads(state: AttentionState, vm: AttentionViewModel, regenerated: ColumnRecord | None) -> str:
    """Show the text, each token underlined by its attention on the prefix, beside the result of an intervention."""
    assert vm.plain is not None
    weighted = state.weigh == "values"
    title = f"{COLUMN_TITLES[vm.column]}, {text(vm.text.run)}" if vm.text.run else COLUMN_TITLES[vm.column]
    scores = _scores(vm, vm.text.text) if regenerated is not None else ""
    cards = [_card(vm.column, title, "as it was written", underlined(vm.plain, weighted, vm.text.text), scores)]
    if regenerated is not None:
        cards.append(_regenerated(state, vm, regenerated))
    notes = "".join(tag("p", text(note), cls="meta") for note in vm.notes)
    return tag("div", "".join(cards), cls="pl-reads") + notes


def _card(kind: str, title: str, sub: str, body: str, more: str) -> str:
    head = tag("header", tag("h3", title) + tag("span", text(sub), cls="meta"))
    return tag("article", head + body + more, cls=f"pl-card {kind}")


def underlined(mass: AttentionMass, weighted: bool, column_text: str) -> str:
    """Show the generated tokens, each underlined by its attention on the prefix, and the scale; plain text for an encoder.

    The scale goes from the lowest to the highest share of this text, so that differences are visible.
    """
    if mass.site == "encoder":
        return (
            tag("p", text(column_text), cls="generated marked")
            if column_text
            else tag("p", "No token was generated.", cls="meta")
        )
    shares = token_mass(mass, PREFIX, weighted)
    if not shares:
        return tag("p", "No token was generated.", cls="meta")
    if not mass.virtual or mass.mass[..., PREFIX].max() == 0:
        return tag("p", "".join(tag("span", token_text(token)) for token, _ in shares), cls="generated marked")
    low, high = min(share for _, share in shares), max(share for _, share in shares)
    spans = [
        tag(
            "span",
            token_text(token),
            cls="attended",
            style=f"--m:{_scaled(share, low, high):.3f}",
            title=f"{_percent(share)} on the prefix",
        )
        for token, share in shares
    ]
    return tag("p", "".join(spans), cls="generated marked") + _scale(low, high)


def _scaled(share: float, low: float, high: float) -> float:
    """Return a share on the scale, 0 for the lowest and 1 for the highest; 0.5 if all are alike."""
    return (share - low) / (high - low) if high - low > 0.005 else 0.5


def _scale(low: float, high: float) -> str:
    """The legend of the underlines."""
    thin, thick = (tag("i", "", cls="attended", style=f"--m:{value}") for value in (0, 1))
    ends = f"{thin} {_percent(low)} {thick} {_percent(high)}" if high - low > 0.005 else f"{_percent(low)} throughout"
    return tag("p", f"Underline: attention on the prefix, {ends}", cls="meta pl-scale", title="While the token was written")


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%"


def token_text(word: str) -> str:
    """Show a token inside a text; the model's end token as a small square."""
    return " ∎" if visible_token(word) == "∎" else text(word)


def name_of(state: AttentionState, vm: AttentionViewModel) -> str:
    """Describe the intervention in words."""
    levels = {site: state.level(site) for site in vm.depths}
    if not any(levels.values()):
        return "base, shifted" if len(levels) == 1 else "base"
    if len(set(levels.values())) == 1:
        parts = [f"α = {ALPHAS[state.alpha]}"] if state.alpha != 1 else []
    else:
        parts = [f"α = {ALPHAS[level]} at {SITES[site]}" for site, level in levels.items() if level != 1]
    return " and ".join(parts + ([f"without {state.out.replace('-', ' ').replace('.', ', ')}"] if state.out else []))


def _regenerated(state: AttentionState, vm: AttentionViewModel, new: ColumnRecord) -> str:
    """Show the text regenerated under the intervention, with the words that differ marked."""
    before, after = (readable(one.text, vm.record.form) for one in (vm.text, new))
    finished = new.state != "streaming"
    different = word_diff(before, after)[1] if finished else []
    caret = "" if finished else tag("i", "", cls="caret")
    name, sub = name_of(state, vm), "the same seed and decoding"
    if name.startswith("base"):
        sub = "the prefix is hidden: the frozen model" + (", with positions that start after it" if len(vm.depths) == 1 else "")
    same = tag("p", "Word for word the same.", cls="meta") if finished and before == after else ""
    body = tag("p", render(after, different) + caret, cls="generated marked")
    return _card("turned", text(name), sub, body, same + (_scores(vm, new.text) if finished else ""))


def _fields(vm: AttentionViewModel) -> Fields:
    try:
        return table_of_source(vm.record.form, vm.record.source)
    except BadTable:
        return []


def _scores(vm: AttentionViewModel, generated: str) -> str:
    """Show which values a text covers, and its sentence BLEU if there are references; for a summary, its ROUGE."""
    if vm.record.form == "article":
        return _rouge(vm, generated)
    fields = _fields(vm)
    if not fields or not generated:
        return ""
    sample = examples.matching(fields, vm.record.form)
    score = original_bleu([generated], [list(sample.references)]) if sample else None
    bleu = f"BLEU {score.per_example[0]:.1f} (n=1: one sentence, not a system score)" if score else ""
    return coverage_chips(cover(fields, detokenise(generated)), fields) + (tag("p", bleu, cls="meta") if bleu else "")


def _rouge(vm: AttentionViewModel, generated: str) -> str:
    sample = examples.matching([], "article", vm.record.source)
    if sample is None or not generated.strip():
        return ""
    scores = ", ".join(f"{score.name} {score.value:.1f}" for score in rouge([generated], [list(sample.references)]))
    return tag("p", f"{scores} (n=1: one summary, not a system score)", cls="meta")


def effect(state: AttentionState, vm: AttentionViewModel, before: list[tuple[str, float]], after: list[tuple[str, float]]) -> str:
    """Show the first word's probabilities, with and without the intervention."""
    named = {"as it was written": before, name_of(state, vm): after}
    cells = [bars(Column(vm.column, words=words), name) for name, words in named.items()]
    lead = "How likely each token is to begin the answer, right after the input."
    head = tag("header", tag("h3", "The next word") + tag("p", lead, cls="lead"))
    return tag("section", head + tag("div", "".join(cells), cls="three"), cls="pl-panel words")


def group_of(state: AttentionState, masses: Sequence[AttentionMass]) -> int:
    """Return the group of keys whose mass the heads show: the chosen one, or the input if a reader has no prefix."""
    if state.group == "prefix" and not all(mass.virtual for mass in masses):
        return SOURCE
    if state.group == "written" and any(mass.site != SITE for mass in masses):  # only the decoder reads what it has written
        return PREFIX if all(mass.virtual for mass in masses) else SOURCE
    return GROUPS.index(state.group)


def beside_name(value: str) -> str:
    """Return the label of a choice of "beside it"."""
    return {SAME: "the same run, unchanged", "base": "the frozen model"}.get(value, value)
