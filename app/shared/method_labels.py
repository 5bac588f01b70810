"""Names, descriptions and marks of methods in the columns; both columns of runs can show any method."""

import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby

from app.shared.html import count, tag
from core.config.methods import METHODS, MethodInfo, method_info
from core.errors import BadInput
from core.models.backbone import Backbone
from core.models.locate import bundled
from core.prefix.mix import parse_mix
from core.runs.run import Run
from core.text.checks import percent

COLUMN_TITLES = {"base": "Frozen model", "prefix": "Prefix", "finetuned": "Fine-tuned", "other": "Another run"}
COLUMN_METHODS = {"prefix": "prefix", "finetuned": "finetune"}  # column of runs -> the method that it is named after
LAYERS = 4  # drawn in the mark of a column; a picture, not a count


def column_of(method: str) -> str:
    """Return the default column of a method: the first for virtual tokens, the second for weights."""
    return "finetuned" if method_info(method).kind == "weights" else "prefix"


def methods_of_column(column: str) -> tuple[str, ...]:
    """Return the methods that a column shows by default."""
    return tuple(name for name in METHODS if column_of(name) == column)


def train_command(method: str, backbone: str, data: str = "") -> str:
    """Return the command line that trains a run on a backbone. `data`: the options that name its data; "": bundled tables.

    The default preset's rates are those of the bundled backbones; others have a preset of their own.
    """
    preset = "" if backbone in bundled() else "--preset fast"
    options = f"--run my-{method} --method {method} --backbone {shlex.quote(backbone)}"
    return " ".join(part for part in ("python launch.py train", data, options, preset) if part)


def title(kind: str, run: Run | None) -> str:
    """Return a column's title, by its method."""
    return method_info(run.method).short_title if run else COLUMN_TITLES[kind]


def titles(runs: Mapping[str, Run | None]) -> dict[str, str]:
    """Return the titles of neighbouring columns: by method, and by run if methods are the same."""
    plain = {kind: title(kind, run) for kind, run in runs.items()}
    twice = {name for name in plain.values() if list(plain.values()).count(name) > 1}
    return {
        kind: f"{name} {short(run.id)}" if run and (name := plain[kind]) in twice else plain[kind] for kind, run in runs.items()
    }


def short(run_id: str) -> str:
    """Cut a run's id, or the text of a text prefix, for a title."""
    return run_id if len(run_id) <= 24 else run_id[:23] + "…"


def mix_label(run_id: str) -> str:
    """Return a readable name of a mix, such as "cross-fade 70 % e2e-prefix, 30 % webnlg-prefix"; other ids are returned
    unchanged."""
    try:
        mix = parse_mix(run_id)
    except BadInput:
        return short(run_id)
    members = [short(member.removeprefix("text:")) for member in mix.members]
    shares = [f"{100 * weight:.3g} %" for weight in mix.weights]
    if mix.kind == "path":
        return f"{members[0]}, {shares[0]} of its training"
    if mix.kind == "swap":
        return f"keys of {members[0]}, values of {members[1]}"
    if mix.kind == "layers":
        return f"{members[0]}, strength by layer {', '.join(f'{weight:g}' for weight in mix.weights)}"
    kind = {"fade": "cross-fade", "join": "joined"}.get(mix.kind, mix.kind)
    parts = [" ".join(part) for part in zip(shares, members, strict=True)] if shares else members
    return f"{kind}: {', '.join(parts)}"


def trained(run: Run, backbone: Backbone) -> str:
    """Say what was trained in a few words, and the share of the backbone that is stored."""
    values = run.config | {"share": percent(run.stored / backbone.spec.parameters), "stored": count(run.stored)}
    return method_info(run.method).summary.format_map(defaultdict(lambda: "?", values))


def label(run: Run, backbone: Backbone, kind: str) -> str:
    """Return a run's label in a list: its id, its method unless the column is named after that, and its share."""
    info = method_info(run.method)
    own = [run.id] if run.method == COLUMN_METHODS.get(kind) else [run.id, info.short_title]
    share = [percent(run.stored / backbone.spec.parameters)] if "{share}" in info.summary else []
    return ", ".join([*own, *share])


def mark(kind: str, run: Run | None = None) -> str:
    """Draw a column's mark: grey layers are frozen, coloured parts are trained, so that methods differ by shape as well."""
    info = method_info(run.method if run else COLUMN_METHODS.get(kind, ""))
    parts = [part for layer in range(LAYERS) for part in _layer(info, layer)]
    return f'<svg class="mark {kind}" viewBox="0 0 42 28" aria-hidden="true">{"".join(parts)}</svg>'


def _layer(info: MethodInfo, layer: int) -> list[str]:
    """Draw one layer of a mark, from the top: the block, and what the method adds in, before or beside it."""
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


def column_braces(methods: Sequence[str]) -> str:
    """Draw what columns share as braces above them, from each column's method, "" for the frozen model."""
    columns = [(method, not method or method_info(method).virtual_tokens) for method in methods]
    prefixes = {method for method, shared in columns if shared and method}
    differs = "the prefix differs" if prefixes <= {"prefix"} else "the virtual tokens differ"
    braces, has_shared = [], False
    for shared, run in groupby(columns, key=lambda column: column[1]):
        group = [method for method, _ in run]
        if not shared:
            braces += [_brace(1, method_info(method).own_weights, "own") for method in group]
        elif len(group) > 1 or not has_shared:
            says = f"one batch, one set of frozen weights: only {differs}" if len(group) > 1 else "the frozen weights"
            braces.append(_brace(len(group), says, "shared"))
        else:
            braces.append(_brace(1, "the frozen weights, in the first column's batch", "shared"))
        has_shared = has_shared or shared
    return tag("div", "".join(braces), cls="pl-braces", style=f"--columns:{len(methods)}")


def _brace(columns: int, says: str, name: str) -> str:
    return f'<span class="brace {name}" style="grid-column: span {columns}" title="{says}">{says}</span>'
