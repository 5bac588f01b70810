"""The Train tab's request: method, preset and data, as settings, as a command line, and as an estimate."""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from app.shared.context import AppContext
from app.shared.setting_labels import TRAINING_LABELS
from app.train.uploads import FOLDER
from core import paths
from core.config.methods import METHODS
from core.config.presets import PRESETS, preset
from core.config.train import TrainConfig
from core.data.columns import read_columns
from core.data.e2e import read_bundled
from core.data.lines import collect_warnings
from core.data.source import DataSource
from core.data.summarization import COLUMNS as ARTICLES
from core.data.summarization import read_articles, read_bundled_articles
from core.data.uploads import SOURCE, TARGET, preview_file, save_split, train_and_valid
from core.errors import BadInput
from core.models.backbone import Backbone
from core.models.inputs import task_for_backbone
from core.models.locate import DEFAULT, DEFAULTS
from core.runs.store import Store
from core.task import SUMMARIZATION, Example
from core.training.batches import encode_rows
from core.training.estimate import TrainingEstimate, estimate
from core.training.spec import TrainSpec

SAMPLE = 100  # examples whose length stands for all
LOW = (50, 100, 200, 500)  # paper, Figure 3
PRESET_LABELS = {"demo": "Quick demo", "low": "Low data", "paper": "Paper", "own": "Own"}
PRESET_DESCRIPTIONS = {
    "demo": "A few virtual tokens, a high learning rate and bundled data: watch a prefix learn.",
    "low": "Few rows, initialized from real words, at most 400 updates (paper, section 6.3).",
    "paper": "Table 5 of the paper. Its low learning rate is meant for GPT-2-medium and large data.",
    "own": "Choose every setting yourself.",
}
FEW_ARTICLES = (
    "A model soon memorizes nine articles and learns no summarizing: watch the two losses diverge. For more, upload a file."
)
TRAINING_SETTINGS = ("rate", "updates", "batch", "warmup")


def settings_of(method: str) -> tuple[str, ...]:
    """Return the settings that a method has."""
    info = METHODS[method]
    return (*(name for name in TRAINING_LABELS if name in info.settings), *(TRAINING_SETTINGS if info.trained else ()), "seed")


@dataclass(frozen=True)
class UploadedData:
    """Bundled data if `file` is empty, else an uploaded file with its columns. `form`: see core.task.Task."""

    file: str = ""
    source: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    form: str = "table"
    name: str = ""


@dataclass(frozen=True)
class TrainRequest:
    """What to train. `rows`: 0 for all; `own`: settings that differ from the preset's."""

    run: str
    preset: str = "demo"
    method: str = TrainConfig.method
    backbone: str = DEFAULT
    rows: int = 0
    data: UploadedData = UploadedData()
    own: dict[str, object] = field(default_factory=dict)

    @property
    def on_articles(self) -> bool:
        """Whether the task is summarization."""
        return self.data.form == "article"

    @property
    def task(self) -> str:
        """The name of the task."""
        return SUMMARIZATION if self.on_articles else self.data.name or "records"

    @property
    def base(self) -> str:
        """The preset on the command line."""
        return "fast" if self.preset == "own" else self.preset

    def config(self) -> TrainConfig:
        """Return all settings. Raises BadConfig for a bad one."""
        return preset(self.base, self.method, self.task, **self.changes())

    def changes(self) -> dict[str, object]:
        """Return the settings that differ from the preset."""
        plain, often = preset(self.base, self.method, self.task).to_dict(), self.preset in ("paper", "own")
        defaults = {"watch": 25, "save_every": 50, "validate_every": 25} if often and METHODS[self.method].trained else {}
        return {name: value for name, value in (defaults | self.own).items() if plain[name] != value}

    def to_argv(self, folder: str = "") -> list[str]:
        """Return the command line after `launch.py`; see `spec`."""
        return self.spec(folder).to_argv()

    def spec(self, folder: str = "") -> TrainSpec:
        """Return the training. `folder`: where the uploaded rows are stored, with fixed column names.

        Without it, the uploaded file and its own columns are named, as a user would type them.
        """
        source = DataSource(SUMMARIZATION if self.on_articles else "", rows=self.rows)
        if self.data.file:
            form = self.data.form if self.data.form not in ("table", "article") else ""
            stored = {"data": folder, "source": (SOURCE,), "target": (TARGET,)}
            typed = {"data": Path(self.data.file).name, "source": self.data.source, "target": self.data.target}
            skip_bad = not folder and bool(self.uploaded()[1])
            source = source.replace(set=source.set or "columns", form=form, skip_bad=skip_bad, **(stored if folder else typed))
        backbone = self.backbone if self.backbone != DEFAULTS.get(self.data.form, DEFAULT) else ""
        task = SUMMARIZATION if self.on_articles else self.data.name if self.data.file else ""
        return TrainSpec(self.run, self.base, self.method, backbone, task, source, changes=self.changes())

    def examples(self) -> tuple[list[Example], int, list[str]]:
        """Return the training examples, the number of validation examples, and sentences about unusable rows."""
        bad: list[str] = []
        if not self.data.file:
            train, held_out = (list(_bundled(split, self.on_articles)) for split in ("train", "valid"))
            valid = sum(len(one.targets) for one in held_out)
        else:
            if not (self.data.source and self.data.target):
                raise BadInput("Choose which columns are the input and which is the text to write. A file needs one for each.")
            read, bad, _ = self.uploaded()
            train, held_out = train_and_valid(read)
            valid = sum(len(one.targets) for one in held_out)
        return (train[: self.rows] if self.rows else train), valid, bad

    def usable(self) -> int:
        """Return how many rows of an uploaded file can be used, for training or validation; call `examples` first."""
        return len(self.uploaded()[0])

    def odd(self) -> list[str]:
        """Return warnings about an uploaded file, such as stray quotes; call `examples` first."""
        return self.uploaded()[2] if self.data.file else []

    def uploaded(self) -> tuple[Sequence[Example], list[str], list[str]]:
        """Return what `uploaded_examples` reads of the file."""
        return uploaded_examples(self.data.file, self.data.source, self.data.target, self.data.form)


