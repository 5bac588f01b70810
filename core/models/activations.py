"""The keys and values that a frozen model computes: for a text, for input vectors, and as the initialisation of a prefix."""

import torch

from core.errors import BadConfig, BadInput, TooLong
from core.models.backbone import Backbone
from core.prefix.attention import attach
from core.prefix.prefix import KeyValues, Prefix


@torch.no_grad()
def text_key_values(backbone: Backbone, ids: list[int]) -> KeyValues:
    """Return the frozen model's own keys and values for a text of P tokens at positions 0 to P-1, at each site.

    In an encoder-decoder model, encoder and decoder both read the text; "cross" has the decoder's keys and values of the
    encoded text.
    """
    text = torch.tensor([ids], device=backbone.device)
    return read_key_values(backbone, input_ids=text, **({"decoder_input_ids": text} if backbone.is_encoder_decoder else {}))


def read_key_values(backbone: Backbone, **inputs: torch.Tensor) -> KeyValues:
    """Return the keys and values that the frozen model computes for one row of inputs; gradients reach the inputs."""
    captured: dict[tuple[str, int], torch.Tensor] = {}

    def capture(site: str, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        captured[site, layer] = torch.stack([keys[0], values[0]]).to(backbone.device)  # (2, kv_heads, P, head_dim)

    with attach(backbone.model, None, key_value_hook=capture):
        backbone.model.base_model(use_cache=False, **inputs)
    spec = backbone.spec
    return {site: torch.stack([captured[site, layer] for layer in range(spec.depth(site))]).float() for site in spec.sites}


def text_prefix(backbone: Backbone, text: str) -> Prefix:
    """Return a text as a prefix: its keys and values in the frozen model, without training.

    The result equals typing the text before the input. In an encoder-decoder model this is an approximation: the text does not
    attend to the input, and positions do not move. Virtual token i is the text's token i, counted after the tokenizer's start
    tokens. The text is used as it is: end it with a space or a line break if the input should not continue it. Raises BadInput
    for an empty text, TooLong if it takes more than half of the model's positions.
    """
    ids, limit = [*backbone.bos_ids, *backbone.encode(text)], backbone.spec.positions // 2
    if not text.strip() or len(ids) == len(backbone.bos_ids):
        raise BadInput("The text prefix is empty. Type an instruction or an example.")
    if len(ids) > limit:
        raise TooLong(
            f"The text prefix has {len(ids)} tokens, and at most {limit} are allowed: half of {backbone.spec.name}'s "
            f"{backbone.spec.positions} positions, so that the input and the output have room. Shorten the text."
        )
    return Prefix(text_key_values(backbone, ids), backbone.spec.name, backbone.spec.fingerprint, bos=len(backbone.bos_ids))


def words_key_values(backbone: Backbone, words: str, length: int) -> KeyValues:
    """Return the activations of `words` (paper §7.4), repeated or cut to `length` tokens.

    Raises BadConfig if `words` is empty, TooLong if the model has fewer than `length` positions.
    """
    ids, spec = backbone.encode(words), backbone.spec
    if length > spec.positions:
        raise TooLong(
            f"{length} virtual tokens cannot start from words: {spec.name} has {spec.positions} positions. Give a smaller length."
        )
    if not ids:
        raise BadConfig(f"init_words must hold at least one word; given: {words!r}.", "init_words")
    return text_key_values(backbone, [*backbone.bos_ids, *ids * (length // len(ids) + 1)][:length])


def initial_key_values(backbone: Backbone, init: str, length: int, words: str) -> KeyValues:
    """Return the initial keys and values of a directly trained prefix.

    `init`: "random" (uniform from 0 to 1, as in the paper's ablation), "zeros" or "words".
    """
    if init == "words":
        return words_key_values(backbone, words, length)
    spec = backbone.spec
    make = torch.rand if init == "random" else torch.zeros
    return {site: make(spec.shape(site, length), device=backbone.device) for site in spec.sites}
