"""The bundled tables that the demonstrations optimize a prompt on."""

from collections.abc import Sequence
from dataclasses import replace

from core.data.source import DataSource
from core.errors import BadInput, NotSupported
from core.models.backbone import Backbone
from core.models.inputs import task_for_backbone
from core.training.batches import Row, encode_rows

TOPIC, TABLES = "cafés", 5
START, MOST = "the the the the", 8  # words to begin with, and how many tokens they may have


def training_rows(backbone: Backbone, length: int) -> list[Row]:
    """Five short tables with one sentence each, beside a prompt of `length` tokens."""
    return _rows(backbone, ("train",), length)


def other_rows(backbone: Backbone, length: int) -> list[Row]:
    """Four other tables of the same topic, which no demonstration trains on."""
    return _rows(backbone, ("valid", "test"), length)


def check_words(backbone: Backbone, words: str) -> str:
    """The words to begin with, as tokens after a space. Raises BadInput for none or too many, NotSupported for an encoder."""
    if backbone.is_encoder_decoder:
        raise NotSupported(f"{backbone.spec.name} reads its input with an encoder. Choose a model such as mini-gpt2 as backbone.")
    if not words.strip():
        raise BadInput("There are no words to begin with. Type some, such as: table to text")
    start = f" {words.strip()}"
    count = len(backbone.encode(start))
    if count > MOST * (1 if backbone.spec.vocabulary > 1000 else 4):
        raise BadInput(f"Begin with one to {MOST} tokens; these words are {count}. Shorten them.")
    return start


def _rows(backbone: Backbone, splits: Sequence[str], length: int) -> list[Row]:
    every = [example for split in splits for example in DataSource("records").load_split(split, [])]
    examples = [example for example in every if example.group == TOPIC]
    shortest = sorted(examples, key=lambda example: len(example.source))[:TABLES]
    one_text = [replace(example, targets=example.targets[:1]) for example in shortest]
    return encode_rows(backbone, task_for_backbone(backbone, "records"), one_text, length)
