"""How a method is trained."""

from dataclasses import dataclass

from core.config.base import Config


@dataclass(frozen=True)
class TrainConfig(Config):
    """How a method is trained.

    Fields of prefix-tuning: `length` (virtual tokens P), `mlp` (hidden size of the reparametrisation,
    paper §4.3; 0 trains the keys and values directly), `init` ("random", "zeros" or "words") and
    `init_words`. Embedding-only tuning and infix-tuning have the same. Of fine-tuning the top layers: `layers`, how many blocks.
    Of adapters: `bottleneck`, or `share` of the backbone's parameters (0.03 for 3 %), or neither, and they come near to
    what a prefix of `length` stores. Of LoRA: `rank` and `lora_alpha`. In-context learning trains nothing: `instruction` and
    up to `shots` examples stand before the input, or the text `context`.

    `reduction`: "token" is the mean over target tokens, "sentence" the sum per sentence,
    averaged over the batch. `updates` > 0 ends after so many updates, whatever `epochs` says.
    `patience` > 0 ends after so many validations without a lower loss; `save_every` updates a checkpoint is written.
    Every `watch` updates one fixed example is told and noted beside the losses (0: never).
    `autocast`: "auto" uses bf16 where the device is fast in it.
    """

    method: str = "prefix"
    preset: str = "fast"
    length: int = 10
    mlp: int = 0
    init: str = "words"
    init_words: str = "table to text"
    layers: int = 2
    bottleneck: int = 0
    share: float = 0.0
    instruction: str = ""
    shots: int = 3
    context: str = ""
    rank: int = 8
    lora_alpha: int = 16
    rate: float = 5e-3
    epochs: float = 5.0
    updates: int = 0
    batch: int = 10
    accumulate: int = 1
    warmup: int = 0
    weight_decay: float = 0.0
    clip: float = 1.0
    reduction: str = "token"
    autocast: str = "auto"
    checkpointing: bool = False
    validate_every: int = 500
    patience: int = 0
    save_every: int = 500
    valid_rows: int = 500
    watch: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        self._check(self.init in ("random", "zeros", "words"), "init", '"random", "zeros" or "words"')
        self._check(self.reduction in ("token", "sentence"), "reduction", '"token" or "sentence"')
        self._check(self.autocast in ("auto", "on", "off"), "autocast", '"auto", "on" or "off"')
        self._check(isinstance(self.checkpointing, bool), "checkpointing", "true or false")
        for name in ("length", "layers", "rank", "lora_alpha", "batch", "accumulate"):
            self._check_number(name, 1, 10_000_000, whole=True)
        for name in ("init_words", "instruction", "context"):
            self._check(isinstance(getattr(self, name), str), name, "a text")
        for name in ("mlp", "bottleneck", "shots", "updates", "warmup", "seed"):
            self._check_number(name, 0, 10_000_000, whole=True)
        self._check_number("validate_every", 1, whole=True)
        self._check_number("save_every", 1, whole=True)
        self._check_number("patience", 0, whole=True)
        self._check_number("watch", 0, whole=True)
        self._check_number("valid_rows", 0, whole=True)
        self._check_number("share", 0, 1)
        self._check_number("rate", 1e-9, 10)
        self._check_number("epochs", 0.001, 10_000)
        self._check_number("weight_decay", 0, 10)
        self._check_number("clip", 0, 1e6)
