"""Write tensors atomically. Separate from layout.py, which has to be importable without torch."""

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from core.runs.layout import disk_errors


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file by rename. Raises StoreError if it cannot be written, as on a full disk."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with disk_errors(f"write {path}", errors=(OSError, SafetensorError)):
            write_tensors(tensors, temporary, metadata)
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file with the permissions of any new file; those of safetensors are for its owner alone."""
    path.touch()
    mode = path.stat().st_mode
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path, metadata)
    path.chmod(mode)
