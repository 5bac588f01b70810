"""Loading models, and saying plainly why one cannot be loaded."""

import json
import os
import shutil
import subprocess
import sys

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from core.errors import BackboneNotFound, BadConfig
from core.models.loading import fingerprint, load_backbone
from core.models.locate import bundled
from tests.support.tiny_models import make_tiny_backbone


def test_the_bundled_model_loads(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "mini-gpt2" in bundled()
    backbone = load_backbone("mini-gpt2", "cpu")
    spec = backbone.spec
    assert (spec.origin, spec.layers, spec.width, spec.positions, spec.vocabulary) == ("bundled", 6, 384, 512, 8192)
    assert backbone.decode(backbone.encode("name : Café Olé | £ 20 - 25\n")) == "name : Café Olé | £ 20 - 25\n"
    assert not any(weight.requires_grad for weight in backbone.model.parameters())


def test_fingerprint_distinguishes_models_but_not_the_dtype(tiny_folder, tmp_path):
    again = load_backbone(str(tiny_folder), "cpu")
    other = load_backbone(str(make_tiny_backbone(tmp_path / "m", seed=1)), "cpu")
    half = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.bfloat16)
    assert fingerprint(half) == again.spec.fingerprint != other.spec.fingerprint


def test_fingerprint_of_embeddings_as_large_as_those_of_gpt2_medium():
    """Their last places are beyond what a float32 counts exactly."""
    model = nn.Module()
    model.words = nn.Parameter(torch.zeros(1).expand(50257, 1024))  # one number of memory
    assert len(fingerprint(model)) == 16


@pytest.mark.slow
def test_fingerprint_is_the_same_on_another_kind_of_processor():
    code = "from core.models.loading import load_backbone; print(load_backbone('mini-gpt2', 'cpu').spec.fingerprint)"
    plain = os.environ | {"ATEN_CPU_CAPABILITY": "default"}  # torch without this processor's vector instructions
    process = subprocess.run([sys.executable, "-c", code], env=plain, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == load_backbone("mini-gpt2", "cpu").spec.fingerprint


def test_a_grouped_query_model_has_its_own_count_of_key_heads(llama):
    assert (llama.spec.heads, llama.spec.kv_heads, llama.spec.head_dim) == (4, 2, 8)


def test_a_hub_name_without_a_network_says_what_was_tried(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(BackboneNotFound, match=r"Tried: the bundled models .*the model hub \(no connection.*give the folder"):
        load_backbone("gpt2-medium-of-nobody", "cpu")


def test_a_hub_model_in_the_cache_needs_no_network(monkeypatch, tmp_path):
    snapshot = tmp_path / "models--somebody--tiny" / "snapshots" / "abc"
    make_tiny_backbone(snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    spec = load_backbone("somebody/tiny", "cpu").spec
    assert (spec.name, spec.origin, spec.width) == ("somebody/tiny", "hub", 32)


@pytest.mark.parametrize("setting", [{"return_dict": False}, {"output_attentions": True}])
def test_settings_for_other_callers_do_not_matter(tiny_folder, tmp_path, setting):
    folder = tmp_path / "set"
    shutil.copytree(tiny_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | setting))
    assert load_backbone(str(folder), "cpu").spec.fingerprint == load_backbone(str(tiny_folder), "cpu").spec.fingerprint


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"n_head": "six"}, r"config\.json has a value of the wrong type for n_head: 'six'\."),
        ({"n_layer": 3.5}, r"config\.json has a value of the wrong type for n_layer: 3\.5\."),
        ({"n_embd": None}, r"config\.json has a value of the wrong type for n_embd: null\."),
        ({"quantization_config": 3}, r"config\.json has a value of the wrong type: a number\."),
        ({"dtype": "float99"}, r"config\.json names the number type 'float99', which is not known\."),
    ],
)
def test_a_damaged_value_of_the_configuration_is_named(tiny_folder, tmp_path, setting, message):
    folder = tmp_path / "set"
    shutil.copytree(tiny_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | setting))
    with pytest.raises(BackboneNotFound, match=message):
        load_backbone(str(folder), "cpu")


@pytest.mark.parametrize("name", ["", "  ", "/no/such/folder", "./nowhere", "~/nowhere-at-all"])
def test_no_such_folder(name):
    with pytest.raises(BackboneNotFound, match=r"Bundled|There is no folder"):
        load_backbone(name, "cpu")


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(BackboneNotFound, match=r"no config\.json"):
        load_backbone(str(tmp_path), "cpu")


def test_a_folder_without_a_tokenizer_or_with_broken_weights(tmp_path):
    folder = make_tiny_backbone(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(BackboneNotFound, match="Cannot load the model"):
        load_backbone(str(folder), "cpu")
    other = make_tiny_backbone(tmp_path / "n")
    for path in other.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(BackboneNotFound, match="tokenizer"):
        load_backbone(str(other), "cpu")


def _save(folder, change):
    file = folder / "model.safetensors"
    save_file({name: change(name, weight) for name, weight in load_file(file).items()}, file, {"format": "pt"})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda name, weight: weight * float("nan") if name.endswith("wte.weight") else weight,
            r"its weights contain NaN or infinity: transformer\.wte\.weight",
        ),
        (lambda name, weight: weight.to(torch.int8), "its weights are whole numbers, of a quantization that config"),
    ],
)
def test_weights_that_mean_nothing_are_refused(tmp_path, change, sentence):
    folder = make_tiny_backbone(tmp_path / "m")
    _save(folder, change)
    with pytest.raises(BackboneNotFound, match=sentence):
        load_backbone(str(folder), "cpu")


def test_a_folder_that_is_no_language_model_or_lacks_a_part_says_which(tmp_path):
    folder = make_tiny_backbone(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "vit"}))
    with pytest.raises(BackboneNotFound, match="a model of the kind ViT writes no text"):
        load_backbone(str(folder), "cpu")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BackboneNotFound, match=r"it has no model\.safetensors; a pickle"):
        load_backbone(str(folder), "cpu")


def test_a_tokenizer_that_cannot_read_is_refused(tmp_path):
    folder = make_tiny_backbone(tmp_path / "m")
    words = Tokenizer(models.WordLevel({"<|endoftext|>": 0, "name": 1}))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<|endoftext|>").save_pretrained(folder)
    with pytest.raises(BackboneNotFound, match=r"Cannot load the tokenizer in .*: WordLevel error: Missing \[UNK\] token"):
        load_backbone(str(folder), "cpu")


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "tpu", "xla"])
def test_a_device_that_is_not_there(tiny_folder, device):
    with pytest.raises(BadConfig, match="device"):
        load_backbone(str(tiny_folder), device)
