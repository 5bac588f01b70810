"""The texts behind a number: the worst first, with what is missing or unsupported, and other methods' texts on the same rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from analysis.experiments.grid import SETS
from analysis.experiments.result import Result
from analysis.experiments.tables import LOWER_IS_BETTER, split_part
from analysis.metrics.coverage import cover
from core.data.registry import table_of_source
from core.errors import BadTable, StoreError
from core.runs.layout import JsonObject

MOST_TEXTS = 30
FORMS = {"webnlg": "webnlg", "dart": "dart", "summarization": "article"}


@dataclass(frozen=True)
class TextRow:
    """One text. `score`: its own, of `metric`; `others`: (line, text) of the same source; `part`: "seen" or "unseen" if only
    texts of that part are shown, else ""."""

    source: str
    text: str
    references: list[str]
    metric: str
    score: float | None
    missing: list[str] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)
    part: str = ""


def text_rows(
    result: Result, results: Sequence[Result], metric: str, texts_of: Callable[[Result], list[JsonObject]]
) -> list[TextRow]:
    """Return the texts of a result, the worst first; of "BLEU-unseen" only those of unseen examples. Raises StoreError if they
    are not on this machine."""
    rows = texts_of(result)
    metric, part = split_part(metric)
    if part:
        rows = [row for row in rows if row["seen"] == (part == "seen")]
    names = rows[0]["scores"] if rows else {}
    candidates = (metric, metric.rpartition("-")[0], *names)  # "BLEU-original" has no score of its own for each text
    sort_metric = next((name for name in candidates if name in names), "")
    others = _others(result, results, texts_of)
    sign = -1 if sort_metric in LOWER_IS_BETTER else 1
    rows.sort(key=lambda row: sign * row["scores"].get(sort_metric, 0.0))
    form = FORMS.get(SETS[result.cell.data], "table")
    return [_row(row, sort_metric, part, others, form) for row in rows[:MOST_TEXTS]]


def _row(row: JsonObject, metric: str, part: str, others: dict[str, dict[str, str]], form: str) -> TextRow:
    missing, unsupported = _checked(form, row["source"], row["text"])
    beside = [(label, texts[row["source"]]) for label, texts in others.items() if row["source"] in texts]
    score = row["scores"].get(metric)
    return TextRow(row["source"], row["text"], row["references"], metric, score, missing, unsupported, beside, part)


def _checked(form: str, source: str, text: str) -> tuple[list[str], list[str]]:
    """Return missing values and unsupported pieces; articles are not checked."""
    try:
        table = table_of_source(form, source)
    except BadTable:
        return [], []
    coverage = cover(table, text) if table else None
    return (coverage.missing, coverage.unsupported) if coverage else ([], [])


def _others(
    result: Result, results: Sequence[Result], texts_of: Callable[[Result], list[JsonObject]]
) -> dict[str, dict[str, str]]:
    """Map line -> source -> text for the other lines with the same data and seed whose texts are on this machine."""
    texts: dict[str, dict[str, str]] = {}
    for other in results:
        same = (other.cell.data, other.cell.topics, other.cell.seed, other.fingerprint)
        if other.id == result.id or same != (result.cell.data, result.cell.topics, result.cell.seed, result.fingerprint):
            continue
        place = next((other.places[grid] for grid in result.places if grid in other.places), None)
        if place is None or place["label"] in texts:
            continue
        try:
            texts[place["label"]] = {row["source"]: row["text"] for row in texts_of(other)}
        except StoreError:
            continue
    return texts
