"""The Attention tab's HTML: controls, the text with its underlines, and what an intervention writes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from analysis.attention.maps import PREFIX, SITE, SITES, SOURCE, AttentionLabels, AttentionMass, describe_mass, token_mass
from analysis.attention.sentences import ArticleSentences, SentenceMap, describe_sentences
from analysis.figures.style import visible_token
from analysis.metrics.bleu import original_bleu
from analysis.metrics.coverage import cover
from analysis.metrics.rouge import rouge
from app.attention.readings import Reader
from app.attention.state import ALPHAS, GROUPS, SAME, AttentionState
from app.compare.columns import chips
from app.compare.comparison import KINDS, Column
from app.compare.panels import bars
from app.compare.run_picker import text_field
from app.shared import examples
from app.shared.highlight import render, word_diff
from app.shared.html import tag, text
from app.shared.last_comparison import ColumnRecord, ComparisonRecord
from app.shared.method_labels import COLUMN_TITLES
from core.data.registry import table_of_source
from core.errors import BadTable
from core.methods.loading import TEXT_RUN
from core.text.detokenize import detokenise
from core.text.tables import Fields

NOT_AN_EXPLANATION = (
    "<b>Attention is not explanation.</b> A large mass says where values were taken from, not what they changed, and a model "
    "can look at something and make nothing of it; the map of knock-outs shows what each virtual token does change, "
    "here and for this text only."
)
AT = {  # what is seen at each site of a model that has several
    "encoder": "The encoder reads the article, its own virtual tokens before it.",
    "decoder": "The decoder reads what it has written itself, its own virtual tokens before it.",
    "cross": "The decoder reads the article as the encoder hands it over, with virtual tokens of its own before it.",
}
NO_PREFIX = {
    "finetuned": "A fine-tuned run has no prefix: what it learned is in its own copy of the weights, so there is nothing to turn "
    "up, hide or knock out. Its attention on the input and on its own text is shown.",
    "base": "The frozen model has no prefix, so there is nothing to turn up, hide or knock out. Its attention on the input and "
    "on its own text is shown; set it beside a prefix to see what the prefix draws away.",
}


@dataclass
class Seen:
    """What one refresh found, piece by piece. `masses`: the reader's first, then the one beside it.

    `depths`: layers a site; `site`: the one shown, `named` what it is called. `parts`: the sentences of an article that is read.
    """

    subject: ComparisonRecord
    column: str
    reader: Reader
    written: ColumnRecord
    depths: dict[str, int]
    site: str = SITE
    named: AttentionLabels = field(default_factory=AttentionLabels)
    parts: ArticleSentences | None = None
    beside: Reader | None = None
    masses: dict[str, AttentionMass] = field(default_factory=dict)
    beside_choices: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def article(self) -> str:
        """As far as it is read."""
        return self.subject.source[: self.written.end]

    @property
    def by_sentence(self) -> bool:
        """Whether what is read at the site has sentences."""
        return self.parts is not None and self.site != SITE


def empty_page() -> str:
    """Before there is a text to look at."""
    button = tag("button", "Generate the default example", type="button", cls="pl-btn pl-first", data_press="#pl-generate")
    lead = "Attention is read from a text, so one has to be there. What Compare is writing now shows up here by itself."
    told = tag("h3", "There is no text to look into yet.") + tag("p", lead, cls="meta")
    return tag("div", told + button, cls="pl-nothing")


# ---- controls


def controls(state: AttentionState, seen: Seen) -> str:
    """Which text, who reads it and where, how mass is weighed; the prefix turned up and down, and knocked out."""
    columns = [(kind, COLUMN_TITLES[kind]) for kind in KINDS if kind in seen.subject.columns]
    who = _labelled("Text by", _segment("column", columns, seen.column))
    beside = _labelled("Beside it", _beside(state, seen))
    weigh = _segment("weigh", [("", "Mass"), ("values", "× size of values")], state.weigh)
    shown_group = GROUPS[group_of(state, list(seen.masses.values()))]
    groups = [("prefix", "prefix"), ("source", seen.named.groups[1].removeprefix("the ")), ("written", "written")]
    tiles = _segment("group", groups if seen.site == SITE else groups[:2], shown_group)
    first = who + _site(seen) + beside + _labelled("Weigh", weigh) + _labelled("Tiles", tiles) + _unit(state, seen)
    return tag("div", first, cls="pl-look-row") + tag("div", _turning(state, seen), cls="pl-look-row turning")


def _site(seen: Seen) -> str:
    """Which of several sites is shown."""
    if len(seen.depths) == 1:
        return ""
    return _labelled("Look at", _segment("site", [(site, site) for site in seen.depths], seen.site), AT[seen.site])


def _unit(state: AttentionState, seen: Seen) -> str:
    if not seen.by_sentence:
        return ""
    return _labelled("Article by", _segment("unit", [("", "sentences"), ("tokens", "tokens")], state.unit))


def _turning(state: AttentionState, seen: Seen) -> str:
    if not seen.reader.length:
        return tag("p", NO_PREFIX["base" if seen.reader.kind == "base" else "finetuned"], cls="meta")
    alphas = [(f"{value:g}", shown) for value, shown in ALPHAS.items()]
    several, level = len(seen.depths) > 1, state.level(seen.site)
    own = f"{seen.site.capitalize()} prefix × α" if several else "Prefix × α"
    name = "alpha" if seen.site == SITE else seen.site  # the field of the state
    turn = _labelled(own, _segment(name, alphas, f"{level:g}"), "The odds of attending to the prefix, times α")
    if several and any(state.level(site) != level for site in seen.depths):
        turn += _button(f"{ALPHAS[level]} at every site", "everywhere", seen.site, "The same α for all three prefixes")
    out, at = set(state.out.split(".")), f"{seen.site}-" if several else ""
    tokens = "".join(_place(f"P{i + 1}", at, out) for i in range(seen.reader.length))
    layers = "".join(_place(f"L{i + 1}", at, out) for i in range(seen.depths[seen.site]))
    which = tag("div", tokens, cls="pl-places") + tag("div", layers, cls="pl-places layers")
    where = f", at {seen.named.site_name}" if several else ""
    knock = _labelled("Knock out", which, f"A click hides a virtual token everywhere, or the whole prefix in one layer{where}")
    undo = "" if _idle(state, seen) else _button("As it was", "reset", "", "Undo α and all knock-outs")
    return turn + knock + undo


def _idle(state: AttentionState, seen: Seen) -> bool:
    """Whether nothing is asked for that `reset` would undo."""
    return not state.out and all(state.level(site) == 1 for site in seen.depths)


def _labelled(name: str, content: str, title: str | None = None) -> str:
    return tag("div", tag("span", text(name), cls="name", title=title) + content, cls="pl-control", role="group", aria_label=name)


def _segment(name: str, choices: Sequence[tuple[str, str]], chosen: str) -> str:
    buttons = [_button(shown, name, value, None, value == chosen) for value, shown in choices]
    return tag("div", "".join(buttons), cls="pl-segment")


def _button(shown: str, name: str, value: str, title: str | None = None, pressed: bool | None = None) -> str:
    state = None if pressed is None else str(pressed).lower()
    attributes = {"data_set": name, "data_value": value, "aria_pressed": state, "title": title}
    return tag("button", text(shown), type="button", cls="pl-btn", **attributes)


def _place(name: str, at: str, out: set[str]) -> str:
    """A virtual token or a layer `at` a site ("cross-"), or of a model's only one ("")."""
    gone = name in out or at + name in out
    title = f"{name} is hidden: click to bring it back" if gone else f"Hide {name}"
    attributes = {"data_set": "out", "data_value": at + name, "aria_pressed": str(gone).lower(), "title": title}
    return tag("button", name, type="button", cls="pl-place", **attributes)


