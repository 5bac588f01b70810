"""What a run that was kept near a text reads as, and what that cost it (Khashabi et al. 2022; core/methods/near_text.py)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from analysis.space.spaces import Space
from core.methods.near_text import NearText, text_ids
from core.models.backbone import Backbone
from core.runs.run import Run

MAY_DIFFER = ("near_weight", "save_every", "watch")  # settings of trainings that are compared


@dataclass(frozen=True)
class TextReading:
    """A run's P virtual tokens beside the text that they were kept near.

    `ids`: the text's tokens; `nearest`: the token whose input embedding is nearest to each, by the cosine of the space;
    `distance`: see core/methods/near_text.py.
    """

    run: Run
    ids: tuple[int, ...]
    nearest: tuple[int, ...]
    distance: float

    @property
    def text(self) -> str:
        """The text."""
        return str(self.run.config["near_text"])

    @property
    def weight(self) -> float:
        """The weight of the penalty on the distance."""
        return float(str(self.run.config["near_weight"]))

    @property
    def matches(self) -> int:
        """How many virtual tokens have their own token of the text as the nearest."""
        return sum(own == nearest for own, nearest in zip(self.ids, self.nearest, strict=True))


def near_text_of(run: Run) -> str:
    """The text that a run was kept near; empty where there is none."""
    return str(run.config.get("near_text") or "")


def read_text(space: Space, run: Run, vectors: Tensor, backbone: Backbone) -> TextReading:
    """Read a run's input vectors (P, width) as words of the space of input embeddings."""
    ids = text_ids(backbone, near_text_of(run))
    near, vectors = NearText(backbone, near_text_of(run)), vectors.to(backbone.device)
    nearest = space.scores(vectors).argmax(1).tolist()
    return TextReading(run, tuple(ids), tuple(nearest), near.distance(vectors).item())


def same_training(run: Run, runs: Sequence[Run]) -> list[Run]:
    """The runs that differ from a run in the weight of the penalty alone, itself among them, by that weight."""

    def key(one: Run) -> tuple[object, ...]:
        settings = {name: value for name, value in one.config.items() if name not in MAY_DIFFER}
        return one.method, one.fingerprint, one.task, one.rows, one.updates, settings

    return sorted((one for one in runs if key(one) == key(run)), key=lambda one: float(str(one.config["near_weight"])))
