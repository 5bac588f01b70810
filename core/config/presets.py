"""Named training settings: the paper's, and others for smaller models and less time."""

from core.config.methods import method_info
from core.config.train import TrainConfig
from core.errors import BadConfig

# `paper`: Table 5 of the paper (E2E row), meant for GPT-2-medium; its MLP of 512 is the official code's.
# `fast`: what later work found faster: direct parameters, initialized with real activations, at a high rate.
# `mini`: for the bundled backbones, whose prefixes learn fastest without an MLP, from words, at rates far above the usual ones.
# Validation loss on E2E after 100 updates: 1.795 at 1e-1, 1.679 at 2e-1, 1.675 at 4e-1 (P = 30); Wikinews: assets/runs/README.md.
# `demo`: half a minute on the bundled tables. Validation loss at 3e-2, 1e-1, 2e-1, 4e-1 (seed 0, CPU): prefix 1.773, 1.666,
# 1.643, 1.634; infix 1.782, 1.656, 1.649 (4e-1 not tried). 1e-1 is nearly as good, and safer on another backbone.
# `low`: low data (paper §6.3 and A.1): at most 400 updates, 100 of them warm-up, initialized with words; the best by validation.
PRESETS: dict[str, dict[str, object]] = {
    "paper": dict(length=5, mlp=512, init="random", rate=8e-5, epochs=5.0, batch=10, reduction="sentence"),
    "fast": dict(length=10, mlp=0, init="words", rate=5e-3, epochs=5.0, batch=10, reduction="token"),
    "mini": dict(length=30, mlp=0, init="words", rate=2e-1, epochs=5.0, batch=20, reduction="token"),
    "demo": dict(length=10, rate=1e-1, updates=100, batch=10, validate_every=20, save_every=25, watch=10),
    "low": dict(length=10, rate=1e-1, updates=400, warmup=100, batch=10, validate_every=20, save_every=50, watch=40),
}
# What differs for a task. `paper`: Table 5, XSUM (its MLP is the official code's), for BART-large.
TASK_PRESETS: dict[str, dict[str, dict[str, object]]] = {
    "summarization": {
        "paper": dict(length=200, mlp=800, rate=5e-5, epochs=30.0, batch=14),
        "fast": dict(length=20, init_words="summarize the article in a sentence", batch=16, epochs=3.0),
        "mini": dict(length=20, init_words="summarize the article in a sentence", rate=1e-1, batch=16, epochs=3.0),
        "demo": dict(init_words="summarize the article in a sentence", rate=1e-2, updates=40, batch=3, validate_every=10),
        "low": dict(init_words="summarize the article in a sentence"),
    },
}


def layout_of(name: str) -> str:
    """Return the layout of texts that a preset is trained in (see `core.models.inputs.task_for_backbone`)."""
    return "paper" if name == "paper" else "newline"


def preset(name: str, method: str = "prefix", task: str = "", **changes: object) -> TrainConfig:
    """Return a preset's settings for a method and a task, with `changes` applied (None keeps the preset's value).

    Raises BadConfig for an unknown preset, an unknown field or a value out of range.
    """
    if name not in PRESETS:
        raise BadConfig(f"There is no preset {name!r}. Choose one of: {', '.join(PRESETS)}.")
    values = PRESETS[name] | TASK_PRESETS.get(task, {}).get(name, {}) | method_info(method).presets.get(name, {})
    values |= {key: value for key, value in changes.items() if value is not None}
    return TrainConfig.from_dict({"method": method, "preset": name} | values)
