"""A short check when a model is loaded: with our attention it must compute what its own code computes.

A family that transformers loads may still have attention, or steps from hidden states to logits, that a prefix or our training
loss does not reach. Two short texts reveal that: logits (also with a cache), the training loss and one gradient are compared
with those of the model's own ("eager") attention, and a text as a prefix is compared with the same text typed. Each
configuration is checked once per process.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
import transformers
from torch import Tensor
from torch.nn import functional as F

from core.errors import NotSupported, WrongBackbone
from core.models.activations import text_key_values
from core.models.architectures import USE, kind_of, sliding_window, transformer_blocks, unembed
from core.models.backbone import Backbone
from core.models.padding import left_pad
from core.prefix.attention import PrefixState, attach
from core.prefix.prefix import Prefix, check_shape

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LENGTHS = (8, 5)  # tokens of the two texts
SPLIT = 3  # tokens of the first that are read first: into the cache, or as a prefix
_passed: set[str] = set()


def check_model(backbone: Backbone) -> None:
    """Raise NotSupported, which names the family and the difference, if a model does not compute what its own code computes."""
    key = _key(backbone)
    if key in _passed:
        return
    differing = [what for what, ours, own in _comparisons(backbone) if not _equal(ours, own)]
    if differing:
        name, what = backbone.spec.name, " and ".join(differing)
        raise NotSupported(
            f"{name} is a {kind_of(backbone.model)}, and with a prefix's attention its {what} would not be the model's own. {USE}"
        )
    _passed.add(key)


def _key(backbone: Backbone) -> str:
    model = backbone.model
    return "\n".join([str(backbone.dtype), type(model).__name__, model.config.to_json_string()])


def _equal(ours: Tensor, own: Tensor) -> bool:
    """Whether two results differ by rounding only, relative to the spread of the model's own values."""
    limit = 1e-3 if own.dtype == torch.float32 else 0.1
    ours, own = ours.double(), own.double()
    spread = (own - own.mean()).norm() if own.numel() > 1 else own.norm()
    return bool((ours - own).norm() <= limit * spread.clamp(min=1e-6))


def _comparisons(backbone: Backbone) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield (name, our result, the model's own result)."""
    model = backbone.model
    texts = [[(7 * place + 11) % backbone.spec.vocabulary for place in range(length)] for length in LENGTHS]
    ids, mask = left_pad(texts, backbone.device)
    if backbone.is_encoder_decoder:
        inputs: dict[str, Tensor] = {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": ids}
        real = torch.ones_like(mask, dtype=torch.bool)
    else:
        inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(-1) - 1).clamp(min=0)}
        real = mask.bool()
    with torch.no_grad():
        with _own_attention(model):
            own = model(**inputs, use_cache=False).logits
        with attach(model, None):
            yield "logits", model(**inputs, use_cache=False).logits[real], own[real]
            if not backbone.is_encoder_decoder:
                yield "logits after a cached text", _cached_logits(model, inputs), own[:, SPLIT:][real[:, SPLIT:]]
    if not backbone.is_encoder_decoder:
        end = sliding_window(model.config) or LENGTHS[0]  # virtual tokens never leave a window, typed ones do
        yield "logits after a text prefix", _logits_after_prefix(backbone, texts[0])[: end - SPLIT], own[0, SPLIT:end]
    if next(transformer_blocks(model)[-1][0].parameters()).is_meta:  # weights that are loaded for each call have no gradient
        return
    with _own_attention(model):
        own_loss, own_gradient = _loss(backbone, inputs, lambda: model(**inputs, use_cache=False).logits)
    with attach(model, None):
        loss, gradient = _loss(
            backbone, inputs, lambda: unembed(model, model.base_model(**inputs, use_cache=False).last_hidden_state)
        )
    yield "training loss", loss, own_loss
    yield "gradients", gradient, own_gradient


def _cached_logits(model: "PreTrainedModel", inputs: dict[str, Tensor]) -> Tensor:
    """Return the logits of the real tokens after the first SPLIT columns, which are in a cache by then."""
    cache, mask = transformers.DynamicCache(), inputs["attention_mask"]
    for columns in (slice(0, SPLIT), slice(SPLIT, None)):
        logits = model(
            input_ids=inputs["input_ids"][:, columns],
            attention_mask=mask[:, : columns.stop],
            position_ids=inputs["position_ids"][:, columns],
            past_key_values=cache,
            use_cache=True,
        ).logits
    return logits[mask[:, SPLIT:].bool()]


def _loss(backbone: Backbone, inputs: dict[str, Tensor], logits_of: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """Return the next-token loss of the longer text, and its gradient at the first weight of the decoder's first block."""
    weight = next(transformer_blocks(backbone.model)[-1][0].parameters())
    weight.requires_grad_(True)
    try:
        logits = logits_of()[0, :-1].float()
        loss = F.cross_entropy(logits, inputs["input_ids"][0, 1:].to(logits.device))
        return loss.detach().to(weight.device), torch.autograd.grad(loss, weight)[0]
    finally:
        weight.requires_grad_(False)


@torch.no_grad()
def _logits_after_prefix(backbone: Backbone, ids: list[int]) -> Tensor:
    """Return the logits of a text's tokens after the first SPLIT, which are virtual tokens with the model's own keys and
    values."""
    prefix = Prefix(text_key_values(backbone, ids[:SPLIT]))
    try:
        check_shape(prefix, backbone.spec, "its cache")
    except WrongBackbone as error:
        shapes = str(error).partition(". ")[0]
        raise NotSupported(
            f"{backbone.spec.name} is a {kind_of(backbone.model)}, which does not run with prefixes: {shapes}. {USE}"
        ) from error
    rest = torch.tensor([ids[SPLIT:]], device=backbone.device)
    positions = torch.arange(SPLIT, len(ids), device=backbone.device)[None]
    with attach(backbone.model, PrefixState.of([prefix], backbone.device, backbone.dtype)):
        return backbone.model(input_ids=rest, position_ids=positions, use_cache=False).logits[0]


@contextmanager
def _own_attention(model: "PreTrainedModel") -> Iterator[None]:
    """Use the model's own attention instead of ours in the `with` block."""
    configs = {id(module.config): module.config for module in model.modules() if isinstance(module, transformers.PreTrainedModel)}
    before = [(config, config._attn_implementation) for config in configs.values()]
    try:
        for config in configs.values():
            config._attn_implementation = "eager"
        yield
    finally:
        for config, name in before:
            config._attn_implementation = name
