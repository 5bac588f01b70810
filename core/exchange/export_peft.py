"""Export prefixes and LoRA runs as PEFT adapters; the model's logits stay the same."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from core.config.train import TrainConfig
from core.errors import BadInput, NotSupported
from core.exchange.import_checkpoint import OUR_NOTE, PEFT_CONFIG, PEFT_WEIGHTS
from core.methods.lora import LoraMethod
from core.methods.weight_method import read_weights
from core.prefix.prefix import Prefix
from core.runs.layout import json_text
from core.runs.run import Run
from core.tensor_file import write_tensors


def export_peft(run: Run, folder: Path, base: str = "") -> Path:
    """Write a prefix or a LoRA run as a PEFT adapter folder: PeftModel.from_pretrained(model, folder) gives the same logits.

    `base`: the model name in PEFT's configuration (default: the run's backbone). The task and the backbone's fingerprint are
    written too, for our own import. Raises NotSupported for another method, BadInput if the folder is not empty or cannot be
    written; a failed export leaves nothing behind.
    """
    if run.method not in _ADAPTERS:
        raise NotSupported(
            f"The run {run.id!r} is of the method {run.method!r}, and PEFT takes prefixes and LoRA. Give a run of either."
        )
    tensors, config = _ADAPTERS[run.method](run)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BadInput(f"{folder} exists and is not an empty folder. Give a new folder, so that nothing is overwritten.")
        created = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"Cannot make {folder}: {error.strerror or error}. Give a folder that can be written.") from error
    try:
        _write(run, tensors, config | {"base_model_name_or_path": base or run.backbone}, folder)
    except (OSError, SafetensorError) as error:
        if created:
            shutil.rmtree(created[-1], ignore_errors=True)
        else:  # the folder was there, and empty, and stays so
            with suppress(OSError):
                for file in folder.iterdir():
                    file.unlink()
        raise BadInput(f"Cannot write {folder} ({error}). Free some space, or give another folder.") from error
    return folder


def _write(run: Run, tensors: dict[str, Tensor], config: dict[str, object], folder: Path) -> None:
    note = {"run": run.id, "backbone": run.backbone, "fingerprint": run.fingerprint, "task": run.task.to_dict()}
    write_tensors(tensors, folder / PEFT_WEIGHTS, {"format": "pt"})
    _write_json(folder / OUR_NOTE, note)
    _write_json(folder / PEFT_CONFIG, config | {"inference_mode": True})


def _prefix_adapter(run: Run) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Return PEFT's tensors and configuration of a prefix."""
    prefix = Prefix.load(run.weights)
    if set(prefix.past) != {"decoder"}:
        raise NotSupported(
            f"The run {run.id!r} has prefixes for encoder and decoder, and PEFT stores one. Give a run on a model like GPT-2."
        )
    if prefix.bias or prefix.shift != prefix.length:
        raise NotSupported(
            f"The run {run.id!r} is a mix with weights of its own for each virtual token, which PEFT cannot store. "
            "Export it as a zip, or export the runs that it is made of."
        )
    past = prefix.past["decoder"]
    layers, _, heads, length, dim = past.shape
    flat = past.permute(3, 0, 1, 2, 4).reshape(length, -1).contiguous()  # (P, layers * 2 * heads * head_dim)
    return {"prompt_embeddings": flat}, {
        "peft_type": "PREFIX_TUNING",
        "task_type": "CAUSAL_LM",
        "num_virtual_tokens": length,
        "num_layers": layers,
        "num_attention_heads": heads,
        "token_dim": heads * dim,
        "num_transformer_submodules": 1,
        "prefix_projection": False,
        "encoder_hidden_size": heads * dim,
    }


def _lora_adapter(run: Run) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Return PEFT's tensors and configuration of a LoRA run; module names get PEFT's prefix and lose the adapter name
    ("default")."""
    stored = read_weights(run)
    modules = {name.split(".lora_")[0].rsplit(".", 1)[-1] for name in stored}
    config = LoraMethod.config_from_tensors(TrainConfig.from_dict(run.config), stored)
    tensors = {f"base_model.model.{name.replace('.default.', '.')}": tensor for name, tensor in stored.items()}
    return tensors, {
        "peft_type": "LORA",
        "task_type": "SEQ_2_SEQ_LM" if any(".encoder." in name for name in stored) else "CAUSAL_LM",
        "r": config.rank,
        "lora_alpha": config.lora_alpha,
        "lora_dropout": 0.0,
        "target_modules": sorted(modules),
        "fan_in_fan_out": modules == {"c_attn"},  # GPT-2 keeps its matrices the other way round
        "bias": "none",
    }


_ADAPTERS = {"prefix": _prefix_adapter, "lora": _lora_adapter}


def _write_json(path: Path, values: Mapping[str, object]) -> None:
    path.write_text(json_text(values), encoding="utf-8")
