"""The differences between model families, in one small class per family.

A decoder-only model reads a prompt and continues it; virtual tokens take positions 0 to P-1, and the text starts at P (paper
§4.2). BART's encoder reads the source, and its decoder generates after start tokens of its own; both count positions from 0
whatever the prefix, which has three sites: the encoder's self-attention, the decoder's self-attention, and the decoder's
attention to the encoder (cross).
"""

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import transformers
from torch import Tensor, nn

from core.backbone_spec import CAUSAL, SEQ2SEQ, BackboneSpec
from core.errors import NotSupported
from core.models.splitting import own_forward

if TYPE_CHECKING:
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForSeq2SeqLM,
        PreTrainedConfig,
        PreTrainedModel,
        PreTrainedTokenizerBase,
    )

    AutoClass = type[AutoModelForCausalLM] | type[AutoModelForSeq2SeqLM]

RATES = ("dropout", "attention_dropout", "activation_dropout", "layerdrop")
USE = "Use a GPT-2, Llama or Qwen-like model, or BART (facebook/bart-base)."
PROJECTIONS = ("o_proj", "c_proj", "out_proj", "dense")  # the usual names of attention's output projection
NORMS = ("ln_f", "norm", "final_layer_norm", "final_layernorm")  # and of the norm after the last block


