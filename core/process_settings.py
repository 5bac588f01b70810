"""Settings of the libraries and of the C library that every process of Prefix Lab starts with."""

import ctypes
import os
import sys

# Libraries read these when they are imported or first used. A value that the user has set is left alone.
SETTINGS = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
# oneDNN keeps something for each of the last so many shapes; its own 1,024 cost gigabytes in a long training.
SETTINGS["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] = "64"

# glibc's malloc: variables that it reads when a process starts, with their numbers in malloc.h and our values.
MALLOC = {
    # Without these two, training on a CPU spends its time on page faults.
    "MALLOC_MMAP_THRESHOLD_": (-3, 256 << 20),
    "MALLOC_TRIM_THRESHOLD_": (-1, 1 << 30),
    # Else each of the web server's forty threads may keep a heap of its own, as large as it has ever been.
    "MALLOC_ARENA_MAX": (-8, 2),
}


def apply_process_settings() -> None:
    """Set what the user has not set, for this process and those that it starts. Call it before torch and gradio are imported."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform.startswith("linux") else None
    if mallopt is None:
        return
    for name, (parameter, number) in MALLOC.items():
        if os.environ.setdefault(name, str(number)) == str(number):
            mallopt(parameter, number)
