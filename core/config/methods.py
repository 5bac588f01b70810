"""One record for each method: its names, what it trains, its settings and its learning rates. Needs no torch.

The command line, the Train page, Compare, the training estimate and the reports all read these records, so a new method needs
one record here, one class in core/methods and one line in core/methods/registry.py (docs/adding-a-method.md).
"""

from dataclasses import dataclass, field
from typing import Literal

VIRTUAL_TOKENS = ("length", "mlp", "init", "init_words")  # settings of the methods that train virtual tokens


@dataclass(frozen=True)
class MethodInfo:
    """One method.

    Names: `id` on the command line and in run.json; `title` in full; `short_title` at the head of a column; `plural` of what a
    run keeps ("100 prefixes"); `description`, a sentence for the help.

    `kind`: "virtual" methods train virtual tokens for the frozen model, "weights" methods change or add weights, "text" puts text
    before the input and trains nothing; a "mix" combines the virtual tokens of other runs. "unknown" is a run of a method that
    this version does not have.

    `settings`: the fields of TrainConfig that not every method has. `presets`: what differs from a preset, by its name.
    `at_input`: the virtual tokens are vectors at the model's input, trained (stored as "embeddings") or those of words.
    `backward_cost`: work of a backward pass, in forward passes: 1 through frozen weights, 2 with the gradients of all weights.

    `summary`: what was trained; a format string of the settings, `share` (of the backbone, stored) and `stored` (parameters).
    `overwrites`: it changes weights of the model in place, so that it cannot be switched off.
    `own_weights`: which weights are the run's own, beside columns that share the frozen ones.
    `mark`: the picture at the head of a column: trained parts "before" the text, at its "input" or "within" it, text that is
    "read"; weights of "all" layers or the "top" ones, or something "beside" or "after" each; "": frozen layers only.
    """

    id: str
    title: str
    short_title: str
    plural: str
    description: str
    kind: Literal["virtual", "weights", "text", "mix", "unknown"]
    settings: tuple[str, ...] = ()
    presets: dict[str, dict[str, object]] = field(default_factory=dict)
    at_input: bool = False
    backward_cost: float = 1.0
    overwrites: bool = False
    summary: str = "{share}"
    own_weights: str = ""
    mark: Literal["before", "input", "within", "read", "all", "top", "beside", "after", ""] = ""

    @property
    def trained(self) -> bool:
        """Whether the method trains anything, and so has a learning rate."""
        return self.kind in ("virtual", "weights")

    @property
    def virtual_tokens(self) -> bool:
        """Whether a run of the method is a prefix of the frozen model, so that its requests can share a batch with others."""
        return self.kind in ("virtual", "text", "mix")

    @property
    def within_attention(self) -> bool:
        """Whether the method changes the model only through the keys and values that attention reads."""
        return self.kind == "text" or (self.kind == "virtual" and not self.at_input)

    @property
    def trajectory(self) -> bool:
        """Whether a run stores how its virtual tokens moved during training."""
        return self.kind == "virtual"


