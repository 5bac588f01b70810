"""Train the toy model on its known tasks: python -m analysis.toy.pretrain OUT

The result is a folder for transformers, with a tokenizer of twelve tokens; analysis/toy/trial.py trains prefixes on it.
"""

import argparse
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from analysis.toy.tasks import DIGITS, EQUALS, PRETRAINED, rows
from core.models.backbone import Backbone
from core.models.loading import load_backbone
from core.training.batches import IGNORE, collate

END = "<end>"
POSITIONS = 64  # room for a prefix of up to 50 virtual tokens
LAYERS, WIDTH, HEADS = 3, 96, 4
BATCH, RATE = 192, 2e-3


def new_model() -> tuple[GPT2LMHeadModel, PreTrainedTokenizerFast]:
    """Create an untrained GPT-2 of 3 layers and its tokenizer: ten digits, "=" and the end."""
    vocabulary = {text: number for number, text in enumerate([*map(str, range(10)), EQUALS, END])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=END))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    end = vocabulary[END]
    config = GPT2Config(
        vocab_size=len(vocabulary),
        n_positions=POSITIONS,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
    )
    return GPT2LMHeadModel(config), PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END)


def pretrain(model: nn.Module, backbone: Backbone, updates: int, seed: int = 0) -> None:
    """Train on all known tasks in equal parts, at random start positions from 0 to 50, so that a prefix can shift the text."""
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    began, room = time.monotonic(), POSITIONS - 2 * DIGITS - 2
    for update in range(updates):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (update + 1) / 100, 2 * (1 - update / updates))
        batch = collate(rows(backbone, PRETRAINED, BATCH, seed=seed * 1_000_000 + update), device)
        shift = torch.randint(0, room, (BATCH, 1), generator=generator).to(device)
        positions = torch.arange(batch.ids.shape[1], device=device)[None] + shift
        logits = model(batch.ids, position_ids=positions, use_cache=False).logits
        loss = F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORE)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (update + 1) % 100 == 0:
            print(f"update {update + 1}: {loss.item():.3f} nats per token, {time.monotonic() - began:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("out", type=Path)
    parser.add_argument("--updates", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    model, tokenizer = new_model()
    model.save_pretrained(options.out)
    tokenizer.save_pretrained(options.out)
    pretrain(model, load_backbone(str(options.out), "cpu"), options.updates, options.seed)
    model.half().save_pretrained(options.out)


if __name__ == "__main__":
    main()
