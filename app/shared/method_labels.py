"""How methods are named, described and drawn in the columns: the two columns of runs may show any of them."""

from app.shared.html import KIN, LAYERS, METHODS, NAMES, count, percent
from core.models.backbone import Backbone
from core.runs.store import Run

TITLES = {
    "prefix": "Prefix",
    "embedding": "Embedding-only",
    "infix": "Infix",
    "in_context": "In-context",
    "text": "Text prefix",
    "finetune": "Fine-tuned",
    "top_layers": "Top layers",
    "adapter": "Adapter",
    "lora": "LoRA",
}
MANY = {
    "prefix": "prefixes",
    "embedding": "embedding-only prompts",
    "infix": "infixes",
    "in_context": "texts",
    "text": "texts",
    "finetune": "fine-tuned models",
    "top_layers": "sets of top layers",
    "adapter": "sets of adapters",
    "lora": "sets of LoRA updates",
}
SHARED = (*KIN["prefix"], "text")  # virtual tokens only: the model is the backbone itself
OWN = {
    "finetune": "its own copy of all weights",
    "top_layers": "its own top layers",
    "adapter": "frozen weights, its adapters",
    "lora": "frozen weights, its updates",
}


def title(kind: str, run: Run | None) -> str:
    """What a column is called: by the method that it shows."""
    return TITLES.get(run.method, NAMES[kind]) if run else NAMES[kind]


def trained(run: Run, backbone: Backbone) -> str:
    """What was trained, in a few words, and the share of the backbone that is kept for it, as measured."""
    about, share = run.config, percent(run.stored / backbone.spec.parameters)
    if run.method in ("prefix", "infix", "embedding"):
        what = "input vectors" if run.method == "embedding" else "virtual tokens"
        return f"{about.get('length')} {what}, {share}"
    if run.method == "in_context":
        return "text in front, nothing trained"
    if run.method == "adapter":
        return f"adapters, {share}"
    if run.method == "lora":
        return f"updates of rank {about.get('rank')}, {share}"
    if run.method == "top_layers":
        return f"the last {about.get('layers')} layers, {share}"
    return f"{count(run.stored)} weights of its own"


def label(run: Run, backbone: Backbone, kind: str) -> str:
    """A run in a list: its id, its method unless the column is named after that, and its measured share."""
    own = [run.id] if run.method == METHODS[kind] else [run.id, TITLES.get(run.method, run.method)]
    share = [] if run.method in ("finetune", "in_context") else [percent(run.stored / backbone.spec.parameters)]
    return ", ".join([*own, *share])


def mark(kind: str, run: Run | None = None) -> str:
    """The column's mark: grey layers are frozen, coloured parts are trained; so a method is told apart without hue."""
    method = run.method if run else METHODS.get(kind, "")
    parts = [part for layer in range(LAYERS) for part in _layer(method, layer)]
    return f'<svg class="mark {kind}" viewBox="0 0 42 28" aria-hidden="true">{"".join(parts)}</svg>'


def _layer(method: str, layer: int) -> list[str]:
    """One layer of a mark, from the top: the block, and what the method puts in, before or beside it."""
    y = 2 + layer * 6
    if method in SHARED:
        return _virtual(method, layer, y)
    own = method == "finetune" or (method == "top_layers" and layer < 2)
    block = _bar(4, y, 34 if method != "lora" else 26, 4, "own" if own else "layer")
    beside = {"lora": [_bar(33, y, 5, 4, "own")], "adapter": [_bar(15, y + 4.2, 12, 1.6, "own")]}
    return [block, *beside.get(method, [])]


def _virtual(method: str, layer: int, y: float) -> list[str]:
    """Virtual tokens stand before the text, an infix within it; of input vectors, only the lowest row is trained."""
    if method == "infix":
        return [_bar(4, y, 18, 4, "layer"), _bar(24, y, 6, 4, "own"), _bar(32, y, 6, 4, "layer")]
    trained = method in ("prefix",) or (method == "embedding" and layer == LAYERS - 1)
    return [_bar(4, y, 7, 4, "own" if trained else "read"), _bar(14, y, 24, 4, "layer")]


def _bar(x: float, y: float, width: float, height: float, name: str) -> str:
    return f'<rect class="{name}" x="{x}" y="{y}" width="{width}" height="{height}" rx="1"/>'


def lanes(prefix: str, finetuned: str) -> str:
    """What the columns share, as braces above them; given the methods of the two columns of runs ("" for none)."""
    first, second = (not method or method in SHARED for method in (prefix, finetuned))
    together = "one batch, one set of frozen weights: only "
    if first and second:
        return _brace(3, together + "the virtual tokens differ", "shared")
    if first:
        differs = "the prefix differs" if prefix in ("", "prefix") else "the virtual tokens differ"
        return _brace(2, together + differs, "shared") + _brace(1, OWN.get(finetuned, ""), "own")
    last = "the frozen weights, in the first column's batch" if second else OWN.get(finetuned, "")
    left = _brace(1, "the frozen weights", "shared") + _brace(1, OWN.get(prefix, ""), "own")
    return left + _brace(1, last, "shared" if second else "own")


def _brace(columns: int, says: str, name: str) -> str:
    return f'<span class="lane {name}" style="grid-column: span {columns}" title="{says}">{says}</span>'
