"""Keys and values that a frozen model computes: of a text, of input vectors, and as the start of a prefix."""

import torch

from core.errors import BadConfig, BadInput, TooLong
from core.models.backbone import Backbone
from core.prefix.attention import attach
from core.prefix.prefix import KeyValues, Prefix


@torch.no_grad()
def text_key_values(backbone: Backbone, ids: list[int]) -> KeyValues:
    """The frozen model's own keys and values for a text of P tokens at positions 0 to P-1, at each of its sites.

    An encoder-decoder model reads the text with its encoder, and its decoder reads the same text once more:
    "cross" is what the decoder's layers make of the encoded text.
    """
    text = torch.tensor([ids], device=backbone.device)
    return read_key_values(backbone, input_ids=text, **({"decoder_input_ids": text} if backbone.is_encoder_decoder else {}))


def read_key_values(backbone: Backbone, **inputs: torch.Tensor) -> KeyValues:
    """Keys and values that the frozen model computes for one row of inputs; gradients flow to the inputs."""
    captured: dict[tuple[str, int], torch.Tensor] = {}

    def capture(site: str, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        captured[site, layer] = torch.stack([keys[0], values[0]]).to(backbone.device)  # (2, kv_heads, P, head_dim)

    with attach(backbone.model, None, key_value_hook=capture):
        backbone.model.base_model(use_cache=False, **inputs)
    spec = backbone.spec
    return {site: torch.stack([captured[site, layer] for layer in range(spec.depth(site))]).float() for site in spec.sites}


def text_prefix(backbone: Backbone, text: str) -> Prefix:
    """Return any text as a prefix: its keys and values in the frozen model, with no training.

    The result equals typing the text before the input.
    In an encoder-decoder model this is an approximation: the text does not attend to the input, and positions do not move on.
    Virtual token i is the text's token i, after what the tokenizer puts in front of every text. The text is taken as it is:
    end it with a space or a new line where the input should not run on from it. Raises BadInput for an empty text, TooLong
    where it takes more than half of the model's positions, which would leave too little room for the input and the output.
    """
    ids, limit = [*backbone.bos_ids, *backbone.encode(text)], backbone.spec.positions // 2
    if not text.strip() or len(ids) == len(backbone.bos_ids):
        raise BadInput("The text prefix is empty. Type an instruction or an example.")
    if len(ids) > limit:
        raise TooLong(
            f"The text prefix has {len(ids)} tokens, and at most {limit} are taken: half of {backbone.spec.name}'s "
            f"{backbone.spec.positions} positions, so that the input and the output have room. Shorten the text."
        )
    return Prefix(text_key_values(backbone, ids), backbone.spec.name, backbone.spec.fingerprint, bos=len(backbone.bos_ids))


def words_key_values(backbone: Backbone, words: str, length: int) -> KeyValues:
    """Activations of given words (paper §7.4), repeated or cut to `length` tokens."""
    ids = backbone.encode(words)
    if not ids:
        raise BadConfig(f"init_words must hold at least one word; given: {words!r}.")
    return text_key_values(backbone, [*backbone.bos_ids, *ids * (length // len(ids) + 1)][:length])


def initial_key_values(backbone: Backbone, init: str, length: int, words: str = "") -> KeyValues:
    """Where a directly trained prefix begins: "random" (uniform 0 to 1, as the paper's ablation), "zeros" or "words"."""
    if init == "words":
        return words_key_values(backbone, words, length)
    spec = backbone.spec
    make = torch.rand if init == "random" else torch.zeros
    return {site: make(spec.shape(site, length), device=backbone.device) for site in spec.sites}
