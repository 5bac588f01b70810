"""How methods are named, described and drawn in the columns: the two columns of runs may show any of them."""

from collections import defaultdict

from app.shared.html import count, percent
from core.config.methods import METHODS, MethodInfo, method_info
from core.models.backbone import Backbone
from core.runs.run import Run

COLUMN_TITLES = {"base": "Base", "prefix": "Prefix", "finetuned": "Fine-tuned"}
COLUMN_METHODS = {"prefix": "prefix", "finetuned": "finetune"}  # column of runs -> the method that it is named after
LAYERS = 4  # drawn in the mark of a column; a picture, not a count


def column_of(method: str) -> str:
    """The column that shows a method by default: the first has virtual tokens, the second weights of the run's own."""
    return "finetuned" if method_info(method).kind == "weights" else "prefix"


def methods_of_column(column: str) -> tuple[str, ...]:
    """The methods that a column shows by default."""
    return tuple(name for name in METHODS if column_of(name) == column)


def title(kind: str, run: Run | None) -> str:
    """What a column is called: by the method that it shows."""
    return method_info(run.method).short_title if run else COLUMN_TITLES[kind]


def trained(run: Run, backbone: Backbone) -> str:
    """What was trained, in a few words, and the share of the backbone that is kept for it, as measured."""
    values = run.config | {"share": percent(run.stored / backbone.spec.parameters), "stored": count(run.stored)}
    return method_info(run.method).summary.format_map(defaultdict(lambda: "?", values))


def label(run: Run, backbone: Backbone, kind: str) -> str:
    """A run in a list: its id, its method unless the column is named after that, and its measured share."""
    info = method_info(run.method)
    own = [run.id] if run.method == COLUMN_METHODS[kind] else [run.id, info.short_title]
    share = [percent(run.stored / backbone.spec.parameters)] if "{share}" in info.summary else []
    return ", ".join([*own, *share])


def mark(kind: str, run: Run | None = None) -> str:
    """The column's mark: grey layers are frozen, coloured parts are trained; so a method is told apart without hue."""
    info = method_info(run.method if run else COLUMN_METHODS.get(kind, ""))
    parts = [part for layer in range(LAYERS) for part in _layer(info, layer)]
    return f'<svg class="mark {kind}" viewBox="0 0 42 28" aria-hidden="true">{"".join(parts)}</svg>'


def _layer(info: MethodInfo, layer: int) -> list[str]:
    """One layer of a mark, from the top: the block, and what the method puts in, before or beside it."""
    y = 2 + layer * 6
    if info.mark == "within":
        return [_bar(4, y, 18, 4, "layer"), _bar(24, y, 6, 4, "own"), _bar(32, y, 6, 4, "layer")]
    if info.virtual_tokens:
        own = info.mark == "before" or (info.mark == "input" and layer == LAYERS - 1)  # the lowest row is the input
        return [_bar(4, y, 7, 4, "own" if own else "read"), _bar(14, y, 24, 4, "layer")]
    own = info.mark == "all" or (info.mark == "top" and layer < 2)
    block = _bar(4, y, 26 if info.mark == "beside" else 34, 4, "own" if own else "layer")
    added = {"beside": [_bar(33, y, 5, 4, "own")], "after": [_bar(15, y + 4.2, 12, 1.6, "own")]}
    return [block, *added.get(info.mark, [])]


def _bar(x: float, y: float, width: float, height: float, name: str) -> str:
    return f'<rect class="{name}" x="{x}" y="{y}" width="{width}" height="{height}" rx="1"/>'


def lanes(prefix: str, finetuned: str) -> str:
    """What the columns share, as braces above them; given the methods of the two columns of runs ("" for none)."""
    first, second = (not method or method_info(method).virtual_tokens for method in (prefix, finetuned))
    together = "one batch, one set of frozen weights: only "
    if first and second:
        return _brace(3, together + "the virtual tokens differ", "shared")
    if first:
        differs = "the prefix differs" if prefix in ("", "prefix") else "the virtual tokens differ"
        return _brace(2, together + differs, "shared") + _brace(1, method_info(finetuned).own_weights, "own")
    last = "the frozen weights, in the first column's batch" if second else method_info(finetuned).own_weights
    left = _brace(1, "the frozen weights", "shared") + _brace(1, method_info(prefix).own_weights, "own")
    return left + _brace(1, last, "shared" if second else "own")


def _brace(columns: int, says: str, name: str) -> str:
    return f'<span class="lane {name}" style="grid-column: span {columns}" title="{says}">{says}</span>'