def command(words: list[str]) -> str:
    """A command line to copy."""
    return "python launch.py " + shlex.join(words)


def estimate_request(
    context: AppContext, request: TrainRequest, examples: list[Example], valid: int
) -> tuple[TrainingEstimate, Backbone]:
    """Estimate parameters, size and time, loading the backbone if needed. Raises the errors of `core.training.estimate`."""
    backbone, config = context.models.backbone(request.backbone), request.config()
    if request.on_articles and not backbone.is_encoder_decoder:
        raise BadInput(
            f"Articles are summarized by an encoder-decoder model, and {backbone.spec.name} is none. "
            "Choose one such as mini-bart at the head of the page."
        )
    form = task_for_backbone(backbone, request.task, "paper" if request.base == "paper" else "newline", request.data.form)
    step = max(1, len(examples) // SAMPLE)
    pairs = sum(len(one.targets) for one in examples)

    def work() -> TrainingEstimate:
        return estimate(backbone, config, encode_rows(backbone, form, examples[::step], config.length), pairs, valid)

    return context.models.run_job(work), backbone


def store_upload(store: Store, request: TrainRequest) -> str:
    """Store the uploaded rows for the training, and return the folder; empty for bundled data."""
    if not request.data.file:
        return ""
    read, _, _ = request.uploaded()
    return str(save_split(list(read), request.data.name or Path(request.data.file).name.split(".")[0], store.folder / FOLDER))


def is_encoder_decoder(context: AppContext, name: str) -> bool:
    """Whether a backbone is an encoder-decoder, without loading it; False if unknown."""
    if context.models.is_loaded(name):
        return context.models.backbone(name).is_encoder_decoder
    for folder in (paths.MODELS / name, Path(name).expanduser()):
        try:
            return json.loads((folder / "config.json").read_text(encoding="utf-8")).get("is_encoder_decoder") is True
        except (OSError, ValueError, AttributeError, RecursionError):
            continue
    return False


def free_name(store: Store, ids: set[str], kind: str) -> str:
    """Return the first of demo-1, demo-2 … that is not in use."""
    number = 1
    while f"{kind}-{number}" in ids or (store.folder / f"{kind}-{number}").exists():
        number += 1
    return f"{kind}-{number}"


def is_suggested(name: str) -> bool:
    """Whether a name is empty, or one that `free_name` makes."""
    return not name or re.fullmatch(f"({'|'.join(PRESET_LABELS)})-[0-9]+", name) is not None


def guess_columns(columns: Sequence[str]) -> tuple[list[str], list[str], str]:
    """Guess a file's input columns, its text column, and the input format."""
    articles = next((pair for pair in ARTICLES if set(pair) <= set(columns)), None)
    if articles:
        return [articles[0]], [articles[1]], "article"
    texts = [name for name in columns if name.lower() in ("text", "ref", "target", "targets", "summary", "output")]
    target = texts[:1] or list(columns[-1:])
    source = [name for name in columns if name not in target]
    single = [name for name in source if name.lower() in ("mr", "table", "source", "input", "triples")]
    return single[:1] or source, target, "table"


@lru_cache(maxsize=4)
def uploaded_examples(
    file: str, source: tuple[str, ...], target: tuple[str, ...], form: str
) -> tuple[tuple[Example, ...], list[str], list[str]]:
    """Return the examples of an uploaded file, a sentence for each unusable row, and warnings.

    The file never changes, and is read once for each choice of columns. Raises BadData, BadInput.
    """
    bad: list[str] = []
    preview_file(Path(file))  # refuses by size and kind
    with collect_warnings() as odd:
        if form == "article":
            if len(source) != 1 or len(target) != 1:
                raise BadInput("Of articles, name one column that holds them and one of their summaries.")
            examples = read_articles(Path(file), None, bad, (source[0], target[0]))
        else:
            examples = read_columns(Path(file), source, target, form=form, skipped=bad)
    return tuple(examples), bad, odd


@lru_cache(maxsize=4)
def _bundled(split: str, articles: bool) -> tuple[Example, ...]:
    return tuple(read_bundled_articles(split) if articles else read_bundled(paths.DATA / "records.jsonl", split))


assert set(PRESET_LABELS) - {"own"} <= set(PRESETS)
