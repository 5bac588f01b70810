"""What the texts of a system leave out of their tables and say beyond them, as scores (a string check, see `coverage`)."""

from collections.abc import Sequence

import numpy as np

from analysis.metrics.base import Score, mean_score, ratio
from analysis.metrics.coverage import cover
from core.errors import BadInput
from core.text.tables import Fields

_SIGNATURE = "strings|prefixlab-cover-2"  # change the name with the rules of `coverage`


def coverage_scores(tables: Sequence[Fields], texts: Sequence[str]) -> list[Score]:
    """Told: the share of all fields that the texts tell (0 to 100). Beyond: names and numbers not in the table, a text.

    Raises BadInput where tables and texts do not match, or there are none.
    """
    if not texts or len(tables) != len(texts):
        raise BadInput(f"{len(texts)} texts and {len(tables)} tables: give one table a text.")
    found = [cover(fields, text) for fields, text in zip(tables, texts, strict=True)]
    sums = np.array([[100 * len(one.present), len(one.present) + len(one.missing)] for one in found], dtype=float)
    each, signature = tuple(map(ratio, sums)), f"fields told|{_SIGNATURE}"
    told = Score("Told", ratio(sums.sum(axis=0)), True, signature, len(texts), each, sums, ratio)
    return [told, mean_score("Beyond", [len(one.beyond) for one in found], False, f"names and numbers a text|{_SIGNATURE}")]
