"""What the pages call the fields of TrainConfig and DecodeConfig."""

# On the Train tab, in its order.
TRAINING_LABELS = {
    "bottleneck": "Hidden units (0: from the share)",
    "share": "Share of parameters (0: as a prefix)",
    "length": "Virtual tokens",
    "mlp": "MLP width (0: none)",
    "init_words": "Initialize with the words",
    "near_text": "Stay near the text (sets the length)",
    "near_weight": "Weight of the distance",
    "layers": "Last layers",
    "rank": "Rank",
    "lora_alpha": "LoRA alpha",
    "instruction": "Instruction",
    "shots": "Examples (at most)",
    "rate": "Learning rate",
    "updates": "Updates",
    "batch": "Batch size",
    "warmup": "Warm-up updates",
    "seed": "Seed",
}
DECODING_LABELS = {"mode": "Decoding", "seed": "Seed", "temperature": "Temperature", "top_p": "Top-p"}
QUOTED_LABELS = {name: f"“{label}”" for name, label in (TRAINING_LABELS | DECODING_LABELS).items()}  # for a sentence
