"""Mixes of prefixes: cross-fade, join, average, interpolation, the keys of one with the values of another, strength by layer.

A mix is a prefix and, for "fade" and "layers", an intervention that scales the attention to its virtual tokens; a `Request`
takes both. Average, interpolation, swap and join are plain prefixes. A fade and a strength by layer change attention logits,
which keys and values alone cannot express. `apply_to` folds the intervention into the prefix, so that a mix can be loaded,
saved and read as one prefix.

A mix has a name, such as `mix:fade:0.3,0.7:e2e-prefix,webnlg-prefix`: kind, weights, members. Members are percent-encoded, so
that a text prefix (`text:Be brief.`) can be one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

import torch
from torch import Tensor

from core.errors import BadInput, WrongBackbone
from core.prefix.interventions import NO_INTERVENTION, Intervention
from core.prefix.prefix import Prefix
from core.text.checks import counted, listing

MIX = "mix:"
KINDS = {
    "fade": "cross-fade: all prefixes are side by side, the odds of attending to each multiplied by its weight",
    "join": "join: all prefixes are side by side at full strength",
    "average": "average: the weighted mean of keys and values, virtual token by virtual token",
    "path": "interpolate: from the start of one training (0) to its end (1)",
    "swap": "swap: the keys of the first prefix with the values of the second",
    "layers": "strength by layer: the odds of attending to one prefix, multiplied by a weight in each layer",
}
ONE_MEMBER = ("path", "layers")
PAIRED = ("average", "path", "swap")  # kinds that pair virtual tokens one by one
MOST = 3  # members of a mix


@dataclass(frozen=True)
class Mix:
    """A mix by name. `weights`: one per member for "fade" and "average", one for "path", one per layer for "layers", else none.

    Raises BadInput if kind, members and weights do not go together.
    """

    kind: str
    members: tuple[str, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadInput(f"There is no mix of the kind {self.kind!r}. Choose one of: {', '.join(KINDS)}.")
        low, high = (1, 1) if self.kind in ONE_MEMBER else (2, 2) if self.kind == "swap" else (2, MOST)
        if not low <= len(self.members) <= high or not all(self.members):
            count = counted(low, "prefix", "prefixes") if low == high else f"{low} or {high} prefixes"
            raise BadInput(f"A mix of the kind {self.kind!r} takes {count}; given: {len(self.members)}.")
        self._check_weights()

    def _check_weights(self) -> None:
        count, given = len(self.weights), f"given: {', '.join(map(_number, self.weights)) or 'none'}"
        expected = {"fade": len(self.members), "average": len(self.members), "path": 1, "layers": max(count, 1)}.get(self.kind, 0)
        if count != expected:
            raise BadInput(f"A mix of the kind {self.kind!r} takes {counted(expected, 'weight')}; {given}.")
        if not all(math.isfinite(weight) and weight >= 0 for weight in self.weights):
            raise BadInput(f"The weights of a mix are 0 or positive numbers; {given}.")
        if self.kind in ("fade", "average") and not math.isclose(sum(self.weights), 1, abs_tol=1e-6):
            raise BadInput(f"The weights of a mix of the kind {self.kind!r} sum to 1; {given}.")
        if self.kind == "path" and self.weights[0] > 1:
            raise BadInput(f"The place on a training's path lies between 0, its start, and 1, its end; {given}.")

    @property
    def name(self) -> str:
        """The mix as text for links and ids; `parse_mix` reads it."""
        weights, members = ",".join(map(_number, self.weights)), ",".join(quote(member, safe="") for member in self.members)
        return f"{MIX}{self.kind}:{weights}:{members}"


@dataclass(frozen=True)
class MixIntervention(Intervention):
    """An intervention that also multiplies the odds of attending to single virtual tokens, or in single layers.

    `token_alphas`: one per virtual token; `layer_alphas`: one per layer of the site that has most, of which a site with fewer
    layers uses the first; an empty tuple multiplies nothing.
    """

    token_alphas: tuple[float, ...] = ()
    layer_alphas: tuple[float, ...] = ()

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing."""
        return super().is_identity and all(alpha == 1 for alpha in (*self.token_alphas, *self.layer_alphas))

    def bias(self, site: str, layers: int, length: int) -> Tensor:
        """Return what is added to the attention logits of a site's virtual tokens: (layers, length), fp32, -inf for hidden
        tokens."""
        added = super().bias(site, layers, length)
        if self.layer_alphas:
            added = added + torch.tensor(self.layer_alphas[:layers]).log()[:, None]
        return added + torch.tensor(self.token_alphas).log() if self.token_alphas else added

    def check(self, prefix: Prefix) -> None:
        """Raise BadInput unless there is one α per virtual token and one per layer."""
        super().check(prefix)
        if self.token_alphas and len(self.token_alphas) != prefix.length:
            raise BadInput(
                f"The prefix has {counted(prefix.length, 'virtual token')}; weights given: {len(self.token_alphas)}. "
                "Give one for each virtual token."
            )
        layers = max(kv.shape[0] for kv in prefix.past.values())
        if self.layer_alphas and len(self.layer_alphas) != layers:
            raise BadInput(
                f"The prefix has {counted(layers, 'layer')}; weights given: {len(self.layer_alphas)}. Give one for each layer."
            )


