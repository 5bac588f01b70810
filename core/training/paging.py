"""Give the memory of weights back to the system while they are not in use, where they are mapped from the backbone's file."""

import bisect
import ctypes
import mmap
import sys
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

_MAPS = Path("/proc/self/maps")
_PAGEOUT = 21  # MADV_PAGEOUT, Linux 5.4: a page that was written to keeps what was written


def page_out(tensors: Iterable[Tensor]) -> int:
    """Ask the system to drop the pages of tensors that it can read again from a file; returns how many bytes it accepted.

    `load_backbone` maps weights from their file where it does not convert them: what is dropped is read from there when it is
    used next, with the same values. Other tensors are left alone, as are all of them where the system is not Linux.
    """
    if sys.platform != "linux":
        return 0
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    mapped, dropped = _mapped_files(), 0
    for tensor in tensors:
        if tensor.device.type != "cpu":
            continue
        start = -(-tensor.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE  # whole pages only
        end = (tensor.data_ptr() + tensor.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        place = bisect.bisect_right(mapped, (start, sys.maxsize)) - 1
        if start < end and place >= 0 and end <= mapped[place][1] and madvise(start, end - start, _PAGEOUT) == 0:
            dropped += end - start
    return dropped


def _mapped_files() -> list[tuple[int, int]]:
    """Return the address ranges of this process that are mapped from files, in order; none where the system does not tell."""
    ranges = []
    try:
        lines = _MAPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    for line in lines:
        addresses, _, _, _, inode, *_ = line.split(maxsplit=5)
        if inode != "0":
            start, _, end = addresses.partition("-")
            ranges.append((int(start, 16), int(end, 16)))
    return ranges
