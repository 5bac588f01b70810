"""Load a frozen language model: a bundled one, from a folder, or by its hub name."""

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import torch
import transformers
from safetensors import SafetensorError, safe_open
from torch import nn

from core.backbone_spec import SEQ2SEQ
from core.errors import BackboneNotFound, BadConfig, NotSupported, PrefixLabError
from core.models.architectures import USE, architecture_for, check_layers, kind_of, no_dropout, sliding_window
from core.models.backbone import Backbone
from core.models.locate import DEFAULT, fetch_from_hub, locate
from core.models.probe import check_model
from core.models.splitting import input_device, is_split, weights
from core.prefix.attention import NAME, install_prefix_attention

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from core.models.architectures import AutoClass

DeviceMap = str | dict[str, str | int]
_importing = threading.Lock()
SAMPLES = 512  # values hashed of each tensor
# What torch.compile, DataParallel, FSDP and others put before the names of weights, and before those of single blocks.
WRAPPERS = (r"^(?:(?:_orig_mod|module|_fsdp_wrapped_module|_forward_module)\.)+",
            r"(?<=\.)(?:(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.)+")  # fmt: skip
MASKS = r"(?:^|\.)(?:attn|attention)\.(?:bias|masked_bias|causal_mask)$"  # the causal mask, which older versions stored
LFS = b"version https://git-lfs"
MAX_NAMES = 3  # names of weights in a message


def import_transformers() -> None:
    """Import what running a model needs of transformers, and register our attention: two seconds the first time.

    The app opens its page before it does this. Under a lock, since modules that import each other must not be imported by two
    threads at once.
    """
    with _importing:
        from transformers import AutoConfig, AutoTokenizer, DynamicCache, GenerationConfig, PreTrainedModel  # noqa: F401
        from transformers.utils import logging

        import core.prefix.attention_function  # noqa: F401

        logging.set_verbosity_error()
        logging.disable_progress_bar()


def load_backbone(name: str = DEFAULT, device: str = "auto", device_map: DeviceMap = "") -> Backbone:
    """Load a model, frozen and in evaluation mode.

    `name`: a bundled model, a folder in transformers' format, or a hub name, also as name@revision (downloaded unless it is
    cached). `device_map`: "auto", or a device for each part, splits a decoder-only model over devices, as accelerate does.
    Raises BackboneNotFound, which says what was tried, or NotSupported for a family that does not fit.
    """
    import_transformers()
    where, origin = locate(name)
    if device_map and device != "auto":
        raise BadConfig("A device map places the model's parts itself: leave --device out, and start one process only.")
    target = pick_device(device)
    revision = ""
    if origin == "hub":
        where = fetch_from_hub(name)
        name, revision = name.partition("@")[0], Path(where).name
    _refuse_pointers(Path(where))
    config = _open(name, lambda: transformers.AutoConfig.from_pretrained(where, trust_remote_code=False))
    architecture = architecture_for(config, name)
    if device_map and architecture.family == SEQ2SEQ:
        raise NotSupported(f"{name} is an encoder-decoder model, which --device-map does not split. Leave the option out.")
    tokenizer = _open(name, lambda: transformers.AutoTokenizer.from_pretrained(where, trust_remote_code=False), "tokenizer")
    model = _load_weights(name, where, architecture.auto_class, pick_dtype(target), device_map)
    if is_split(model):
        target = _split_device(model, name)
    read = _open(name, lambda: tokenizer("a b x"), "tokenizer")
    if not read["input_ids"]:  # transformers makes an empty one where its files are missing
        raise BackboneNotFound(
            f"{name} has no tokenizer. A model folder needs the tokenizer's files (tokenizer.json) beside the weights."
        )
    label = Path(name).resolve().name if origin == "folder" else name
    again = str(Path(name).resolve()) if origin == "folder" else name
    try:
        backbone = freeze(label, origin, again, model, tokenizer, target, revision)
        if origin != "bundled":  # tests hold those
            check_model(backbone)
    except PrefixLabError:
        raise
    except Exception as error:  # a family may do anything in its own way
        reason = f"{type(error).__name__}: {_reason(error)}"
        raise NotSupported(f"{name} is a {kind_of(model)}, which does not run with prefixes ({reason}). {USE}") from error
    return backbone


def _refuse_pointers(folder: Path) -> None:
    """Raise BackboneNotFound if a file is only Git LFS's pointer to the file."""
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.safetensors"), *folder.glob("*.model")]):
        with open(path, "rb") as file:
            if file.read(len(LFS)) == LFS:
                raise BackboneNotFound(f"{path} is a pointer of Git LFS, not the file itself. Run `git lfs pull` in that folder.")


def _split_device(model: "PreTrainedModel", name: str) -> torch.device:
    """Return where a split model takes its inputs. Raises NotSupported if transformers does not say which of its parts stay
    whole."""
    if not model._no_split_modules:
        raise NotSupported(
            f"{name} is a {kind_of(model)}, of which transformers does not say where it may be split. Leave --device-map out."
        )
    return input_device(model)


