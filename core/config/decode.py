"""Settings of text generation."""

from dataclasses import dataclass

from core.config.base import Config

MODES = ("greedy", "sample", "beam", "rerank")
BEAM_MODES = ("beam", "rerank")
# Modes that read a field; the other fields count in every mode.
READ_BY = {
    **dict.fromkeys(("beams", "length_penalty"), BEAM_MODES),
    **dict.fromkeys(("temperature", "top_k", "top_p"), ("sample",)),
}


@dataclass(frozen=True)
class DecodeConfig(Config):
    """How text is generated. Every field is set here, so that a model's own generation defaults cannot leak in.

    `mode`: "greedy", "sample" (`temperature`, `top_k`, `top_p`; one random generator per text, seeded with `seed`), "beam"
    (`beams`, `length_penalty`: the most likely text) or "rerank" (of the texts that such a beam search ends with, the one with
    the fewest errors by `Request.errors`; Dušek & Jurčíček, 2016). `min_new` and `max_new` count generated tokens, the end token
    included. `no_repeat`: n-grams of this size are not repeated (Paulus et al., 2018, section 2.5; 3 in BART's summaries); 0
    allows them.
    Raises BadConfig for a value out of range.
    """

    mode: str = "greedy"
    beams: int = 5
    max_new: int = 80
    min_new: int = 0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    length_penalty: float = 1.0
    seed: int = 0
    no_repeat: int = 0

    def __post_init__(self) -> None:
        self._check(self.mode in MODES, "mode", '"greedy", "sample", "beam" or "rerank"')
        self._check_number("beams", 1, 64, whole=True)
        self._check_number("max_new", 1, 100_000, whole=True)
        self._check_number("min_new", 0, whole=True)
        self._check(self.min_new <= self.max_new, "min_new", f"at most {self.max_new:,}, the largest number of new tokens")
        self._check_number("temperature", 0.01, 100)
        self._check_number("top_k", 0, whole=True)
        self._check_number("top_p", 0.001, 1)
        self._check_number("length_penalty", -10, 10)
        self._check_number("no_repeat", 0, 1000, whole=True)
        self._check_number("seed", 0, 2**63 - 1, whole=True)

    @property
    def is_beam_search(self) -> bool:
        """Whether whole texts are searched for, so that none can be streamed token by token."""
        return self.mode in BEAM_MODES

    def describe(self) -> str:
        """Describe the decoding in words, without the length limits."""
        phrases = f"; no repeated {self.no_repeat}-token phrase" if self.no_repeat else ""
        if self.is_beam_search:
            rerank = ", reranked by the input" if self.mode == "rerank" else ""
            return f"beam search with {self.beams} beams{rerank}, length penalty {self.length_penalty:g}{phrases}"
        if self.mode == "sample":
            return f"sampled with seed {self.seed}, temperature {self.temperature:g}, top-p {self.top_p:g}{phrases}"
        return f"greedy decoding{phrases}"
