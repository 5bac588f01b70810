"""The data of a training or an evaluation: a named data set, or the user's own file."""

from dataclasses import dataclass
from pathlib import Path

from core import paths
from core.config.base import Config
from core.data.columns import read_columns
from core.data.hub import has_split, is_hub
from core.data.registry import BUNDLED_TABLES, SETS, read_set, sample_evenly
from core.data.summarization import read_articles, read_bundled_articles
from core.errors import BadInput
from core.task import FORMATS, SUMMARIZATION, Example

COLUMNS = "columns"
NAMES = (*SETS, COLUMNS)
_BY_ENTRY = ("webnlg", "dart")  # one example an entry, sorted by category


@dataclass(frozen=True)
class DataSource(Config):
    """Which data are read, as plain values that are stored with a run, so that a resumed training reads the same rows.

    `set` is the name of a data set, or "columns" (then `source`, `target` and `form` are those of `read_columns`). The default
    is E2E if `data` is set, else "records", the bundled tables of nine topics; "tables" adds 184 topics. `data`: a file, or a
    folder with one file per split; "summarization" without it is the bundled articles. `rows` > 0 limits the training examples.
    `skip_bad` skips rows that cannot be used. For summarization, `source` and `target` may each name one column, `group` the
    topic column, and `topics` a split by topic (see `read_articles`).
    """

    set: str = ""
    data: str = ""
    source: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    form: str = ""
    rows: int = 0
    skip_bad: bool = False
    group: str = ""
    topics: str = ""

    def __post_init__(self) -> None:
        for name in ("set", "data", "form", "group", "topics"):
            self._check(isinstance(getattr(self, name), str), name, "a text")
        for name in ("source", "target"):
            value = getattr(self, name)
            self._check(isinstance(value, list | tuple) and all(isinstance(one, str) for one in value), name, "column names")
            object.__setattr__(self, name, tuple(value))
        self._check(self.name in NAMES, "set", f"one of {', '.join(NAMES)}")
        self._check(not self.form or self.form in FORMATS, "form", f"one of {', '.join(FORMATS)}")
        self._check_number("rows", 0, whole=True)
        self._check(isinstance(self.skip_bad, bool), "skip_bad", "true or false")
        self._check_columns()

    def _check_columns(self) -> None:
        has_columns = bool(self.source or self.target or self.form)
        if self.name == SUMMARIZATION:
            return self._check_articles()
        if self.group or self.topics:
            raise BadInput("Topics are those of articles: leave --topic-column and --topics out, or use --set summarization.")
        if self.name != COLUMNS and has_columns:
            raise BadInput(f"The set {self.name!r} has columns of its own: leave the columns out, or use --set columns.")
        if self.name == COLUMNS and not (self.source and self.target):
            raise BadInput("Name the columns of your data: --source COLUMN and --target COLUMN, each once or more often.")
        if is_hub(self.data) and self.name != COLUMNS:
            raise BadInput(f"A set of the hub is read by its columns, not as {self.name!r}: use --set columns and name them.")
        if self.name not in BUNDLED_TABLES and not self.data:
            raise BadInput(f"There is no data for the set {self.name!r}: give a file or a folder with --data.")

    def _check_articles(self) -> None:
        if self.form or len(self.source) != len(self.target) or len(self.source) > 1:
            raise BadInput(
                "Name one column of articles and one of summaries, --source COLUMN --target COLUMN, or leave both out."
            )
        if not self.data and (self.source or self.group or self.topics):
            raise BadInput(
                "The bundled articles have columns and splits of their own: name them for articles of yours, with --data."
            )

    @property
    def name(self) -> str:
        """The data set's name, or the default."""
        return self.set or ("e2e" if self.data else "records")

    @property
    def task_form(self) -> str:
        """The input format of its sources (see Task)."""
        if self.name in (COLUMNS, SUMMARIZATION):
            return "article" if self.name == SUMMARIZATION else self.form or "table"
        return self.name if self.name in FORMATS else "table"

    def load_split(self, split: str, skipped: list[str]) -> list[Example]:
        """Read the examples of a split, or of the whole file if it has no splits; messages on skipped rows go to `skipped`.

        Raises BadData with file, line and reason, BadInput for a split that there is not.
        """
        bad = skipped if self.skip_bad else None
        if not self.data and self.name in BUNDLED_TABLES:
            files = [paths.DATA / file for file in BUNDLED_TABLES[self.name]]
            examples = [example for file in files for example in read_set(self.name, file, split, bad)]
            if not examples:
                raise BadInput(f"The bundled tables have no split {split!r}: choose train, dev or test.")
            return examples
        path = Path(self.data)
        if self.name == COLUMNS:
            return read_columns(
                self.data if is_hub(self.data) else path, self.source, self.target, split, self.task_form, skipped=bad
            )
        if self.name == SUMMARIZATION and not self.data:
            return read_bundled_articles(split)
        if self.name == SUMMARIZATION:
            columns = (self.source[0], self.target[0]) if self.source else None
            return read_articles(path, split, bad, columns, self.group, self.topics)
        return read_set(self.name, path, split, bad)

    def load_train_valid(self, skipped: list[str]) -> tuple[list[Example], list[Example]]:
        """Read the training and the validation examples; a single file has no validation examples. Raises BadData."""
        examples = self.load_split("train", skipped)
        if not examples:
            raise BadInput(f"{Path(self.data).name} has no row to train on: give a file with rows of the split train.")
        has_splits = not self.data or Path(self.data).is_dir()
        if is_hub(self.data):
            has_splits = has_split(self.data, "dev")
        valid = self.load_split("dev", skipped) if has_splits else []
        if self.rows:
            examples = sample_evenly(examples, self.rows) if self.name in _BY_ENTRY else examples[: self.rows]
        return examples, valid