def _beside(state: AttentionState, seen: Seen) -> str:
    typed = state.beside.startswith(TEXT_RUN)
    options = [("", "nothing"), *seen.beside_choices, (TEXT_RUN, "text prefix…")]
    chosen = TEXT_RUN if typed else state.beside if state.beside in dict(options) else ""
    shown = [tag("option", text(name), value=value, selected="" if value == chosen else None) for value, name in options]
    select = tag("select", "".join(shown), aria_label="Beside it", data_set="beside", data_chosen=chosen)
    return select + text_field(state.beside, "beside", hidden=not typed)


# ---- the text


def reads(
    state: AttentionState,
    seen: Seen,
    again: ColumnRecord | None,
    turned: AttentionMass | None,
    leaning: SentenceMap | None = None,
) -> str:
    """The text, each token underlined by the mass on the prefix, beside what an intervention makes of it; and the sentence.

    `leaning`: the cross-attention by sentence, to be read out too.
    """
    mass = next(iter(seen.masses.values()))
    weighted = state.weigh == "values"
    lead = f"{COLUMN_TITLES[seen.column]}, {text(seen.written.run)}" if seen.written.run else COLUMN_TITLES[seen.column]
    scores = _told(seen, seen.written.text) if again is not None else ""
    cards = [_card(seen.column, lead, "as it was written", underlined(mass, weighted, seen.written.text), scores)]
    if again is not None:
        cards.append(_again(state, seen, again))
    said = describe_mass(turned or mass, seen.named.groups[1], weighted, seen.named.site_name)
    if turned is not None:
        said = f"The first text read again, {name_of(state, seen)}: {said[0].lower()}{said[1:]}"
    if leaning is not None and seen.parts is not None:
        shares = leaning.weights[:, :, list(leaning.step_queries), leaning.virtual : -1].mean((0, 1, 2))
        said += f" {describe_sentences(seen.parts.spans, seen.article, shares)}"
    notes = "".join(tag("p", text(note), cls="meta") for note in seen.notes)
    return tag("div", "".join(cards), cls="pl-reads") + tag("p", text(said.replace(" %", "\u00a0%")), cls="pl-sentence") + notes


