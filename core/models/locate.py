"""Find a model by its name: a bundled one, a folder, or a model of the hub, which is downloaded once."""

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import constants, snapshot_download

from core import paths
from core.errors import BackboneNotFound

DEFAULT = "mini-gpt2"
DEFAULTS = {"article": "mini-bart"}  # for other forms of source than tables (see core/task.py)
OWN = {"mini-gpt2": "such as gpt2", "mini-bart": "such as facebook/bart-base"}  # the project's own, which no hub has


def bundled() -> list[str]:
    """Return the names of the bundled models."""
    return sorted(path.parent.name for path in paths.MODELS.glob("*/config.json"))


def locate(name: str) -> tuple[str, str]:
    """Return where a model is, its folder or hub name, and what that is: bundled, folder or hub. Raises BackboneNotFound."""
    if not name or not name.strip():
        raise BackboneNotFound(f"No model name given. Bundled: {', '.join(bundled()) or 'none'}; or give a folder or a hub name.")
    if name in bundled():
        return str(paths.MODELS / name), "bundled"
    path = Path(name).expanduser()
    if name in OWN and not path.is_dir():
        raise BackboneNotFound(
            f"There is no model {name} here: assets/models/{name} was looked for. Give another model, by its folder or its hub "
            f"name, {OWN[name]}, or make one: `python launch.py pretrain --preset {name} --corpus TEXTS --out FOLDER`."
        )
    if path.is_dir():
        if not (path / "config.json").exists():
            raise BackboneNotFound(
                f"The folder {name} has no config.json, so it is not a saved transformers model. Give the folder that holds it."
            )
        return str(path), "folder"
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise BackboneNotFound(
            f"There is no folder {name}. Give the folder of a saved model, a bundled name ({', '.join(bundled()) or 'none'}) "
            "or a hub name."
        )
    return name, "hub"


def fetch(name: str) -> None:
    """Download a hub model, so that `load_backbone` needs no network; does nothing for other models. Raises its errors."""
    if locate(name)[1] == "hub":
        fetch_from_hub(name)


def fetch_from_hub(name: str) -> str:
    """Return the folder of a hub model: the cached one if complete, else a download (weights as safetensors, never pickles)."""
    patterns = ["*.json", "*.safetensors", "*.txt", "*.model"]
    hub_name, _, revision = name.partition("@")
    try:
        folder = snapshot_download(hub_name, revision=revision or None, allow_patterns=patterns, local_files_only=True)
        if list(Path(folder).glob("*.safetensors")):
            return folder
    except (OSError, ValueError):
        pass
    ours = ", ".join(bundled()) or "none"
    tried = f"Cannot load {name!r}. Tried: the bundled models ({ours}), a folder of that name, and the model hub"
    advice = "With no network, give the folder of a saved model instead."
    if not _hub_answers():
        raise BackboneNotFound(f"{tried} (no connection to it). {advice}")
    try:
        return snapshot_download(hub_name, revision=revision or None, allow_patterns=patterns)
    except (OSError, ValueError, RuntimeError) as error:
        raise BackboneNotFound(f"{tried} ({str(error).strip().splitlines()[0]}). {advice}") from error


def _hub_answers() -> bool:
    """Check quickly whether the hub can be reached: without a network its client would retry for half a minute."""
    if constants.HF_HUB_OFFLINE:
        return False
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    address = urlsplit(constants.ENDPOINT)
    try:
        socket.create_connection((address.hostname or "", address.port or 443), timeout=4).close()
    except OSError:
        return False
    return True