# Presets. `paper`: Table 5 (E2E; adapters those of 0.1 %), and Hu et al. (2021) for LoRA, which is later. `fast` and `mini`: the
# better of two rates by validation loss after 40 updates on the bundled tables. `demo`: the rates of the comparison of the
# methods in docs/results.md. What is not said here is as for the prefix, whose rates core/config/presets.py explains.
METHODS: dict[str, MethodInfo] = {
    info.id: info
    for info in (
        MethodInfo(
            id="prefix",
            title="Prefix-tuning",
            short_title="Prefix",
            plural="prefixes",
            description="keys and values of virtual tokens at every layer, before the input (paper, section 4)",
            kind="virtual",
            settings=VIRTUAL_TOKENS,
            summary="{length} virtual tokens, {share}",
            mark="before",
        ),
        MethodInfo(
            id="finetune",
            title="Fine-tuning",
            short_title="Fine-tuned",
            plural="fine-tuned models",
            description="all weights, in a copy of the model",
            kind="weights",
            presets={
                "paper": dict(rate=5e-5, reduction="token"),
                "fast": dict(rate=5e-4),
                "mini": dict(rate=5e-4),
                "demo": dict(rate=3e-4),
                "low": dict(rate=3e-4),
            },
            backward_cost=2.0,
            overwrites=True,
            summary="{stored} weights of its own",
            own_weights="its own copy of all weights",
            mark="all",
        ),
        MethodInfo(
            id="top_layers",
            title="Fine-tuning of the top layers",
            short_title="Top layers",
            plural="sets of top layers",
            description="the last blocks, the final norm and the embeddings (FT-top2; paper, section 5.2)",
            kind="weights",
            settings=("layers",),
            presets={
                "paper": dict(rate=5e-5, reduction="token"),
                "fast": dict(rate=1.5e-3),
                "mini": dict(rate=1.5e-3),
                "demo": dict(rate=3e-4),
                "low": dict(rate=3e-4),
            },
            overwrites=True,
            summary="the last {layers} layers, {share}",
            own_weights="its own top layers",
            mark="top",
        ),
        MethodInfo(
            id="adapter",
            title="Adapter",
            short_title="Adapter",
            plural="sets of adapters",
            description="a small residual module after every block (paper, section 5.2)",
            kind="weights",
            settings=("bottleneck", "share", "length"),
            presets={
                "paper": dict(rate=8e-5, epochs=10.0, batch=5, reduction="token"),
                "fast": dict(rate=1e-2),
                "mini": dict(rate=1e-2),
                "demo": dict(rate=3e-2),
                "low": dict(rate=3e-3),
            },
            summary="adapters, {share}",
            own_weights="frozen weights, its adapters",
            mark="after",
        ),
        MethodInfo(
            id="embedding",
            title="Embedding-only",
            short_title="Embedding-only",
            plural="embedding-only prompts",
            description="input vectors before the input, nothing above them (paper, section 7.2)",
            kind="virtual",
            settings=(*VIRTUAL_TOKENS, "near_text", "near_weight"),
            presets={
                "fast": dict(rate=4e-2),
                "mini": dict(rate=4e-2),
                "demo": dict(rate=3e-2),
                "low": dict(rate=2e-2),
            },
            at_input=True,
            summary="{length} input vectors, {share}",
            mark="input",
        ),
        MethodInfo(
            id="infix",
            title="Infix-tuning",
            short_title="Infix",
            plural="infixes",
            description="virtual tokens between the input and the text to write (paper, section 7.3)",
            kind="virtual",
            settings=VIRTUAL_TOKENS,
            summary="{length} virtual tokens, {share}",
            mark="within",
        ),
        MethodInfo(
            id="lora",
            title="LoRA",
            short_title="LoRA",
            plural="sets of LoRA updates",
            description="low-rank updates of the attention's projections (Hu et al., 2021)",
            kind="weights",
            settings=("rank", "lora_alpha"),
            presets={
                "paper": dict(rate=2e-4, reduction="token"),
                "fast": dict(rate=6e-3),
                "mini": dict(rate=6e-3),
                "demo": dict(rate=1e-2),
                "low": dict(rate=2e-3),
            },
            summary="updates of rank {rank}, {share}",
            own_weights="frozen weights, its updates",
            mark="beside",
        ),
        MethodInfo(
            id="in_context",
            title="In-context",
            short_title="In-context",
            plural="texts",
            description="an instruction and examples as text before the input; nothing is trained (paper, section 1)",
            kind="text",
            settings=("instruction", "shots", "context"),
            at_input=True,
            summary="text in front, nothing trained",
            mark="read",
        ),
    )
}
# A typed text as a prefix: shown as a run is, but not trained, nor stored.
TEXT_PREFIX = MethodInfo(
    id="text",
    title="Text prefix",
    short_title="Text prefix",
    plural="texts",
    description="any text, read by the frozen model before the input",
    kind="text",
    at_input=True,
    summary="a text in front, nothing trained",
    mark="read",
)

MIX_RUN = MethodInfo(
    id="mix",
    title="Mix of prefixes",
    short_title="Mix",
    plural="mixes",
    description="the virtual tokens of several runs, combined without training",
    kind="mix",
    summary="{length} virtual tokens, mixed",
    mark="before",
)
_UNSTORED = {info.id: info for info in (TEXT_PREFIX, MIX_RUN)}


def method_info(name: str) -> MethodInfo:
    """Return the record of a method by its id; for an id that this version does not have, a record of the kind "unknown"."""
    return METHODS.get(name) or _UNSTORED.get(name) or MethodInfo(name, name, name, name, "", "unknown")
