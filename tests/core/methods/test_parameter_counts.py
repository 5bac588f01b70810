"""What methods train and store, against figures worked by hand for GPT-2-medium, BART-large and the bundled model.

GPT-2-medium: 24 blocks of width 1,024, 50,257 tokens, 1,024 positions. A block has 12 w² + 13 w = 12,596,224 parameters, the
model 354,823,168. BART-large: 12 + 12 blocks of width 1,024, 406,291,456 parameters. A virtual token is 2 numbers of the width at
every block (48 k in GPT-2-medium) and, in BART, at each of three sites of 12 (72 k).
"""

import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration, GPT2Config, GPT2LMHeadModel

from core.backbone_spec import BackboneSpec
from core.config.methods import METHODS
from core.config.presets import preset
from core.config.train import TrainConfig
from core.methods.parameter_counts import parameter_counts
from core.methods.registry import METHOD_CLASSES, new_method
from core.models.backbone import Backbone
from core.models.loading import load_backbone
from core.prefix.attention import install_prefix_attention

WIDTH, BLOCK, EMBEDDINGS = 1024, 12_596_224, 50_257 * 1024


def meta(name: str, family: str, sites: tuple[str, ...], model, tokenizer, layers: int) -> Backbone:
    size = sum(weight.numel() for weight in model.parameters())
    encoder = layers if "encoder" in sites else 0
    spec = BackboneSpec(name, "hub", family, layers, 16, 16, 64, WIDTH, 50_257, 1024, size, "", sites, "", encoder)
    install_prefix_attention(model)
    return Backbone(spec, model, tokenizer, torch.device("meta"))


@pytest.fixture(scope="module")
def medium(tiny):
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config(n_embd=1024, n_layer=24, n_head=16))
    return meta("gpt2-medium", "causal", ("decoder",), model, tiny.tokenizer, 24)


@pytest.fixture(scope="module")
def large(bart):
    with torch.device("meta"):
        model = BartForConditionalGeneration(BartConfig())
    return meta("bart-large", "seq2seq", ("encoder", "decoder", "cross"), model, bart.tokenizer, 12)


def adapters(blocks: int, size: int) -> int:
    return blocks * (2 * WIDTH + (WIDTH * size + size) + (size * WIDTH + WIDTH))


MLP = 5 * 1024 + (1024 * 512 + 512) + (512 * 49_152 + 49_152)  # what is trained for P = 5 with the official code's MLP of 512
MEDIUM = [
    (dict(method="prefix", length=5), 245_760, 245_760),
    (dict(method="prefix", length=5, mlp=512), MLP, 245_760),
    (dict(method="infix", length=5), 245_760, 245_760),
    (dict(method="embedding", length=20), 20_480, 20_480),
    (dict(method="finetune"), 354_823_168, 354_823_168),
    (dict(method="top_layers", layers=2), 2 * BLOCK + 2 * WIDTH + EMBEDDINGS, 76_657_664),
    (dict(method="adapter", bottleneck=4), adapters(24, 4), 270_432),
    (dict(method="adapter", length=5), adapters(24, 3), 221_256),  # the nearest to 245,760: 4 would give 270,432
    (dict(method="adapter", share=0.03), adapters(24, 215), 10_646_568),
    (dict(method="lora", rank=8), 24 * 8 * (1024 + 3072), 786_432),
    (dict(method="in_context"), 0, 0),
]
LARGE = [
    (dict(method="prefix", length=200), 14_745_600, 14_745_600),
    (dict(method="prefix", length=100), 7_372_800, 7_372_800),
    (dict(method="finetune"), 406_291_456, 406_291_456),
    (dict(method="adapter", bottleneck=4), adapters(24, 4), 270_432),
    (dict(method="lora", rank=8), 36 * 2 * 8 * (1024 + 1024), 1_179_648),  # q_proj and v_proj of 12 + 12 + 12 attentions
]


@pytest.mark.slow
@pytest.mark.parametrize(("changes", "trained", "stored"), MEDIUM)
def test_gpt2_medium(medium, changes, trained, stored):
    counts = parameter_counts(medium, TrainConfig(**changes))
    assert (counts.trained, counts.stored, counts.backbone) == (trained, stored, 354_823_168)


@pytest.mark.parametrize(("changes", "trained", "stored"), LARGE)
def test_bart_large(large, changes, trained, stored):
    counts = parameter_counts(large, TrainConfig(**changes))
    assert (counts.trained, counts.stored, counts.backbone) == (trained, stored, 406_291_456)


def test_shares_of_the_bundled_model():
    backbone = load_backbone("mini-gpt2", "cpu")
    shares = {
        0.165: dict(method="prefix", length=5),
        0.33: dict(method="prefix", length=10),
        0.082: dict(method="adapter", bottleneck=1),
        0.31: dict(method="adapter", bottleneck=8),
    }
    for percent, changes in shares.items():
        assert 100 * parameter_counts(backbone, TrainConfig(**changes)).share == pytest.approx(percent, rel=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHOD_CLASSES)
def test_counts_are_those_of_the_method_itself(tiny, name):
    config = TrainConfig(method=name, length=3, mlp=8)
    method, counts = new_method(tiny, config), parameter_counts(tiny, config)
    assert counts.trained == sum(weight.numel() for weight in method.parameters())
    assert counts.stored == sum(tensor.numel() for tensor in method.tensors().values())


def test_every_method_has_settings_in_every_preset():
    assert METHODS.keys() == METHOD_CLASSES.keys()
    for name in METHODS:
        assert all(preset(one, name).method == name for one in ("paper", "fast", "mini"))
