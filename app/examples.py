"""The tables that the page offers to click, from the bundled records."""

import json
from dataclasses import dataclass
from functools import cache

from core import paths
from core.errors import BadData

Fields = list[tuple[str, str]]


@dataclass(frozen=True)
class Sample:
    """A bundled table: its fields, its reference texts (untokenised), and whether its topic was held out."""

    id: str
    topic: str
    fields: tuple[tuple[str, str], ...]
    references: tuple[str, ...]
    held_out: bool

    @property
    def title(self) -> str:
        """What its button says: the first value."""
        return self.fields[0][1]


@cache
def samples() -> tuple[Sample, ...]:
    """Rows of the split "example", the restaurants (E2E's form) first. BadData where the file is damaged."""
    path = paths.DATA / "records.jsonl"
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        found = [_sample(row) for row in rows if row["split"] == "example"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(f"The bundled examples in {path.name} cannot be read ({error}). Restore that file.") from error
    return tuple(found)


def _sample(row: dict) -> Sample:
    fields = tuple((str(key), str(value)) for key, value in row["fields"])
    return Sample(row["id"], row["topic"], fields, tuple(row["targets"]), bool(row["held_out"]))


def find(sample_id: str) -> Sample | None:
    """A sample by id, or None."""
    return next((sample for sample in samples() if sample.id == sample_id), None)


def matching(fields: Fields) -> Sample | None:
    """The sample that holds exactly these fields, or None: a table that was edited has no references."""
    return next((sample for sample in samples() if list(sample.fields) == list(fields)), None)