def _card(kind: str, title: str, sub: str, told: str, more: str = "") -> str:
    head = tag("header", tag("h3", title) + tag("span", text(sub), cls="meta"))
    return tag("article", head + told + more, cls=f"pl-card {kind}")


def underlined(mass: AttentionMass, weighted: bool, written: str = "") -> str:
    """The written tokens, each with a line as thick as the prefix's mass while it was written; plain where an encoder reads."""
    if mass.site == "encoder":
        return tag("p", text(written), cls="told marked") if written else tag("p", "Not a word was written.", cls="meta")
    found = token_mass(mass, PREFIX, weighted)
    if not found:
        return tag("p", "Not a word was written.", cls="meta")
    spans = [
        tag("span", shown_end(word), cls="u", style=f"--m:{share:.3f}", title=f"{100 * share:.0f} % on the prefix")
        if mass.virtual
        else tag("span", shown_end(word))
        for word, share in found
    ]  # fmt: skip
    return tag("p", "".join(spans), cls="told marked")


def shown_end(word: str) -> str:
    """A token inside a text; the model's own mark of an end as a small square."""
    return " ∎" if visible_token(word) == "∎" else text(word)


def name_of(state: AttentionState, seen: Seen) -> str:
    """What was done to the prefix, in words."""
    levels = {site: state.level(site) for site in seen.depths}
    if not any(levels.values()):
        return "base, shifted" if len(levels) == 1 else "base"
    if len(set(levels.values())) == 1:
        parts = [f"α = {ALPHAS[state.alpha]}"] if state.alpha != 1 else []
    else:
        parts = [f"α = {ALPHAS[level]} at {SITES[site]}" for site, level in levels.items() if level != 1]
    return " and ".join(parts + ([f"without {state.out.replace('-', ' ').replace('.', ', ')}"] if state.out else []))


def _again(state: AttentionState, seen: Seen, again: ColumnRecord) -> str:
    """What the run writes now, with the words that differ marked."""
    shown = str.strip if seen.subject.form == "article" else detokenise
    old, new = shown(seen.written.text), shown(again.text)
    done = again.state != "streaming"
    different = word_diff(old, new)[1] if done else []
    caret = "" if done else tag("i", "", cls="caret")
    name, sub = name_of(state, seen), "the same seed and decoding"
    if name.startswith("base"):
        sub = "the prefix is hidden: the frozen model" + (", with positions that start after it" if len(seen.depths) == 1 else "")
    same = tag("p", "Word for word the same.", cls="meta") if done and old == new else ""
    told = tag("p", render(new, different) + caret, cls="told marked")
    return _card("turned", text(name), sub, told, same + (_told(seen, again.text) if done else ""))


def _fields(seen: Seen) -> Fields:
    try:
        return table_of_source(seen.subject.form, seen.subject.source)
    except BadTable:
        return []


def _told(seen: Seen, written: str) -> str:
    """Which values a text says, and its sentence BLEU where there are references; of a summary its ROUGE."""
    if seen.subject.form == "article":
        return _rouge(seen, written)
    fields = _fields(seen)
    if not fields or not written:
        return ""
    sample = examples.matching(fields, seen.subject.form)
    score = original_bleu([written], [list(sample.references)]) if sample else None
    bleu = f"BLEU {score.per_example[0]:.1f} (n=1: one sentence, not a system score)" if score else ""
    return chips(cover(fields, detokenise(written)), fields) + (tag("p", bleu, cls="meta") if bleu else "")


def _rouge(seen: Seen, written: str) -> str:
    sample = examples.matching([], "article", seen.subject.source)
    if sample is None or not written.strip():
        return ""
    scores = ", ".join(f"{score.name} {score.value:.1f}" for score in rouge([written], [list(sample.references)]))
    return tag("p", f"{scores} (n=1: one summary, not a system score)", cls="meta")


def effect(state: AttentionState, seen: Seen, before: list[tuple[str, float]], after: list[tuple[str, float]]) -> str:
    """The first word's probabilities, as the run is and as it was turned."""
    named = {"as it was written": before, name_of(state, seen): after}
    cells = [bars(Column(seen.column, words=words), name) for name, words in named.items()]
    lead = "How likely each token is to begin the answer, right after the input."
    head = tag("header", tag("h3", "The next word") + tag("p", lead, cls="lead"))
    return tag("section", head + tag("div", "".join(cells), cls="three"), cls="pl-panel words")


def group_of(state: AttentionState, masses: Sequence[AttentionMass]) -> int:
    """On whose mass the heads are shown: the one chosen; the input's where that is the prefix and a reader has none."""
    if state.group == "prefix" and not all(mass.virtual for mass in masses):
        return SOURCE
    if state.group == "written" and any(mass.site != SITE for mass in masses):  # only the decoder reads what it has written
        return PREFIX if all(mass.virtual for mass in masses) else SOURCE
    return GROUPS.index(state.group)


def beside_name(value: str) -> str:
    """How a choice of "beside it" is called."""
    return {SAME: "the same run, untouched", "base": "the frozen model"}.get(value, value)
