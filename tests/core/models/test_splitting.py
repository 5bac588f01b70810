"""A backbone that is split over memory and disk computes what it computes whole: texts, losses, gradients, fingerprint."""

import pytest
import torch

from core.config.decode import DecodeConfig
from core.config.train import TrainConfig
from core.errors import BadConfig, NotSupported
from core.generation.generate import generate
from core.generation.types import make_request
from core.methods.loading import load_run
from core.methods.registry import new_method
from core.models.inputs import task_for_backbone
from core.models.loading import load_backbone
from core.models.splitting import is_split
from core.training.batches import collate, encode_rows
from core.training.loop import _backward
from tests.support.tiny_models import EXAMPLES, make_run, make_tiny_backbone, make_tiny_bart, make_tiny_llama

GPT2 = {"transformer.wte": "cpu", "transformer.wpe": "cpu", "transformer.h.0": "cpu", "transformer.h.1": "disk"}
LLAMA = {"model.embed_tokens": "disk", "model.layers.0": "disk", "model.layers.1": "cpu", "model.rotary_emb": "cpu"}
MAPS = {
    "gpt2": (make_tiny_backbone, GPT2 | {"transformer.ln_f": "disk", "lm_head": "cpu"}),
    "llama": (make_tiny_llama, LLAMA | {"model.norm": "cpu", "lm_head": "disk"}),
}
PREFIX = TrainConfig(length=3, mlp=8, init="words", init_words="table", autocast="off")


@pytest.fixture(scope="module", params=MAPS)
def pair(request, tmp_path_factory):
    """The folder of a model, the model whole, and split."""
    make, device_map = MAPS[request.param]
    folder = make(tmp_path_factory.mktemp("split") / request.param)
    return folder, load_backbone(str(folder), "cpu"), load_backbone(str(folder), device_map=device_map)


def test_a_split_backbone_is_the_same_backbone(pair):
    _, whole, split = pair
    assert is_split(split.model) and not is_split(whole.model) and any(one.is_meta for one in split.model.parameters())
    assert split.spec == whole.spec


def test_it_generates_and_trains_a_prefix_as_the_whole_one(pair, tmp_path):
    folder, whole, split = pair
    run = make_run(folder, tmp_path, "r")
    texts = []
    for backbone in (whole, split):
        loaded = load_run(run, backbone)
        requests = [make_request(backbone, run.task, one.source, loaded.prefix) for one in EXAMPLES[:3]]
        requests.append(make_request(backbone, run.task, EXAMPLES[3].source))
        for decode in (DecodeConfig(max_new=8, min_new=8), DecodeConfig(mode="beam", beams=2, max_new=6)):
            texts.append([one.text for one in generate(loaded.model, backbone, requests, decode)])
    assert texts[:2] == texts[2:] and len(set(texts[0])) == 4
    losses, gradients = [], []
    for backbone in (whole, split):
        method = new_method(backbone, PREFIX)
        rows = encode_rows(backbone, task_for_backbone(backbone, "e2e"), EXAMPLES[:4], method.length)
        losses.append(_backward(method, [collate(rows, backbone.device)], PREFIX))
        gradients.append([parameter.grad for parameter in method.parameters()])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for ours, expected in zip(*gradients, strict=True):
        assert torch.allclose(ours, expected, atol=1e-6) and expected.abs().max() > 1e-4


def test_what_cannot_be_split_is_one_sentence(pair, tmp_path):
    folder, _, split = pair
    with pytest.raises(NotSupported, match=r"needs the weights of .* on one device, and --device-map has split them"):
        new_method(split, PREFIX.replace(method="finetune"))
    run = make_run(folder, tmp_path, "r", "lora")
    with pytest.raises(NotSupported, match="LoRA needs the weights"):
        load_run(run, split)
    with pytest.raises(BadConfig, match="leave --device out"):
        load_backbone(str(folder), "cpu", "auto")
    with pytest.raises(NotSupported, match="is an encoder-decoder model, which --device-map does not split"):
        load_backbone(str(make_tiny_bart(tmp_path / "tiny-bart")), device_map="auto")


def test_a_model_that_fits_one_device_is_not_split(pair):
    folder, whole, _ = pair
    backbone = load_backbone(str(folder), device_map="auto")
    assert not is_split(backbone.model) and backbone.spec == whole.spec
    new_method(backbone, PREFIX.replace(method="finetune"))
