"""A finished pre-training as a model folder that transformers loads: fp16 safetensors, tokenizer, configuration."""

from pathlib import Path

import torch
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from core.errors import BadInput
from core.pretrain.corpus import END
from core.pretrain.loop import PretrainConfig, new_model


def export(out: Path, folder: Path) -> Path:
    """Write the checkpoint in `out` as a model in `folder`; BadInput where there is no checkpoint."""
    checkpoint = out / "checkpoint.pt"
    if not checkpoint.exists():
        raise BadInput(f"{out} holds no checkpoint to export. Run pretrain with this --out first.")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    config = PretrainConfig(**state["config"])
    model: GPT2LMHeadModel = new_model(config, torch.device("cpu"))
    model.load_state_dict(state["model"])
    model.half().save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(out / "corpus" / "tokenizer.json"),
        bos_token=END,
        eos_token=END,
        pad_token=END,
        model_max_length=config.positions,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.save_pretrained(folder)
    return folder
