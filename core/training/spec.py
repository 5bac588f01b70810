"""A training as arguments of the command line's `train`: the page writes them, and the command line parses them."""

import argparse
from dataclasses import dataclass, field, fields
from typing import Self

from core.config.presets import layout_of, preset
from core.config.train import TrainConfig
from core.data.source import DataSource
from core.runs.layout import check_id
from core.task import SUMMARIZATION, check_task_name


@dataclass(frozen=True)
class TrainSpec:
    """What to train, and on which data. Empty fields get their defaults.

    `task`: the task's name (default: the data set's); `backbone`: default by the kind of input; `layout`: default the preset's;
    `cut`: see Task; `half`: store fp16 weights; `changes`: settings of TrainConfig that differ from the preset's. Raises BadInput
    for a task's name that is not one short line.
    """

    run: str
    preset: str = "mini"
    method: str = TrainConfig.method
    backbone: str = ""
    task: str = ""
    source: DataSource = field(default_factory=DataSource)
    layout: str = ""
    cut: int | None = None
    half: bool = False
    changes: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_task_name(self.task)

    @property
    def task_name(self) -> str:
        """The task's name, or the default."""
        return self.task or self.source.name

    @property
    def task_layout(self) -> str:
        """The layout, or the default."""
        return self.layout or layout_of(self.preset)

    def config(self) -> TrainConfig:
        """Return all settings. Raises BadConfig for a wrong one."""
        return preset(self.preset, self.method, self.task_name, **self.changes)

    def to_argv(self) -> list[str]:
        """Return the arguments after `launch.py`. Raises BadInput if the run's name is not a valid id."""
        source = self.source
        articles = self.task == source.set == SUMMARIZATION  # the task says it
        options: list[tuple[str, object]] = [
            ("run", check_id(self.run)),
            ("preset", self.preset),
            ("method", self.method if self.method != TrainConfig.method else ""),
            ("backbone", self.backbone),
            ("task", self.task),
            ("set", "" if articles else source.set),
            ("data", source.data),
            *(("source", column) for column in source.source),
            *(("target", column) for column in source.target),
            ("source-form", source.form),
            ("topic-column", source.group),
            ("topics", source.topics),
            ("rows", source.rows or ""),
            ("skip-bad", source.skip_bad),
            ("layout", self.layout),
            ("cut", "" if self.cut is None else self.cut),
            ("half", self.half),
        ]
        arguments = [argument for name, value in options if value != "" for argument in _arguments(name, value)]
        return ["train", *arguments, *(part for name, value in self.changes.items() for part in _arguments(name, value))]

    @classmethod
    def from_args(cls, args: argparse.Namespace, source: DataSource) -> Self:
        """Return the training that parsed arguments of `train` describe; `source`: the data that they name."""
        names = [setting.name for setting in fields(TrainConfig) if setting.name not in ("method", "preset")]
        values = {name: getattr(args, name, None) for name in names}
        return cls(
            args.run,
            args.preset or cls.preset,
            args.method or cls.method,
            args.backbone or "",
            args.task or "",
            source,
            args.layout or "",
            args.cut,
            args.half,
            {name: value for name, value in values.items() if value is not None},
        )


def _arguments(name: str, value: object) -> list[str]:
    """Return an option with its value; numbers are written so that they parse to the same value."""
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [option] if value else []
    short = f"{value:g}" if isinstance(value, float) else str(value)
    text = repr(value) if isinstance(value, float) and float(short) != value else short
    return [f"{option}={text}"] if text.startswith("-") else [option, text]  # argparse takes "--x -y" for two options
