"""Interventions: scale the attention to a prefix, or knock out virtual tokens. Nothing is retrained and no position changes.

Both change the attention logits of virtual tokens and leave their values alone. Adding log α multiplies the odds of attending
to the prefix by α: a mass of λ becomes αλ / (αλ + 1 − λ), in every head and for every query whose own vector the prefix has not
changed. α = 0 hides the prefix: what is left is the frozen model reading from position P on ("positions shifted").
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.errors import BadConfig, BadInput
from core.prefix.prefix import Prefix

Location = tuple[str | None, int | None, int | None]  # site, layer, virtual token, from 0; None stands for all of them


@dataclass(frozen=True)
class Intervention:
    """A change to one row's prefix.

    `alpha` multiplies the odds of attending to the prefix; `site_alphas`: pairs (site, alpha) that replace it at a site;
    `knockouts`: locations whose virtual tokens are hidden. Raises BadConfig for an alpha that is negative or not finite.
    """

    alpha: float = 1.0
    knockouts: frozenset[Location] = frozenset()
    site_alphas: frozenset[tuple[str, float]] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "knockouts", frozenset(self.knockouts))
        object.__setattr__(self, "site_alphas", frozenset(self.site_alphas))
        for alpha in (self.alpha, *(alpha for _, alpha in self.site_alphas)):
            if not (math.isfinite(alpha) and alpha >= 0):
                raise BadConfig(
                    f"alpha must be 0 (hides the prefix), 1 (leaves it as it is) or another positive number; given: {alpha}.",
                    "alpha",
                )

    @property
    def is_identity(self) -> bool:
        """Whether nothing is changed."""
        return self.alpha == 1 and not self.knockouts and all(alpha == 1 for _, alpha in self.site_alphas)

    def without(self, token: int | None = None, layer: int | None = None, site: str | None = None) -> "Intervention":
        """Return the same intervention with one more knock-out: a token in all layers, all tokens in a layer, or one token in
        one layer."""
        return replace(self, knockouts=self.knockouts | {(site, layer, token)})

    def check(self, prefix: Prefix) -> None:
        """Raise BadInput, naming the first location that the prefix does not have."""
        length = prefix.length
        for name, _ in sorted(self.site_alphas):
            if name not in prefix.past:
                raise BadInput(f"The prefix has no site {name!r} to turn up or down. It has: {', '.join(prefix.past)}.")
        for site, layer, token in sorted(self.knockouts, key=str):
            if site is not None and site not in prefix.past:
                raise BadInput(f"The prefix has no site {site!r} to knock out. It has: {', '.join(prefix.past)}.")
            layers = max(kv.shape[0] for name, kv in prefix.past.items() if site in (None, name))
            if layer is not None and not 0 <= layer < layers:
                raise BadInput(f"There is no layer {layer} to knock out: give 0 to {layers - 1}, counted from 0.")
            if token is not None and not 0 <= token < length:
                raise BadInput(f"There is no virtual token {token} to knock out: give 0 to {length - 1}, counted from 0.")

    def bias(self, site: str, layers: int, length: int) -> Tensor:
        """Return what is added to the attention logits of a site's virtual tokens: (layers, length), fp32, -inf for hidden
        tokens."""
        alpha = dict(self.site_alphas).get(site, self.alpha)
        level = math.log(alpha) if alpha > 0 else -math.inf
        added = torch.full((layers, length), level)
        for where, layer, token in self.knockouts:
            if where in (None, site):
                rows = slice(None) if layer is None else slice(layer, layer + 1)
                columns = slice(None) if token is None else slice(token, token + 1)
                added[rows, columns] = -math.inf
        return added


NO_INTERVENTION = Intervention()


def biases(
    prefixes: Sequence[Prefix | None], interventions: Sequence[Intervention], device: torch.device, dtype: torch.dtype
) -> dict[str, Tensor] | None:
    """Return the biases of a batch, for prefixes padded on the left to the longest; None if nothing changes.

    The result maps a site to (rows, layers, P). The dtype's lowest number stands for -inf, so that a row in which everything is
    hidden does not become NaN.
    """
    pairs = list(zip(prefixes, interventions, strict=True))
    for prefix, intervention in pairs:
        if prefix is not None:
            intervention.check(prefix)
    if all(prefix is None or (intervention.is_identity and not prefix.bias) for prefix, intervention in pairs):
        return None
    real = [prefix for prefix in prefixes if prefix is not None]
    longest, result = max(prefix.length for prefix in real), {}
    for site, kv in real[0].past.items():
        added = torch.zeros(len(pairs), kv.shape[0], longest)
        for row, (prefix, intervention) in enumerate(pairs):
            if prefix is not None:
                added[row, :, longest - prefix.length :] = intervention.bias(site, kv.shape[0], prefix.length)
                if site in prefix.bias:
                    added[row, :, longest - prefix.length :] += prefix.bias[site].cpu()
        result[site] = added.to(device, dtype).clamp(min=torch.finfo(dtype).min)
    return result
