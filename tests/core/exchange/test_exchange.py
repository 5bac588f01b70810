"""Prefixes from and to PEFT and the authors' code: the logits stay what they were."""

import json
import pickle
from itertools import pairwise

import pytest
import torch
from peft import PeftModel, PrefixTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, DynamicCache

from core.config.decode import DecodeConfig
from core.errors import BadInput, NotSupported, StoreError, TooLong, WrongBackbone
from core.exchange.export_peft import export_peft
from core.exchange.import_checkpoint import read_checkpoint, store_imported
from core.generation.generate import generate
from core.generation.types import Request, make_request
from core.methods.loading import load_run
from core.models.inputs import task_for_backbone
from core.models.loading import load_backbone
from core.prefix.attention import PrefixState, attach
from core.runs.store import Store
from core.task import task
from tests.support.tiny_models import make_run, make_tiny_backbone, make_tiny_bart, make_tiny_llama, with_start_token

IDS = torch.tensor([[5, 9, 30, 41, 7, 7, 88]])


def ours(backbone, prefix):
    """Logits of IDS after a prefix, at positions from P on: (T, vocabulary)."""
    places = torch.arange(IDS.shape[1])[None] + prefix.length
    with torch.no_grad(), attach(backbone.model, PrefixState.of([prefix], backbone.device, backbone.dtype)):
        return backbone.model(IDS, position_ids=places, use_cache=False).logits[0]


def plain(folder, encodes=False):
    """The same model as PEFT's users load it."""
    return (AutoModelForSeq2SeqLM if encodes else AutoModelForCausalLM).from_pretrained(folder).eval()


def theirs(model):
    with torch.no_grad():
        return model.eval()(IDS, attention_mask=torch.ones_like(IDS)).logits[0]


def same(one, other):
    torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)


def peft_adapter(model_folder, folder, mlp=0, length=4):
    """A random adapter made and saved by PEFT itself, and its logits."""
    torch.manual_seed(3)
    config = PrefixTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=length, prefix_projection=bool(mlp), encoder_hidden_size=mlp or None
    )
    model = get_peft_model(plain(model_folder), config)
    model.save_pretrained(folder)
    return model


def authors_checkpoint(folder, tensors, **changes):
    """The two files that the authors' trainer writes for GPT-2."""
    folder.mkdir(parents=True)
    config = {"model_type": "gpt2", "n_layer": 2, "n_head": 4, "n_embd": 32, "preseqlen": 5, "format_mode": "cat"}
    config |= {"_my_arg_task_mode": "webnlg", "_my_arg_tune_mode": "prefixtune", "use_infix": False} | changes
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(tensors, folder / "pytorch_model.bin")
    return folder


def mlp_tensors(hidden=(16,), length=5, width=32, out=2 * 2 * 32):
    torch.manual_seed(4)
    sizes = [width, *hidden, out]
    tensors = {"wte.weight": torch.randn(length, width)}
    for place, (low, high) in enumerate(pairwise(sizes)):
        tensors |= {f"control_trans.{2 * place}.{name}": kv for name, kv in nn.Linear(low, high).state_dict().items()}
    return tensors


