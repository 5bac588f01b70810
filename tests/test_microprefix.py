"""docs/microprefix.py, which lessons read from, computes what the engine computes."""

import importlib.util
from pathlib import Path

import pytest
import torch

from core.config.decode import DecodeConfig
from core.config.train import TrainConfig
from core.generation.generate import generate
from core.generation.types import Request
from core.methods.registry import new_method
from core.models.loading import load_backbone
from core.prefix.prefix import Prefix
from core.task import Example, Task
from core.training.batches import encode_rows
from core.training.loop import evaluate_loss

FILE = Path(__file__).parents[1] / "docs" / "microprefix.py"


@pytest.fixture(scope="module")
def micro():
    spec = importlib.util.spec_from_file_location("microprefix", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trained(micro):
    """The model, its tokenizer, a prefix after three updates, the losses on the way, and the batch."""
    model, tokenizer = micro.load()
    prefix = micro.Prefix(model, tokenizer, "Describe this place in a sentence.")
    ids, labels = micro.collate([micro.encode(tokenizer, *pair) for pair in micro.PAIRS])
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    losses = list(micro.train(model, prefix, ids, labels, updates=3))
    assert all(weight.equal(before[name]) for name, weight in model.named_parameters())
    return model, tokenizer, prefix, losses, (ids, labels)


def test_it_fits_a_sitting():
    assert len(FILE.read_text(encoding="utf-8").splitlines()) <= 150


def test_the_loss_falls_and_is_the_engines(micro, trained):
    model, _, prefix, losses, batch = trained
    assert losses[-1] < losses[0]
    backbone = load_backbone("mini-gpt2", "cpu")
    config = TrainConfig(method="prefix", length=prefix.length, mlp=0, autocast="off")
    method = new_method(backbone, config)
    with torch.no_grad():
        method.module.past["decoder"].copy_(prefix.past)
        ours = micro.loss(model, prefix, *batch).item()
    rows = encode_rows(backbone, Task(), [Example(source, (target,)) for source, target in micro.PAIRS], prefix.length)
    assert evaluate_loss(method, rows, config) == pytest.approx(ours, rel=1e-5)


def test_the_text_is_the_engines(micro, trained):
    model, tokenizer, prefix, _, _ = trained
    backbone = load_backbone("mini-gpt2", "cpu")
    source = micro.PAIRS[0][0]
    past = {"decoder": prefix.past.detach()}
    for stored, ours in ((Prefix(past), prefix), (None, None)):
        request = Request(backbone.encode(source + "\n"), stored)
        (theirs,) = generate(backbone.model, backbone, [request], DecodeConfig(max_new=20))
        assert micro.generate(model, tokenizer, source, ours, longest=20).strip() == theirs.text.strip()
