"""The app in a process of its own, for the measurements that open it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from core.errors import NotSupported

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
PATIENCE = 300.0  # seconds to wait for any answer
PAUSE = 0.02  # seconds between two tries whether it answers


@contextmanager
def opened(program: Sequence[str], folder: Path, **environment: str) -> Iterator[tuple[str, int, float]]:
    """Open the app: its address, the process's id, and the seconds until it had sent its page. NotSupported if it does not open.

    `program`: the arguments of Python; `folder`: where its output goes.
    """
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    command = [sys.executable, *program, "--no-browser", "--host", HOST, "--port", str(port)]
    address, output = f"http://{HOST}:{port}/", folder / "output.txt"
    with output.open("w", encoding="utf-8") as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        while not _answers(address):
            if process.poll() is not None:
                last = (output.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it printed nothing"])[-1]
                raise NotSupported(f"The app did not open: {last}")
            if time.perf_counter() - began > PATIENCE:
                raise NotSupported(f"The app did not answer within {PATIENCE:.0f} s. Try again when the machine is less busy.")
            time.sleep(PAUSE)
        yield address, process.pid, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=PATIENCE, trust_env=False).is_success
    except httpx.HTTPError:
        return False
