"""Write tensors atomically. Separate from layout.py, which has to be importable without torch."""

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from core.runs.layout import disk_errors, temporary_of
from core.tensor_file import write_tensors


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file by rename. Raises StoreError if it cannot be written, as on a full disk."""
    temporary = temporary_of(path)
    try:
        with disk_errors(f"write {path}", errors=(OSError, SafetensorError)):
            write_tensors(tensors, temporary, metadata)
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