def _load_weights(name: str, where: str, auto_class: "AutoClass", dtype: torch.dtype, device_map: DeviceMap) -> "PreTrainedModel":
    """Load the model of a folder. Raises BackboneNotFound unless the file holds exactly its weights."""
    stored = _open(name, lambda: _weight_types(where))
    names = Counter(map(_unwrapped, stored))
    if twice := [key for key, times in names.items() if times > 1]:
        raise BackboneNotFound(
            f"Cannot load the model in {name}: its weights hold {_first(twice)} twice, plain and wrapped (such as "
            "module. before the name). Give a folder that has each weight once."
        )
    load = partial(
        auto_class.from_pretrained,
        where,
        dtype=dtype,
        attn_implementation=NAME,
        return_dict=True,  # these two of config.json are for callers of another kind
        output_attentions=False,
        use_safetensors=True,
        trust_remote_code=False,
        key_mapping=dict.fromkeys(WRAPPERS, "") if set(names) != set(stored) else None,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **({"device_map": device_map} if device_map else {}),
    )
    model, report = cast("tuple[PreTrainedModel, dict[str, list]]", _open(name, load))
    sizes = [key if isinstance(key, str) else key[0] for key in report["mismatched_keys"]]
    unexpected = [key for key in report["unexpected_keys"] if not re.search(MASKS, key)]
    faults = [("lack", report["missing_keys"]), ("have, beyond what config.json describes,", unexpected)]
    faults += [("have in other sizes than its config.json says", sizes)]
    odd = [name for name, weight in model.named_parameters() if not (weight.is_meta or weight.isfinite().all())]
    faults.append(("contain NaN or infinity:", odd))
    parts = [f"{what} {_first(keys)}" for what, keys in faults if keys]
    if parts:
        raise BackboneNotFound(
            f"Cannot load the model in {name}: its weights {'; they '.join(parts)}. What it writes would mean nothing. {WHOLE}"
        )
    whole = _whole_numbers(model, stored)
    if whole:
        raise BackboneNotFound(
            f"Cannot load the model in {name}: its weights are whole numbers, of a quantization that config.json does not "
            f"describe: {_first(whole)}. Give a folder with floating-point weights."
        )
    return model


def _unwrapped(key: str) -> str:
    """The name of a weight without what wrappers put before it."""
    return re.sub("|".join(WRAPPERS), "", key)


def _whole_numbers(model: "PreTrainedModel", stored: Mapping[str, str]) -> list[str]:
    """Return the weights that are stored as whole numbers, which transformers reads as if they were the weights themselves.

    `stored`: see `_weight_types`.
    """
    if getattr(model.config, "quantization_config", None) is not None:
        return []
    own = {key for key, _ in model.named_parameters()}
    own |= {key.removeprefix(f"{model.base_model_prefix}.") for key in own}
    return [key for key, kind in stored.items() if kind[0] in "IU" and _unwrapped(key) in own]


def _weight_types(where: str) -> dict[str, str]:
    """The type of each stored tensor by its name, as safetensors names it: "F32", "I8". Raises ValueError for a file that is
    cut off or damaged."""
    types: dict[str, str] = {}
    for path in _weight_files(Path(where)):
        try:
            with safe_open(path, "pt") as file:
                types |= {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"{path.name} is cut off or damaged ({error})") from error
    return types


def _weight_files(folder: Path) -> list[Path]:
    """The files that transformers reads the weights from."""
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.is_file() or not index.is_file():
        return [whole] if whole.is_file() else []
    return [folder / name for name in sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))]


def _first(keys: Iterable[str]) -> str:
    """The first few names, and how many there are."""
    names = sorted(keys)
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def freeze(
    name: str,
    origin: str,
    where: str,
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    device: torch.device,
    revision: str = "",
) -> Backbone:
    """Turn a model that was loaded with our attention into a backbone: on the device, frozen, without dropout, in evaluation
    mode."""
    if not is_split(model):
        model.to(device)  # type: ignore[arg-type]  # transformers' decorator hides what it takes
    model.eval().requires_grad_(False)
    no_dropout(model)
    own = getattr(model, "generation_config", None)  # a published model's would fill in whatever DecodeConfig leaves out
    model.generation_config = transformers.GenerationConfig(eos_token_id=getattr(own, "eos_token_id", None))
    install_prefix_attention(model)
    spec = architecture_for(model.config, name).spec(model, name, origin, where, fingerprint(model))
    spec = replace(spec, revision=revision)
    check_layers(spec, model)
    return Backbone(spec, model, tokenizer, device)


def window_of(name: str) -> int:
    """Return how many tokens back a local model's windowed layers see, from its configuration alone.

    0 if all layers see everything, or if the model is not on this machine.
    """
    import_transformers()
    try:
        where, origin = locate(name)
        name, _, revision = where.partition("@") if origin == "hub" else (where, "", "")
        config = transformers.AutoConfig.from_pretrained(name, revision=revision or None, local_files_only=True)
        return sliding_window(config) or 0
    except (PrefixLabError, OSError, ValueError):
        return 0


