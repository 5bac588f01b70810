"""Settings of a pre-training run, and the presets of the bundled backbones."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of one pre-training run.

    The budget is `tokens` or, if `minutes` is above 0, that much training time (a resumed run uses what is left of it).
    Learning rates are per update of about `batch_tokens` tokens (source and target together in denoising).
    """

    tokens: int
    minutes: float = 0.0
    objective: str = "next_token"  # or "denoising"
    layers: int = 6  # of the encoder, where there is one
    decoder_layers: int = 0  # 0: no encoder
    width: int = 384
    inner: int = 0  # 0: four times the width
    heads: int = 6
    positions: int = 512
    vocabulary: int = 8192
    start: str = (
        ""  # denoising: a bundled GPT-2, or a folder's absolute path: its words and embeddings begin the run, which can copy
    )
    continue_from: str = ""  # a folder's absolute path: a model of this shape whose weights and tokenizer the run goes on from
    batch_tokens: int = 6144
    pass_tokens: int = 6144  # that one forward pass of next_token takes, at most
    compiled: bool = False  # torch.compile, on CUDA
    muon_rate: float = 0.02
    adam_rate: float = 3e-3
    decay_share: float = 0.5
    warmup: int = 0  # updates over which the rates rise
    full_length_share: float = 0.3
    record_share: float = 1 / 6
    span_share: float = 0.0  # of the rows; next_token only
    news_share: float = 0.0  # denoising: of the rows; the rest is drawn from the other texts in proportion to their size
    summary_every: int = 5  # denoising: one step in so many is of pseudo-summaries
    gap_share: float = 0.0  # denoising: of the pseudo-summaries; sentences out of the middle of a text, the rest are openings
    validate_every: int = 250
    save_every: int = 500
    seed: int = 0


PRESETS = {
    "mini-gpt2": PretrainConfig(
        tokens=150_000_000,
        batch_tokens=24_576,
        muon_rate=0.01,
        adam_rate=1.5e-3,
        decay_share=0.6,
        warmup=20,
        full_length_share=0.1,
        record_share=0.15,
        span_share=0.4,
        save_every=40,
        validate_every=40,
    ),
    "mini-bart": PretrainConfig(
        tokens=30_000_000,
        objective="denoising",
        layers=4,
        decoder_layers=3,
        inner=1280,
        decay_share=0.8,
        warmup=10,
        vocabulary=8200,  # mini-gpt2's 8,192, <s>, <pad>, <mask>, and five rows that stay unused
        start="mini-gpt2",
        record_share=0.0,
        news_share=0.25,
        validate_every=100,
        save_every=60,
    ),
}
