"""Infix-tuning (paper §7.3): virtual tokens between the source and its separator, which only the following tokens attend to.

The order is x, infix, separator, y. The keys and values are trained like those of a prefix, and they take up positions.
"""

from core.config.train import TrainConfig
from core.methods.base import LoadedMethod, check_decoder_only
from core.methods.prefix import PrefixMethod
from core.models.backbone import Backbone
from core.runs.run import Run

METHOD = "Infix-tuning", ": there is nothing between its source and its target"


class InfixMethod(PrefixMethod):
    """Prefix-tuning with the virtual tokens after the source."""

    name = "infix"
    infix = True

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        check_decoder_only(backbone, *METHOD)
        super().__init__(backbone, config)

    @classmethod
    def load(cls, run: Run, backbone: Backbone) -> LoadedMethod:
        """Return the shared model and the infix."""
        check_decoder_only(backbone, *METHOD)
        return super().load(run, backbone)