def parse_mix(name: str) -> Mix:
    """Parse the name of a mix. Raises BadInput if it is not one."""
    parts = name.split(":")
    if len(parts) != 4 or f"{parts[0]}:" != MIX:
        raise BadInput(f"{name!r} does not name a mix. Write mix:KIND:WEIGHTS:PREFIXES, such as mix:fade:0.5,0.5:one,two.")
    try:
        weights = tuple(float(weight) for weight in parts[2].split(",") if weight)
    except ValueError as error:
        raise BadInput(f"The weights of {name!r} are not numbers separated by commas: {parts[2]!r}.") from error
    return Mix(parts[1], tuple(unquote(member) for member in parts[3].split(",")), weights)


def mix_prefixes(mix: Mix, prefixes: Sequence[Prefix], path: Sequence[tuple[int, Prefix]] = ()) -> tuple[Prefix, Intervention]:
    """Return the prefix of a mix and its intervention, which is NO_INTERVENTION for a plain prefix.

    `prefixes`: one per member, in order; `path`: for "path", the (update, prefix) pairs stored during training, from the start
    on. If one weight is 1 and the others are 0, the result is that prefix itself. Raises BadInput if the prefixes cannot be
    mixed in this way, WrongBackbone if they belong to different models.
    """
    _check_alike(mix, prefixes)
    if mix.kind in PAIRED and any(prefix.bias for prefix in prefixes):
        raise BadInput(
            f"One of {', '.join(mix.members)} is a mix itself, with weights of its own. It can be cross-faded or joined."
        )
    return BUILDERS[mix.kind](mix, prefixes, path)


def _fade(mix: Mix, prefixes: Sequence[Prefix], _path: Sequence[tuple[int, Prefix]]) -> tuple[Prefix, Intervention]:
    """Place the prefixes side by side, at the positions of the longest: at its ends, a fade of equal lengths is a prefix
    alone."""
    parts = [(prefix, weight) for prefix, weight in zip(prefixes, mix.weights, strict=True) if weight > 0]
    if len(parts) == 1:
        return parts[0][0], NO_INTERVENTION
    alphas = tuple(weight for prefix, weight in parts for _ in range(prefix.length))
    joined = concatenate([prefix for prefix, _ in parts])
    return replace(joined, positions=max(prefix.shift for prefix, _ in parts)), MixIntervention(token_alphas=alphas)


def _join(_mix: Mix, prefixes: Sequence[Prefix], _path: Sequence[tuple[int, Prefix]]) -> tuple[Prefix, Intervention]:
    return concatenate(prefixes), NO_INTERVENTION


def _average(mix: Mix, prefixes: Sequence[Prefix], _path: Sequence[tuple[int, Prefix]]) -> tuple[Prefix, Intervention]:
    _check_lengths(prefixes)
    if 1 in mix.weights:
        return prefixes[mix.weights.index(1)], NO_INTERVENTION
    return _weighted_sum(list(zip(prefixes, mix.weights, strict=True))), NO_INTERVENTION


def _interpolate(mix: Mix, prefixes: Sequence[Prefix], path: Sequence[tuple[int, Prefix]]) -> tuple[Prefix, Intervention]:
    """Interpolate linearly between two stored updates; the end is the run's own prefix, in fp32."""
    if len(path) < 2:
        raise BadInput(f"{mix.members[0]} kept no path through its training, so there is nothing to interpolate along.")
    steps = sorted(path, key=lambda step: step[0])
    prefixes_on_path = [prefix for _, prefix in steps[:-1]] + [prefixes[0]]
    _check_lengths(prefixes_on_path)
    updates, place = [update for update, _ in steps], mix.weights[0]
    at = updates[0] + place * (updates[-1] - updates[0])
    before = max(i for i, update in enumerate(updates) if update <= at)
    if updates[before] == at:
        return prefixes_on_path[before], NO_INTERVENTION
    share = (at - updates[before]) / (updates[before + 1] - updates[before])
    return _weighted_sum([(prefixes_on_path[before], 1 - share), (prefixes_on_path[before + 1], share)]), NO_INTERVENTION


