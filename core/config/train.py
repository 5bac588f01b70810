"""Settings of a training."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.config.base import Config
from core.config.methods import method_info
from core.errors import BadConfig


@dataclass(frozen=True)
class TrainConfig(Config):
    """How a method is trained. Raises BadConfig for a value out of range.

    Of methods that train virtual tokens: `length`, how many (P); `mlp`, the hidden size of the reparametrization (paper §4.3; 0
    trains the keys and values directly); `init`, "random", "zeros" or "words", and `init_words`.
    Of the embedding-only method: `near_text`, a text whose embeddings its vectors start from and stay near, so that it sets
    `length`; `near_weight`, of the penalty on the distance from it (core/methods/near_text.py; 0: none). What is
    stored has the lowest validation loss plus penalty.
    Of the top layers: `layers`, how many blocks.
    Of adapters: `bottleneck`, or `share` of the backbone's parameters (0.03 for 3 %); with neither, as large as a prefix of
    `length`. Of LoRA: `rank` and `lora_alpha`.
    Of in-context learning: `instruction` and up to `shots` examples, or the whole text, `context`.
    core/config/methods.py says which method has which.

    `rate`: peak learning rate. `updates` > 0 ends the training after that many updates, whatever `epochs` says. `batch`: examples
    per batch; `accumulate` batches make an update. `reduction`: "token" is the mean over target tokens, "sentence" the sum per
    sentence, averaged over the batch. `autocast`: "auto" uses bf16 where the device is fast in it. `checkpointing`: of gradients.
    `patience` > 0 ends the training after that many validations without a lower loss. A checkpoint is written every `save_every`
    updates, and one fixed example is generated every `watch` updates (0: never).
    """

    method: str = "prefix"
    preset: str = "fast"
    length: int = 10
    mlp: int = 0
    init: str = "words"
    init_words: str = "table to text"
    near_text: str = ""
    near_weight: float = 0.1
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
        for name in ("init_words", "near_text", "instruction", "context"):
            self._check(isinstance(getattr(self, name), str), name, "a text")
        for name in ("mlp", "bottleneck", "shots", "updates", "warmup", "seed"):
            self._check_number(name, 0, 10_000_000, whole=True)
        self._check_number("validate_every", 1, whole=True)
        self._check_number("save_every", 1, whole=True)
        self._check_number("patience", 0, whole=True)
        self._check_number("watch", 0, whole=True)
        self._check_number("valid_rows", 0, whole=True)
        has_near_text = "near_text" in method_info(self.method).settings
        self._check(has_near_text or not self.near_text, "near_text", f"empty with the method {self.method!r}, which has no such")
        self._check(not self.near_text or bool(self.near_text.strip()), "near_text", "a text of at least one word, or empty")
        self._check_number("near_weight", 0, 1e6)
        self._check_number("share", 0, 1)
        self._check_number("rate", 1e-9, 10)
        self._check_number("epochs", 0.001, 10_000)
        self._check_number("weight_decay", 0, 10)
        self._check_number("clip", 0, 1e6)


def check_values(name: str, values: Sequence[float], plural: str) -> None:
    """Raise BadConfig, about the setting `plural`, if one of the values is none of TrainConfig's field `name`."""
    for value in values:
        try:
            TrainConfig.from_dict({name: value})
        except BadConfig as error:
            raise BadConfig(error.sentence({name: plural}), plural) from error
