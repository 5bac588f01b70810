"""The README of a pre-trained model: what it is, how it was trained, and on which data.

It only has numbers: users add the licences of their texts themselves.
"""

import csv
import json
from pathlib import Path

import torch

from core.pretraining.config import PretrainConfig
from core.runs.layout import JsonObject
from core.text.checks import counted

OBJECTIVES = {
    "next_token": "next-token prediction",
    "denoising": "text infilling with sentence permutation, and pseudo-summaries",
}


def hardware(device: torch.device) -> str:
    """Describe the hardware of a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{device.type.upper()}, {counted(threads, 'thread')}"


def card(name: str, config: PretrainConfig, state: JsonObject, parameters: int, corpus: JsonObject, ran_on: str) -> str:
    """Return the text of the card, from a checkpoint's `state` (step, tokens, seconds) and the content of `corpus.json`."""
    layers = f"{config.layers} + {config.decoder_layers} layers" if config.decoder_layers else f"{config.layers} layers"
    begun = "random numbers"
    if config.start:
        begun = f"tokenizer and word embeddings of {Path(config.start).name}, heads that copy"
    if config.continue_from:
        begun = f"all weights and the tokenizer of a model in a folder named {Path(config.continue_from).name}"
    facts = {
        "parameters": f"{parameters:,}: {layers}, width {config.width}, {config.heads} heads, {config.positions} positions, "
        f"{config.vocabulary:,} words, tied embeddings",
        "objective": OBJECTIVES[config.objective],
        "begun with": begun,
        "tokens read": f"{state['tokens']:,} in {state['step']:,} updates, the last of {config.batch_tokens:,}",
        "seed": str(config.seed),
        "time": f"{state['seconds'] / 60:.0f} minutes on {ran_on}, bf16",
        "optimiser": f"Muon {config.muon_rate} on the blocks' matrices, AdamW {config.adam_rate} on the rest; "
        + (f"warm-up over {config.warmup} updates, " if config.warmup else "")
        + f"constant, then linear decay over the last {config.decay_share:.0%}",
    }
    rows = [f"| {key} | {value} |" for key, value in facts.items()]
    streams = [f"| {stream} | {n['documents']:,} | {n['train_tokens']:,} |" for stream, n in corpus["streams"].items()]
    return "\n".join(
        [f"# {name}", "", "| | |", "|---|---|", *rows, "", "## Text it was drawn from", ""]
        + ["| text | documents | tokens |", "|---|---|---|", *streams, ""]
        + ([_shares(config), ""] if config.objective == "next_token" else [])
        + ["One document in 200 is held out; `loss.csv` has the losses along the way, in nats per target token.", ""]
    )


def _shares(config: PretrainConfig) -> str:
    """Describe the composition of a next-token run's windows, to show that table-to-text is not new to the model."""
    text = 1 - config.record_share - config.span_share
    sentences = [
        f"{text:.0%} of the windows are running text, and {config.record_share:.0%} are tables, most of them with sentences."
    ]
    if config.span_share:
        sentences.append(
            f"{config.span_share:.0%} are span records: sentences of the running text, each after a table of its names, dates, "
            "quantities and phrases that was made without labels (`core/pretraining/spans.py`). "
            "In these only the sentences are learned."
        )
    if config.record_share or config.span_share:
        sentences.append("In many records the names or numbers are made up, the same in table and sentence.")
    sentences.append("So the model has learned to write sentences from records before any prefix is trained for it.")
    return " ".join(sentences)


def last_losses(log: Path) -> dict[str, float]:
    """Return the last validation losses of a `loss.csv`, by name; {} if there are none."""
    with open(log, newline="") as handle:
        rows = [
            {key: value for key, value in row.items() if key.startswith("valid_") and value} for row in csv.DictReader(handle)
        ]
    return {key[len("valid_") :]: float(value) for key, value in next((row for row in reversed(rows) if row), {}).items()}


def write_card(out: Path, folder: Path, state: JsonObject, parameters: int, ran_on: str) -> None:
    """Write README.md and `loss.csv` into the model's folder."""
    corpus = json.loads((out / "corpus" / "corpus.json").read_text())
    config = PretrainConfig(**state["config"])
    text = card(folder.name, config, state, parameters, corpus, ran_on)
    losses = last_losses(out / "loss.csv")
    if losses:
        text += "\nHeld-out loss at the end: " + ", ".join(f"{name} {value:.3f}" for name, value in losses.items()) + ".\n"
    (folder / "README.md").write_text(text, encoding="utf-8")
    (folder / "loss.csv").write_bytes((out / "loss.csv").read_bytes())
