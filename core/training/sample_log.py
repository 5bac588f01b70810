"""Sample one fixed example during training, into watch.jsonl."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict, cast

from core.methods.base import Method
from core.runs.layout import RunFiles


class Sample(TypedDict, total=False):
    """A line of watch.jsonl, as `analysis.experiments.training_sampler` writes it; `update` and `text` are always present."""

    update: int
    text: str
    source: str
    reference: str
    frozen: str
    mass: list[float]
    layers: list[str]


Sampler = Callable[[Method], Sample]  # generates the example with the method as it is now


class SampleLogger:
    """Calls the sampler at the start, every `every` updates and at the end, and appends a JSON line each time."""

    def __init__(self, sampler: Sampler | None, folder: Path, method: Method, every: int, index: int) -> None:
        self.sampler, self.path, self.method, self.every = sampler if every else None, RunFiles(folder).samples, method, every
        if self.sampler is None:
            return
        before = [line for line in _lines(self.path) if json.loads(line)["update"] <= index] if index else []
        self.path.write_text("".join(line + "\n" for line in before), encoding="utf-8")
        if not before:
            self._sample(index)

    def after_update(self, index: int, last: bool) -> None:
        """Sample if this update is due."""
        if self.sampler is not None and (index % self.every == 0 or last):
            self._sample(index)

    def _sample(self, index: int) -> None:
        assert self.sampler is not None
        model = self.method.model
        training, _ = model.training, model.eval()  # gradient checkpointing needs train mode, which has no cache
        try:
            sample = {"update": index} | self.sampler(self.method)
        finally:
            model.train(training)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(sample, ensure_ascii=False) + "\n")


def _lines(path: Path) -> list[str]:
    """Return the complete lines: a killed process may have left half of the last one."""
    if not path.exists():
        return []
    return [line for line in path.read_text(encoding="utf-8").split("\n")[:-1] if line.endswith("}")]


def read_samples(folder: Path) -> list[Sample]:
    """Return the samples so far, in order; unreadable lines are skipped."""
    samples: list[Sample] = []
    try:
        for line in _lines(RunFiles(folder).samples):
            sample = json.loads(line)
            if isinstance(sample, dict) and isinstance(sample.get("update"), int) and isinstance(sample.get("text"), str):
                samples.append(cast(Sample, sample))
    except (OSError, ValueError, RecursionError):
        return samples
    return samples
