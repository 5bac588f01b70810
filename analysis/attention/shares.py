"""Sums of attention by layer, head, step and virtual token, and a sentence about them."""

from collections.abc import Sequence

from torch import Tensor

from analysis.attention.maps import PREFIX, SITE, AttentionMass
from core.text.checks import whole_percents


def by_layer(
    mass: AttentionMass, queries: Sequence[int] | None = None, head: int | None = None, weighted: bool = False
) -> Tensor:
    """Mean mass of each layer: (layers, 3), by default over all heads and over the queries that generated the text."""
    return _select(mass, None, head, queries, weighted).mean((1, 2))


def by_head(mass: AttentionMass, queries: Sequence[int] | None = None, group: int = PREFIX, weighted: bool = False) -> Tensor:
    """Mean mass on one group of keys for every head: (layers, heads)."""
    return _select(mass, None, None, queries, weighted)[..., group].mean(2)


def by_step(mass: AttentionMass, layer: int | None = None, head: int | None = None, weighted: bool = False) -> Tensor:
    """Mean mass while each token was generated: (steps, 3), by default over all layers and heads."""
    return _select(mass, layer, head, None, weighted).mean((0, 1))


def by_virtual_token(mass: AttentionMass) -> Tensor:
    """Mean weight on each virtual token over all heads: (virtual, layers), the layout of AblationEffect.mean."""
    return mass.per_virtual_token.mean(1).T


def token_mass(mass: AttentionMass, group: int = PREFIX, weighted: bool = False) -> list[tuple[str, float]]:
    """Each generated token with the mass on one group of keys while it was generated."""
    return list(zip(mass.generated_tokens, by_step(mass, weighted=weighted)[:, group].tolist(), strict=False))


def _select(mass: AttentionMass, layer: int | None, head: int | None, queries: Sequence[int] | None, weighted: bool) -> Tensor:
    """(layers or 1, heads or 1, queries, 3)."""
    values = mass.weighted if weighted else mass.mass
    if layer is not None:
        values = values[[mass.layers.index(layer)]]
    if head is not None:
        values = values[:, [head]]
    return values[:, :, list(mass.step_queries if queries is None else queries)]


def describe_mass(mass: AttentionMass, source: str = "the input", weighted: bool = False, where: str = "") -> str:
    """Say how the attention was divided while the text was generated, and which layer looked at the prefix most.

    Layers are numbered from 1. `where`: the site, if the model has several (see `attention_labels`).
    """
    layers = by_layer(mass, weighted=weighted)
    prefix, on_source, on_text = (f"{share} %" for share in whole_percents(layers.mean(0).tolist()))
    kind = "attention (weighted by the size of the values)" if weighted else "attention"
    when, rest = _opening_words(mass, where), f" and the text written so far {on_text}" if mass.site == SITE else ""
    prefix_mass = layers[:, PREFIX]
    if prefix_mass.max() == 0:
        why = "the prefix is hidden and drew none" if mass.virtual else "there is no prefix here"
        return f"{when}, {source} drew {on_source} of the {kind}{rest}; {why}."
    text = f"{when}, the prefix drew {prefix} of the {kind}{',' if rest else ' and'} {source} {on_source}{rest}"
    if len(layers) == 1:
        return f"{text}."
    most, least = (
        f"layer {mass.layers[at] + 1} ({100 * prefix_mass[at]:.0f} %)"
        for at in (int(prefix_mass.argmax()), int(prefix_mass.argmin()))
    )
    return f"{text}; it drew most in {most} and least in {least}."


def _opening_words(mass: AttentionMass, where: str) -> str:
    if mass.site == "encoder":
        when = f"While these {len(mass.tokens)} tokens were read"
    elif len(mass.generated_tokens) > 1:
        when = f"While these {len(mass.generated_tokens)} tokens were written"
    else:
        when = "For the next token"
    return f"In {where}, {when[0].lower()}{when[1:]}" if where else when
