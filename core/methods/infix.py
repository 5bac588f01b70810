"""Infix-tuning (paper §7.3): virtual tokens between the source and its separator, so that only what follows sees them.

The order is x, infix, separator, y. The keys and values are free, as a prefix's are; positions count them.
"""

from core.config.train import TrainConfig
from core.errors import NotSupported
from core.methods.base import LoadedMethod
from core.methods.prefix import PrefixMethod
from core.models.backbone import Backbone
from core.runs.store import Run


class InfixMethod(PrefixMethod):
    """A prefix's parameters in another place."""

    name = "infix"
    infix = True

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        check_family(backbone)
        super().__init__(backbone, config)

    @classmethod
    def load(cls, run: Run, backbone: Backbone) -> LoadedMethod:
        """The shared model and the infix."""
        check_family(backbone)
        return super().load(run, backbone)


def check_family(backbone: Backbone) -> None:
    """NotSupported for an encoder-decoder, which reads the source apart from what it writes."""
    if backbone.opening is not None:
        raise NotSupported(
            f"Infix-tuning does not fit {backbone.spec.name}, an encoder-decoder model: nothing stands between its source and "
            "its target. Use prefix-tuning, or GPT-2."
        )
