"""Models to measure with: a bundled one, a folder, or a published size with random weights, for speed does not depend on them."""

import torch
from transformers import AutoTokenizer, BartConfig, GPT2Config

from core import paths
from core.models.architectures import architecture_for
from core.models.backbone import Backbone
from core.models.loading import freeze, load_backbone, pick_device, pick_dtype
from core.prefix.attention import NAME

# The sizes that were published; everything else is the family's default.
SIZES = {
    "gpt2-medium": lambda: GPT2Config(n_embd=1024, n_layer=24, n_head=16),
    "gpt2-large": lambda: GPT2Config(n_embd=1280, n_layer=36, n_head=20),
    "bart-large": lambda: BartConfig(),
}
SHAPES = ("mini", *SIZES)
TOKENIZER = "mini-gpt2"  # any would do: what is read and written are random ids


def benchmark_model(name: str, device: str = "auto") -> Backbone:
    """A shape by its name, or any backbone that `load_backbone` finds; its errors. The random weights are the same each time."""
    if name not in SIZES:
        return load_backbone("mini-gpt2" if name == "mini" else name, device)
    config, target = SIZES[name](), pick_device(device)
    torch.manual_seed(0)
    with target:  # the weights are drawn where they stay
        model = architecture_for(config, name).auto_class.from_config(config, attn_implementation=NAME, dtype=pick_dtype(target))
    tokenizer = AutoTokenizer.from_pretrained(paths.MODELS / TOKENIZER)
    return freeze(name, "random", name, model, tokenizer, target)
