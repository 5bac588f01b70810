"""The result of a cell, as its small JSON file holds it, with its format's version."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from analysis.experiments.grid import Cell
from core import paths
from core.errors import BadData, BadInput
from core.runs.layout import write_json

FORMAT = 1
BUNDLED = paths.ASSETS / "results"


@dataclass(frozen=True)
class Result:
    """What a cell measured.

    `scores[metric]`: {"value", "low", "high" (95 % interval over resampled rows), "n", "signature", "higher_is_better"}; of
    several seeds in one result "sd" instead of the interval. `places[grid]`: the label, and the place on a curve's axis, of the
    line that shows it. `share`: stored parameters in those of the backbone. `rates`: validation loss by learning rate, where
    one was chosen. `seconds`: of training, and of generating and scoring. `forgetting`: see forgetting.py.
    """

    id: str
    cell: Cell
    backbone: str
    fingerprint: str
    status: str  # "done" or "failed"
    places: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
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
    decoding: dict[str, Any] = field(default_factory=dict)
    forgetting: dict[str, Any] = field(default_factory=dict)
    not_computed: dict[str, str] = field(default_factory=dict)
    created: str = ""
    notes: str = ""

    @property
    def rate_at_end(self) -> str:
        """ "lowest" or "highest" where the chosen rate is an end of the grid, so that a better one may lie beyond; else ""."""
        tried = [float(rate) for rate in self.rates]
        if self.rate is None or len(tried) < 2:
            return ""
        return "lowest" if self.rate == min(tried) else "highest" if self.rate == max(tried) else ""

    @property
    def forgotten(self) -> float | None:
        """Nats per token of neutral text that the method in force costs; None where it was not measured."""
        frozen, on = self.forgetting.get("frozen"), self.forgetting.get("on")
        return None if frozen is None or on is None else on - frozen

    @property
    def family(self) -> tuple[str, ...]:
        """What results must share to be averaged over seeds. One that no cell of a grid has stands alone."""
        return (self.cell.first.id, self.fingerprint) if self.id == self.cell.id else (self.id,)

    def to_json(self) -> dict[str, Any]:
        """The content of the file."""
        return {"format": FORMAT} | asdict(self) | {"cell": self.cell.to_json(), "seeds": list(self.seeds)}

    def save(self, path: Path) -> None:
        """Write the file, atomically. Raises StoreError where it cannot be written."""
        write_json(path, self.to_json())

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """A result from the content of its file. Raises BadInput where it is none."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise BadInput(f"it is not a result of `launch.py experiments` (format {FORMAT})")
        try:
            known = {one.name: values[one.name] for one in fields(cls) if one.name in values}
            known |= {"cell": Cell.from_json(values["cell"]), "seeds": tuple(values.get("seeds", ()))}
            result = cls(**known)
            if not all(isinstance(score["value"], int | float) for score in result.scores.values()):
                raise ValueError("a score without a value")
        except (BadInput, KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"it cannot be read as a result ({type(error).__name__}: {error})") from error
        return result


def families(results: Iterable[Result]) -> list[list[Result]]:
    """Results that differ in seed and sample only, together."""
    grouped: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        grouped.setdefault(result.family, []).append(result)
    return list(grouped.values())


def read_results(files: Iterable[Path], faults: list[str] | None = None) -> list[Result]:
    """The results in files that hold one or a list of them; sentences about those that cannot be read go to `faults`."""
    results: list[Result] = []
    for path in files:
        try:
            results += read_file(path)
        except BadData as error:
            if faults is not None:
                faults.append(str(error))
    return results


def read_file(path: Path) -> list[Result]:
    """The results in a file that holds one or a list of them, read again only if it has changed. BadData names the file."""
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
    """Where results of one's own are kept, a folder for each backbone."""
    return paths.home() / "experiments"


def own_files(folder: Path | None = None) -> list[Path]:
    """The files of one's own results."""
    return sorted((folder or home()).glob("*/cells/*.json"))
