"""A disk cache for tensors that are slow to compute, limited in size and evicted by last use.

`about` identifies an entry (backbone, layer, parameters …): loading it with any other value is a miss, as is a damaged
file. The cache never raises for a file that it cannot read or write.
"""

import os
import time
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from core import paths
from core.runs.layout import temporary_of

MAX_BYTES = 2 * 2**30  # of all files together
HEADER_BYTES = 4096  # allowed for a file beside its tensors
STALE_SECONDS = 3600  # age after which a half-written file is removed


class TensorCache:
    """Named sets of tensors in `folder` (default: home()/"cache"), at most `limit` bytes; least recently used go first."""

    def __init__(self, folder: Path | None = None, limit: int = MAX_BYTES) -> None:
        self.folder, self.limit = folder or paths.home() / "cache", limit

    def load(self, name: str, about: Mapping[str, str]) -> dict[str, Tensor] | None:
        """The tensors stored under a name, or None if they are absent, damaged, or stored with another `about`."""
        path = self._path(name)
        try:
            with safe_open(path, "pt") as file:
                metadata = dict(file.metadata() or {})
                check = metadata.pop("check", "")
                if metadata != dict(about):
                    return None
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            if check != checksum(tensors):
                return None
            os.utime(path)  # the time of last use
        except (OSError, SafetensorError):
            return None
        return tensors

    def save(self, name: str, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> bool:
        """Store tensors atomically; False if they exceed the limit or cannot be written."""
        stored = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        size = sum(tensor.nbytes for tensor in stored.values()) + HEADER_BYTES
        path = self._path(name)
        temporary = temporary_of(path)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._make_room(size, path):
                return False
            save_file(stored, temporary, {**about, "check": checksum(stored)})
            os.replace(temporary, path)
        except (OSError, SafetensorError):
            _remove(temporary)
            return False
        return True

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def _make_room(self, size: int, replaced: Path) -> bool:
        """Remove the least recently used files until `size` more bytes fit, not counting the file to be replaced."""
        for temporary in self.folder.glob("*.tmp"):
            if _stat(temporary)[0] < time.time() - STALE_SECONDS:
                _remove(temporary)
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
    crc = 0
    for name, tensor in sorted(tensors.items()):
        crc = zlib.crc32(name.encode(), crc)
        crc = zlib.crc32(tensor.contiguous().flatten().view(torch.uint8).numpy().data, crc)
    return f"{crc:08x}"


def _stat(path: Path) -> tuple[float, int]:
    """Time of last use and size in bytes; (0, 0) if another process has just removed the file."""
    try:
        status = path.stat()
    except OSError:
        return 0.0, 0
    return status.st_mtime, status.st_size


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # in use elsewhere (Windows); the next call removes it
        pass
