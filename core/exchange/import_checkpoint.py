"""Import prefixes trained by PEFT or by the paper's own code, after checking them against a backbone.

    PEFT          adapter_config.json, adapter_model.safetensors with "prompt_embeddings" (P, layers * 2 * heads * head_dim), or
                  with the MLP that computes them ("embedding", "transform.0", "transform.2")
    the paper     config.json, pytorch_model.bin with "wte" (P, width) and the MLP "control_trans.0", "control_trans.2" (one
                  more linear layer in the deep variant), or "control_trans" itself without an MLP

The MLP is evaluated once, and its output stored. Nothing in a checkpoint is trusted: shapes are checked before anything is
computed, and pickles are read with `weights_only`, which builds tensors and runs no code.
"""

import json
import pickle
import re
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from core.backbone_spec import BackboneSpec
from core.errors import BadConfig, BadInput, NotSupported, PrefixLabError, TooLong, WrongBackbone
from core.models.backbone import Backbone
from core.models.inputs import task_for_backbone
from core.prefix.prefix import Prefix
from core.runs.layout import RunFiles
from core.runs.run import Run
from core.runs.store import Store
from core.runs.tensors import save_tensors
from core.task import Task, task

PEFT_CONFIG, PEFT_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
OUR_NOTE = "prefix_lab.json"  # beside an exported prefix: its task and backbone, so that it comes back whole
AUTHORS_CONFIG, AUTHORS_WEIGHTS = "config.json", "pytorch_model.bin"
_CONFIG_BYTES = 1_000_000
_TASKS = {"data2text": "e2e", "webnlg": "webnlg", "triples": "dart"}  # the authors' names, and ours

Tensors = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class ImportedPrefix:
    """An imported prefix. `trained` includes the MLP's parameters; `mlp` is its hidden size (0 without an MLP).

    `task`: the one that the checkpoint says it was trained for, if it says so.
    """

    prefix: Prefix
    trained: int
    mlp: int
    software: str
    base: str  # the model it says it was trained on
    task: Task | None


def read_checkpoint(folder: Path, spec: BackboneSpec) -> ImportedPrefix:
    """Read the prefix of a checkpoint folder of either kind, as fp32 keys and values.

    Raises BadInput for files that are missing, damaged, or pickles of more than tensors; NotSupported for another method or
    model family; WrongBackbone if it does not fit `spec`; TooLong if it leaves no position for a text.
    """
    if spec.sites != ("decoder",):
        raise NotSupported(
            f"{spec.name} is an encoder-decoder model, and prefixes are imported for models like GPT-2. Choose one with "
            "--backbone."
        )
    if folder.is_file():
        raise BadInput(
            f"{folder} is a file. Give the folder that holds {PEFT_CONFIG}, or {AUTHORS_WEIGHTS}; a zip that `export` wrote is "
            "given with --zip."
        )
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}. Give the folder that holds {PEFT_CONFIG}, or {AUTHORS_WEIGHTS}.")
    if (folder / PEFT_CONFIG).exists():
        return _read_peft(folder, spec)
    if (folder / AUTHORS_WEIGHTS).exists():
        return _read_authors(folder, spec)
    raise BadInput(
        f"{folder} has no prefix. Give a folder with {PEFT_CONFIG} and {PEFT_WEIGHTS} (PEFT), "
        f"or with {AUTHORS_CONFIG} and {AUTHORS_WEIGHTS} (the authors' code)."
    )


def store_imported(
    imported: ImportedPrefix, run_id: str, backbone: Backbone, store: Store, task: Task | None = None, command: str = ""
) -> Run:
    """Save an imported prefix as a run of the store; `task` overrides the checkpoint's, which is E2E's if it names none.

    Raises StoreError if the id is in use or the store cannot be written; nothing is left behind then.
    """
    values = {
        "trained": imported.trained,
        "command": command,
        "notes": f"{_provenance(imported)} {backbone.spec.window_note}".rstrip(),
    }
    config: dict[str, object] = {"mlp": imported.mlp}  # what is known of its training
    task = task or imported.task or task_for_backbone(backbone, "e2e")
    return store_prefix(imported.prefix, run_id, backbone, store, task, config, **values)


