"""The recipe that makes the bundled backbone: `launch.py pretrain --preset mini-gpt2`.

Muon on the blocks' matrices, AdamW on embeddings, biases and norms; a constant rate, then linear
decay; bf16 autocast; windows of half the positions first (cheaper attention), all positions at the
end, with random position offsets on the short ones so that every position is trained. Resumable:
the checkpoint holds weights, optimiser state, the step and the data generator's state.
"""

import csv
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import AttentionInterface, GPT2Config, GPT2LMHeadModel

from core.pretrain.corpus import Windows


@dataclass(frozen=True)
class PretrainConfig:
    """One pre-training run. `tokens` is the whole budget; rates are per update of `batch_tokens` tokens."""

    tokens: int
    layers: int = 6
    width: int = 384
    heads: int = 6
    positions: int = 512
    vocabulary: int = 8192
    batch_tokens: int = 6144
    muon_rate: float = 0.02
    adam_rate: float = 3e-3
    decay_share: float = 0.5
    full_length_share: float = 0.3
    record_share: float = 1 / 6
    validate_every: int = 250
    save_every: int = 500
    seed: int = 0


@dataclass(frozen=True)
class PretrainStep:
    """One update. Losses in nats a token; `valid` holds "mix", "text" and "records" where validated, else is empty."""

    index: int
    total: int
    tokens: int
    loss: float
    rate: float
    seconds: float
    valid: dict[str, float]


PRESETS = {"mini-gpt2": PretrainConfig(tokens=30_000_000)}


