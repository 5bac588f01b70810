"""Forgetting: how well a method's model still predicts neutral text, with the method attached and detached.

A decoder-only model predicts the text itself. An encoder-decoder model has no loss on text alone, since no training taught its
decoder to write from an empty source. Its pre-training task is used instead: it reads the text with spans masked, as in BART,
and has to restore it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.experiments.mix_curve import mean_loss
from core import paths
from core.config.methods import method_info
from core.data.lines import lines
from core.data.summarization import read_bundled_articles
from core.errors import BadInput
from core.generation.types import Request
from core.methods.loading import LoadedRun
from core.models.architectures import special_form
from core.models.backbone import Backbone
from core.pretraining.noise import infill

if TYPE_CHECKING:
    from transformers import PreTrainedModel


WINDOW, WINDOWS = 128, 20  # tokens of a window, and how many are read at most


def neutral_text(file: Path | None) -> list[str]:
    """Return texts that no method is trained on: the lines of a file, or the bundled articles. Raises BadInput, BadData."""
    if file is None:
        return [example.source for split in ("train", "test") for example in read_bundled_articles(split)]
    texts = [line.strip() for _, line in lines(file) if line.strip()]
    if not texts:
        raise BadInput(f"{file} has no text to measure forgetting on: give a file with a paragraph per line.")
    return texts


def forgetting(backbone: Backbone, loaded: LoadedRun | None, texts: list[str]) -> dict[str, float | None]:
    """Return nats per token of neutral text: {"frozen", "on", "off", "tokens"}; "off" is None if a method cannot be detached.

    {} for an encoder-decoder model whose tokenizer has no mask token, since spans cannot be masked for it.
    """
    if backbone.is_encoder_decoder and backbone.tokenizer.mask_token_id is None:
        return {}
    windows = _windows(backbone, texts)
    frozen = _loss(backbone.model, backbone, windows)
    values: dict[str, float | None] = {"frozen": frozen, "on": frozen, "off": frozen, "tokens": sum(map(len, windows))}
    if loaded is not None:
        values["on"] = _loss(loaded.model, backbone, windows, loaded)  # before "off": the method must leave no trace
        values["off"] = None if method_info(loaded.run.method).overwrites else _loss(backbone.model, backbone, windows)
    return values


def _windows(backbone: Backbone, texts: list[str]) -> list[list[int]]:
    size = min(WINDOW, backbone.spec.positions // 2)
    if backbone.is_encoder_decoder:  # the beginning of each text, since its encoder reads one text at a time
        return [[*backbone.encode(text, literal=True)[: size - 1], backbone.eos_id] for text in texts[:WINDOWS]]
    ids = [id_ for text in texts for id_ in [*backbone.encode(text, literal=True), backbone.eos_id]]
    return [ids[start : start + size] for start in range(0, len(ids) - size + 1, size)][:WINDOWS] or [ids[:size]]


def _loss(model: "PreTrainedModel", backbone: Backbone, windows: list[list[int]], loaded: LoadedRun | None = None) -> float:
    """Return the loss on windows, each after the start tokens (and an infix); an encoder-decoder reads their masked form."""
    prefix = loaded.prefix if loaded else None
    if backbone.is_encoder_decoder:
        return round(mean_loss(model, backbone, [Request(ids, prefix) for ids in _masked(backbone, windows)], windows), 4)
    begin = backbone.bos_ids or [backbone.eos_id]
    skipped = len(begin) if prefix is not None and prefix.bos and backbone.bos_ids else 0
    request = Request(begin[skipped:] or begin, prefix, split=len(begin))
    return round(mean_loss(model, backbone, [request] * len(windows), windows), 4)


def _masked(backbone: Backbone, windows: list[list[int]]) -> list[list[int]]:
    """Return the windows with spans masked, always the same ones."""
    (before, after), rng = special_form(backbone.tokenizer), np.random.default_rng(0)
    hidden = (infill(np.array(window[:-1]), backbone.tokenizer.mask_token_id, rng) for window in windows)
    return [[*before, *ids.tolist(), *after] for ids in hidden]


def default_name(file: Path | None) -> str:
    """Return the name of the text for a result."""
    return file.name if file else f"{paths.DATA.name}/articles.jsonl"
