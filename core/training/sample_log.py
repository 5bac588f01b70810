"""Watching a training learn: what one fixed example becomes, noted in watch.jsonl as the updates go by."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.methods.base import Method

NAME = "watch.jsonl"
Look = Callable[[Method], dict[str, Any]]  # tells the example with the method as it is now; plain values


class Watching:
    """Takes a look at the beginning, every so many updates and at the end; one JSON object a line, with the update."""

    def __init__(self, look: Look | None, folder: Path, method: Method, every: int, index: int) -> None:
        self.look, self.path, self.method, self.every = look, folder / NAME, method, every
        if self.look is None or not every:
            self.look = None
            return
        before = [line for line in _lines(self.path) if json.loads(line)["update"] <= index] if index else []
        self.path.write_text("".join(line + "\n" for line in before), encoding="utf-8")
        if not before:
            self._note(index)

    def note(self, index: int, last: bool) -> None:
        """Look, where an update is due."""
        if self.look is not None and (index % self.every == 0 or last):
            self._note(index)

    def _note(self, index: int) -> None:
        assert self.look is not None
        model = self.method.model
        was, _ = model.training, model.eval()  # gradient checkpointing trains in train mode, where there is no cache
        try:
            seen = {"update": index} | self.look(self.method)
        finally:
            model.train(was)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(seen, ensure_ascii=False) + "\n")


def _lines(path: Path) -> list[str]:
    """Whole lines: a kill may have left half of the last one."""
    if not path.exists():
        return []
    return [line for line in path.read_text(encoding="utf-8").split("\n")[:-1] if line.endswith("}")]


def looks(folder: Path) -> list[dict[str, Any]]:
    """What was noted so far, in order; lines that cannot be read are left out."""
    found = []
    try:
        for line in _lines(folder / NAME):
            seen = json.loads(line)
            if isinstance(seen, dict) and isinstance(seen.get("update"), int) and isinstance(seen.get("text"), str):
                found.append(seen)
    except (OSError, ValueError, RecursionError):
        return found
    return found
