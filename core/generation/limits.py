"""How many tokens fit a model, and the checks before generation."""

from collections.abc import Sequence

from core.config.decode import DecodeConfig
from core.errors import BadInput, TooLong
from core.generation.types import Request
from core.models.backbone import Backbone
from core.prefix.prefix import check_shape


def max_new_tokens(backbone: Backbone, prompt: int, prefix: int) -> int:
    """Return how many new tokens fit after a prompt of `prompt` tokens and a prefix that takes `prefix` positions; negative if
    these alone do not fit."""
    if not backbone.is_encoder_decoder:
        return backbone.spec.positions - prompt - prefix
    # the encoder has its own positions, and a prefix takes none
    return backbone.spec.positions - len(backbone.decoder_start_ids) + 1 if prompt <= backbone.spec.positions else -1


def check_length(backbone: Backbone, prompt: int, prefix: int, new: int) -> None:
    """Raise TooLong if the prompt, the prefix and `new` tokens exceed the model's positions. `prefix`: how many it takes."""
    positions, name, room = backbone.spec.positions, backbone.spec.name, max_new_tokens(backbone, prompt, prefix)
    if new <= room:
        return
    if not backbone.is_encoder_decoder:
        taken, either = (f", the prefix takes {prefix} of them,", " or the prefix") if prefix else ("", "")
        raise TooLong(
            f"The input has {prompt} tokens, and at most {max(room + prompt - new, 0)} fit: {name} has {positions} positions"
            f"{taken} and {new} are kept for the output. Shorten the input{either}."
        )
    if prompt > positions:
        raise TooLong(f"The input has {prompt} tokens, and {name} has only {positions} positions. Shorten the input.")
    raise TooLong(
        f"{new} new tokens are requested, and at most {room} fit: {name} has {positions} positions. Give a smaller number."
    )


def check_requests(backbone: Backbone, requests: Sequence[Request], decode: DecodeConfig) -> None:
    """Check requests before generation.

    Raises BadInput for an empty list, and for reranking without a count of errors; TooLong for a request that does not fit the
    model, WrongBackbone for a prefix that does not.
    """
    if not requests:
        raise BadInput("Nothing to generate: no request was given.")
    for request in requests:
        if not request.prompt_ids:
            raise BadInput("The prompt is empty. Give at least one word.")
        if decode.mode == "rerank" and request.errors is None:
            raise BadInput("Reranking needs a count of errors: set the request's `errors`, or use the mode beam.")
        if request.prefix is not None and set(request.prefix.past) != set(backbone.spec.sites):
            check_shape(request.prefix, backbone.spec, "This prefix")
        check_length(backbone, len(request.prompt_ids), request.prefix.shift if request.prefix else 0, decode.max_new)