class Architecture:
    """A model family; the defaults are those of decoder-only models."""

    family = CAUSAL
    sites: tuple[str, ...] = ("decoder",)
    lens_note = ""  # what the logit lens leaves out here

    @property
    def auto_class(self) -> "AutoClass":
        """The class of transformers that loads the family's models."""
        return transformers.AutoModelForCausalLM

    def depths(self, config: "PreTrainedConfig") -> tuple[int, int]:
        """Return the number of layers of the decoder and of the encoder."""
        return config.num_hidden_layers, 0

    def spec(self, model: "PreTrainedModel", name: str, origin: str, where: str, fingerprint: str) -> BackboneSpec:
        """Return the sizes of a model. Raises NotSupported if its configuration lacks one of them."""
        config = model.config
        for needed in ("num_attention_heads", "hidden_size", "num_hidden_layers", "vocab_size", "max_position_embeddings"):
            if not isinstance(getattr(config, needed, None), int):
                raise NotSupported(f"{name} ({config.model_type}) has no {needed}, which a prefix must fit. {USE}")
        heads, kv_heads, head_dim = attention_sizes(config)
        layers, encoder_layers = self.depths(config)
        return BackboneSpec(
            name=name,
            origin=origin,
            family=self.family,
            layers=layers,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            width=config.hidden_size,
            vocabulary=config.vocab_size,
            positions=usable_positions(config),
            parameters=sum(weight.numel() for weight in model.parameters()),
            fingerprint=fingerprint,
            sites=self.sites,
            where=where,
            encoder_layers=encoder_layers,
            window=sliding_window(config) or 0,
        )

    def decoder_start_ids(self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> tuple[int, ...]:
        """Return the ids that a decoder starts with; empty if prompt and answer are one text."""
        return ()

    def bos_ids(self, tokenizer: "PreTrainedTokenizerBase") -> list[int]:
        """Return the ids that the tokenizer puts before a prompt."""
        return special_form(tokenizer)[0]

    def final_norm(self, model: "PreTrainedModel") -> nn.Module:
        """Return the norm between the last block and the unembedding; the identity in a family without one. Raises
        NotSupported."""
        for name in NORMS:
            if isinstance(norm := getattr(model.base_model, name, None), nn.Module):
                return norm
        raise NotSupported(f"The final norm of {type(model).__name__} was not found (looked for {', '.join(NORMS)}).")


class DecoderOnly(Architecture):
    """GPT-2, Llama, Qwen and others: models that transformers loads as causal language models."""


class Bart(Architecture):
    """BART: prefixes at three sites, positions from 0."""

    family = SEQ2SEQ
    sites = ("encoder", "decoder", "cross")
    lens_note = "A model like BART has no final norm, so what is written is read through the unembedding alone."

    @property
    def auto_class(self) -> "AutoClass":
        return transformers.AutoModelForSeq2SeqLM

    def depths(self, config: "PreTrainedConfig") -> tuple[int, int]:
        return config.decoder_layers, config.encoder_layers

    def decoder_start_ids(self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> tuple[int, ...]:
        """Return the start token, and the token that begins every text if the tokenizer has one."""
        start = model.config.decoder_start_token_id
        if start is None:
            raise NotSupported(f"The config.json of this {model.config.model_type} model names no decoder_start_token_id. {USE}")
        return (start, *special_form(tokenizer)[0])

    def bos_ids(self, tokenizer: "PreTrainedTokenizerBase") -> list[int]:
        """Return an empty list: the tokens around a source belong to the task's layout (core/models/inputs.py)."""
        return []

    def final_norm(self, model: "PreTrainedModel") -> nn.Module:
        return nn.Identity()


DECODER_ONLY, BART = DecoderOnly(), Bart()


def architecture_for(config: "PreTrainedConfig", name: str = "The model") -> Architecture:
    """Return the family of a configuration. Raises NotSupported for an encoder-decoder model other than BART."""
    if not config.is_encoder_decoder:
        return DECODER_ONLY
    if config.model_type != "bart":
        raise NotSupported(
            f"{name} is an encoder-decoder model of the type {config.model_type!r}, and BART is the only one here. {USE}"
        )
    above, below = config.encoder_attention_heads, config.decoder_attention_heads
    if above != below:
        raise NotSupported(
            f"{name} has {above} heads in its encoder and {below} in its decoder; a prefix needs the same in both. "
            "Use facebook/bart-base or facebook/bart-large."
        )
    return BART


def attention_sizes(config: "PreTrainedConfig") -> tuple[int, int, int]:
    """Return the number of query heads, the number of key/value heads, and the head size."""
    heads = config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    return heads, getattr(config, "num_key_value_heads", None) or heads, head_dim


def special_form(tokenizer: "PreTrainedTokenizerBase") -> tuple[list[int], list[int]]:
    """Return the ids that the tokenizer puts before and after a text for an encoder."""
    plain, whole = (tokenizer("x", add_special_tokens=added)["input_ids"] for added in (False, True))
    starts = (at for at in range(len(whole)) if whole[at : at + len(plain)] == plain)
    at = next(starts, 0)
    after = whole[at + len(plain) :]
    return whole[:at], after or [token for token in [tokenizer.eos_token_id] if token is not None]


def no_dropout(model: nn.Module) -> None:
    """Set every dropout to 0: gradient checkpointing needs train mode, in which dropout is active."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for rate in RATES:
            if isinstance(getattr(module, rate, None), float):
                setattr(module, rate, 0.0)


class _HiddenStates(tuple):
    """A base model's output that has only last hidden states."""

    @property
    def last_hidden_state(self) -> Tensor:
        return self[0]

    def __getattr__(self, name: str) -> None:
        return None


class _FixedHidden(nn.Module):
    """Replaces a base model, and returns hidden states that are computed already."""

    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self.hidden = hidden

    @property
    def decoder(self) -> "_FixedHidden":
        """The module itself: OPT's forward call skips its base model."""
        return self

    def forward(self, *args: object, **kwargs: object) -> _HiddenStates:
        return _HiddenStates([self.hidden])


def unembed(model: "PreTrainedModel", hidden: Tensor) -> Tensor:
    """Return the logits (..., vocabulary) of last hidden states (..., width), by the model's own forward call.

    Only the base model is replaced, in a shallow copy, so that everything a family does after the last block (a bias, scaling,
    a softcap) is included. Safe for other threads: the model itself does not change.
    """
    head = copy.copy(model)
    own_forward(head)
    head._modules = {**model._modules, model.base_model_prefix: _FixedHidden(hidden.reshape(1, -1, hidden.shape[-1]))}
    ids = torch.zeros(1, 1, dtype=torch.long, device=hidden.device)
    inputs = {"input_ids": ids, "decoder_input_ids": ids} if model.config.is_encoder_decoder else {"input_ids": ids}
    logits = head(**inputs, use_cache=False, return_dict=True).logits
    return logits.reshape(*hidden.shape[:-1], -1)


def input_embeddings(model: "PreTrainedModel", ids: Sequence[int]) -> Tensor:
    """Return n tokens' input vectors, with the model's own scaling: (n, width), fp32."""
    return model.get_input_embeddings()(torch.tensor(ids, device=model.device)).detach().float()


def transformer_blocks(model: nn.Module) -> list[list[nn.Module]]:
    """Return the decoder's blocks, after the encoder's if there is one. Raises NotSupported if the model has no such lists."""
    lists = [list(module) for module in model.modules() if isinstance(module, nn.ModuleList) and len(module)]
    stacks = [blocks for blocks in lists if all(map(_attends, blocks))]
    if not stacks:
        raise NotSupported(
            f"The blocks of {type(model).__name__} were not found, so this method cannot change them. Use GPT-2, Llama or Qwen."
        )
    return stacks


def kind_of(model: "PreTrainedModel") -> str:
    """Return the class and the type of a model, for messages."""
    return f"{type(model).__name__} ({model.config.model_type})"


def usable_positions(config: "PreTrainedConfig") -> int:
    """Return how many positions a text may take: those that the configuration names, or, with LongRoPE, those before its scaling.

    Past them, LongRoPE turns the keys of a whole batch otherwise: those in a cache would be wrong, and so would the other rows.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [rope, *(kind for kind in rope.values() if isinstance(kind, dict))]  # some families have one for each kind of layer
    short = [kind["original_max_position_embeddings"] for kind in kinds if kind.get("rope_type") == "longrope"]
    return min([config.max_position_embeddings, *short])


def sliding_window(config: "PreTrainedConfig") -> int | None:
    """Return how many tokens back a windowed layer sees; None if every layer sees all. Virtual tokens are always visible."""
    layers = getattr(config, "layer_types", None)
    if layers is not None and "sliding_attention" not in layers:
        return None
    return getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None


def check_layers(spec: BackboneSpec, model: "PreTrainedModel") -> None:
    """Raise NotSupported if some layers have no attention that a prefix can reach (linear attention, state spaces)."""
    reached = {module.prefix_location for module in model.modules() if hasattr(module, "prefix_location")}
    layers = [(site, layer) for site in spec.sites for layer in range(spec.depth(site))]
    missing = [place for place in layers if place not in reached]
    if missing:
        raise NotSupported(
            f"{spec.name} is a {kind_of(model)}, and a prefix would not reach {len(missing)} of its {len(layers)} layers: "
            f"they have no attention, or attention of another kind. {USE}"
        )


def _attends(block: nn.Module) -> bool:
    """Whether a module contains attention that a prefix can reach; lists of experts do not."""
    return any(hasattr(module, "prefix_location") for module in block.modules())


def final_norm(model: "PreTrainedModel") -> nn.Module:
    """Return the norm between the last block and the unembedding; the identity in BART. Raises NotSupported if none is found."""
    return architecture_for(model.config).final_norm(model)


def output_projection(model: "PreTrainedModel", layer: int, site: str = "decoder") -> nn.Module:
    """Return the projection from a layer's concatenated heads to the model's width. Raises NotSupported if none is found."""
    heads, _, head_dim = attention_sizes(model.config)
    for name, module in model.named_modules():
        if getattr(module, "prefix_location", None) != (site, layer):
            continue
        if hasattr(model.get_submodule(name.rpartition(".")[0]), "post_feedforward_layernorm"):
            raise NotSupported(f"{type(model).__name__} norms what attention writes before adding it, so the lens does not fit.")
        for attribute in PROJECTIONS:
            projection = getattr(module, attribute, None)
            if projection is not None and projection.weight.numel() == heads * head_dim * model.config.hidden_size:
                return projection
    raise NotSupported(
        f"The output projection of {type(model).__name__}'s layer {layer} was not found (looked for {', '.join(PROJECTIONS)})."
    )


def is_rotary(model: "PreTrainedModel") -> bool:
    """Whether the model rotates keys by their position (RoPE)."""
    has_module = any("rotary" in type(module).__name__.lower() for module in model.modules())
    return has_module or getattr(model.config, "rotary_dim", None) is not None
