"""A frozen language model with its tokenizer."""

from typing import Any

import torch

from core.backbone_spec import BackboneSpec
from core.errors import BadInput
from core.models.architectures import architecture_for


class Backbone:
    """A frozen model with its tokenizer. Shared by all its prefixes: nothing but `attach` changes what it computes."""

    def __init__(self, spec: BackboneSpec, model: Any, tokenizer: Any, device: torch.device) -> None:
        self.spec, self.model, self.tokenizer, self.device = spec, model, tokenizer, device
        self.dtype = next(model.parameters()).dtype
        self.eos = eos_ids(model, tokenizer)
        self.architecture = architecture_for(model.config, spec.name)
        self.decoder_start_ids = self.architecture.decoder_start_ids(model, tokenizer)

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether an encoder reads the input and a decoder writes the output."""
        return self.spec.is_encoder_decoder

    def encode(self, text: str, literal: bool = False) -> list[int]:
        """Token ids of a text; no special tokens are added. BadInput where the model has no such ids.

        `literal`: what looks like a special token ("</s>" in a pasted page) is read as the letters it is.
        """
        ids = self.tokenizer(text, add_special_tokens=False, split_special_tokens=literal)["input_ids"]
        if max(ids, default=0) >= self.spec.vocabulary:
            raise BadInput(
                f"The tokenizer of {self.spec.name} gives the id {max(ids)}, and the vocabulary of its weights ends at "
                f"{self.spec.vocabulary - 1}. Give a folder whose tokenizer and weights were saved together."
            )
        return ids

    def decode(self, ids: list[int]) -> str:
        """Text of token ids, special tokens left out, spaces as they are."""
        return self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def eos_ids(model: Any, tokenizer: Any) -> set[int]:
    """Ids that end a text: the tokenizer's, and those the model's configuration names."""
    named = model.config.eos_token_id
    listed = named if isinstance(named, list) else [named]
    return {token for token in [*listed, tokenizer.eos_token_id] if token is not None}
