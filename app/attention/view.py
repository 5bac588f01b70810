"""HTML of the Attention tab: the text with its underlines, and the effect of an intervention."""

from dataclasses import dataclass, field

from analysis.attention.maps import PREFIX, SITE, SITES, AttentionLabels, AttentionMass
from analysis.attention.sentences import ArticleSentences, SentenceMap, describe_sentences
from analysis.attention.shares import describe_mass, token_mass
from analysis.figures.style import visible_token
from analysis.metrics.bleu import original_bleu
from analysis.metrics.coverage import cover
from analysis.metrics.rouge import rouge
from app.attention.readings import AttentionSource
from app.attention.state import ALPHAS, SAME, AttentionState
from app.compare.columns import coverage_chips
from app.compare.comparison import Column
from app.compare.panels import bars
from app.shared import examples
from app.shared.highlight import render, word_diff
from app.shared.html import tag, text
from app.shared.last_comparison import ColumnRecord, ComparisonRecord
from app.shared.method_labels import COLUMN_TITLES
from core.data.registry import table_of_source
from core.errors import BadTable
from core.text.checks import listing
from core.text.detokenize import detokenise, readable
from core.text.tables import Fields

NOT_INFLUENCE = (
    "<b>Attention is not influence.</b> A large share says where values were read from, not what they changed: a model can look "
    "at something and make no use of it. The map of knock-outs shows what each virtual token does change, for this text only."
)


@dataclass
class AttentionViewModel:
    """The content of one refresh, filled step by step.

    `depths`: the number of layers of each site; `site`: the current one, `labels` its words; `parts`: the sentences of an
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
        sentence = f"The first text read again ({name_of(state, vm)}): {sentence[0].lower()}{sentence[1:]}"
    if vm.sentence_map is not None and vm.parts is not None:
        by_sentence = vm.sentence_map
        shares = by_sentence.weights[:, :, list(by_sentence.step_queries), by_sentence.virtual : -1].mean((0, 1, 2))
        sentence += f" {describe_sentences(vm.parts.spans, vm.article, shares)}"
    return tag("p", text(sentence.rstrip().replace(" %", "\u00a0%")), cls="pl-sentence")


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
            title=f"{percent(share)} on the prefix",
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
    ends = f"{thin} {percent(low)} {thick} {percent(high)}" if high - low > 0.005 else f"{percent(low)} throughout"
    return tag("p", f"Underline: attention on the prefix, {ends}", cls="meta pl-scale", title="While the token was written")


def percent(share: float) -> str:
    """Format a share without decimals."""
    return f"{100 * share:.0f}\u00a0%"


def token_text(word: str) -> str:
    """Show a token inside a text; the model's end token as a small square."""
    return " ∎" if visible_token(word) == "∎" else text(word)


def _is_hidden(state: AttentionState, vm: AttentionViewModel) -> bool:
    """Whether α is 0 at every site."""
    return not any(state.level(site) for site in vm.depths)


def name_of(state: AttentionState, vm: AttentionViewModel) -> str:
    """Describe the intervention in words."""
    levels = {site: state.level(site) for site in vm.depths}
    if _is_hidden(state, vm):
        return "frozen model, positions shifted" if len(levels) == 1 else "frozen model"
    if len(set(levels.values())) == 1:
        parts = [f"α = {ALPHAS[state.alpha]}"] if state.alpha != 1 else []
    else:
        parts = [f"α = {ALPHAS[level]} at {SITES[site]}" for site, level in levels.items() if level != 1]
    out = state.knocked_out(vm.reader.length, vm.depths)
    return " and ".join(parts + ([f"without {listing(out)}"] if out else []))


def _regenerated(state: AttentionState, vm: AttentionViewModel, new: ColumnRecord) -> str:
    """Show the text regenerated under the intervention, with the words that differ marked."""
    before, after = (readable(one.text, vm.record.form) for one in (vm.text, new))
    finished = new.state != "streaming"
    different = word_diff(before, after)[1] if finished else []
    caret = "" if finished else tag("i", "", cls="caret")
    name, sub = name_of(state, vm), "the same seed and decoding"
    if _is_hidden(state, vm):
        sub = "the prefix is hidden" + ("; positions start after it" if len(vm.depths) == 1 else "")
    same = tag("p", "Word for word the same.", cls="meta") if finished and before == after else ""
    body = tag("p", render(after, different) + caret, cls="generated marked")
    return _card("turned", text(name.replace("frozen", "Frozen")), sub, body, same + (_scores(vm, new.text) if finished else ""))


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
    sample = examples.matching(fields, vm.record.form, vm.record.source)
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


def beside_name(value: str) -> str:
    """Return the label of a choice of "beside it"."""
    return {SAME: "the same run, unchanged", "base": "the frozen model"}.get(value, value)
