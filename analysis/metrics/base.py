"""What every metric returns."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """A corpus value with its recipe.

    `value` and `per_example` are in the metric's own unit (BLEU: 0 to 100); `n` counts the examples, and `per_example`
    follows their order.
    """

    name: str
    value: float
    higher_is_better: bool
    signature: str
    n: int
    per_example: tuple[float, ...]
