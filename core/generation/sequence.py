"""The state of one sequence during decoding: its tokens so far, and how the next one is chosen."""

import torch
import transformers
from torch import Tensor

from core.config.decode import DecodeConfig
from core.generation.types import Generation, Request, Token
from core.models.backbone import Backbone


class SequenceState:
    """One row of a batch: the tokens generated so far, and the random generator for its samples."""

    def __init__(self, backbone: Backbone, request: Request, decode: DecodeConfig) -> None:
        self.backbone, self.request, self.decode = backbone, request, decode
        self.restart()

    def restart(self) -> None:
        """Drop all tokens; the same seed generates the same tokens again."""
        self.generator = torch.Generator().manual_seed(self.request.seed)
        self.tokens: list[Token] = []
        self.ids: list[int] = []

    @property
    def ended(self) -> bool:
        """Whether the last token is an end-of-sequence token."""
        return bool(self.tokens) and self.tokens[-1].ended

    @property
    def finished(self) -> bool:
        """Whether the sequence is complete: it has ended, or has `max_new` tokens."""
        return self.ended or len(self.tokens) >= self.decode.max_new

    @property
    def last_id(self) -> int:
        """The model's next input for this row."""
        return self.ids[-1] if self.ids else 0

    def append_next(self, row: int, logprobs: Tensor) -> Token | None:
        """Choose the next token from log-probabilities (vocabulary,) and append it; None if the sequence is finished.

        `row`: the token's row in its batch.
        """
        if self.finished:
            return None
        scores = self._processed(logprobs)
        greedy = self.decode.mode == "greedy"
        token_id = int(scores.argmax()) if greedy else _sample(scores, self.generator, self.decode)
        self.ids.append(token_id)
        ended = token_id in self.backbone.eos
        token = Token(row, token_id, logprobs[token_id].item(), decode_text(self.backbone, self.ids), ended)
        self.tokens.append(token)
        return token

    def _processed(self, logprobs: Tensor) -> Tensor:
        """Exclude repeated n-grams, and an end before `min_new` tokens."""
        if self.decode.no_repeat and self.ids:
            without_repeats = transformers.NoRepeatNGramLogitsProcessor(self.decode.no_repeat)
            logprobs = without_repeats(torch.tensor([self.ids]), logprobs[None])[0]
        if len(self.ids) < self.decode.min_new:
            logprobs = logprobs.clone()
            logprobs[list(self.backbone.eos)] = -torch.inf
        return logprobs

    def to_generation(self, seconds: float, cancelled: bool) -> Generation:
        """Return the tokens as a result; `cancelled` has an effect only on unfinished sequences."""
        text = self.tokens[-1].text_so_far if self.tokens else ""
        finish = "eos" if self.ended else "cancelled" if cancelled and not self.finished else "length"
        return Generation(text, list(self.ids), [token.logprob for token in self.tokens], finish, seconds)


def _sample(logprobs: Tensor, generator: torch.Generator, decode: DecodeConfig) -> int:
    """Sample with temperature, top-k and top-p, in double precision."""
    probabilities, order = (logprobs.double() / decode.temperature).softmax(-1).sort(descending=True)
    if decode.top_k:
        probabilities[decode.top_k :] = 0
    if decode.top_p < 1:
        before = probabilities.cumsum(-1) - probabilities
        probabilities[before >= decode.top_p] = 0
    return int(order[torch.multinomial(probabilities, 1, generator=generator)])


def decode_text(backbone: Backbone, ids: list[int]) -> str:
    """Decode token ids; a last character whose bytes are incomplete is left out."""
    return backbone.decode(ids).rstrip("\ufffd").strip()
