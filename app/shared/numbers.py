"""What a number field of the page holds."""

from typing import Any

from app.shared.urlstate import SEEDS
from core.errors import BadInput


def typed(value: float) -> Any:
    """Return a whole number as an int. Another stays as it is, so that a setting which counts refuses it: Gradio's own
    `precision=0` rounds 1.5 to 2 without a word."""
    return int(value) if value == int(value) else value


def typed_seed(value: float) -> int:
    """Return a seed that the page's address brings back. Raises BadInput for any other number."""
    number = typed(value)
    if not isinstance(number, int) or number not in SEEDS:  # a range is searched step by step for any other number
        raise BadInput(f"The seed {number} cannot be used: choose a whole number from 0 to {SEEDS[-1]}.")
    return number
