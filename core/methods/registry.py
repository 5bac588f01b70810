"""The class of each method. What else is known of them stands in core/config/methods.py, under the same names."""

from core.config.train import TrainConfig
from core.errors import NotSupported
from core.methods.adapter import AdapterMethod
from core.methods.base import Method
from core.methods.embedding import EmbeddingMethod
from core.methods.finetune import FinetuneMethod
from core.methods.in_context import InContextMethod
from core.methods.infix import InfixMethod
from core.methods.lora import LoraMethod
from core.methods.prefix import PrefixMethod
from core.methods.top_layers import TopLayersMethod
from core.models.backbone import Backbone
from core.runs.run import Run

METHOD_CLASSES: dict[str, type[Method]] = {
    "prefix": PrefixMethod,
    "finetune": FinetuneMethod,
    "top_layers": TopLayersMethod,
    "adapter": AdapterMethod,
    "embedding": EmbeddingMethod,
    "infix": InfixMethod,
    "lora": LoraMethod,
    "in_context": InContextMethod,
}


def new_method(backbone: Backbone, config: TrainConfig) -> Method:
    """Create the configured method, ready to train; NotSupported lists the known names."""
    if config.method not in METHOD_CLASSES:
        raise NotSupported(f"There is no method {config.method!r}. Known: {', '.join(METHOD_CLASSES)}.")
    return METHOD_CLASSES[config.method](backbone, config)


def method_class(run: Run) -> type[Method]:
    """Return the class of a run's method; NotSupported lists the known names."""
    if run.method not in METHOD_CLASSES:
        known = ", ".join(METHOD_CLASSES)
        raise NotSupported(f"The run {run.id!r} is of the method {run.method!r}. Known: {known}. Give one of those.")
    return METHOD_CLASSES[run.method]
