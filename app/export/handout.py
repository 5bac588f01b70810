"""What a handout holds beside the page itself: the text of its prefix at every α, written in advance for a slider.

The page makes the file (app/export/handout.js), as it has the figures; what only the model knows comes from here.
"""

import json
from dataclasses import replace

import gradio as gr

from analysis.attention.maps import PREFIX
from analysis.attention.shares import by_layer
from analysis.metrics.coverage import cover
from app.attention.readings import AttentionSource, ReadingCache
from app.attention.state import ALPHAS, AttentionState
from app.shared import urlstate
from app.shared.context import AppContext
from app.shared.events import QUIET, sentence_of
from app.shared.highlight import render
from app.shared.html import hidden, tag, text
from app.shared.last_comparison import ColumnRecord, ComparisonRecord
from core.data.registry import table_of_source
from core.errors import BadInput
from core.models.backbone import Backbone
from core.prefix.interventions import Intervention
from core.runs.layout import JsonObject
from core.text.checks import listing, percent
from core.text.detokenize import detokenise

WITH_ALPHA = ("compare", "attention")  # tabs that show the text of a prefix


class HandoutHandlers:
    """Writes the texts of the slider. `readings` are the Attention tab's, so that nothing is written twice."""

    def __init__(self, context: AppContext, readings: ReadingCache) -> None:
        self.context, self.readings = context, readings

    def ask(self, search: str, tab: str, request: gr.Request) -> str:
        """JSON for handout.js: {"sliders": [{"title", "at", "stops": [{"label", "html"}]}]}, or {"problem": a sentence}."""
        try:
            page = request.session_hash or ""
            slider = self.slider(urlstate.read(search or "", AttentionState), page) if tab in WITH_ALPHA else None
            return json.dumps({"sliders": [slider] if slider else []})
        except Exception as error:
            return json.dumps({"problem": sentence_of(error)})

    def slider(self, state: AttentionState, page: str) -> JsonObject | None:
        """The page's prefix at every α, its knock-outs kept; None where no column has virtual tokens.

        Raises BadInput while the page's texts are still being written.
        """
        record = self.context.comparisons.get(page)
        if record is None:
            raise BadInput("The texts are still being written. Wait for them, and take the handout then.")
        backbone = self.context.models.backbone(record.name)
        columns = sorted(record.columns, key=lambda kind: (kind != state.column, kind != "prefix"))
        for column in columns:
            source = self.readings.reader(record.columns[column].run, backbone, column)
            if source.length:
                return self._slider(backbone, source, record, record.columns[column], state, page)
        return None

    def _slider(
        self,
        backbone: Backbone,
        source: AttentionSource,
        record: ComparisonRecord,
        column: ColumnRecord,
        state: AttentionState,
        page: str,
    ) -> JsonObject:
        depths = backbone.spec.depths
        levels = [replace(state, alpha=alpha, encoder=alpha, cross=alpha).intervention(source.length, depths) for alpha in ALPHAS]
        never = lambda: False  # noqa: E731
        growing = [
            self.readings.regenerate(backbone, source, record, column, level, never, f"{page} {alpha}")
            for alpha, level in zip(ALPHAS, levels, strict=True)
        ]
        first = [next(one) for one in growing]  # all are written together, in one batch
        texts = [[begun, *rest][-1] for begun, rest in zip(first, growing, strict=True)]
        stops = [
            {"label": f"α = {name}", "html": self._stop(backbone, source, record, one, level)}
            for name, level, one in zip(ALPHAS.values(), levels, texts, strict=True)
        ]
        out = state.knocked_out(source.length, depths)
        without = f", without {listing(out)}" if out else ""
        title = f"The odds of looking at the prefix {source.title.removeprefix('text prefix ')}, times α{without}"
        return {"title": title, "at": list(ALPHAS).index(state.alpha), "stops": stops}

    def _stop(
        self, backbone: Backbone, source: AttentionSource, record: ComparisonRecord, column: ColumnRecord, level: Intervention
    ) -> str:
        """The text at one α, what it covers, and the attention on the prefix layer by layer."""
        facts, values = [], []
        plain = column.text.strip()
        if record.form != "article" and (fields := table_of_source(record.form, record.source)):
            plain = detokenise(column.text)
            coverage = cover(fields, plain)
            values, unsupported = coverage.spans, len(coverage.unsupported)
            facts = [f"{len(coverage.present)} of {len(fields)} values", f"{unsupported} unsupported" if unsupported else ""]
        body = tag("p", render(plain, values=values) or text("(nothing)"), cls="generated")
        if column.ids:
            shares = by_layer(self.readings.mass(backbone, source, column, level))[:, PREFIX]
            facts.append(f"{percent(float(shares.mean()))} of the attention on the prefix")
            body += tag("ol", "".join(_bar(layer, share) for layer, share in enumerate(shares.tolist(), 1)), cls="pl-layers")
        return tag("p", text(" · ".join(filter(None, facts))), cls="meta") + body


def _bar(layer: int, share: float) -> str:
    bar = tag("span", tag("i", "", style=f"width:{100 * share:.1f}%"), cls="bar")
    return tag("li", tag("b", f"layer {layer}") + bar + tag("em", percent(share)))


def build(context: AppContext, readings: ReadingCache, search: gr.Textbox) -> None:
    """The button that the page's script presses, and the place for what is written; call inside gr.Blocks."""
    do = HandoutHandlers(context, readings)
    ask = gr.Button("", elem_id="pl-handout-ask", elem_classes="pl-key")
    tab = hidden(elem_id="pl-handout-tab")
    answer = hidden(elem_id="pl-handout")
    here = "() => [location.search, PrefixLab.tabs.now()]"
    click = ask.click(do.ask, [search, tab], answer, js=here, concurrency_id="handout", concurrency_limit=4, **QUIET)
    click.then(None, answer, None, js="(answer) => PrefixLab.handout.make(answer)")