Opened = TypeVar("Opened")
WHOLE = "A model folder needs config.json, a safetensors file and the tokenizer's files, all of one model."
TYPES = {"str": "a string", "int": "a number", "float": "a number", "bool": "true or false", "list": "a list", "NoneType": "null"}


def _open(name: str, load: Callable[[], Opened], what: str = "model") -> Opened:
    try:
        return load()
    except Exception as error:  # anything may stand in a damaged or hostile folder, and transformers meets it first
        advice = USE if _unfit(error) else WHOLE
        raise BackboneNotFound(f"Cannot load the {what} in {name}: {_reason(error)}. {advice}") from error


def _unfit(error: Exception) -> str:
    """Return why a model is of no use here, whole as it may be; "" if the error does not say so."""
    message = str(error).strip()
    # (site, layer): nothing was recorded there
    if isinstance(error, KeyError) and (NAME in message or (error.args and isinstance(error.args[0], tuple))):
        return "its attention does not go through transformers' attention interface"
    if "custom code" in message:
        return "it needs code of its own, which is never run here"
    if kind := re.match(r"Unrecognized configuration class <class '.*\.(\w+)Config'>", message):
        return f"a model of the kind {kind[1]} writes no text"
    return ""


def _reason(error: Exception) -> str:
    """Return the first line of an error if it says enough."""
    message = str(error).strip()
    if unfit := _unfit(error):
        return unfit
    if "ignore_mismatched_sizes" in message:
        return "its weights have other sizes than its config.json says"
    if "instantiate the backend tokenizer" in message:
        return "it has no tokenizer.json, nor another file that its tokenizer is made from"
    if "no file named model.safetensors" in message:
        return "it has no model.safetensors; a pickle, such as pytorch_model.bin, is never opened, since it can run code"
    if isinstance(error, KeyError) and error.args == ("weight_map",):
        return "its model.safetensors.index.json has no weight_map, which says where each weight is"
    if isinstance(error, KeyError):
        return f"its config.json names {message}, which is not known"
    if message.startswith(("Class validation error", "Validation error")):  # the first line says where, the last one what
        message = message.splitlines()[-1].strip()
        if field := re.search(r"Field '(\w+)' .*?(?:with value|\(value:) ('[^']*'|[^\s)]+)", message):
            value = {"None": "null", "True": "true", "False": "false"}.get(field[2], field[2].rstrip("."))
            return f"its config.json has a value of the wrong type for {field[1]}: {value}"
        return message[:300].rstrip(".")
    if isinstance(error, AttributeError) and (value := re.fullmatch(r"'(\w+)' object has no attribute '\w+'", message)):
        return f"its config.json has a value of the wrong type: {TYPES.get(value[1], value[1])}"
    if isinstance(error, AttributeError) and (value := re.fullmatch(r"module 'torch' has no attribute '(\w+)'", message)):
        return f"its config.json names the number type {value[1]!r}, which is not known"
    return message.splitlines()[0][:300].rstrip(".") if message else type(error).__name__


def pick_device(name: str = "auto") -> torch.device:
    """Return a device by name; "auto" is CUDA, else Apple's MPS, else the CPU. Raises BadConfig if it is not available."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BadConfig(f"There is no device {name!r}. Use auto, cpu, cuda or mps.") from error
    missing = (device.type == "cuda" and not torch.cuda.is_available()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing or device.type not in ("cpu", "cuda", "mps"):
        raise BadConfig(f"The device {name!r} is not available on this machine. Use auto or cpu.")
    return device


def pick_dtype(device: torch.device) -> torch.dtype:
    """Return bf16 for a CUDA device that supports it, else fp32."""
    return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32


def fingerprint(model: nn.Module) -> str:
    """Return 16 hex digits computed from every tensor's name, shape and up to 512 of its values.

    The values are rounded to bf16, so that the dtype of the loaded model does not matter. Their positions are computed with
    integers, since float32 cannot represent all positions in gpt2's embeddings and is not rounded alike on all machines.
    """
    digest = hashlib.sha256()
    for _, content in sorted((name, _samples(name, tensor)) for name, tensor in weights(model)):
        digest.update(content)
    return digest.hexdigest()[:16]


def _samples(name: str, tensor: torch.Tensor) -> bytes:
    """Return a tensor's name, shape and evenly spaced values as bytes."""
    flat = tensor.detach().flatten()
    count = min(SAMPLES, flat.numel())
    sample = flat[(torch.arange(count) * (flat.numel() - 1) // max(count - 1, 1)).to(flat.device)]
    values = sample.to(torch.bfloat16).view(torch.int16).cpu().numpy().tobytes()
    return f"{name}{tuple(tensor.shape)}".encode() + values