def with_cache(model, stack):
    """Logits after a past of the authors' layout (layers * 2, heads, P, head_dim), through transformers' own cache."""
    pairs = [(stack[2 * layer][None], stack[2 * layer + 1][None]) for layer in range(len(stack) // 2)]
    with torch.no_grad():
        return model(IDS, past_key_values=DynamicCache(pairs)).logits[0]


@pytest.mark.parametrize("mlp", [0, 16])
def test_a_prefix_that_peft_trained_gives_the_same_logits_here(tiny, tiny_folder, tmp_path, mlp):
    model = peft_adapter(tiny_folder, tmp_path / "adapter", mlp)
    imported = read_checkpoint(tmp_path / "adapter", tiny.spec)
    run = store_imported(imported, "theirs", tiny, Store(tmp_path / "store"), command="python launch.py import")
    same(ours(tiny, load_run(run, tiny).prefix), theirs(model))


def test_a_prefix_of_peft_reads_the_start_token_of_its_model(tmp_path):
    """PEFT's users read prompts as the tokenizer makes them; a Llama's has a start token."""
    folder = with_start_token(make_tiny_llama(tmp_path / "llama"))
    peft_adapter(folder, tmp_path / "adapter")
    backbone = load_backbone(str(folder), "cpu")
    run = store_imported(read_checkpoint(tmp_path / "adapter", backbone.spec), "theirs", backbone, Store(tmp_path / "store"))
    loaded = load_run(run, backbone)
    prompt = make_request(backbone, loaded.task, "name : Alda", loaded.prefix).prompt_ids
    assert prompt == backbone.tokenizer("name : Alda\n")["input_ids"] and prompt[0] == 0
    assert run.task == task_for_backbone(backbone, "e2e")


def test_peft_weights_with_their_mlp_are_folded(tiny, tiny_folder, tmp_path):
    model = peft_adapter(tiny_folder, tmp_path, mlp=16)
    encoder = model.prompt_encoder["default"].state_dict()
    save_file({f"prompt_encoder.default.{name}": kv for name, kv in encoder.items()}, tmp_path / "adapter_model.safetensors")
    imported = read_checkpoint(tmp_path, tiny.spec)
    assert imported.mlp == 16 and imported.trained == sum(kv.numel() for kv in encoder.values())
    same(ours(tiny, imported.prefix), theirs(model))


@pytest.mark.parametrize("llama", [False, True])
def test_what_we_export_gives_the_same_logits_in_peft(tiny_folder, tmp_path, llama):
    folder = make_tiny_llama(tmp_path / "llama") if llama else tiny_folder  # keys and values in fewer heads; rotary positions
    backbone = load_backbone(str(folder), "cpu")
    run = make_run(folder, tmp_path / "store", "mine", length=3)
    export_peft(run, tmp_path / "out" / "adapter")
    prefix = load_run(run, backbone).prefix
    same(theirs(PeftModel.from_pretrained(plain(folder), tmp_path / "out" / "adapter")), ours(backbone, prefix))
    again = read_checkpoint(tmp_path / "out" / "adapter", backbone.spec)
    assert torch.equal(again.prefix.past["decoder"], prefix.past["decoder"]) and again.task == run.task


@pytest.mark.slow
@pytest.mark.parametrize(("make", "rank"), [(make_tiny_backbone, 3), (make_tiny_llama, 2), (make_tiny_bart, 2)])
def test_an_exported_lora_gives_the_same_logits_in_peft(tmp_path, make, rank):
    folder = make(tmp_path / "model")
    backbone = load_backbone(str(folder), "cpu")
    run = make_run(folder, tmp_path / "store", "mine", method="lora", rank=rank, lora_alpha=5, rate=0.1)
    export_peft(run, tmp_path / "adapter")
    model = PeftModel.from_pretrained(plain(folder, backbone.is_encoder_decoder), tmp_path / "adapter")
    values = {"decoder_input_ids": IDS} if backbone.is_encoder_decoder else {}
    with torch.no_grad():
        expected = load_run(run, backbone).model(IDS, **values).logits
        same(model.eval()(IDS, **values).logits, expected)
        with model.disable_adapter():
            assert (model(IDS, **values).logits - expected).abs().max() > 0.01
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["r"] == rank


def test_peft_generates_with_an_exported_prefix_what_we_generate(tiny, tiny_folder, tmp_path):
    run = make_run(tiny_folder, tmp_path / "store", "mine", length=3)
    loaded = load_run(run, tiny)
    generation = generate(tiny.model, tiny, [Request(IDS[0].tolist(), loaded.prefix)], DecodeConfig(max_new=8))[0]
    model = PeftModel.from_pretrained(plain(tiny_folder), export_peft(run, tmp_path / "adapter"))
    out = model.generate(input_ids=IDS, attention_mask=torch.ones_like(IDS), max_new_tokens=8, do_sample=False)
    assert out[0, IDS.shape[1] :].tolist() == generation.ids


@pytest.mark.parametrize("hidden", [(16,), (16, 24)])
def test_the_authors_mlp_is_folded(tiny, tiny_folder, tmp_path, hidden):
    tensors = mlp_tensors(hidden)
    imported = read_checkpoint(authors_checkpoint(tmp_path / "theirs", tensors), tiny.spec)
    flat = tensors["wte.weight"]
    for place in range(len(hidden) + 1):
        flat = nn.functional.linear(
            flat if place == 0 else torch.tanh(flat),
            tensors[f"control_trans.{2 * place}.weight"],
            tensors[f"control_trans.{2 * place}.bias"],
        )
    stack = flat.view(5, 4, 4, 8).permute(1, 2, 0, 3)  # (P, layers * 2, heads, head_dim) to (layers * 2, heads, P, head_dim)
    same(ours(tiny, imported.prefix), with_cache(plain(tiny_folder), stack))
    assert imported.task == task("webnlg", "paper") and imported.mlp == 16


def test_the_authors_prefix_without_an_mlp(tiny, tiny_folder, tmp_path):
    stack = torch.randn(4, 4, 5, 8)  # as if from words: their past, with a batch of one
    shallow = {"control_trans": stack[:, None]}
    flat = {"control_trans": stack.permute(2, 0, 1, 3).flatten()}  # as if begun at random
    for name, tensors in {"words": shallow, "random": flat}.items():
        imported = read_checkpoint(authors_checkpoint(tmp_path / name, tensors), tiny.spec)
        same(ours(tiny, imported.prefix), with_cache(plain(tiny_folder), stack))


def test_an_import_is_a_run_like_any_other_and_says_where_it_is_from(tiny, tmp_path):
    imported = read_checkpoint(authors_checkpoint(tmp_path / "theirs", mlp_tensors(), _name_or_path="gpt2-medium"), tiny.spec)
    store = Store(tmp_path / "store")
    store_imported(imported, "theirs", tiny, store)
    run = store.get("theirs")
    assert (run.status, run.method, run.stored, run.config["length"]) == ("done", "prefix", 5 * 2 * 2 * 32, 5)
    assert run.trained == sum(kv.numel() for kv in mlp_tensors().values()) and run.bytes == run.weights.stat().st_size
    assert run.notes == "Imported from a checkpoint of the authors' code, trained on gpt2-medium; its MLP of 16 is folded."
    with pytest.raises(StoreError, match="already"):
        store_imported(imported, "theirs", tiny, store)


def test_an_exported_prefix_is_not_taken_to_another_model(tiny, llama, tiny_folder, tmp_path):
    export_peft(make_run(tiny_folder, tmp_path / "store", "mine"), tmp_path / "adapter")
    other = load_backbone(str(make_tiny_backbone(tmp_path / "other", seed=9)), "cpu")
    with pytest.raises(WrongBackbone, match=r"trained on tiny-gpt2 .*loaded is other"):
        read_checkpoint(tmp_path / "adapter", other.spec)
    with pytest.raises(WrongBackbone, match="num_attention_heads = 4, and tiny-llama has 2"):
        read_checkpoint(tmp_path / "adapter", llama.spec)


def test_a_fine_tuned_run_and_a_used_folder_are_not_exported_to(tiny_folder, tmp_path):
    tuned = make_run(tiny_folder, tmp_path / "store", "tuned", method="finetune", updates=1)
    with pytest.raises(NotSupported, match="'finetune'"):
        export_peft(tuned, tmp_path / "adapter")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "precious.txt").write_text("kept")
    with pytest.raises(BadInput, match="not an empty folder"):
        export_peft(make_run(tiny_folder, tmp_path / "store", "mine"), tmp_path / "used")
    assert not (tmp_path / "adapter").exists() and (tmp_path / "used" / "precious.txt").read_text() == "kept"


def test_a_full_disk_leaves_nothing_behind(tiny, tiny_folder, tmp_path, monkeypatch):
    imported = read_checkpoint(authors_checkpoint(tmp_path / "theirs", mlp_tensors()), tiny.spec)
    run = make_run(tiny_folder, tmp_path / "store", "mine")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.tensor_file.save_file", full)
    with pytest.raises(StoreError, match="No space left"):
        store_imported(imported, "theirs", tiny, Store(tmp_path / "store"))
    with pytest.raises(BadInput, match="No space left"):
        export_peft(run, tmp_path / "new" / "adapter")
    assert not (tmp_path / "store" / "theirs").exists() and not (tmp_path / "new").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(BadInput, match="No space left"):
        export_peft(run, tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []  # the user's own folder is kept


class Evil:
    """Unpickled by the ordinary way, it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (exec, (f"open({str(self.path)!r}, 'w').close()",))


def test_a_pickle_runs_no_code(tiny, tmp_path):
    folder = authors_checkpoint(tmp_path / "theirs", mlp_tensors() | {"wte.weight": Evil(tmp_path / "ran")})
    with pytest.raises(BadInput, match="a pickle can run code"):
        read_checkpoint(folder, tiny.spec)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    with pytest.raises(BadInput, match="a pickle can run code"):
        read_checkpoint(folder, tiny.spec)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("tensors", "changes", "error", "message"),
    [
        (mlp_tensors(out=999), {}, WrongBackbone, "999 numbers per virtual token"),
        (mlp_tensors(length=256), {}, TooLong, "256 virtual tokens"),
        (mlp_tensors(out=32), {}, NotSupported, "embedding-only"),
        (mlp_tensors(), {"n_layer": 24}, WrongBackbone, "n_layer = 24"),
        (mlp_tensors(), {"format_mode": "infix"}, NotSupported, "infix"),
        (mlp_tensors(), {"model_type": "bart"}, NotSupported, "'bart'"),
        (mlp_tensors() | {"wte2.weight": torch.zeros(2)}, {}, NotSupported, "wte2"),
        (mlp_tensors() | {"wte.weight": torch.full((5, 32), torch.nan)}, {}, BadInput, "NaN"),
        (mlp_tensors() | {"wte.weight": torch.zeros(5, 31)}, {}, BadInput, "does not fit together"),
        (mlp_tensors() | {"wte.weight": torch.zeros(5, 32, dtype=torch.long)}, {}, BadInput, "floating-point"),
        (mlp_tensors() | {"wte.weight": torch.zeros(())}, {}, BadInput, "does not fit together"),
        ({"wte.weight": torch.zeros(1).expand(10**6, 10**6)}, {}, BadInput, "more numbers than it holds"),
        ({"control_trans": torch.zeros(7)}, {}, WrongBackbone, r"\(7,\)"),
        ([1, 2, 3], {}, BadInput, "not a state_dict"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_computed(tiny, tmp_path, tensors, changes, error, message):
    with pytest.raises(error, match=message):
        read_checkpoint(authors_checkpoint(tmp_path / "theirs", tensors, **changes), tiny.spec)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"peft_type": "LORA"}, NotSupported, "'LORA'"),
        ({"task_type": "SEQ_2_SEQ_LM"}, NotSupported, "'SEQ_2_SEQ_LM'"),
        ({"num_layers": 3}, WrongBackbone, "num_layers = 3"),
        ({"num_attention_heads": 8}, WrongBackbone, "num_attention_heads = 8"),
    ],
)
def test_another_adapter_is_refused_by_name(tiny, tiny_folder, tmp_path, changes, error, message):
    peft_adapter(tiny_folder, tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(error, match=message):
        read_checkpoint(tmp_path, tiny.spec)


def test_half_precision_is_read_too(tiny, tiny_folder, tmp_path):
    peft_adapter(tiny_folder, tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    tensors = {name: kv.half() for name, kv in load_file(path).items()}
    save_file(tensors, path)
    imported = read_checkpoint(tmp_path, tiny.spec)
    assert imported.prefix.past["decoder"].dtype == torch.float32
