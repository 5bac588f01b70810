"""A source as token ids: with what the task puts around it, and cut where the task says so."""

from dataclasses import dataclass

from core.backbone import Backbone
from core.tasks import Task


@dataclass(frozen=True)
class Source:
    """What the model reads. `tokens`: of the whole source without what the task puts around it; `kept`: how many are read.

    `end`: how many characters of the source are read, at least in part.
    """

    ids: list[int]
    tokens: int
    kept: int
    end: int

    @property
    def is_cut(self) -> bool:
        """Whether the end of the source is not read."""
        return self.kept < self.tokens


def read_source(backbone: Backbone, task: Task, source: str) -> Source:
    """A source as the model reads it. Where the task cuts, all that is read has at most `task.cut` tokens, and fits the model."""
    if not task.cut:
        ids = backbone.encode(task.prompt(source))
        return Source(ids, len(ids), len(ids), len(source))
    before, after = backbone.encode(task.lead), backbone.encode(task.separator)
    ids = backbone.encode(source, literal=True)
    kept = ids[: max(1, min(task.cut, backbone.spec.positions) - len(before) - len(after))]
    end = len(source) if len(kept) == len(ids) else min(len(source), len(backbone.decode(kept)))
    return Source([*before, *kept, *after], len(ids), len(kept), end)
