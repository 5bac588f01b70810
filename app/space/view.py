"""HTML of the Prefix space tab: the words of one virtual token, those of all, and the reason if there are none.

Rows have data-point, the id of a point on the map (analysis/figures/space.py), by which the page's script links them.
"""

from collections.abc import Sequence

from analysis.figures.style import visible_token
from analysis.space.neighbor_analysis import EMBEDDINGS, LOGIT_LENS, Z_THRESHOLD, NeighborAnalysis
from analysis.space.neighbors import WARNING, Neighbor
from app.shared.html import button, table, tag, text
from app.shared.method_labels import train_command
from core.models.architectures import BART
from core.models.backbone import Backbone
from core.runs.run import Run

SHORT = 28  # letters of a run's name in a heading
WORDS = 6  # words of each virtual token in the table of all; fewer where there are two columns
UP, DOWN = "pushed up", "pushed down"
LEADS = {
    "keys": "Keys: what decides how much a virtual token is attended to.",
    "values": "Values: what is read from a virtual token where it is attended to.",
    LOGIT_LENS: "Writes: what the value adds to the text's own vectors, read off as words pushed up and down.",
    EMBEDDINGS: "Embeddings: vectors that are trained at the model's input, where words are too.",
}
SITE_LEADS = {  # of a model with several sites
    "encoder": "Here: what the encoder reads before the article.",
    "decoder": "Here: what the decoder reads before the text that it has written.",
    "cross": "Here: what the decoder reads before the article, as the encoder hands it over.",
}
Z_RANDOM = "z: standard deviations above random vectors' word of the same rank. Up to 2 is chance, up to 4 weak, more is clear"
Z_INITIAL = "z: standard deviations above the run's own tokens before training"
TITLES = {"vs. random": Z_RANDOM, "vs. start": Z_INITIAL, "before": "The same word's score before training"}


def warning() -> str:
    """How much to believe of nearest words."""
    return tag("p", tag("b", "Read with care. ") + text(WARNING), cls="pl-warning", role="note")


def lead(space: str, site: str = "") -> str:
    """Describe the space and, for a model with several sites, what its virtual tokens do there."""
    more = f" {SITE_LEADS[site]}" if site and space != EMBEDDINGS else ""
    lens = f" {BART.lens_note}" if site and space == LOGIT_LENS else ""
    return tag("p", text(LEADS[space] + more + lens), cls="meta")


def short_name(run: str) -> str:
    """Return a short form of a run's name."""
    return text(run if len(run) <= SHORT else run[: SHORT - 1] + "…")


def skeleton() -> str:
    """A placeholder until the first analysis is ready."""
    lead = tag("p", "The words' vectors are being computed.", cls="pl-sentence", role="status")
    return lead + tag("div", tag("i", "") * 3, cls="pl-skeleton", aria_hidden="true")


def visible_word(neighbor: Neighbor) -> str:
    """Return a word in visible form, escaped. One that continues a word starts with “…”: "check" is not " check"; a sign after
    a space starts with “␣”: " |" is not "|"."""
    word = visible_token(neighbor.word)
    if neighbor.word[:1] == " " and not neighbor.word[1:2].isalnum() and not word.startswith("␣"):
        return f"␣{word}"
    return f"…{word}" if not neighbor.whole and neighbor.word[:1].isalnum() else word


def detail(analysis: NeighborAnalysis, run: str, number: int) -> str:
    """The words of one virtual token, with buttons for the one before and after."""
    count = next(len(placed.vectors) for placed in analysis.runs if placed.run == run)
    steps = "".join(
        tag(
            "button",
            sign,
            type="button",
            cls="pl-btn",
            data_point=f"t:{run}:{to}",
            disabled=None if 0 <= to < count else "",
            title=title,
        )
        for sign, to, title in (("‹", number - 1, "The one before"), ("›", number + 1, "The next one"))
    )
    head = tag("h3", f"P{number + 1} " + tag("small", f"of {count}, {short_name(run)}")) + tag("span", steps, cls="steps")
    near = [word for word in analysis.nearest if (word.run, word.token) == (run, number)]
    far = [word for word in analysis.pushed_down if (word.run, word.token) == (run, number)]
    body = _table(analysis, near, UP if far else "nearest words")
    if far:
        body += _table(analysis, far, DOWN)
    return tag("section", tag("header", head) + body + _legend(analysis), cls="pl-near")


def _table(analysis: NeighborAnalysis, words: Sequence[Neighbor], caption: str) -> str:
    initial = any(word.before is not None for word in words)
    heads = ["", caption, analysis.space.measure, "vs. random"] + (["vs. start", "before"] if initial else [])
    down = caption == DOWN
    return table(heads, "".join(_row(word, initial, down) for word in words), TITLES)


def _row(neighbor: Neighbor, initial: bool, down: bool) -> str:
    score = f"{neighbor.score:.3f}" if abs(neighbor.score) < 2 else f"{neighbor.score:.2f}"
    cells = tag("td", str(neighbor.rank), cls="n") + tag("td", word(neighbor)) + tag("td", score.replace("-", "−"), cls="n")
    cells += _z(neighbor.z_random, down)
    if initial:
        before = "–" if neighbor.before is None else f"{neighbor.before:.2f}".replace("-", "−")
        cells += _z(neighbor.z_initial, down, in_words=False) + tag("td", before, cls="n soft")
    return tag("tr", cells, data_point=f"w:{neighbor.id}")


def word(neighbor: Neighbor) -> str:
    """A word in visible form; whole words are marked with a dot."""
    kind, title = ("whole", "A whole word") if neighbor.whole else ("piece", "Part of a word, punctuation or a number")
    return tag("span", visible_word(neighbor), cls=f"w {kind}", title=f"{title}: {neighbor.word!r}")


