"""Forgetting: how well a method's model still predicts neutral text, with the method in force and switched off."""

from pathlib import Path
from typing import Any

from analysis.experiments.mix_curve import mean_loss
from core import paths
from core.config.methods import method_info
from core.data.rows import lines
from core.data.summarization import read_bundled_articles
from core.errors import BadInput
from core.generation.types import Request
from core.methods.loading import LoadedRun
from core.models.backbone import Backbone

WINDOW, WINDOWS = 128, 20  # tokens of a window, and how many are read at most


def neutral_text(file: Path | None = None) -> list[str]:
    """Texts that no method is trained on: the lines of a file, by default the bundled articles. Raises BadInput, BadData."""
    if file is None:
        return [example.source for split in ("train", "test") for example in read_bundled_articles(split)]
    texts = [line.strip() for _, line in lines(file) if line.strip()]
    if not texts:
        raise BadInput(f"{file} holds no text to measure forgetting on: give a file with a paragraph a line.")
    return texts


def forgetting(backbone: Backbone, loaded: LoadedRun | None, texts: list[str]) -> dict[str, Any]:
    """Nats per token of neutral text: {"frozen", "on", "off", "tokens"}; "off" is None where a method cannot be switched off.

    An encoder-decoder model has no loss on plain text: {} then.
    """
    if backbone.is_encoder_decoder:
        return {}
    windows = _windows(backbone, texts)
    frozen = _loss(backbone.model, backbone, windows)
    values: dict[str, Any] = {"frozen": frozen, "on": frozen, "off": frozen, "tokens": sum(map(len, windows))}
    if loaded is not None:
        values["on"] = _loss(loaded.model, backbone, windows, loaded)  # before "off": the method must leave no trace
        values["off"] = None if method_info(loaded.run.method).overwrites else _loss(backbone.model, backbone, windows)
    return values


def _windows(backbone: Backbone, texts: list[str]) -> list[list[int]]:
    ids = [id_ for text in texts for id_ in [*backbone.encode(text, literal=True), backbone.eos_id]]
    size = min(WINDOW, backbone.spec.positions // 2)
    return [ids[start : start + size] for start in range(0, len(ids) - size + 1, size)][:WINDOWS] or [ids[:size]]


def _loss(model: Any, backbone: Backbone, windows: list[list[int]], loaded: LoadedRun | None = None) -> float:
    """Each window follows what begins a text. An infix stands between the two."""
    begin = backbone.bos_ids or [backbone.eos_id]
    prefix = loaded.prefix if loaded else None
    skipped = len(begin) if prefix is not None and prefix.bos and backbone.bos_ids else 0
    request = Request(begin[skipped:] or begin, prefix, split=len(begin))
    return round(mean_loss(model, backbone, [request] * len(windows), windows), 4)


def default_name(file: Path | None) -> str:
    """What the text is called in a result."""
    return file.name if file else f"{paths.DATA.name}/articles.jsonl"
