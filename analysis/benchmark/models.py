"""Models to benchmark: a bundled one, a folder, or a published size with random weights, since speed does not depend on them."""

import torch
from transformers import AutoTokenizer, BartConfig, GPT2Config

from core import paths
from core.models.architectures import architecture_for
from core.models.backbone import Backbone
from core.models.loading import freeze, import_transformers, load_backbone, pick_device, pick_dtype
from core.prefix.attention import NAME

# The published sizes; all other values are the family's defaults.
SIZES = {
    "gpt2-medium": lambda: GPT2Config(n_embd=1024, n_layer=24, n_head=16),
    "gpt2-large": lambda: GPT2Config(n_embd=1280, n_layer=36, n_head=20),
    "bart-large": lambda: BartConfig(),
}
SHAPES = ("mini", *SIZES)
TOKENIZER = "mini-gpt2"  # any will do: inputs and outputs are random ids


def benchmark_model(name: str, device: str) -> Backbone:
    """Return a model of a published size with the same random weights each time, or any backbone that `load_backbone` can
    load."""
    if name not in SIZES:
        return load_backbone("mini-gpt2" if name == "mini" else name, device)
    import_transformers()
    config, target = SIZES[name](), pick_device(device)
    torch.manual_seed(0)
    with target:  # the weights are drawn where they stay
        model = architecture_for(config, name).auto_class.from_config(config, attn_implementation=NAME, dtype=pick_dtype(target))
    tokenizer = AutoTokenizer.from_pretrained(paths.MODELS / TOKENIZER)
    return freeze(name, "random", name, model, tokenizer, target)
