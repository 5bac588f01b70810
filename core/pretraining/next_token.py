"""Next-token prediction with a small GPT-2, the recipe of mini-gpt2.

Windows have half the positions at first (cheaper attention) and all positions at the end. Short windows get random position
offsets, so that every position is trained.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from core.pretraining.bf16 import train_in_bf16
from core.pretraining.config import PretrainConfig
from core.pretraining.continued import continue_from
from core.pretraining.corpus import Windows
from core.pretraining.span_windows import SpanWindows


@dataclass(frozen=True)
class Window:
    """Token ids (B, T + 1) whose first is at position `offset`, and which of them are targets (B, T) (None: all)."""

    ids: torch.Tensor
    offset: int = 0
    scored: torch.Tensor | None = None

    @property
    def tokens(self) -> int:
        return self.ids.numel()

    @property
    def targets(self) -> int:
        return self.ids[:, 1:].numel() if self.scored is None else int(self.scored.sum())


class NextToken:
    """The next-token recipe: model, batches, loss and validation, called by the training loop."""

    valid_names: tuple[str, ...] = ("mix", "text", "records", "spans")

    autocast = True

    def __init__(self, config: PretrainConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.cross_entropy: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None

    def new_model(self, device: torch.device) -> GPT2LMHeadModel:
        """Create a GPT-2 of the configured shape on the CPU, randomly initialised from the seed; it is trained on `device`."""
        config = self.config
        torch.manual_seed(config.seed)
        shape = GPT2Config(  # type: ignore[call-arg]
            vocab_size=config.vocabulary,
            n_positions=config.positions,
            n_embd=config.width,
            n_layer=config.layers,
            n_head=config.heads,
            n_inner=config.inner or None,
            activation_function="gelu_pytorch_tanh",  # GPT-2's own gelu_new, computed by one kernel
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=0,
            pad_token_id=0,
            attn_implementation="sdpa",
        )
        return GPT2LMHeadModel(shape)

    def initialise(self, model: GPT2LMHeadModel) -> None:
        """Give a new model the weights that the run starts from, if any. Raises BadInput if they are not available."""
        if self.config.continue_from:
            continue_from(model, Path(self.config.continue_from))

    def optimise(self, model: GPT2LMHeadModel) -> None:
        """Make a model train fast on its device."""
        if model.device.type == "cpu":
            self.cross_entropy, self.autocast = train_in_bf16(model), False
        elif self.config.compiled:
            model.transformer.compile()

    def open(self) -> None:
        """Open the training text."""
        share = self.config.record_share / (1 - self.config.span_share)
        self.windows = Windows(self.folder, "train", share, self.config.positions + 1)
        self.spans = SpanWindows(self.folder, "train") if self.config.span_share else None

    def batches(self, step: int, done: float, rng: np.random.Generator) -> list[Window]:
        """Draw one update's windows, at the fraction `done` (0 to 1) of the run."""
        config = self.config
        full = done >= 1 - config.full_length_share
        length = config.positions if full else config.positions // 2
        offset = int(rng.integers(0, 33)) if full and rng.random() < 0.25 else 0
        if not full and rng.random() < 0.5:
            offset = int(rng.integers(0, config.positions - length + 1))
        length = min(length, config.positions - offset)
        rows, most = config.batch_tokens // length, max(1, config.pass_tokens // length)
        return [self._window(min(most, rows - first), length, offset, rng) for first in range(0, rows, most)]

    def _window(self, rows: int, length: int, offset: int, rng: np.random.Generator) -> Window:
        """Rows of text and real records, then rows of span records."""
        count = int(rng.binomial(rows, self.config.span_share)) if self.spans else 0
        ids = self.windows.batch(rows - count, length + 1, rng)
        if self.spans is None:
            return Window(torch.from_numpy(ids), offset)
        span_ids, span_scored = self.spans.batch(count, length + 1, rng)
        scored = np.concatenate([np.ones(ids.shape, dtype=bool), span_scored])[:, 1:]
        return Window(torch.from_numpy(np.concatenate([ids, span_ids])), offset, torch.from_numpy(scored))

    def loss(self, model: GPT2LMHeadModel, batch: Window) -> torch.Tensor:
        """Compute the mean loss in nats per target token; logits are computed only at targets."""
        ids = batch.ids.to(model.device)
        positions = torch.arange(batch.offset, batch.offset + ids.shape[1] - 1, device=ids.device)[None]
        hidden = model.transformer(input_ids=ids[:, :-1], position_ids=positions, use_cache=False).last_hidden_state
        scored = torch.ones_like(ids[:, 1:], dtype=torch.bool) if batch.scored is None else batch.scored.to(ids.device)
        if self.cross_entropy is None:
            return F.cross_entropy(model.lm_head(hidden[scored]), ids[:, 1:][scored])
        return self.cross_entropy(hidden[scored], ids[:, 1:][scored])

    def validation(self) -> dict[str, list[Window]]:
        """Return fixed held-out windows: of text and, if the corpus has them, of records."""
        sets = {}
        for name, share in (("text", 0.0), ("records", 1.0)):
            windows = Windows(self.folder, "valid", share, self.config.positions + 1)
            if name == "records" and "records" not in windows.names:
                continue
            rng = np.random.default_rng(1)
            rows = [windows.batch(8, self.config.positions + 1, rng) for _ in range(6)]
            sets[name] = [Window(torch.from_numpy(ids)) for ids in rows]
        if self.config.span_share:
            spans, rng = SpanWindows(self.folder, "valid"), np.random.default_rng(1)
            pairs = [spans.batch(8, self.config.positions + 1, rng) for _ in range(6)]
            sets["spans"] = [Window(torch.from_numpy(ids), 0, torch.from_numpy(scored[:, 1:])) for ids, scored in pairs]
        return sets

    def mixed(self, losses: dict[str, float]) -> dict[str, float]:
        """Add the loss of the training mix to the validation losses."""
        shares = {"records": self.config.record_share, "spans": self.config.span_share}
        shares = {name: share for name, share in shares.items() if name in losses}
        mix = (1 - sum(shares.values())) * losses["text"] + sum(share * losses[name] for name, share in shares.items())
        return losses | {"mix": mix}
