"""Families whose logits, attention, layers, beginnings or ends are not GPT-2's: right, or refused by name."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from analysis.benchmark.families import save_tiny, try_family
from app.shared.catalog import is_trained_on
from core.config.train import TrainConfig
from core.errors import BackboneNotFound, NotSupported, TooLong
from core.generation.limits import check_length
from core.generation.types import make_request
from core.methods.registry import new_method
from core.models.activations import text_prefix
from core.models.architectures import input_embeddings, unembed
from core.models.inputs import encode_answer, encode_input, task_for_backbone
from core.models.loading import load_backbone
from core.prefix.attention import attach
from core.runs.run import Run
from core.runs.store import Store
from core.task import Task
from tests.support.tiny_models import make_run, make_tiny_backbone

IDS = torch.tensor([[5, 9, 2, 7, 30, 11, 4, 8]])


@pytest.fixture(autouse=True)
def no_verdicts(tmp_path, monkeypatch):
    """Every family is checked anew."""
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("core.models.probe._passed", set())


def make_llama(folder, eos="</s>", extra=(), bos=True, named_eos=True, added=True, **config):
    """A random Llama whose tokenizer puts <s> in front and calls its end what is asked for.

    `added`: whether the end and others are special tokens, rather than words of the vocabulary.
    """
    special = ["<unk>", "<s>", eos, *extra]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({word: index for index, word in enumerate([*special, *letters])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special if added else special[:2])
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    torch.manual_seed(0)
    sizes = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, initializer_range=0.3)
    values = dict(bos_token_id=1, eos_token_id=2, max_position_embeddings=128) | sizes | config
    LlamaForCausalLM(LlamaConfig(vocab_size=len(special) + len(letters), **values)).save_pretrained(folder)
    names = dict(bos_token="<s>", unk_token="<unk>") | (dict(eos_token=eos) if named_eos else {})
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    return folder


def test_ends_and_beginnings_are_the_tokenizers_own(tmp_path):
    backbone = load_backbone(str(make_llama(tmp_path / "llama", "<|im_end|>", ["<|endoftext|>"])), "cpu")
    task = task_for_backbone(backbone, "e2e")
    assert (backbone.eos, backbone.eos_id, backbone.bos_ids, task.end, task.bos) == ({2}, 2, [1], "<|im_end|>", True)
    assert encode_answer(backbone, task, "A pub.") == [*backbone.encode("A pub."), 2]
    assert encode_input(backbone, task, "name : Alda").ids == [1, *backbone.encode("name : Alda\n")]
    infix = encode_input(backbone, task, "name : Alda", infix=True)
    assert infix.ids[0] == 1 and infix.split == 1 + len(backbone.encode("name : Alda"))
    paper = task_for_backbone(backbone, "e2e", "paper")
    assert encode_answer(backbone, paper, "A pub.")[-1] == 2 and paper.separator == " <|im_end|>"


def test_a_text_prefix_equals_the_text_typed_where_a_token_begins_every_text(tmp_path):
    backbone = load_backbone(str(make_llama(tmp_path / "llama")), "cpu")
    task, prefix = task_for_backbone(backbone, "e2e"), text_prefix(backbone, "Tell it: ")
    typed = encode_input(backbone, task, "Tell it: name : Alda").ids
    request = make_request(backbone, task, "name : Alda", prefix)
    assert prefix.length + len(request.prompt_ids) == len(typed) and request.prompt_ids == typed[prefix.length :]


def test_a_stored_task_reads_as_it_was_trained(tmp_path):
    backbone = load_backbone(str(make_llama(tmp_path / "llama")), "cpu")
    stored = Task.from_dict(
        {"name": "e2e", "form": "table", "lead": "", "separator": "\n", "target_lead": "", "end": "</s>", "cut": 0}
    )
    assert encode_input(backbone, stored, "a").ids == backbone.encode("a\n") and "bos" not in stored.to_dict()
    assert Task.from_dict(task_for_backbone(backbone, "e2e").to_dict()) == task_for_backbone(backbone, "e2e")


def test_several_ends_and_an_end_of_the_generation_config(tmp_path):
    folder = make_llama(tmp_path / "llama", extra=["<turn>", "<other>"], eos_token_id=[2, 3])
    assert load_backbone(str(folder), "cpu").eos == {2, 3}
    (folder / "generation_config.json").write_text('{"eos_token_id": [2, 4]}')
    assert load_backbone(str(folder), "cpu").eos == {2, 3, 4}
    plain = make_llama(tmp_path / "plain", extra=["<turn>"], eos_token_id=50)  # an ordinary letter of this tokenizer
    assert load_backbone(str(plain), "cpu").eos == {2}


@pytest.mark.parametrize(("eos_token_id", "named_eos"), [(None, False), (-1, False), (50, False), ([50, 60], False)])
def test_no_end_at_all_is_one_sentence(tmp_path, eos_token_id, named_eos):
    """50 and 60 are letters of this tokenizer, as a default of a configuration class may be."""
    folder = make_llama(tmp_path / "llama", named_eos=named_eos, eos_token_id=eos_token_id)
    with pytest.raises(NotSupported, match="No token ends a text in this llama model"):
        load_backbone(str(folder), "cpu")


def test_an_end_that_the_weights_lack_is_one_sentence(tmp_path):
    folder = make_llama(tmp_path / "llama", named_eos=False, eos_token_id=None)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.add_special_tokens({"eos_token": "<|new|>"})
    tokenizer.save_pretrained(folder)
    with pytest.raises(NotSupported, match="names an eos token within the 259 ids of the weights"):
        load_backbone(str(folder), "cpu")


def test_an_end_that_its_tokenizer_does_not_call_special_is_learned_and_never_written(tmp_path):
    backbone = load_backbone(str(make_llama(tmp_path / "llama", named_eos=False, added=False)), "cpu")
    task = task_for_backbone(backbone, "e2e")
    ids = encode_answer(backbone, task, "A pub.")
    assert (backbone.eos, task.end, ids[-1]) == ({2}, "</s>", 2)
    assert backbone.decode(ids) == "A pub." and backbone.decode(ids, special=True) == "A pub.</s>"


def test_an_end_inside_a_target_is_read_as_characters(tmp_path):
    backbone = load_backbone(str(make_llama(tmp_path / "llama")), "cpu")
    ids = encode_answer(backbone, task_for_backbone(backbone, "e2e"), "Now <s>£20</s> £10.")
    assert ids.count(2) == 1 and 1 not in ids and backbone.decode(ids) == "Now <s>£20</s> £10."


@pytest.mark.parametrize("wrapper", ["_orig_mod.", "module.", "module._orig_mod.", "_fsdp_wrapped_module.", "_forward_module."])
def test_the_names_of_a_wrapped_model_are_undone(tmp_path, wrapper):
    folder = make_llama(tmp_path / "llama")
    plain = load_backbone(str(folder), "cpu").spec.fingerprint
    weights = load_file(folder / "model.safetensors")
    save_file({wrapper + name: weight for name, weight in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    assert load_backbone(str(folder), "cpu").spec.fingerprint == plain


def test_the_names_of_wrapped_blocks_are_undone(tmp_path):
    folder = make_llama(tmp_path / "llama")
    plain = load_backbone(str(folder), "cpu").spec.fingerprint
    inner = {"layers.0.": "layers.0._orig_mod.", "layers.1.": "layers.1._fsdp_wrapped_module._checkpoint_wrapped_module."}
    weights = load_file(folder / "model.safetensors")
    for old, new in inner.items():
        weights = {name.replace(old, new): weight for name, weight in weights.items()}
    save_file({f"_orig_mod.{name}": weight for name, weight in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    assert load_backbone(str(folder), "cpu").spec.fingerprint == plain


def test_causal_masks_that_older_versions_stored_are_no_weights(tmp_path):
    folder = make_tiny_backbone(tmp_path / "gpt2")
    plain = load_backbone(str(folder), "cpu").spec.fingerprint
    masks = {f"transformer.h.{layer}.attn.masked_bias": torch.tensor(-1e4) for layer in range(2)}
    masks |= {f"transformer.h.{layer}.attn.bias": torch.ones(1, 1, 8, 8, dtype=torch.uint8) for layer in range(2)}
    save_file(load_file(folder / "model.safetensors") | masks, folder / "model.safetensors", {"format": "pt"})
    assert load_backbone(str(folder), "cpu").spec.fingerprint == plain


def _shards(folder):
    whole = folder / "model.safetensors"
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder, max_shard_size="30KB")
    whole.unlink(missing_ok=True)
    return sorted(folder.glob("model-*.safetensors"))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda folder: _shards(folder)[1].unlink(), "No such file or directory: .*model-00002-of"),
        (lambda folder: _truncate(_shards(folder)[1]), r"model-00002-of-\d+\.safetensors is cut off or damaged"),
        (lambda folder: _drop_shard(_shards(folder)[0]), "its weights lack "),
        (lambda folder: _shards(folder)[1].write_bytes(POINTER), r"model-00002-of-\d+\.safetensors is a pointer of Git LFS"),
        (lambda folder: (folder / "tokenizer.json").write_bytes(POINTER), "tokenizer.json is a pointer of Git LFS"),
        (lambda folder: _shards(folder)[0].with_name(INDEX).write_text("{}"), "model.safetensors.index.json has no weight_map"),
    ],
)
def test_a_folder_whose_files_are_incomplete_is_refused_with_the_file(tmp_path, change, match):
    folder = make_llama(tmp_path / "llama")
    change(folder)
    with pytest.raises(BackboneNotFound, match=match):
        load_backbone(str(folder), "cpu")


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
INDEX = "model.safetensors.index.json"


def _truncate(file):
    file.write_bytes(file.read_bytes()[:-100])


def _drop_shard(file):
    index = file.with_name(INDEX)
    content = json.loads(index.read_text())
    content["weight_map"] = {name: shard for name, shard in content["weight_map"].items() if shard != file.name}
    index.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda weights: weights.pop("model.layers.1.mlp.down_proj.weight"), r"lack model\.layers\.1\.mlp\.down_proj\.weight"),
        (lambda weights: weights.pop("lm_head.weight"), r"lack lm_head\.weight"),
        (lambda weights: weights.update({"model.layers.2.mlp.up_proj.weight": torch.zeros(48, 32)}), "beyond what config.json"),
        (lambda weights: weights.update({"model.norm.weight": torch.zeros(31)}), "in other sizes than its config.json says"),
        (lambda weights: weights.update({"module.model.norm.weight": torch.zeros(32)}), r"hold model\.norm\.weight twice"),
    ],
)
def test_weights_that_are_missing_unexpected_or_of_another_shape_are_refused(tmp_path, change, match):
    folder = make_llama(tmp_path / "llama")
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BackboneNotFound, match=match):
        load_backbone(str(folder), "cpu")


CAPS = dict(attn_logit_softcapping=2.0, final_logit_softcapping=2.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "changes"), [("granite", {}), ("gemma2", CAPS), ("gpt_oss", {}), ("opt", {}), ("mistral", {}), ("gpt2", {})]
)
def test_training_loss_and_generation_are_the_models_own(tmp_path, family, changes):
    save_tiny(family, tmp_path / family, **changes)
    backbone = load_backbone(str(tmp_path / family), "cpu")
    own = AutoModelForCausalLM.from_pretrained(tmp_path / family, attn_implementation="eager")
    with torch.no_grad(), attach(backbone.model, None):
        expected = own(IDS).logits
        logits = unembed(backbone.model, backbone.model.base_model(IDS, use_cache=False).last_hidden_state)
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-4)
    assert F.cross_entropy(logits[0, :-1], IDS[0, 1:]).item() == pytest.approx(
        F.cross_entropy(expected[0, :-1], IDS[0, 1:]).item(), rel=1e-4
    )
    assert try_family(family, tmp_path / "again") == "works"


@pytest.mark.slow
@pytest.mark.parametrize("family", ["deepseek_v3", "qwen3_next", "gemma4_text", "bloom", "mamba"])
def test_a_family_that_does_not_fit_is_refused_by_name(tmp_path, family):
    assert try_family(family, tmp_path / family).startswith("refused: ")


def test_a_model_that_computes_otherwise_with_our_attention_is_refused(tmp_path, monkeypatch):
    import core.prefix.attention_function as attention

    monkeypatch.setattr(attention, "repeat_kv", lambda kv, groups: torch.zeros_like(kv))
    folder = make_llama(tmp_path / "llama")
    with pytest.raises(NotSupported, match=r"LlamaForCausalLM \(llama\).*gradients"):
        load_backbone(str(folder), "cpu")


def test_vectors_for_the_input_carry_the_models_own_scaling(tmp_path):
    save_tiny("gemma2", tmp_path / "gemma2")
    backbone = load_backbone(str(tmp_path / "gemma2"), "cpu")
    ids = backbone.encode("table")
    vectors = new_method(backbone, TrainConfig(method="embedding", length=len(ids), init="words", init_words="table")).vectors
    raw = backbone.model.get_input_embeddings().weight[ids]
    torch.testing.assert_close(vectors.detach(), raw * 8)  # the square root of the width 64
    torch.testing.assert_close(vectors.detach(), input_embeddings(backbone.model, ids))


def test_texts_end_where_longrope_would_turn_the_keys_otherwise(tmp_path):
    factors = dict(short_factor=[1.0] * 4, long_factor=[4.0] * 4, original_max_position_embeddings=32)
    make_llama(tmp_path / "long", rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, **factors))
    backbone = load_backbone(str(tmp_path / "long"), "cpu")
    assert backbone.spec.positions == 32
    with pytest.raises(TooLong, match="has 32 positions and 4 are kept"):
        check_length(backbone, prompt=29, prefix=0, new=4)


def test_copies_of_a_folder_load_alike(tmp_path):
    folder = make_llama(tmp_path / "llama")
    copied = shutil.copytree(folder, tmp_path / "copy")
    assert load_backbone(str(folder), "cpu").spec.fingerprint == load_backbone(str(copied), "cpu").spec.fingerprint


@pytest.mark.slow
def test_a_run_remembers_where_its_backbone_lies(tmp_path):
    one, other = (make_tiny_backbone(tmp_path / place / "tiny", seed) for seed, place in enumerate("ab"))
    runs = [make_run(folder, tmp_path / "runs", folder.parent.name) for folder in (one, other)]
    assert [run.backbone for run in runs] == ["tiny", "tiny"]
    stored = Store(tmp_path / "runs").get("b")
    assert stored.backbone_source == str(other.resolve())
    assert load_backbone(stored.backbone_source, "cpu").spec.fingerprint == stored.fingerprint != runs[0].fingerprint
    assert [is_trained_on(run, str(other)) for run in runs] == [False, True]


def test_a_run_on_a_hub_model_remembers_the_revision(tmp_path, monkeypatch):
    old, new = "a" * 40, "b" * 40
    for revision, seed in ((old, 0), (new, 1)):
        make_tiny_backbone(tmp_path / "models--somebody--tiny" / "snapshots" / revision, seed)
    refs = tmp_path / "models--somebody--tiny" / "refs"
    refs.mkdir()
    (refs / "main").write_text(old)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    first = load_backbone("somebody/tiny", "cpu").spec
    run = Run.new(tmp_path / "run", first, "prefix", Task(), {})
    assert (run.backbone, run.backbone_source) == ("somebody/tiny", f"somebody/tiny@{old}")
    (refs / "main").write_text(new)
    assert load_backbone(run.backbone_source, "cpu").spec.fingerprint == first.fingerprint
    assert load_backbone("somebody/tiny", "cpu").spec.fingerprint != first.fingerprint
