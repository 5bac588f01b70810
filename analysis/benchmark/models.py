"""Models to benchmark: a bundled one, a folder, or a published size with random weights, since speed does not depend on them."""

from pathlib import Path

import torch
from transformers import AutoTokenizer, BartConfig, GPT2Config

from core import paths
from core.models.architectures import architecture_for
from core.models.backbone import Backbone
from core.models.loading import import_transformers, load_backbone

# The published sizes; all other values are the family's defaults.
SIZES = {
    "gpt2-medium": lambda: GPT2Config(n_embd=1024, n_layer=24, n_head=16),
    "gpt2-large": lambda: GPT2Config(n_embd=1280, n_layer=36, n_head=20),
    "bart-large": lambda: BartConfig(),
}
SHAPES = ("mini", *SIZES)
TOKENIZER = "mini-gpt2"  # any will do: inputs and outputs are random ids


def benchmark_model(name: str, device: str, folder: Path) -> Backbone:
    """Load a model to benchmark: any that `load_backbone` can load, or one of a published size, with the same random weights each
    time. The latter is written to `folder` first, so that its weights are mapped from a file as those of a user's model are."""
    if name not in SIZES:
        return load_backbone("mini-gpt2" if name == "mini" else name, device)
    import_transformers()
    config = SIZES[name]()
    torch.manual_seed(0)
    architecture_for(config, name).auto_class.from_config(config).save_pretrained(folder / name)
    AutoTokenizer.from_pretrained(paths.MODELS / TOKENIZER).save_pretrained(folder / name)
    return load_backbone(str(folder / name), device)
