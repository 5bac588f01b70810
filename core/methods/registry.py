"""The class of each method, under the same ids as the records in core/config/methods.py."""

from core.config.methods import method_info
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
from core.models.splitting import is_split
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
    """Create the configured method, ready to train. Raises NotSupported, which lists the known ids."""
    if config.method not in METHOD_CLASSES:
        raise NotSupported(f"There is no method {config.method!r}. Choose one of: {', '.join(METHOD_CLASSES)}.")
    check_split(backbone, config.method)
    return METHOD_CLASSES[config.method](backbone, config)


def check_split(backbone: Backbone, method: str) -> None:
    """Raise NotSupported if a backbone is split over devices and the method needs its weights on one."""
    if is_split(backbone.model) and not method_info(method).within_attention:
        raise NotSupported(
            f"{method_info(method).title} needs the weights of {backbone.spec.name} on one device, and --device-map has split "
            "them. Leave --device-map out, or use prefix-tuning."
        )


def method_class(run: Run) -> type[Method]:
    """Return the class of a run's method. Raises NotSupported, which lists the known ids."""
    if run.method not in METHOD_CLASSES:
        known = ", ".join(METHOD_CLASSES)
        raise NotSupported(f"The run {run.id!r} is of the method {run.method!r}. Give a run of one of these: {known}.")
    return METHOD_CLASSES[run.method]
