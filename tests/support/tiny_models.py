"""Tiny random models and runs in the real on-disk form, made once a test session."""

import threading
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from core.config.train import TrainConfig
from core.models.backbone import Backbone
from core.models.inputs import task_for_backbone
from core.models.loading import load_backbone
from core.prefix.prefix import Prefix
from core.runs.run import Run
from core.runs.store import Store
from core.task import Example
from core.training.trainer import Trainer

END = "<|endoftext|>"

EXAMPLES = [
    Example(f"name : {name} | Type : {kind} | area : {area}", (f"{name} is a {kind} in the {area} .",))
    for name, kind, area in [
        ("Alda", "pub", "north"),
        ("Brio", "inn", "south"),
        ("Cato", "bar", "west"),
        ("Dune", "cafe", "east"),
        ("Elba", "pub", "old town"),
        ("Fern", "inn", "harbour"),
        ("Gala", "bar", "centre"),
        ("Hope", "cafe", "north"),
        ("Isis", "pub", "south"),
        ("Juno", "inn", "west"),
    ]
]

ARTICLES = [
    Example(f"{place} was {what} on {day}. People there {did}, and nobody was hurt.", (f"{place} {what}",), topic)
    for place, what, day, did, topic in [
        ("Aldby", "flooded", "Monday", "left by boat", "news"),
        ("Borrow", "snowed in", "Sunday", "stayed at home", "news"),
        ("Calder", "beaten", "Friday", "watched in silence", "sport"),
        ("Dunmore", "promoted", "Tuesday", "sang until dawn", "sport"),
        ("Eskdale", "evacuated", "Monday", "slept in a school", "news"),
        ("Fulby", "relegated", "Sunday", "went home early", "sport"),
    ]
]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level, no merges: one token a byte; `<|endoftext|>` is id 0."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({END: 0} | {letter: i + 1 for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=END, eos_token=END, pad_token=END)


def make_tiny_backbone(folder: Path, seed: int = 0, positions: int = 256) -> Path:
    """Save a random GPT-2 (2 layers, width 32, 4 heads) with a byte tokenizer in `folder`."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=257,
        n_positions=positions,
        n_embd=32,
        n_layer=2,
        n_head=4,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    return _save(GPT2LMHeadModel(config), folder)


def make_tiny_llama(folder: Path) -> Path:
    """Save a random Llama with grouped-query attention (4 heads, 2 of keys and values) in `folder`."""
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=257,
        max_position_embeddings=256,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    return _save(LlamaForCausalLM(config), folder)


def with_start_token(folder: Path) -> Path:
    """Let the tokenizer in `folder` put a token before each text, as a Llama's does."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single=f"{END} $A", special_tokens=[(END, 0)])
    tokenizer.save_pretrained(folder)
    return folder


def make_tiny_bart(folder: Path, seed: int = 2, positions: int = 128) -> Path:
    """Save a random BART (3 + 2 layers, width 32, 4 heads) in `folder`; a byte tokenizer with <s>, </s> and <pad>."""
    torch.manual_seed(seed)
    config = BartConfig(
        vocab_size=261,
        max_position_embeddings=positions,
        d_model=32,
        encoder_layers=3,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        init_std=0.3,
        bos_token_id=257,
        eos_token_id=258,
        pad_token_id=259,
        decoder_start_token_id=258,
        forced_bos_token_id=None,
        forced_eos_token_id=None,
    )
    model = BartForConditionalGeneration(config)
    model.final_logits_bias.normal_(std=0.1)
    return _save(model, folder, make_bart_tokenizer())


def make_bart_tokenizer() -> PreTrainedTokenizerFast:
    """The byte tokenizer, a text's own form being `<s> text </s>` as in BART."""
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "mask_token": "<mask>"})
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 257), ("</s>", 258)]
    )
    return tokenizer


def _save(model, folder: Path, tokenizer: PreTrainedTokenizerFast | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (tokenizer or make_tokenizer()).save_pretrained(folder)
    return folder


def random_prefix(backbone: Backbone, length: int, seed: int = 0, scale: float = 1.0) -> Prefix:
    """A prefix of Gaussian keys and values that fits the backbone."""
    spec, generator = backbone.spec, torch.Generator().manual_seed(seed)
    past = {site: scale * torch.randn(spec.shape(site, length), generator=generator) for site in spec.sites}
    return Prefix(past, spec.name, spec.fingerprint)


def lock_is_free(model: Any) -> bool:
    """Whether another thread could attach a prefix to a model now."""
    slot, free = model.prefix_slot, []

    def acquire() -> None:
        if slot.lock.acquire(blocking=False):
            free.append(True)
            slot.lock.release()

    thread = threading.Thread(target=acquire)
    thread.start()
    thread.join()
    return bool(free)


TRIPLES = [
    Example(f" | {name}_Hall : locatedIn : {city}", (f"{name} Hall is in {city} .",))
    for name, city in [("Alda", "Oslo"), ("Brio", "Rome"), ("Cato", "Bonn"), ("Dune", "Kyiv"), ("Elba", "Lima"), ("Fern", "Bern")]
]
ROWS = {"e2e": EXAMPLES, "webnlg": TRIPLES, "summarization": ARTICLES}


def make_run(
    folder: Path, store: Path, run_id: str, method: str = "prefix", updates: int = 3, name: str = "e2e", **changes
) -> Run:
    """Train a run of a few updates on ROWS into a store; a BART is trained on ARTICLES."""
    backbone = load_backbone(str(folder), "cpu")
    values = {"length": 4, "batch": 5, "updates": updates, "init_words": "table", "validate_every": 1000} | changes
    name = "summarization" if backbone.is_encoder_decoder else name
    examples = ROWS[name]
    training = Trainer(backbone, task_for_backbone(backbone, name), TrainConfig(method=method, **values), Store(store), run_id)
    list(training.steps(examples, examples[:4]))
    assert training.run is not None
    return training.run
