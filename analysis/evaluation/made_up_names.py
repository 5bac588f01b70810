"""Measure whether a run copies names that occur in no text: restaurants in E2E's form with made-up names."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from analysis.evaluation.evaluate import outputs
from core.config.decode import DecodeConfig
from core.data.source import DataSource
from core.methods.loading import LoadedRun
from core.models.backbone import Backbone
from core.pretraining.made_up_names import MadeUpNames
from core.text.detokenize import detokenise
from core.text.tables import linearise

VALUES = {
    "Type": ("pub", "restaurant", "coffee shop"),
    "food": ("Chinese", "Italian", "French", "English", "Japanese", "Indian", "Fast food"),
    "price": ("cheap", "moderate", "high", "£ 20 - 25"),
    "customer rating": ("low", "average", "high", "5 out of 5"),
    "area": ("riverside", "city centre"),
    "family friendly": ("yes", "no"),
}


@dataclass(frozen=True)
class NamedTable:
    """A linearised table, and the name in it."""

    name: str
    source: str


@dataclass(frozen=True)
class NameCopying:
    """Generated texts of some tables, in the same order."""

    tables: list[NamedTable]
    texts: list[str]

    @property
    def copied(self) -> list[bool]:
        """For each table, whether its text contains its name (case is ignored)."""
        return [table.name.lower() in text.lower() for table, text in zip(self.tables, self.texts, strict=True)]


def restaurants(n: int, seed: int = 0) -> list[NamedTable]:
    """Return `n` restaurants with a made-up name and two to five other fields, in the keys and values of E2E.

    Names are composed of syllables and words of the bundled tables' texts; a seed always gives the same ones.
    """
    texts = [text for row in DataSource("tables").load_split("train", []) for text in row.targets]
    names, rng = MadeUpNames(texts), random.Random(seed)
    tables = []
    for _ in range(n):
        name, keys = names.title(rng), rng.sample(list(VALUES), rng.randint(2, 5))
        fields = [("name", name)] + [(key, rng.choice(VALUES[key])) for key in VALUES if key in keys]
        tables.append(NamedTable(name, linearise(fields)))
    return tables


def copy_names(
    run: LoadedRun,
    backbone: Backbone,
    tables: list[NamedTable],
    decode: DecodeConfig,
    progress: Callable[[int, int], None] | None,
) -> NameCopying:
    """Generate a text of each table with a run. `progress(done, total)` is called after each batch."""
    sources = [table.source for table in tables]
    texts = outputs(run.model, backbone, run.task, run.prefix, sources, decode, progress=progress)
    return NameCopying(tables, [detokenise(text) for text in texts])