def store_prefix(
    prefix: Prefix, run_id: str, backbone: Backbone, store: Store, task: Task, config: dict[str, object], **values: Any
) -> Run:
    """Save a prefix as a run of the store. `config` is added to its method and length, `values` to the run's fields.

    Raises StoreError if the id is in use or the store cannot be written; nothing is left behind then.
    """
    method, folder = "infix" if prefix.infix else "prefix", store.new_folder(run_id)
    weights = RunFiles(folder).weights
    try:
        save_tensors(prefix.tensors(), weights)
        facts = {"stored": prefix.parameters, "bytes": weights.stat().st_size, "device": str(backbone.device)}
        config = {"method": method, "length": prefix.length} | config
        run = Run.new(folder, backbone.spec, method, task, config, **facts, **values)
        run.save()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return run


def _provenance(imported: ImportedPrefix) -> str:
    base = f", trained on {imported.base}" if imported.base else ""
    folded = f"; its MLP of {imported.mlp} is folded" if imported.mlp else ""
    return f"Imported from a checkpoint of {imported.software}{base}{folded}."


# --- PEFT --------------------------------------------------------------------------------------------------------------------


def _read_peft(folder: Path, spec: BackboneSpec) -> ImportedPrefix:
    config = _json(folder / PEFT_CONFIG)
    kind, use = config.get("peft_type"), config.get("task_type")
    if kind != "PREFIX_TUNING":
        raise NotSupported(f"{folder} holds an adapter of the type {kind!r}, not a prefix. Give one of the type 'PREFIX_TUNING'.")
    if use not in ("CAUSAL_LM", None) or config.get("num_transformer_submodules") not in (1, None):
        raise NotSupported(f"The prefix in {folder} is for {use!r}. Give one for 'CAUSAL_LM', such as GPT-2.")
    width = spec.kv_heads * spec.head_dim
    _check_sizes(folder, config, spec, {"num_layers": spec.layers, "num_attention_heads": spec.kv_heads, "token_dim": width})
    tensors = _safetensors(folder)
    inputs, mlp = _peft_parts(folder, tensors)
    note = _our_note(folder, spec)
    return _build(folder, spec, inputs, mlp, "PEFT", _text(config, "base_model_name_or_path"), note)


def _safetensors(folder: Path) -> Tensors:
    path = folder / PEFT_WEIGHTS
    if not path.exists():
        if (folder / "adapter_model.bin").exists():
            raise BadInput(
                f"{folder} keeps its weights in adapter_model.bin, a pickle, and a pickle can run code. "
                "Save the adapter again with PEFT's save_pretrained(folder), which writes safetensors."
            )
        raise BadInput(f"{folder} has no {PEFT_WEIGHTS}. Give a folder that PEFT's save_pretrained wrote.")
    try:
        return _checked(path, load_file(path))
    except PrefixLabError:
        raise
    except Exception as error:  # safetensors raises its own class, OSError or ValueError
        raise BadInput(
            f"{path} is not a readable safetensors file ({_reason(error)}). Save or copy the adapter again."
        ) from error


def _peft_parts(folder: Path, tensors: Tensors) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Return the MLP's inputs and its layers; without an MLP, the prefix itself and no layers."""
    if set(tensors) == {"prompt_embeddings"}:
        return tensors["prompt_embeddings"], []
    bare = {re.sub(r"^(?:.*\.)?(?=embedding\.|transform\.)", "", name): tensor for name, tensor in tensors.items()}
    if "embedding.weight" not in bare or len(bare) != len(tensors):
        raise BadInput(f"{folder / PEFT_WEIGHTS} holds {_names(tensors)}, and no prompt_embeddings. Save the adapter again.")
    return bare.pop("embedding.weight"), _layers(folder / PEFT_WEIGHTS, bare, "transform")


def _our_note(folder: Path, spec: BackboneSpec) -> Task | None:
    """Return the task that our own export wrote beside the prefix."""
    path = folder / OUR_NOTE
    if not path.exists():
        return None
    note = _json(path)
    trained_on, form = note.get("fingerprint"), note.get("task")
    if trained_on not in (spec.fingerprint, None):
        raise WrongBackbone(
            f"The prefix in {folder} was trained on {note.get('backbone')} ({trained_on}); loaded is {spec.name} "
            f"({spec.fingerprint}). Give the model that it was trained on with --backbone."
        )
    try:
        return Task.from_dict(form)  # type: ignore[arg-type]  # it checks what it is given
    except (BadConfig, TypeError) as error:
        raise BadInput(
            f'The "task" in {path} is not one that an export writes ({_reason(error)}). Delete the file, or export the run again.'
        ) from error


