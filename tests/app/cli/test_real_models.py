"""Models in the on-disk form in which they are published, tiny and random: trained on and inspected, by the command
line and through the app's own parts.

The forms were read off the published files: GPT-2's weights lack the "transformer." before their names and hold the causal masks
as tensors; its tokenizer is vocab.json with merges.txt. A modern decoder shares keys and values among heads, is kept in bf16
over several files with an index, and brings decoding settings of its own, which must not leak into ours.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, Qwen2Config, Qwen2ForCausalLM

from analysis.attention.maps import attention_mass
from analysis.space.neighbors import nearest
from analysis.space.spaces import prefix_vectors, vocabulary_space
from analysis.space.vocabulary_kv import KINDS
from analysis.tensor_cache import TensorCache
from app.cli.main import main
from app.compare.comparison import CompareRequest, compare
from app.shared.context import AppContext
from core.config.decode import DecodeConfig
from core.generation.types import Request
from core.models.loading import load_backbone
from core.runs.store import Store
from tests.support.tiny_models import END, EXAMPLES, make_tokenizer
from tests.support.vocabulary_tables import vocabulary_kv

SOURCE = "name : Alda | Type : pub | area : north"


def gpt2(folder: Path, layers: int, heads: int, width: int) -> Path:
    """As gpt2 and gpt2-medium lie on the hub."""
    torch.manual_seed(layers)
    config = GPT2Config(
        vocab_size=257, n_positions=256, n_embd=width, n_layer=layers, n_head=heads, bos_token_id=0, eos_token_id=0,
        initializer_range=0.3, task_specific_params={"text-generation": {"do_sample": True, "max_length": 50}},
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)
    weights = {name.removeprefix("transformer."): tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    weights.pop("lm_head.weight", None)
    for layer in range(layers):
        weights[f"h.{layer}.attn.bias"] = torch.ones(256, 256).tril()[None, None]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    written = json.loads((folder / "config.json").read_text()) | {"n_ctx": 256, "architectures": ["GPT2LMHeadModel"]}
    (folder / "config.json").write_text(json.dumps({key: value for key, value in written.items() if key != "dtype"}))
    vocabulary = make_tokenizer().get_vocab()
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer", "model_max_length": 256}))
    return folder


def qwen(folder: Path) -> Path:
    """As a modern decoder lies there: grouped queries, tied embeddings, bf16 in shards, sampling by default."""
    torch.manual_seed(7)
    config = Qwen2Config(
        vocab_size=272, max_position_embeddings=512, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
        num_attention_heads=8, num_key_value_heads=2, tie_word_embeddings=True, initializer_range=0.3, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder, max_shard_size="30KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    make_tokenizer().save_pretrained(folder)
    sampling = {"do_sample": True, "temperature": 0.1, "repetition_penalty": 9.0, "eos_token_id": [0, 1], "max_new_tokens": 1}
    (folder / "generation_config.json").write_text(json.dumps(sampling))
    return folder


FORMS = {
    "gpt2": lambda folder: gpt2(folder, layers=2, heads=4, width=32),
    "gpt2-medium": lambda folder: gpt2(folder, layers=4, heads=8, width=64),
    "grouped": qwen,
}


@pytest.fixture(scope="module", params=FORMS)
def model(request, tmp_path_factory) -> Path:
    return FORMS[request.param](tmp_path_factory.mktemp("published") / request.param)


@pytest.fixture(scope="module")
def home(model, tmp_path_factory) -> Path:
    """A store with a prefix that the command line trained on the model."""
    place = tmp_path_factory.mktemp("home")
    data = place / "rows.jsonl"
    data.write_text("".join(json.dumps({"table": one.source, "text": one.targets[0]}) + "\n" for one in EXAMPLES))
    words = [
        "--length",
        "3",
        "--mlp",
        "0",
        "--init",
        "words",
        "--updates",
        "4",
        "--batch",
        "5",
        "--rate",
        "0.05",
        "--device",
        "cpu",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFIX_LAB_HOME", str(place))
        assert main(["train", "--data", str(data), "--run", "mine", "--backbone", str(model), *words]) == 0
    return place


def test_weights_are_all_taken_and_end_and_decoding_are_the_models_and_ours(model):
    backbone = load_backbone(str(model), "cpu")
    weights = {name: tensor for file in model.glob("*.safetensors") for name, tensor in load_file(file).items()}
    embeddings = weights.get("wte.weight", weights.get("model.embed_tokens.weight"))
    assert backbone.model.get_input_embeddings().weight.equal(embeddings.float())
    assert backbone.model.get_output_embeddings().weight.equal(embeddings.float())
    assert 0 in backbone.eos and backbone.decode(backbone.encode(SOURCE)) == SOURCE
    assert backbone.encode(END) == [0] and backbone.spec.heads % backbone.spec.kv_heads == 0


def test_the_command_line_trains_generates_and_scores(model, home, monkeypatch, capsys):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(home))
    run = json.loads((home / "runs" / "mine" / "run.json").read_text())
    spec = load_backbone(str(model), "cpu").spec
    assert run["stored"] == spec.layers * 2 * spec.kv_heads * 3 * spec.head_dim
    values, outputs = ["--run", "mine", "--backbone", str(model), "--device", "cpu", "--json"], []
    for options in ([], [], ["--mode", "beam", "--beams", "3", "--min-new", "5"]):
        assert main(["generate", *values, "--max-new", "9", *options, SOURCE]) == 0
        outputs.append(json.loads(capsys.readouterr().out))
    assert outputs[0]["raw"] == outputs[1]["raw"]  # greedy, whatever the model's own settings say
    assert outputs[2]["tokens"] >= 5
    few = ["--data", str(home / "rows.jsonl"), "--tables", "2", "--beams", "2", "--max-new", "6"]
    assert main(["evaluate", *values, *few]) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["BLEU"]["n"] == 2


def test_the_app_compares_with_it_and_looks_into_its_prefix(model, home):
    context = AppContext(str(model), "cpu", Store(home / "runs"))
    try:
        backbone = context.models.backbone(context.models.default)
        *_, comparison = compare(
            context, backbone, CompareRequest(SOURCE, "mine", decode=DecodeConfig(max_new=6, min_new=6)), lambda: False
        )
        assert comparison.phase == "done" and [comparison.columns[kind].tokens for kind in ("base", "prefix")] == [6, 6]
        loaded = context.models.load("mine", backbone)
        written = comparison.columns["prefix"]
        mass = context.models.run_job(
            attention_mass, loaded.model, backbone, Request(written.prompt_ids, loaded.prefix), written.ids
        )
        spec = backbone.spec
        assert mass.mass.shape[:2] == (spec.layers, spec.heads) and mass.virtual == 3
        assert torch.allclose(mass.mass.sum(-1), torch.ones(()), atol=1e-4)
        for kind in KINDS:
            words = vocabulary_space(
                context.models.run_job(vocabulary_kv, backbone, kind, spec.layers - 1, TensorCache(home / "cache"))
            )
            neighbors = nearest(words, prefix_vectors(loaded.prefix, kind, spec.layers - 1, None, spec.fingerprint), 4)
            assert len(neighbors) == 3 * 4 and all(abs(one.score) <= 1.001 for one in neighbors)
    finally:
        context.models.engine.close()
