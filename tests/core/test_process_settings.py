"""Every way to start Prefix Lab has the settings without which training on a CPU is slow and the server's memory grows."""

import os
import subprocess
import sys

import pytest

LARGE_BLOCK = """
import ctypes
from core.process_settings import apply_process_settings
apply_process_settings()
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", *"bcdefghij")]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
before = libc.mallinfo2()
libc.malloc.restype = ctypes.c_void_p
block = libc.malloc(ctypes.c_size_t(100 << 20))
print("heap" if libc.mallinfo2().arena - before.arena >= 100 << 20 else "pages of its own")
"""


def settings_after(code, **environment):
    """What a Python program prints that starts without any of the settings but those given."""
    ours = ("MALLOC_", "GRADIO_", "HF_", "TOKENIZERS_", "ONEDNN_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | environment
    return subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True).stdout.strip()


def test_libraries_are_set_unless_the_user_did():
    code = "import os, app.cli.main as cli; cli.main(['runs']); print([os.environ[name] for name in {}])"
    names = ["GRADIO_ANALYTICS_ENABLED", "TOKENIZERS_PARALLELISM"]
    assert settings_after(code.format(names), GRADIO_ANALYTICS_ENABLED="True").splitlines()[-1] == "['True', 'false']"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="settings of glibc")
@pytest.mark.parametrize("environment, place", [({}, "heap"), ({"MALLOC_MMAP_THRESHOLD_": "65536"}, "pages of its own")])
def test_large_blocks_come_from_the_heap_unless_the_user_says_otherwise(environment, place):
    assert settings_after(LARGE_BLOCK, **environment) == place