# --- the authors' code -------------------------------------------------------------------------------------------------------


def _read_authors(folder: Path, spec: BackboneSpec) -> ImportedPrefix:
    path, config = folder / AUTHORS_WEIGHTS, _json(folder / AUTHORS_CONFIG)
    if config.get("model_type", "gpt2") != "gpt2":
        raise NotSupported(f"The checkpoint in {folder} is for {config['model_type']!r}. Give one for GPT-2.")
    if config.get("use_infix") or config.get("format_mode", "cat") == "infix":
        raise NotSupported(f"The checkpoint in {folder} is an infix, which depends on its input. Give a prefix.")
    _check_sizes(folder, config, spec, {"n_layer": spec.layers, "n_head": spec.kv_heads, "n_embd": spec.width})
    tensors = _checked(path, _unpickled(path))
    name = _TASKS.get(_text(config, "_my_arg_task_mode"), "e2e")
    inputs, mlp = _authors_parts(path, tensors, spec)
    return _build(folder, spec, inputs, mlp, "the authors' code", _text(config, "_name_or_path"), task(name, "paper"))


def _unpickled(path: Path) -> object:
    try:
        with warnings.catch_warnings(action="ignore"):  # on old pickles, which are read or refused all the same
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadInput(f"{path} holds more than tensors, and a pickle can run code. Save its state_dict alone.") from error
    except Exception as error:  # whatever a damaged file may do to its reader
        raise BadInput(f"{path} is not a PyTorch file ({_reason(error)}). Save or copy the checkpoint again.") from error


def _authors_parts(path: Path, tensors: Tensors, spec: BackboneSpec) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    if set(tensors) == {"control_trans"}:  # their ablation without an MLP
        return _authors_direct(path, tensors["control_trans"], spec), []
    tensors = dict(tensors)
    inputs = tensors.pop("wte.weight", None)
    others = {name: tensor for name, tensor in tensors.items() if not name.startswith("control_trans.")}
    if inputs is None or others:
        raise NotSupported(
            f"{path} is not a prefix for GPT-2 (it holds {_names(others)}). Give a checkpoint with wte and control_trans alone."
        )
    mlp = _layers(path, tensors, "control_trans")
    if not mlp or mlp[-1][0].shape[0] == spec.width:
        raise NotSupported(f"{path} is an embedding-only prompt (paper §7.2). Give a prefix with keys and values at every layer.")
    return inputs, mlp


def _authors_direct(path: Path, stored: Tensor, spec: BackboneSpec) -> Tensor:
    """Return a prefix stored without an MLP as (P, layers * 2 * heads * head_dim).

    If it was initialised from words, the file has (layers * 2, 1, heads, P, head_dim), otherwise a flat tensor.
    """
    if stored.ndim == 1 and stored.numel() % (spec.layers * 2 * spec.width) == 0:
        return stored.view(-1, spec.layers * 2 * spec.width)
    if stored.ndim == 5 and stored.shape[1] == 1 and stored.shape[:1] + stored.shape[2:3] == (spec.layers * 2, spec.kv_heads):
        return stored[:, 0].permute(2, 0, 1, 3).flatten(1)  # (P, layers * 2 * heads * head_dim)
    raise WrongBackbone(
        f"control_trans in {path} has the shape {tuple(stored.shape)}, which does not fit {spec.name}'s {spec.layers} layers of "
        f"width {spec.width}. Give the model that it was trained on with --backbone."
    )


# --- both --------------------------------------------------------------------------------------------------------------------


