"""Panels of the Compare tab for an article: how much is read, the sentences that summaries attend to, and ROUGE."""

from analysis.metrics.rouge import rouge
from app.compare.comparison import Column, Comparison
from app.shared.examples import Sample
from app.shared.html import tag, text
from app.shared.method_labels import title, titles
from core.models.backbone import Backbone
from core.models.inputs import EncodedInput, encode_input
from core.task import Task
from core.text.articles import looks_english

AROUND = 60  # characters shown before and after the place where an article is cut
REST = 400  # characters shown of the part that is not read
LEAD = (
    "Cross-attention by sentence while each summary was written, mean of all layers, heads and steps. Attention is not "
    "influence: it shows where values were read from, not what they changed."
)


def note(backbone: Backbone, task: Task, source: str) -> str:
    """The note under the article: its tokens, and where a model of a task stops reading."""
    read = encode_input(backbone, task, source)
    html = tag("p", _count(read), cls="meta", role="status")
    if read.is_cut:
        before, after = source[max(0, read.end - AROUND) : read.end], source[read.end : read.end + AROUND]
        line = tag("i", "cut here", cls="cut")
        html += tag("span", tag("i", "", style=f"width:{100 * read.used / read.tokens:.1f}%"), cls="bar")
        html += tag("p", f"…{text(before)}{line}{tag('s', text(after))}…", cls="pl-cut")
    if not looks_english(source):
        name = text(backbone.spec.name)
        html += tag("p", f"This does not look like English, which models like {name} were trained on.", cls="meta")
    return html


def _count(read: EncodedInput) -> str:
    if read.is_cut:
        return f"{read.tokens:,} tokens; the first {read.used:,} are read, the rest is left out."
    return f"{read.tokens:,} tokens, all of them read."


def sentences(comparison: Comparison) -> str:
    """Show the article by sentences, with the share of attention that each got in each column; empty without texts."""
    attention = {kind: column.sentences for kind, column in comparison.columns.items() if column.sentences}
    if not attention:
        return ""
    spans = max((one.spans for one in attention.values()), key=len)
    most = {kind: max(one.shares, default=0) or 1 for kind, one in attention.items()}
    rows = [_row("", list(titles({kind: column.run for kind, column in comparison.columns.items()}).values()), "Sentence", "th")]
    for place, (start, end) in enumerate(spans):
        cells = []
        for kind in comparison.columns:
            shares = attention[kind].shares if kind in attention else ()
            cells.append(_share(kind, shares[place], most[kind]) if place < len(shares) else tag("td", "–"))
        rows.append(
            tag(
                "tr", "".join(cells) + tag("td", str(place + 1), cls="no") + tag("td", text(comparison.request.source[start:end]))
            )
        )
    virtual = [f"{100 * attention[kind].virtual:.0f} %" if kind in attention else "–" for kind in comparison.columns]
    rows.append(_row("meta", virtual, "went to virtual tokens", "td"))
    table = tag("table", "".join(rows), cls="sentences")
    heading = tag("header", tag("h3", "What each summary attends to") + tag("p", LEAD, cls="lead"))
    return tag("section", heading + table + _unread(comparison, spans), cls="pl-panel attended")


def _row(name: str, cells: list[str], last: str, kind: str) -> str:
    return tag("tr", "".join(tag(kind, text(cell)) for cell in cells) + tag(kind) + tag(kind, last), cls=name or None)


def _share(kind: str, share: float, most: float) -> str:
    """Show a share as a number with a shade of the column's colour; the highest has the full shade and is bold."""
    shade = f"--part:{55 * share / most:.0f}%"
    return tag("td", f"{100 * share:.1f} %", cls=f"share {kind}" + (" most" if share == most else ""), style=shade)


def _unread(comparison: Comparison, spans: tuple[tuple[int, int], ...]) -> str:
    """Show the text after the cut."""
    rest = comparison.request.source[spans[-1][1] :].strip() if spans else ""
    if not rest:
        return ""
    more = "…" if len(rest) > REST else ""
    return tag("p", tag("i", "cut here, not read", cls="cut") + tag("s", text(rest[:REST]) + more), cls="pl-cut")


def references(comparison: Comparison, sample: Sample | None) -> str:
    """Show the reference summary of an example with ROUGE of each text; otherwise why there is none."""
    if sample is None:
        lead = "This article is your own, so there is no reference summary to score against."
        return tag("section", tag("header", tag("h3", "References") + tag("p", lead, cls="lead")), cls="pl-panel references")
    listed = tag("ul", "".join(tag("li", text(reference)) for reference in sample.references))
    cells = "".join(_scores(comparison.columns[kind], list(sample.references)) for kind in comparison.columns)
    recipe = "R-1, R-2 and R-L: ROUGE F1 with stemming, higher is better. n=1: one summary, not a system score."
    heading = tag("header", tag("h3", "References") + tag("p", "A summary written for this article.", cls="lead"))
    body = listed + tag("div", cells, cls="pl-cells", style=f"--columns:{len(comparison.columns)}") + tag("p", recipe, cls="meta")
    return tag("section", heading + body, cls="pl-panel references")


def _scores(column: Column, references: list[str]) -> str:
    items = ""
    for score in rouge([column.text], [references]) if column.text.strip() else []:
        items += tag("span", f"{score.name.replace('ROUGE', 'R')} {tag('b', f'{score.value:.1f}')}", title=score.signature)
    return tag("div", tag("h4", text(title(column.kind, column.run))) + (items or tag("b", "–")), cls=f"cell rouge {column.kind}")


def glance(source: str) -> str:
    """Show how the article begins, for the presenter's view."""
    begin = source[:280].replace("\n", " ")
    return tag("p", text(begin) + ("…" if len(source) > len(begin) else ""), cls="pl-glance article")