def _causal_matmul_attention(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
    """Plain matrix products: on a CPU a fifth faster to train than the fused kernel at these lengths."""
    length = query.shape[-2]
    future = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
    scores = (query * (scaling or query.shape[-1] ** -0.5)) @ key.transpose(-1, -2)  # (B, H, T, T)
    weights = scores.masked_fill(future, float("-inf")).softmax(-1)
    return (weights @ value).transpose(1, 2), weights  # (B, T, H, D)


AttentionInterface.register("causal_matmul", _causal_matmul_attention)


def new_model(config: PretrainConfig, device: torch.device) -> GPT2LMHeadModel:
    """A GPT-2 of the configured shape, randomly initialised from the seed."""
    torch.manual_seed(config.seed)
    shape = GPT2Config(  # type: ignore[call-arg]
        vocab_size=config.vocabulary,
        n_positions=config.positions,
        n_embd=config.width,
        n_layer=config.layers,
        n_head=config.heads,
        activation_function="gelu_pytorch_tanh",  # GPT-2's own gelu_new, computed by one kernel
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        attn_implementation="sdpa" if device.type == "cuda" else "causal_matmul",
    )
    model: Any = GPT2LMHeadModel(shape)
    return model.to(device)


def optimisers(model: nn.Module, config: PretrainConfig) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for everything else."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and ".h." in name]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(matrices, lr=config.muon_rate, momentum=0.95, weight_decay=0.0)
    adam = torch.optim.AdamW(others, lr=config.adam_rate, betas=(0.9, 0.95), weight_decay=0.0)
    return [muon, adam]


def rate_factor(done: float, decay_share: float) -> float:
    """Share of the peak rate at `done` (0 to 1) of the run: constant, then linear to 2 %."""
    if done < 1 - decay_share:
        return 1.0
    return 0.02 + 0.98 * max(0.0, 1 - done) / decay_share


def _loss(model: GPT2LMHeadModel, ids: torch.Tensor, offset: int) -> torch.Tensor:
    positions = torch.arange(offset, offset + ids.shape[1] - 1, device=ids.device)[None]
    with torch.autocast(ids.device.type, dtype=torch.bfloat16):
        logits = model(input_ids=ids[:, :-1], position_ids=positions, use_cache=False).logits
        return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


@torch.no_grad()
def validate(model: GPT2LMHeadModel, folder: Path, config: PretrainConfig) -> dict[str, float]:
    """Held-out loss in nats a token on fixed windows: the training mix, text alone, records alone."""
    losses = {}
    for name, share in (("text", 0.0), ("records", 1.0)):
        windows = Windows(folder, "valid", share)
        if name == "records" and "records" not in windows.names:
            continue
        rng = np.random.default_rng(1)
        rows = [windows.batch(8, config.positions + 1, rng) for _ in range(6)]
        batches = [torch.from_numpy(ids).to(model.device) for ids in rows]
        losses[name] = sum(_loss(model, ids, 0).item() for ids in batches) / len(batches)
    share = config.record_share if "records" in losses else 0.0
    losses["mix"] = (1 - share) * losses["text"] + share * losses.get("records", 0.0)
    return losses


def pretrain(config: PretrainConfig, folder: Path, out: Path, device: torch.device) -> Iterator[PretrainStep]:
    """Train on the prepared corpus in `folder`, with checkpoints and `loss.csv` in `out`; go on where a checkpoint stands.

    A changed `tokens` on resuming moves the end (and the start of the decay) of the run.
    """
    out.mkdir(parents=True, exist_ok=True)
    model = new_model(config, device).train()
    opts = optimisers(model, config)
    rng = np.random.default_rng(config.seed)
    step, tokens, before = _resume(out, model, opts, rng)
    windows = Windows(folder, "train", config.record_share)
    began, new_log = time.monotonic() - before, not (out / "loss.csv").exists()
    with open(out / "loss.csv", "a", newline="") as handle:
        log = csv.writer(handle)
        if new_log:
            log.writerow(["step", "tokens", "loss", "rate", "seconds", "valid_mix", "valid_text", "valid_records"])
        while tokens < config.tokens:
            done = tokens / config.tokens
            loss, used = _update(model, opts, windows, rng, config, done, device)
            step, tokens = step + 1, tokens + used
            last = tokens >= config.tokens
            valid = validate(model, folder, config) if last or step % config.validate_every == 0 else {}
            seconds = time.monotonic() - began
            total = step + (config.tokens - tokens) // config.batch_tokens
            report = PretrainStep(step, total, tokens, loss, rate_factor(done, config.decay_share), seconds, valid)
            if valid or step % 20 == 0:
                marks = [f"{valid[key]:.4f}" if key in valid else "" for key in ("mix", "text", "records")]
                log.writerow([step, tokens, f"{loss:.4f}", f"{report.rate:.4f}", f"{seconds:.1f}", *marks])
                handle.flush()
            if last or step % config.save_every == 0:
                _save(out, model, opts, rng, {"step": step, "tokens": tokens, "seconds": seconds, "config": asdict(config)})
            yield report


def _update(model, opts, windows, rng, config, done, device) -> tuple[float, int]:
    full = done >= 1 - config.full_length_share
    length = config.positions if full else config.positions // 2
    offset = int(rng.integers(0, 33)) if full and rng.random() < 0.25 else 0
    if not full and rng.random() < 0.5:
        offset = int(rng.integers(0, config.positions - length + 1))
    length = min(length, config.positions - offset)
    ids = torch.from_numpy(windows.batch(config.batch_tokens // length, length + 1, rng)).to(device)
    for opt, peak in zip(opts, (config.muon_rate, config.adam_rate), strict=True):
        opt.zero_grad(set_to_none=True)
        for group in opt.param_groups:
            group["lr"] = peak * rate_factor(done, config.decay_share)
    loss = _loss(model, ids, offset)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for opt in opts:
        opt.step()
    return loss.item(), ids.numel()


def _save(out: Path, model, opts, rng, state: dict) -> None:
    state = state | {
        "model": model.state_dict(),
        "optimisers": [opt.state_dict() for opt in opts],
        "rng": json.dumps(rng.bit_generator.state),
    }
    torch.save(state, out / "checkpoint.tmp")
    os.replace(out / "checkpoint.tmp", out / "checkpoint.pt")


def _resume(out: Path, model, opts, rng) -> tuple[int, int, float]:
    path = out / "checkpoint.pt"
    if not path.exists():
        return 0, 0, 0.0
    state = torch.load(path, map_location=model.device, weights_only=True)
    model.load_state_dict(state["model"])
    for opt, saved in zip(opts, state["optimisers"], strict=True):
        opt.load_state_dict(saved)
    rng.bit_generator.state = json.loads(state["rng"])
    return state["step"], state["tokens"], state["seconds"]