def _swap(_mix: Mix, prefixes: Sequence[Prefix], _path: Sequence[tuple[int, Prefix]]) -> tuple[Prefix, Intervention]:
    _check_lengths(prefixes)
    keys, values = prefixes
    past = {site: torch.stack([kv[:, 0], values.past[site][:, 1]], 1) for site, kv in keys.past.items()}
    return replace(keys, past=past), NO_INTERVENTION


def _layers(mix: Mix, prefixes: Sequence[Prefix], _path: Sequence[tuple[int, Prefix]]) -> tuple[Prefix, Intervention]:
    if all(weight == 1 for weight in mix.weights):
        return prefixes[0], NO_INTERVENTION
    intervention = MixIntervention(layer_alphas=mix.weights)
    intervention.check(prefixes[0])
    return prefixes[0], intervention


BUILDERS: dict[str, Callable[[Mix, Sequence[Prefix], Sequence[tuple[int, Prefix]]], tuple[Prefix, Intervention]]] = {
    "fade": _fade,
    "join": _join,
    "average": _average,
    "path": _interpolate,
    "swap": _swap,
    "layers": _layers,
}


def concatenate(prefixes: Sequence[Prefix]) -> Prefix:
    """Concatenate the virtual tokens of all prefixes. In a decoder-only model, the text then starts after all of them."""
    past = {site: torch.cat([prefix.past[site] for prefix in prefixes], 3) for site in prefixes[0].past}
    bias = {site: torch.cat([_bias(prefix, site) for prefix in prefixes], 1) for site in past if any(p.bias for p in prefixes)}
    return replace(prefixes[0], past=past, bos=max(prefix.bos for prefix in prefixes), positions=None, bias=bias)


def apply_to(prefix: Prefix, intervention: Intervention) -> Prefix:
    """Fold an intervention into a prefix, for callers that take only a prefix. Knock-outs and α can still be applied to it."""
    if intervention.is_identity:
        return prefix
    bias = {site: intervention.bias(site, kv.shape[0], prefix.length) + _bias(prefix, site) for site, kv in prefix.past.items()}
    return replace(prefix, bias=bias)


def _bias(prefix: Prefix, site: str) -> Tensor:
    kv = prefix.past[site]
    return prefix.bias.get(site, torch.zeros(kv.shape[0], kv.shape[3]))  # (layers, length)


def _weighted_sum(parts: Sequence[tuple[Prefix, float]]) -> Prefix:
    first = parts[0][0]
    past = {site: torch.stack([weight * prefix.past[site] for prefix, weight in parts]).sum(0) for site in first.past}
    return replace(first, past=past)


def _check_alike(mix: Mix, prefixes: Sequence[Prefix]) -> None:
    """Check that there is one prefix per member, and that all belong to one model and are all prefixes or all infixes."""
    if len(prefixes) != len(mix.members):
        raise BadInput(f"{mix.name} has {counted(len(mix.members), 'member')}; prefixes given: {len(prefixes)}.")
    first = prefixes[0]
    for name, prefix in zip(mix.members[1:], prefixes[1:], strict=True):
        if prefix.fingerprint != first.fingerprint or _sizes(prefix) != _sizes(first):
            raise WrongBackbone(
                f"{mix.members[0]} belongs to {first.backbone}, and {name} to {prefix.backbone}. Mix prefixes of one model."
            )
        if prefix.infix != first.infix:
            raise BadInput(
                f"{mix.members[0]} and {name} go in different places of the input: one is an infix. "
                "Mix prefixes with prefixes, and infixes with infixes."
            )


def _check_lengths(prefixes: Sequence[Prefix]) -> None:
    lengths = [prefix.length for prefix in prefixes]
    if len(set(lengths)) > 1:
        raise BadInput(
            f"The prefixes have {listing(map(str, lengths))} virtual tokens, and this mix pairs them one by one. "
            "Choose prefixes of one length, or cross-fade or join them."
        )


def _sizes(prefix: Prefix) -> dict[str, tuple[int, ...]]:
    """Return all sizes but the length: site -> (layers, kv_heads, head_dim)."""
    return {site: (kv.shape[0], kv.shape[2], kv.shape[4]) for site, kv in prefix.past.items()}


def _number(value: float) -> str:
    """Return the shortest text that parses to the number."""
    return repr(float(value)).removesuffix(".0").replace("e+", "e")  # a plus is a space in a link
