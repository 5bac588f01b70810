"""What a run is trained from, as far as its files say so."""

from dataclasses import dataclass, field
from pathlib import Path

from core.config.train import TrainConfig
from core.methods.base import Method
from core.methods.near_text import with_length_of_text
from core.models.backbone import Backbone
from core.runs.run import Run
from core.runs.store import Store
from core.task import Task
from core.training.process_group import ALONE, ProcessGroup
from core.training.sample_log import Sampler


@dataclass
class TrainingPlan:
    """Everything about a training except its rows.

    `source` describes the data, for `resume_training`; `half`: store fp16 weights; `resume`: continue from the last checkpoint;
    `sampler` is called every `config.watch` updates (see sample_log.py); `group`: the processes that train together. The length
    of a `config` with a `near_text` becomes that of the text.
    """

    backbone: Backbone
    task: Task
    config: TrainConfig
    store: Store
    run_id: str
    command: str = ""
    half: bool = False
    source: dict[str, object] = field(default_factory=dict)
    resume: bool = False
    sampler: Sampler | None = None
    group: ProcessGroup = ALONE

    def __post_init__(self) -> None:
        self.config = with_length_of_text(self.backbone, self.config)

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.store.folder / self.run_id

    def to_json(self) -> dict[str, object]:
        """Return what state.json needs to resume the training."""
        return {
            "config": self.config.to_dict(),
            "task": self.task.to_dict(),
            "backbone": self.backbone.spec.source,
            "fingerprint": self.backbone.spec.fingerprint,
            "command": self.command,
            "half": self.half,
            "source": self.source,
        }

    def new_run(self, method: Method, config: TrainConfig | None = None, **values: object) -> Run:
        """Create the record of the run, with the plan's settings or others; `values` are its other fields."""
        facts: dict[str, object] = {
            "device": str(self.backbone.device) + (f" × {self.group.size}" if self.group.size > 1 else ""),
            "command": self.command,
            "seed": self.config.seed,
            "trained": sum(parameter.numel() for parameter in method.parameters()),
        }
        return Run.new(
            self.folder, self.backbone.spec, method.name, self.task, (config or self.config).to_dict(), **facts | values
        )
