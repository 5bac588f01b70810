"""One sentence at the head of the tab: what to see in the columns now."""

from app.compare.columns import mark_texts
from app.compare.comparison import Comparison
from app.compare.panels import column_titles
from app.shared.html import tag, text
from core.text.tables import Fields

WAITING = "The same input, the same decoding, side by side: the texts are being written."


def headline(comparison: Comparison, fields: Fields) -> str:
    """What the columns have in common and where they differ, computed from the texts that are whole."""
    return tag("p", text(_sentence(comparison, fields)), cls="pl-headline")


def _sentence(comparison: Comparison, fields: Fields) -> str:
    columns = comparison.columns.values()
    if any(column.is_open for column in columns):
        return WAITING
    texts, names = mark_texts(comparison, fields), column_titles(comparison)
    counts = {slot: marked.coverage for slot, marked in texts.items() if marked.coverage}
    if not counts:
        words = [f"{names[column.kind]} {len(column.text.split())}" for column in columns if column.text.strip()]
        return f"Words written: {', '.join(words)}." if words else "No text was written; the columns say why."
    parts = []
    for slot, coverage in counts.items():
        extra = f" ({len(coverage.unsupported)} unsupported)" if coverage.unsupported else ""
        parts.append(f"{names[slot]} says {len(coverage.present)}{extra}")
    return f"Of {len(fields)} values in the table, {'; '.join(parts)}."


def skeleton() -> str:
    """What stands there while the page loads."""
    return tag("p", "The same input, the same decoding, side by side.", cls="pl-headline")
