"""The claims of the paper's abstract, what the paper found, and what was measured with the bundled models."""

import json

import pandas as pd

from analysis.experiments.result import BUNDLED
from core.runs.layout import JsonObject

HOLDS = {"yes": "holds", "no": "does not hold", "partly": "holds in part", "open": "not tested"}


def claims() -> list[JsonObject]:
    """The claims as assets/results/evidence.json has them."""
    return json.loads((BUNDLED / "evidence.json").read_text(encoding="utf-8"))["claims"]


def evidence_frame() -> pd.DataFrame:
    """The claims of the abstract, what the paper found, and what was measured here."""
    rows = [
        {"claim": one["claim"], "paper": one["paper"], "here": one["here"], "seeds": one["seeds"], "holds": HOLDS[one["holds"]],
         "why": one["why"]}
        for one in claims()
    ]  # fmt: skip
    return pd.DataFrame(rows)