def _z(value: float | None, down: bool = False, in_words: bool = True) -> str:
    """Return a z-score, with a word before it if `in_words`."""
    if value is None:
        return tag("td", "–", cls="n soft")
    above = -value if down else value  # a word that is pushed down is a surprise far below
    verdict = "clear" if above > 2 * Z_THRESHOLD else "weak" if above > Z_THRESHOLD else "chance"
    number = tag("small", f"{value:+.1f}".replace("-", "−"))
    return tag("td", f"{verdict} {number}" if in_words else number, cls="n soft" if verdict == "chance" else "n clear")


def _legend(analysis: NeighborAnalysis) -> str:
    whole = "Ranked among whole words only. " if analysis.whole else ""
    return tag(
        "p",
        f"{whole}● a whole word; “…” continues a word; the rest are punctuation or numbers; “␣” is a space. Bold: above chance.",
        cls="meta",
    )


def search_results(analysis: NeighborAnalysis, query: str, words: Sequence[Neighbor]) -> str:
    """The virtual tokens nearest to a word, best first."""
    several = len(analysis.runs) > 1
    heads = ["", "word", analysis.space.measure, "rank", "vs. random"]
    rows = "".join(
        tag(
            "tr",
            tag("td", tag("b", f"P{match.token + 1}") + (tag("small", " " + short_name(match.run)) if several else ""))
            + tag("td", word(match))
            + tag("td", f"{match.score:.3f}", cls="n")
            + tag("td", f"{match.rank:,}", cls="n")
            + _z(match.z_random),
            data_point=f"t:{match.run}:{match.token}",
        )
        for match in words[:20]
    )
    head = tag("h3", f"Virtual tokens near “{text(query)}”") + button("close", data_close="1")
    more = f"The best 20 of {len(words)}. " if len(words) > 20 else ""
    note = f"{more}Rank: among all words of that virtual token. The word is ringed on the map."
    return tag("section", tag("header", head) + table(heads, rows) + tag("p", note, cls="meta"), cls="pl-near")


def overview(analysis: NeighborAnalysis, run: str, number: int) -> str:
    """Show all virtual tokens with their nearest words; a lasso on the map filters them."""
    rows, count = [], WORDS - 2 if analysis.pushed_down else WORDS
    for place, placed in enumerate(analysis.runs):
        near, far = (_grouped(words, placed.run) for words in (analysis.nearest, analysis.pushed_down))
        for token in range(len(placed.vectors)):
            first = near[token][0]
            cells = tag(
                "td",
                tag("b", f"P{token + 1}") + (tag("small", " " + short_name(placed.run)) if len(analysis.runs) > 1 else ""),
                cls=f"run{place}",
            )
            cells += _z(first.z_random) + _z(first.z_initial, in_words=False) + tag("td", _chips(near[token][:count]))
            cells += tag("td", _chips(far[token][:count])) if far else ""
            now = "true" if (placed.run, token) == (run, number) else None
            rows.append(tag("tr", cells, data_point=f"t:{placed.run}:{token}", aria_current=now))
    heads = ["", "vs. random", "vs. start", *((UP, DOWN) if analysis.pushed_down else ("nearest words",))]
    lasso = tag("p", tag("span", "") + button("Show all", data_clear="1"), cls="lasso", hidden="")
    return lasso + tag("div", table(heads, "".join(rows), TITLES), cls="pl-all")


def _grouped(words: Sequence[Neighbor], run: str) -> dict[int, list[Neighbor]]:
    grouped: dict[int, list[Neighbor]] = {}
    for neighbor in words:
        if neighbor.run == run:
            grouped.setdefault(neighbor.token, []).append(neighbor)
    return grouped


def _chips(words: Sequence[Neighbor]) -> str:
    return " ".join(
        tag("span", word(neighbor) + tag("i", f"{neighbor.score:.2f}"), data_point=f"w:{neighbor.id}", cls="near")
        for neighbor in words[:WORDS]
    )


def no_runs(backbone: Backbone) -> str:
    """No run on this backbone has virtual tokens."""
    return _empty(
        f"No run on {backbone.spec.name} has virtual tokens yet.",
        "Train a prefix, then open this tab again. Or type a text into Runs, such as text:Tell the table: any text is a prefix "
        "without training.",
        train_command("prefix", backbone.spec.name),
    )


def no_tokens(runs: Sequence[Run]) -> str:
    """The chosen runs have no virtual tokens."""
    names = " and ".join(run.id for run in runs)
    return _empty(
        f"{names}: nothing to set among the words.",
        "Fine-tuning changes the model's own weights and adds no virtual tokens, so there is no key, value or embedding of its "
        "own that could lie near a word. Choose a run with a prefix, or type a text, such as text:Tell the table.",
    )


def no_lens(name: str) -> str:
    """An encoder has no logit lens."""
    return _empty(
        "What the encoder's virtual tokens write cannot be read as words.",
        f"Their values pass through the encoder of {name}, which feeds no unembedding: only the decoder's last layer does. "
        "Choose the decoder or the cross-attention, or look at the encoder's keys or values.",
    )


def no_embeddings() -> str:
    """No chosen run was trained as input embeddings."""
    return _empty(
        "No chosen run has vectors at the model's input.",
        "A prefix holds keys and values of every layer. Embedding-only tuning (paper, section 7.2) trains vectors where words "
        "enter the model, so those alone can be compared with the words' embeddings. Choose such a run, a text prefix, or "
        "another space.",
    )


def _empty(title: str, sentence: str, command: str = "") -> str:
    content = tag("h3", text(title)) + tag("p", text(sentence)) + (tag("code", text(command)) if command else "")
    return tag("section", content, cls="pl-space-nothing")