def _build(
    folder: Path,
    spec: BackboneSpec,
    inputs: Tensor,
    mlp: list[tuple[Tensor, Tensor]],
    software: str,
    base: str,
    form: Task | None,
) -> ImportedPrefix:
    """Return the MLP's output as keys and values. Every shape is checked before it is used."""
    numbers, width = spec.layers * 2 * spec.kv_heads * spec.head_dim, inputs.shape[-1] if inputs.ndim == 2 else 0
    for weight, bias in mlp:
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
            raise BadInput(f"The MLP in {folder} does not fit together. Save or copy the checkpoint again.")
        width = weight.shape[0]
    if width != numbers:
        raise WrongBackbone(
            f"The prefix in {folder} has {width:,} numbers per virtual token, and {spec.name} takes {numbers:,}. "
            "Give the model that it was trained on with --backbone."
        )
    length = len(inputs)
    if not 0 < length < spec.positions:
        raise TooLong(
            f"The prefix in {folder} has {length} virtual tokens, and {spec.name} has {spec.positions} positions. "
            "Give one that leaves room for a text."
        )
    flat = inputs.float()
    for place, (weight, bias) in enumerate(mlp):
        flat = torch.nn.functional.linear(flat if place == 0 else flat.tanh(), weight.float(), bias.float())
    past = flat.view(length, spec.layers, 2, spec.kv_heads, spec.head_dim).permute(1, 2, 3, 0, 4).contiguous()
    if not past.isfinite().all():
        raise BadInput(f"The prefix in {folder} contains NaN or infinity. Give a checkpoint from before its training diverged.")
    prefix = Prefix({"decoder": past}, spec.name, spec.fingerprint)
    trained = sum(tensor.numel() for tensor in [inputs, *(part for layer in mlp for part in layer)])
    return ImportedPrefix(prefix, trained, mlp[0][0].shape[0] if mlp else 0, software, base, form)


def _layers(path: Path, tensors: Tensors, stem: str) -> list[tuple[Tensor, Tensor]]:
    """Return the linear layers `stem.0`, `stem.2`, … of an MLP; between any two is a tanh."""
    layers: list[tuple[Tensor, Tensor]] = []
    while f"{stem}.{2 * len(layers)}.weight" in tensors:
        at = f"{stem}.{2 * len(layers)}"
        layers.append((tensors[f"{at}.weight"], tensors.get(f"{at}.bias", torch.zeros(0))))
    if 2 * len(layers) != len(tensors):
        raise BadInput(f"{path} holds {_names(tensors)}, which is not a whole MLP. Save or copy the checkpoint again.")
    return layers


def _checked(path: Path, tensors: object) -> Tensors:
    """Return floating-point tensors by name, each no larger than its file (a stride of 0 would turn a few bytes into
    gigabytes)."""
    if (
        not isinstance(tensors, dict)
        or not all(isinstance(name, str) for name in tensors)
        or not all(map(_is_float_tensor, tensors.values()))
    ):
        raise BadInput(f"{path} is not a state_dict of floating-point tensors. Give a prefix checkpoint.")
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > path.stat().st_size:
        raise BadInput(f"{path} declares more numbers than it holds. Save or copy the checkpoint again.")
    return tensors


def _is_float_tensor(tensor: object) -> bool:
    return isinstance(tensor, Tensor) and tensor.layout == torch.strided and tensor.is_floating_point()


def _json(path: Path) -> dict[str, object]:
    if not path.exists():
        raise BadInput(f"{path.parent} has no {path.name}. Give the whole folder of a checkpoint.")
    try:
        size = path.stat().st_size
        if size > _CONFIG_BYTES:
            raise BadInput(f"{path} has {size:,} bytes, and a configuration has {_CONFIG_BYTES:,} at most. Give another folder.")
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not readable JSON ({_reason(error)}). Save or copy the checkpoint again.") from error
    if not isinstance(values, dict):
        raise BadInput(f"{path} is not a JSON object. Save or copy the checkpoint again.")
    return values


def _check_sizes(folder: Path, config: dict[str, object], spec: BackboneSpec, expected: dict[str, int]) -> None:
    """Raise WrongBackbone if the configuration's sizes are not the backbone's."""
    for name, value in expected.items():
        if config.get(name, value) not in (value, None):
            raise WrongBackbone(
                f"The prefix in {folder} is for a model with {name} = {config[name]!r}, and {spec.name} has {value}. "
                "Give the model that it was trained on with --backbone."
            )


def _text(config: dict[str, object], name: str) -> str:
    value = config.get(name)
    return value[:200] if isinstance(value, str) else ""


def _names(tensors: Tensors) -> str:
    listed = ", ".join(sorted(tensors)[:4])
    return (listed[:120] + (", …" if len(tensors) > 4 else "")) or "no such tensor"


def _reason(error: Exception) -> str:
    """Return the first line of an error, shortened."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160].rstrip(". ")
