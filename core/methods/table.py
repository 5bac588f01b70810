"""The one list of methods."""

from collections.abc import Callable

from core.backbone import Backbone
from core.config import TrainConfig
from core.errors import NotSupported
from core.methods.base import Method
from core.methods.finetune import FinetuneMethod
from core.methods.prefix import PrefixMethod

METHODS: dict[str, Callable[[Backbone, TrainConfig], Method]] = {
    "prefix": PrefixMethod,
    "finetune": FinetuneMethod,
}
TITLES = {"prefix": "Prefix-tuning", "finetune": "Fine-tuning"}


def new_method(backbone: Backbone, config: TrainConfig) -> Method:
    """A method of the configured name, ready to train; NotSupported lists the known ones."""
    if config.method not in METHODS:
        raise NotSupported(f"There is no method {config.method!r}. Known: {', '.join(METHODS)}.")
    return METHODS[config.method](backbone, config)
