"""Frozen settings. Unknown or bad fields are refused with a sentence that names them."""

import difflib
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from core.errors import BadConfig


class Config:
    """Base of the settings classes: made from plain values, checked, turned back into plain values."""

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """Build from a dict; BadConfig names an unknown field and the nearest known one."""
        known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(known)}."
                raise BadConfig(f"{cls.__name__} has no field {name!r}.{hint}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)  # type: ignore[call-overload]

    def but(self, **changes: Any) -> Self:
        """A copy with some fields changed, checked again."""
        return replace(self, **changes)  # type: ignore[type-var]

    def _check(self, ok: bool, name: str, rule: str) -> None:
        if not ok:
            raise BadConfig(f"{name} must be {rule}; given: {getattr(self, name)!r}.")

    def _check_number(self, name: str, low: float, high: float = float("inf"), whole: bool = False) -> None:
        value = getattr(self, name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        kind = "a whole number" if whole else "a number"
        rule = f"{kind} of at least {low:g}" if high == float("inf") else f"{kind} from {low:g} to {high:g}"
        self._check(number and low <= value <= high and (not whole or value == int(value)), name, rule)


@dataclass(frozen=True)
class DecodeConfig(Config):
    """How text is generated. Every field is set here, so that a model's own defaults cannot leak in.

    `mode`: "greedy", "sample" (temperature, top_k, top_p; one generator per row, from its seed) or
    "beam" (`beams`, `length_penalty`). `min_new` and `max_new` count generated tokens, the end included.
    `no_repeat` > 0: no so many tokens in a row are written twice (Paulus et al. 2018, §2.5; 3 in BART's summaries).
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
        self._check(self.mode in ("greedy", "sample", "beam"), "mode", '"greedy", "sample" or "beam"')
        self._check_number("beams", 1, 64, whole=True)
        self._check_number("max_new", 1, 100_000, whole=True)
        self._check_number("min_new", 0, self.max_new, whole=True)
        self._check_number("temperature", 0.01, 100)
        self._check_number("top_k", 0, whole=True)
        self._check_number("top_p", 0.001, 1)
        self._check_number("length_penalty", -10, 10)
        self._check_number("no_repeat", 0, 1000, whole=True)
        self._check_number("seed", 0, 2**63 - 1, whole=True)


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


# `paper`: Table 5 of the paper (E2E row), meant for GPT-2-medium; its MLP of 512 is the official code's.
# `fast`: what later work found quicker: direct parameters from real activations at a high rate.
# `mini`: what was chosen on validation for the bundled backbone.
# `demo`: half a minute on the bundled tables; so few updates want a high rate.
# `low`: low data (paper §6.3 and A.1): 400 updates at most, 100 of them warm-up, the best by validation kept; begins with words.
PRESETS: dict[str, dict[str, Any]] = {
    "paper": dict(length=5, mlp=512, init="random", rate=8e-5, epochs=5.0, batch=10, reduction="sentence"),
    "fast": dict(length=10, mlp=0, init="words", rate=5e-3, epochs=5.0, batch=10, reduction="token"),
    "mini": dict(length=30, mlp=512, init="random", rate=2e-3, epochs=5.0, batch=20, reduction="token"),
    "demo": dict(length=10, rate=3e-2, updates=100, batch=10, validate_every=20, save_every=25, watch=10),
    "low": dict(length=10, rate=2e-2, updates=400, warmup=100, batch=10, validate_every=20, save_every=50, watch=40),
}
UNTRAINED = "in_context"  # the method that trains nothing: its text is made, and is a run
# What each method has otherwise. `paper`: Table 5 (E2E; adapters those of 0.1 %), and Hu et al. (2021) for LoRA, which is later.
# `fast` and `mini`: the better of two rates by validation loss after 40 updates on the bundled tables.
METHODS: dict[str, dict[str, dict[str, Any]]] = {
    "prefix": {"paper": {}, "fast": {}, "mini": {}},
    "finetune": {"paper": dict(rate=5e-5, reduction="token"), "fast": dict(rate=5e-4), "mini": dict(rate=5e-4)},
    "top_layers": {"paper": dict(rate=5e-5, reduction="token"), "fast": dict(rate=1.5e-3), "mini": dict(rate=1.5e-3)},
    "adapter": {
        "paper": dict(rate=8e-5, epochs=10.0, batch=5, reduction="token"),
        "fast": dict(rate=1e-2),
        "mini": dict(rate=1e-2),
    },
    "embedding": {"paper": {}, "fast": dict(rate=4e-2), "mini": dict(mlp=0, init="words", rate=4e-2)},
    "infix": {"paper": {}, "fast": {}, "mini": {}},
    "in_context": {"paper": {}, "fast": {}, "mini": {}},
    "lora": {"paper": dict(rate=2e-4, reduction="token"), "fast": dict(rate=6e-3), "mini": dict(rate=6e-3)},
}
_VIRTUAL = ("length", "mlp", "init", "init_words")
# Settings that not every method has: whose they are.
OF_METHOD: dict[str, tuple[str, ...]] = {
    "prefix": _VIRTUAL,
    "infix": _VIRTUAL,
    "embedding": _VIRTUAL,
    "adapter": ("bottleneck", "share", "length"),
    "lora": ("rank", "lora_alpha"),
    "top_layers": ("layers",),
    "finetune": (),
    "in_context": ("instruction", "shots", "context"),
}
# What each task has otherwise. `paper`: Table 5, XSUM (its MLP is the official code's), for BART-large.
TASKS: dict[str, dict[str, dict[str, Any]]] = {
    "summarization": {
        "paper": dict(length=200, mlp=800, rate=5e-5, epochs=30.0, batch=14),
        "fast": dict(length=20, init_words="summarize the article in a sentence", batch=16, epochs=3.0),
        "mini": dict(length=20, init_words="summarize the article in a sentence", batch=16, epochs=3.0),
        "demo": dict(init_words="summarize the article in a sentence", rate=1e-2, updates=40, batch=3, validate_every=10),
        "low": dict(init_words="summarize the article in a sentence"),
    },
}
# Rates of `demo` and `low` where they are not the prefix's; those of `demo` are the ones of README's comparison of the methods.
QUICK = {
    "finetune": (3e-4, 3e-4),
    "top_layers": (3e-4, 3e-4),
    "adapter": (3e-2, 3e-3),
    "embedding": (3e-2, 2e-2),
    "lora": (1e-2, 2e-3),
}
for _method, (_demo, _low) in QUICK.items():
    METHODS[_method] |= {"demo": dict(rate=_demo), "low": dict(rate=_low)}


def preset(name: str, method: str = "prefix", task: str = "", **changes: Any) -> TrainConfig:
    """The settings of a preset for a method and a task, with some fields changed (None leaves a field as it is)."""
    if name not in PRESETS:
        raise BadConfig(f"There is no preset {name!r}. Known: {', '.join(PRESETS)}.")
    values = PRESETS[name] | TASKS.get(task, {}).get(name, {}) | METHODS.get(method, {}).get(name, {})
    values |= {key: value for key, value in changes.items() if value is not None}
    return TrainConfig.of({"method": method, "preset": name} | values)
