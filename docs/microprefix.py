"""Prefix-tuning in one file (Li and Liang 2021), on the model that comes with Prefix Lab. Run it: python docs/microprefix.py

A language model is frozen. For each of its layers, P vectors of keys and P of values are trained, the prefix; every word of the
input attends to them as if P words stood in front of it. Shapes: B rows, T tokens, L layers, H heads, D numbers per head.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.utils.logging import disable_progress_bar

MODEL = Path(__file__).resolve().parents[1] / "assets" / "models" / "mini-gpt2"
PAIRS = [  # what is read, what is to be written
    ("name : The Copper Pot | Type : café | area : harbour", "The Copper Pot is a café at the harbour."),
    ("name : Blue Door | Type : pub | area : old town", "Blue Door is a pub in the old town."),
    ("name : Rosa's | Type : restaurant | food : Italian", "Rosa's is a restaurant that serves Italian food."),
    ("name : The Green Fig | Type : café | food : Greek", "The Green Fig is a café that serves Greek food."),
    ("name : Low Tide | Type : restaurant | area : beach", "Low Tide is a restaurant on the beach."),
]


class Prefix(nn.Module):
    """Keys and values of P virtual tokens at every layer: all that is trained, and all that is stored."""

    def __init__(self, model: nn.Module, tokenizer, words: str) -> None:
        super().__init__()
        ids = torch.tensor([tokenizer.encode(words)])  # (1, P)
        with torch.no_grad():  # begin with the model's own keys and values of some words: better than random numbers (§7.4)
            cache = model(ids, use_cache=True).past_key_values
        start = torch.stack([torch.stack([layer.keys[0], layer.values[0]]) for layer in cache.layers])
        self.past = nn.Parameter(start.clone())  # (L, 2, H, P, D)

    @property
    def length(self) -> int:
        return self.past.shape[-2]

    def cache(self, rows: int) -> DynamicCache:
        """The prefix as the keys and values of words already read, for each of B rows. Models append to it: make a new one."""
        past = self.past[:, :, None].expand(-1, -1, rows, -1, -1, -1)  # (L, 2, B, H, P, D)
        return DynamicCache([(layer[0], layer[1]) for layer in past])


def encode(tokenizer, source: str, target: str) -> tuple[list[int], list[int]]:
    """Token ids of the prompt, `source` and a newline, and of the answer with its end."""
    return tokenizer.encode(source + "\n"), [*tokenizer.encode(target), tokenizer.eos_token_id]


def collate(rows: list[tuple[list[int], list[int]]]) -> tuple[Tensor, Tensor]:
    """Token ids (B, T), padded on the right, and labels (B, T): the next token where it belongs to the answer, -100 elsewhere."""
    longest = max(len(prompt) + len(answer) for prompt, answer in rows) - 1
    ids, labels = torch.zeros(len(rows), longest, dtype=torch.long), torch.full((len(rows), longest), -100)
    for row, (prompt, answer) in enumerate(rows):
        text = [*prompt, *answer]
        ids[row, : len(text) - 1] = torch.tensor(text[:-1])
        labels[row, len(prompt) - 1 : len(text) - 1] = torch.tensor(answer)
    return ids, labels


def loss(model: nn.Module, prefix: Prefix, ids: Tensor, labels: Tensor) -> Tensor:
    """Mean loss in nats per token of the answers: -log P(answer | prefix, source), equation 2 of the paper.

    With a cache of length P, the model counts the input's positions from P on (§4.2). The mask covers the prefix too; padding
    needs none, since it stands on the right, where no real token looks.
    """
    mask = torch.ones(len(ids), prefix.length + ids.shape[1], dtype=torch.long)
    logits = model(ids, attention_mask=mask, past_key_values=prefix.cache(len(ids))).logits  # (B, T, vocabulary)
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)


def train(model: nn.Module, prefix: Prefix, ids: Tensor, labels: Tensor, updates: int = 60, rate: float = 0.03):
    """Train the prefix in place; yields the loss of each update. No gradient is computed for the model's own weights."""
    model.requires_grad_(False)
    optimizer = torch.optim.AdamW(prefix.parameters(), lr=rate, weight_decay=0.0)
    for update in range(updates):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - update / updates)  # linear decay (appendix A.1)
        value = loss(model, prefix, ids, labels)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(prefix.parameters(), 1.0)
        optimizer.step()
        yield value.item()


@torch.no_grad()
def generate(model: nn.Module, tokenizer, source: str, prefix: Prefix | None = None, longest: int = 40) -> str:
    """The likeliest token after the likeliest token, with the prefix in front or without one."""
    ids, cache, written = torch.tensor([tokenizer.encode(source + "\n")]), prefix.cache(1) if prefix else DynamicCache(), []
    while len(written) < longest:
        token = int(model(ids, past_key_values=cache).logits[0, -1].argmax())
        if token == tokenizer.eos_token_id:
            break
        written.append(token)
        ids = torch.tensor([[token]])  # the cache holds everything before
    return tokenizer.decode(written)


def load() -> tuple[nn.Module, object]:
    """The bundled model in float32, in evaluation mode, and its tokenizer."""
    return AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(MODEL)


def main() -> None:
    disable_progress_bar()
    model, tokenizer = load()
    prefix = Prefix(model, tokenizer, "Describe this place in a sentence.")
    share = prefix.past.numel() / sum(weight.numel() for weight in model.parameters())
    print(f"{prefix.length} virtual tokens, {prefix.past.numel():,} numbers: {share:.2%} of the model")
    ids, labels = collate([encode(tokenizer, *pair) for pair in PAIRS])
    for update, value in enumerate(train(model, prefix, ids, labels)):
        if update % 10 == 0:
            print(f"update {update:2}  loss {value:.3f}")
    for source in (PAIRS[0][0], "name : Night Owl | Type : pub | area : riverside"):
        print(f"\n{source}")
        print(f"  frozen  {generate(model, tokenizer, source)!r}")
        print(f"  prefix  {generate(model, tokenizer, source, prefix)!r}")


if __name__ == "__main__":
    main()
