"""What the Train tab asks for: a method, a preset and data, as settings, as a command line, and as a plan."""

import shlex
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.kept_data import FOLDER
from app.session import Lab
from core import paths
from core.backbone import DEFAULT, Backbone
from core.batching import rows_of
from core.config import PRESETS, TrainConfig, preset
from core.errors import BadInput
from core.plan import Plan, plan
from core.readers import read_bundled
from core.reading.columns import read_columns
from core.reading.own import SOURCE, TARGET, keep, peek
from core.store import Store, check_id
from core.tasks import Example, task

SAMPLE = 100  # examples whose length stands for all
LOW = (50, 100, 200, 500)  # paper, Figure 3
SHOWN = {"demo": "30-second demo", "low": "Low data", "paper": "Paper", "own": "Own"}
LEADS = {
    "demo": "A few virtual tokens, a high rate and the bundled tables: see a prefix learn while you watch.",
    "low": "Few rows, begun from real words, at most 400 updates (paper, section 6.3).",
    "paper": "Table 5 of the paper. Its low rate is meant for GPT-2-medium and large data.",
    "own": "Every setting as you like it.",
}
# Fields of TrainConfig that "own settings" shows -> what the page calls them.
OWN = {
    "length": "Virtual tokens",
    "mlp": "MLP width, 0: none",
    "init_words": "Begin with the words",
    "rate": "Learning rate",
    "updates": "Updates",
    "batch": "Rows a batch",
    "warmup": "Warm-up updates",
    "seed": "Seed",
}


@dataclass(frozen=True)
class Data:
    """Bundled tables where `file` is empty, else a file of one's own with its columns."""

    file: str = ""
    source: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    form: str = "table"
    name: str = ""


@dataclass(frozen=True)
class Wish:
    """What is to be trained. `rows`: 0 for all; `own`: settings that differ from the preset's."""

    run: str
    preset: str = "demo"
    method: str = "prefix"
    backbone: str = DEFAULT
    rows: int = 0
    data: Data = Data()
    own: dict[str, Any] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """The preset that is named on the command line."""
        return "fast" if self.preset == "own" else self.preset

    def config(self) -> TrainConfig:
        """All settings; BadConfig names a bad one."""
        return preset(self.base, self.method, **self.changes())

    def changes(self) -> dict[str, Any]:
        """What differs from the preset."""
        plain = preset(self.base, self.method).to_dict()
        given = {"watch": 25, "save_every": 50, "validate_every": 25} if self.preset in ("paper", "own") else {}
        return {name: value for name, value in (given | self.own).items() if plain[name] != value}

    def words(self, folder: str = "") -> list[str]:
        """The command line after `launch.py`; `folder`: where the data of one's own were kept."""
        line = ["train", "--run", check_id(self.run), "--preset", self.base]
        line += ["--method", self.method] if self.method != "prefix" else []
        line += ["--backbone", self.backbone] if self.backbone != DEFAULT else []
        if self.data.file:
            line += ["--set", "columns", "--data", folder or self.data.file, "--source", SOURCE, "--target", TARGET]
            line += ["--source-form", self.data.form] if self.data.form != "table" else []
            line += ["--task", self.data.name] if self.data.name else []
        line += ["--rows", str(self.rows)] if self.rows else []
        for name, value in self.changes().items():
            line += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
        return line

    def examples(self) -> tuple[list[Example], int, list[str]]:
        """Training examples, how many there are to validate on, and sentences about rows that cannot be used."""
        bad: list[str] = []
        if not self.data.file:
            found, valid = list(_bundled("train")), sum(len(one.targets) for one in _bundled("valid"))
        else:
            if not (self.data.source and self.data.target):
                raise BadInput("Say which columns are the input and which is the text to write.")
            read, bad = own_examples(self.data.file, self.data.source, self.data.target, self.data.form)
            found, valid = list(read), len(read) // 10
        return (found[: self.rows] if self.rows else found), valid, bad


def command(words: list[str]) -> str:
    """A command line to copy."""
    return "python launch.py " + shlex.join(words)


def planned(lab: Lab, wish: Wish, examples: list[Example], valid: int) -> tuple[Plan, Backbone]:
    """What it will take; loads the backbone where it is not. Errors of core.plan."""
    backbone, config = lab.backbone(wish.backbone), wish.config()
    form = task("records", "paper" if wish.base == "paper" else "newline")
    step = max(1, len(examples) // SAMPLE)
    pairs = sum(len(one.targets) for one in examples)

    def work() -> Plan:
        return plan(backbone, config, rows_of(backbone, form, examples[::step], config.length), pairs, valid)

    return lab.work(work), backbone


def kept(store: Store, wish: Wish) -> str:
    """Where the rows of one's own are kept for the training; empty for the bundled ones."""
    if not wish.data.file:
        return ""
    read, _ = own_examples(wish.data.file, wish.data.source, wish.data.target, wish.data.form)
    return str(keep(list(read), wish.data.name or Path(wish.data.file).name.split(".")[0], store.folder / FOLDER))


def free_name(store: Store, taken: set[str], kind: str) -> str:
    """The first of demo-1, demo-2 … that no run has."""
    number = 1
    while f"{kind}-{number}" in taken or (store.folder / f"{kind}-{number}").exists():
        number += 1
    return f"{kind}-{number}"


@lru_cache(maxsize=4)
def own_examples(file: str, source: tuple[str, ...], target: tuple[str, ...], form: str) -> tuple[tuple[Example, ...], list[str]]:
    """The rows of an uploaded file, which never changes; read once for each choice of columns. Raises BadData, BadInput."""
    bad: list[str] = []
    peek(Path(file))  # refuses by size and kind
    return tuple(read_columns(Path(file), source, target, form=form, skipped=bad)), bad


@lru_cache(maxsize=2)
def _bundled(split: str) -> tuple[Example, ...]:
    return tuple(read_bundled(paths.DATA / "records.jsonl", split))


assert set(SHOWN) - {"own"} <= set(PRESETS)
