"""Next-token prediction with a small GPT-2: how mini-gpt2 is made.

Windows of half the positions first (cheaper attention), all positions at the end, with random position
offsets on the short ones so that every position is trained.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from transformers import AttentionInterface, GPT2Config, GPT2LMHeadModel

from core.pretraining.config import PretrainConfig
from core.pretraining.corpus import Windows
from core.pretraining.induction_init import start_gpt2, trained


@dataclass(frozen=True)
class Window:
    """Token ids (B, T + 1) whose first stands at position `offset`."""

    ids: torch.Tensor
    offset: int = 0

    @property
    def tokens(self) -> int:
        return self.ids.numel()

    @property
    def targets(self) -> int:
        return self.ids[:, 1:].numel()


def _causal_matmul_attention(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
    """Plain matrix products: on a CPU a fifth faster to train than the fused kernel at these lengths."""
    length = query.shape[-2]
    future = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
    scores = (query * (scaling or query.shape[-1] ** -0.5)) @ key.transpose(-1, -2)  # (B, H, T, T)
    weights = scores.masked_fill(future, float("-inf")).softmax(-1)
    return (weights @ value).transpose(1, 2), weights  # (B, T, H, D)


AttentionInterface.register("causal_matmul", _causal_matmul_attention)


class NextToken:
    """The recipe's parts that the loop calls: the model, the batches, the loss, what is validated on."""

    valid_names = ("mix", "text", "records")

    def __init__(self, config: PretrainConfig, folder: Path) -> None:
        self.config, self.folder = config, folder

    def new_model(self, device: torch.device) -> GPT2LMHeadModel:
        """A GPT-2 of the configured shape for a device, on the CPU still, randomly initialised from the seed."""
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
            attn_implementation="sdpa" if device.type == "cuda" else "causal_matmul",
        )
        return GPT2LMHeadModel(shape)

    def initialise(self, model: Any) -> None:
        """Give a new model what the run starts with, if anything; BadInput where that cannot be had."""
        if self.config.start:
            start_gpt2(model, trained(self.config.start, self.config.width))

    def open(self) -> None:
        """Open the training text."""
        self.windows = Windows(self.folder, "train", self.config.record_share)

    def batches(self, step: int, done: float, rng: np.random.Generator) -> list[Window]:
        """One update's windows, at `done` (0 to 1) of the run."""
        config = self.config
        full = done >= 1 - config.full_length_share
        length = config.positions if full else config.positions // 2
        offset = int(rng.integers(0, 33)) if full and rng.random() < 0.25 else 0
        if not full and rng.random() < 0.5:
            offset = int(rng.integers(0, config.positions - length + 1))
        length = min(length, config.positions - offset)
        return [Window(torch.from_numpy(self.windows.batch(config.batch_tokens // length, length + 1, rng)), offset)]

    def loss(self, model: Any, batch: Window) -> torch.Tensor:
        """Mean loss in nats a token."""
        ids = batch.ids.to(model.device)
        positions = torch.arange(batch.offset, batch.offset + ids.shape[1] - 1, device=ids.device)[None]
        logits = model(input_ids=ids[:, :-1], position_ids=positions, use_cache=False).logits
        return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())

    def validation(self) -> dict[str, list[Window]]:
        """Fixed held-out windows: of text alone and, where the corpus has them, of records alone."""
        sets = {}
        for name, share in (("text", 0.0), ("records", 1.0)):
            windows = Windows(self.folder, "valid", share)
            if name == "records" and "records" not in windows.names:
                continue
            rng = np.random.default_rng(1)
            rows = [windows.batch(8, self.config.positions + 1, rng) for _ in range(6)]
            sets[name] = [Window(torch.from_numpy(ids)) for ids in rows]
        return sets

    def mixed(self, losses: dict[str, float]) -> dict[str, float]:
        """The validation losses with that of the training mix."""
        share = self.config.record_share if "records" in losses else 0.0
        return losses | {"mix": (1 - share) * losses["text"] + share * losses.get("records", 0.0)}
