"""The result of a cell, as stored in a small JSON file with a format version."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import NotRequired, Self, TypedDict

from analysis.experiments.grid import Cell
from core import paths
from core.errors import BadData, BadInput
from core.runs.layout import JsonObject, with_current_names, write_json
from core.runs.run import Scores

FORMAT = 1
BUNDLED = paths.ASSETS / "results"


class LinePlace(TypedDict):
    """A line of a grid: its label, and its position on a curve's axis."""

    label: str
    x: NotRequired[str | float | None]


@dataclass(frozen=True)
class Result:
    """The result of a cell.

    `scores[metric]`: {"value", "low", "high" (95 % interval over resampled rows), "n", "signature", "higher_is_better"}; a
    result over several seeds has "sd" instead of the interval. `places[grid]`: the label of its line, and its position on a
    curve's axis. `share`: stored parameters as a share of the backbone's. `rates`: validation loss by learning rate, if one was
    chosen. `seconds`: of training, and of generating and scoring. `forgetting`: see forgetting.py.
    """

    id: str
    cell: Cell
    backbone: str
    fingerprint: str
    status: str  # "done" or "failed"
    places: dict[str, LinePlace] = field(default_factory=dict)
    scores: Scores = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    n: int = 0
    rate: float | None = None
    rates: dict[str, float | None] = field(default_factory=dict)
    valid_loss: float | None = None
    updates: int = 0
    rows: int = 0
    trained: int = 0
    stored: int = 0
    share: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    command: str = ""
    decoding: JsonObject = field(default_factory=dict)
    forgetting: JsonObject = field(default_factory=dict)
    not_computed: dict[str, str] = field(default_factory=dict)
    created: str = ""
    notes: str = ""

    @property
    def rate_at_end(self) -> str:
        """ "lowest" or "highest" if the chosen rate is at an end of the grid, so that a better one may lie outside; else ""."""
        tried = [float(rate) for rate in self.rates]
        if self.rate is None or len(tried) < 2:
            return ""
        return "lowest" if self.rate == min(tried) else "highest" if self.rate == max(tried) else ""

    @property
    def forgotten(self) -> float | None:
        """The increase of loss on neutral text with the method attached, in nats per token; None if it was not measured."""
        frozen, on = self.forgetting.get("frozen"), self.forgetting.get("on")
        return None if frozen is None or on is None else on - frozen

    @property
    def family(self) -> tuple[str, ...]:
        """What results must share to be averaged over seeds. A result without a cell of a grid is a family of its own."""
        return (self.cell.first.id, self.fingerprint) if self.id == self.cell.id else (self.id,)

    def to_json(self) -> JsonObject:
        """Return the content of the file."""
        return {"format": FORMAT} | asdict(self) | {"cell": self.cell.to_json(), "seeds": list(self.seeds)}

    def save(self, path: Path) -> None:
        """Write the file atomically. Raises StoreError if it cannot be written."""
        write_json(path, self.to_json())

    @classmethod
    def from_json(cls, values: object) -> Self:
        """Build a result from the content of its file. Raises BadInput for anything else."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise BadInput(f"it is not a result of `launch.py experiments` (format {FORMAT})")
        try:
            known = {one.name: values[one.name] for one in fields(cls) if one.name in values}
            known |= {"cell": Cell.from_json(values["cell"]), "seeds": tuple(values.get("seeds", ()))}
            known["scores"] = with_current_names(known.get("scores", {}))
            result = cls(**known)
            if not all(isinstance(score["value"], int | float) for score in result.scores.values()):
                raise ValueError("a score without a value")
        except (BadInput, KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"it cannot be read as a result ({type(error).__name__}: {error})") from error
        return result


def families(results: Iterable[Result]) -> list[list[Result]]:
    """Group results that differ only in seed and sample."""
    grouped: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        grouped.setdefault(result.family, []).append(result)
    return list(grouped.values())


def read_results(files: Iterable[Path], faults: list[str] | None) -> list[Result]:
    """Read results from files with one or a list of them; sentences about unreadable files go to `faults`."""
    results: list[Result] = []
    for path in files:
        try:
            results += read_file(path)
        except BadData as error:
            if faults is not None:
                faults.append(str(error))
    return results


def read_file(path: Path) -> list[Result]:
    """Read the results of a file with one or a list of them, again only if it has changed. Raises BadData, which names the
    file."""
    try:
        stat = path.stat()
        return list(_read(path, (stat.st_mtime_ns, stat.st_size, stat.st_ino)))
    except (OSError, ValueError, RecursionError, BadInput) as error:
        raise BadData(f"{path.name} is left out: {str(error)[:200].rstrip('.')}. Delete it, or move it elsewhere.") from error


@lru_cache(maxsize=4096)
def _read(path: Path, _stamp: tuple[int, int, int]) -> tuple[Result, ...]:
    values = json.loads(path.read_text(encoding="utf-8"))
    return tuple(Result.from_json(one) for one in (values if isinstance(values, list) else [values]))


def home() -> Path:
    """Return the folder of the user's results, which has one folder per backbone."""
    return paths.home() / "experiments"


def own_files(folder: Path | None = None) -> list[Path]:
    """Return the files of the user's results."""
    return sorted((folder or home()).glob("*/cells/*.json"))
