"""One sentence at the top of the tab: what to look at in the columns."""

from analysis.metrics.coverage import Coverage
from app.compare.columns import mark_texts
from app.compare.comparison import Comparison
from app.compare.panels import column_titles
from app.shared.html import tag, text
from core.text.checks import counted
from core.text.tables import Fields

WAITING = "The same input, the same decoding, side by side: the texts are being written."


def headline(comparison: Comparison, fields: Fields) -> str:
    """Describe what the columns have in common and where they differ, computed from complete texts."""
    return tag("p", text(_sentence(comparison, fields)), cls="pl-headline")


def _sentence(comparison: Comparison, fields: Fields) -> str:
    columns = comparison.columns.values()
    if any(column.is_open for column in columns):
        return WAITING
    texts = mark_texts(comparison, fields)
    names = column_titles(comparison) | {"base": "the frozen model"}
    counts = {slot: marked.coverage for slot, marked in texts.items() if marked.coverage}
    if not any(column.text.strip() for column in columns):
        return "No text was written; the columns say why."
    if not fields:
        words = [f"{names[slot]} {len(texts[slot].text.split())}{_extra(coverage)}" for slot, coverage in counts.items()]
        words = words or [f"{names[column.kind]} {len(column.text.split())}" for column in columns if column.text.strip()]
        return f"Words written: {', '.join(words)}."
    parts = [f"{names[slot]} covers {len(coverage.present)}{_extra(coverage)}" for slot, coverage in counts.items()]
    return f"The input has {counted(len(fields), 'value')}: {'; '.join(parts)}."


def _extra(coverage: Coverage) -> str:
    return f" ({len(coverage.unsupported)} unsupported)" if coverage.unsupported else ""


def skeleton() -> str:
    """Show a placeholder while the page loads."""
    return tag("p", "The same input, the same decoding, side by side.", cls="pl-headline")
