"""What every hostile case is made of.

A case is (name, what the sentence must say, a function of the place); the function spoils something there and gives the command
line, or the call, that meets it.
"""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TABLE = "name : Alda | Type : pub"
Command = list[str] | Callable[[], Any]


@dataclass
class Place:
    """Folders model, other (same shape, other weights), llama, bart, home/runs (mine, tuned, news, stopped), data and adapter."""

    root: Path
    patch: pytest.MonkeyPatch

    def put(self, name: str, content: str | bytes) -> Path:
        """Write a file, its folders too."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def change(self, name: str, **values: Any) -> None:
        """Change values of a JSON file."""
        path = self.root / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    def generate(self, run: str | None = "mine", *options: str, model: str = "model", table: str = TABLE) -> list[str]:
        """Generate with a run."""
        chosen = [] if run is None else ["--run", run]
        return ["generate", *chosen, "--backbone", str(self.root / model), "--device", "cpu", *options, table]

    def train(self, data: Path | None = None, *options: str, run: str = "new") -> list[str]:
        """Train on a file."""
        words = ["train", "--run", run, "--backbone", str(self.root / "model"), "--device", "cpu", "--updates", "1"]
        return [*words, "--data", str(data or self.root / "data"), *options]

    def resume(self, run: str) -> list[str]:
        return ["train", "--run", run, "--resume", "--device", "cpu", "--data", str(self.root / "data")]

    def import_run(self, folder: str = "adapter", run: str = "new", model: str = "model") -> list[str]:
        """Import a checkpoint."""
        words = ["import", "--from", str(self.root / folder), "--run", run, "--device", "cpu"]
        return [*words, "--backbone", str(self.root / model)]

    def export_run(self, to: str, run: str = "mine") -> list[str]:
        return ["export", "--run", run, "--to", str(self.root / to)]


def half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def header(text: str, size: int | None = None, body: bytes = b"") -> bytes:
    """A safetensors file with any header, said to be of any size."""
    return struct.pack("<Q", len(text) if size is None else size) + text.encode() + body


def cases(*triples: tuple[str, str, Callable[[Place], Command]]) -> list[tuple[str, str, Callable[[Place], Command]]]:
    return list(triples)
