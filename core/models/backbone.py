"""A frozen language model with its tokenizer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch

from core.backbone_spec import BackboneSpec
from core.errors import BadInput, NotSupported
from core.models.architectures import architecture_for
from core.text.checks import quoted

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Backbone:
    """A frozen model with its tokenizer, shared by all its prefixes: only `attach` changes what it computes.

    `eos`: every id that ends a text; `eos_id`: the one that ends training targets; `bos_ids`: the ids that the tokenizer puts
    before a prompt.
    """

    def __init__(
        self, spec: BackboneSpec, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", device: torch.device
    ) -> None:
        self.spec, self.model, self.tokenizer, self.device = spec, model, tokenizer, device
        self.dtype = next(model.parameters()).dtype
        ending = eos_ids(model, tokenizer)
        self.eos, self.eos_id = set(ending), ending[0]
        self.architecture = architecture_for(model.config, spec.name)
        self.bos_ids = self.architecture.bos_ids(tokenizer)
        self.decoder_start_ids = self.architecture.decoder_start_ids(model, tokenizer)

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether an encoder reads the input and a decoder writes the output."""
        return self.spec.is_encoder_decoder

    @property
    def eos_text(self) -> str:
        """The token that ends a text, as text."""
        return self.decode([self.eos_id], special=True)

    def encode(self, text: str, literal: bool = False) -> list[int]:
        """Return the token ids of a text, without added special tokens. Raises BadInput if it cannot be read, or if the model
        has no such ids.

        `literal`: read what looks like a special token ("</s>" in a pasted page) as ordinary characters.
        """
        try:
            ids = self.tokenizer(text, add_special_tokens=False, split_special_tokens=literal)["input_ids"]
        except Exception as error:  # such as a word that is missing from a vocabulary without an unknown token
            name = self.spec.name
            raise BadInput(f"The tokenizer of {name} cannot read {quoted(text)}: {error}. Give another text.") from error
        if max(ids, default=0) >= self.spec.vocabulary:
            raise BadInput(
                f"The tokenizer of {self.spec.name} gives the id {max(ids)}, and the vocabulary of its weights ends at "
                f"{self.spec.vocabulary - 1}. Give a folder whose tokenizer and weights were saved together."
            )
        return ids

    def decode(self, ids: Sequence[int], special: bool = False) -> str:
        """Return the text of token ids with its spaces unchanged; special tokens, and those that end a text, only if
        `special`."""
        ids = (
            list(ids) if special else [token for token in ids if token not in self.eos]
        )  # not every tokenizer calls them special
        text = self.tokenizer.decode(ids, skip_special_tokens=not special, clean_up_tokenization_spaces=False)
        return cast(str, text)  # a batch alone gives a list


def eos_ids(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Return the ids that end a text: the tokenizer's first, then those that the model's configurations name.

    An id of a configuration counts only if no ordinary text contains it: a default value of the configuration class could be
    any word in another tokenizer. Beside an end of the tokenizer's, it has to be an added token. Raises NotSupported if there
    is none.
    """
    vocabulary, added = model.config.vocab_size, tokenizer.added_tokens_decoder
    ids = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    for config in (model.config, getattr(model, "generation_config", None)):
        eos = getattr(config, "eos_token_id", None)
        for token in eos if isinstance(eos, list) else [eos]:
            if isinstance(token, int) and (token in added or (not ids and _is_no_text(tokenizer, token))):
                ids.append(token)
    usable = [token for token in dict.fromkeys(ids) if token < vocabulary]
    if not usable:
        named = f" within the {vocabulary:,} ids of the weights" if ids else ""
        raise NotSupported(
            f"No token ends a text in this {model.config.model_type} model: neither its tokenizer nor its configuration names an "
            f'eos token{named}, so nothing could be learned to end. Name one as "eos_token" in tokenizer_config.json.'
        )
    return usable


def _is_no_text(tokenizer: "PreTrainedTokenizerBase", token: int) -> bool:
    """Whether a token has a text that is not read as that token ("</s>" in a vocabulary without special tokens)."""
    text = tokenizer.decode([token]) if 0 <= token < len(tokenizer) else ""
    return bool(text) and tokenizer(text, add_special_tokens=False)["input_ids"] != [token]
