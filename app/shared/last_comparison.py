"""The last finished comparison of each page, which the Attention and Mix tabs read."""

from dataclasses import dataclass, field
from itertools import count

from app.shared.cache import Cache
from core.config.decode import DecodeConfig

PAGES = 64  # whose last comparison is kept


@dataclass(frozen=True)
class ColumnRecord:
    """One column: the run (empty: the frozen model), the ids of the prompt and of the generated tokens, and the text.

    `split`: the number of prompt tokens before the separator, where an infix goes; `lead`: the number of prompt tokens before
    the source; `end`: how many characters of the source are read.
    """

    run: str
    prompt_ids: tuple[int, ...]
    ids: tuple[int, ...]
    text: str
    state: str
    split: int = 0
    lead: int = 0
    end: int = 0


@dataclass(frozen=True)
class ComparisonRecord:
    """A finished comparison. `name`: the requested backbone; `columns`: by kind, those with a text; `form`: the input format
    (see `core.task.Task`)."""

    name: str
    source: str
    decode: DecodeConfig
    columns: dict[str, ColumnRecord]
    form: str = "table"
    number: int = field(default_factory=count(1).__next__)


class LastComparisons:
    """The last finished comparison of each page, for the most recently used pages."""

    def __init__(self, pages: int = PAGES) -> None:
        self._comparisons: Cache[str, ComparisonRecord] = Cache(pages)

    def get(self, page: str) -> ComparisonRecord | None:
        """Return the comparison of a page; None if there is none, or while a new one is being generated."""
        return self._comparisons.get(page)

    def put(self, page: str, record: ComparisonRecord) -> None:
        """Store a finished comparison."""
        self._comparisons.put(page, record)

    def forget(self, page: str) -> None:
        """Forget the last comparison when a new one starts."""
        self._comparisons.pop(page)
