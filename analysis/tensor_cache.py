"""Tensors that are slow to compute, kept on disk within a size limit. What cannot be trusted is computed again.

A file belongs to what `about` says of it (backbone, layer, parameters …): asked for with anything else, it counts as
absent. A cache never fails its caller: what cannot be read or written is left out.
"""

import os
import threading
import time
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from core import paths

MAX_BYTES = 2 * 2**30  # bytes of all files together
HEADER_BYTES = 4096  # bytes a file may have beside its tensors
STALE_SECONDS = 3600  # seconds after which a half-written file belongs to nobody


class TensorCache:
    """Named sets of tensors in `folder` (home()/"cache" unless given), at most `limit` bytes; the longest unused go first."""

    def __init__(self, folder: Path | None = None, limit: int = MAX_BYTES) -> None:
        self.folder, self.limit = folder or paths.home() / "cache", limit

    def load(self, name: str, about: Mapping[str, str]) -> dict[str, Tensor] | None:
        """The tensors kept under a name; None where there are none, they are damaged, or they belong to something else."""
        path = self._path(name)
        try:
            with safe_open(path, "pt") as file:
                found = dict(file.metadata() or {})
                check = found.pop("check", "")
                if found != dict(about):
                    return None
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            if check != checksum(tensors):
                return None
            os.utime(path)  # used just now
        except (OSError, SafetensorError):
            return None
        return tensors

    def save(self, name: str, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> bool:
        """Keep tensors, by rename; False where they do not fit in the limit or cannot be written."""
        kept = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        size = sum(tensor.nbytes for tensor in kept.values()) + HEADER_BYTES
        path = self._path(name)
        spare = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")  # two processes may write at once
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._make_room(size, path):
                return False
            save_file(kept, spare, {**about, "check": checksum(kept)})
            os.replace(spare, path)
        except (OSError, SafetensorError):
            _remove(spare)
            return False
        return True

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def _make_room(self, size: int, replaced: Path) -> bool:
        """Remove the longest unused files until `size` bytes more fit; `replaced` does not count."""
        for spare in self.folder.glob("*.tmp"):
            if _stat(spare)[0] < time.time() - STALE_SECONDS:
                _remove(spare)
        if size > self.limit:
            return False
        files = [path for path in self.folder.glob("*.safetensors") if path != replaced]
        oldest = sorted((*_stat(path), path) for path in files)
        total = size + sum(length for _, length, _ in oldest)
        for _, length, path in oldest:
            if total <= self.limit:
                break
            _remove(path)
            total -= length
        return True


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """CRC-32 of names and bytes, in hex."""
    found = 0
    for name, tensor in sorted(tensors.items()):
        found = zlib.crc32(name.encode(), found)
        found = zlib.crc32(tensor.contiguous().flatten().view(torch.uint8).numpy().data, found)
    return f"{found:08x}"


def _stat(path: Path) -> tuple[float, int]:
    """When last used and how long in bytes; (0, 0) where another process has just removed it."""
    try:
        found = path.stat()
    except OSError:
        return 0.0, 0
    return found.st_mtime, found.st_size


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # in use elsewhere (Windows); the next one removes it
        pass
