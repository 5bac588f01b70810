"""What a number field of the page holds."""

from typing import Any


def typed(value: float) -> Any:
    """Return a whole number as an int. Another stays as it is, so that a setting which counts refuses it: Gradio's own
    `precision=0` rounds 1.5 to 2 without a word."""
    return int(value) if value == int(value) else value
