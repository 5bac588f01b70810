"""What differs between model families, and nothing else: decoder-only models (GPT-2 and its like) and BART's encoder-decoder.

A decoder-only model reads a prompt and goes on writing; its virtual tokens take positions 0 to P-1, and the text
begins at P (paper §4.2). BART's encoder reads the source, and its decoder writes from an opening of its own; both
count positions from 0 whatever the prefix, which stands at three sites: before the encoder's keys, before the
decoder's, and before those that the decoder reads of the encoder (cross).
"""

from typing import Any

from torch import Tensor, nn
from transformers import AutoModelForCausalLM, BartForConditionalGeneration

from core.errors import NotSupported

CAUSAL, SEQ2SEQ = "causal", "seq2seq"
SITES = {CAUSAL: ("decoder",), SEQ2SEQ: ("encoder", "decoder", "cross")}
MODELS: dict[str, Any] = {CAUSAL: AutoModelForCausalLM, SEQ2SEQ: BartForConditionalGeneration}
RATES = ("dropout", "attention_dropout", "activation_dropout", "layerdrop")
USE = "Use a GPT-2, Llama or Qwen-like model, or BART (facebook/bart-base)."


def family_of(name: str, config: Any) -> str:
    """The family of a model's configuration; NotSupported names an encoder-decoder type that is none of ours."""
    if not config.is_encoder_decoder:
        return CAUSAL
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
    return SEQ2SEQ


def special_form(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer itself puts before and after a text that is an encoder's input."""
    plain, whole = (tokenizer("x", add_special_tokens=added)["input_ids"] for added in (False, True))
    starts = (at for at in range(len(whole)) if whole[at : at + len(plain)] == plain)
    at = next(starts, 0)
    after = whole[at + len(plain) :]
    return whole[:at], after or [token for token in [tokenizer.eos_token_id] if token is not None]


def opening_of(model: Any, tokenizer: Any) -> tuple[int, ...] | None:
    """What a decoder is given before its first own token; None where prompt and answer are one text.

    BART's is its start token, and the token that begins every text where its tokenizer has one.
    """
    if not model.config.is_encoder_decoder:
        return None
    start = model.config.decoder_start_token_id
    if start is None:
        raise NotSupported(f"The config.json of this {model.config.model_type} model names no decoder_start_token_id. {USE}")
    return (start, *special_form(tokenizer)[0])


def no_dropout(model: nn.Module) -> None:
    """Every dropout to 0: gradient checkpointing needs train mode, where they would act."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for rate in RATES:
            if isinstance(getattr(module, rate, None), float):
                setattr(module, rate, 0.0)


def unembed(model: Any, hidden: Tensor) -> Tensor:
    """Logits (..., vocabulary) of last hidden states (..., width), as the model's own forward call makes them."""
    logits = model.get_output_embeddings()(hidden)
    bias = getattr(model, "final_logits_bias", None)  # BART's; zeros in the models that are published
    return logits if bias is None else logits + bias[0]
