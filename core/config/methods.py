"""What is known of each method, without torch."""

from typing import Any

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
