"""Every other method: it learns, stores what it trained and nothing else, and comes back the same."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from core.config.decode import DecodeConfig
from core.config.train import TrainConfig
from core.errors import BadConfig, BadInput, NotSupported, TooLong
from core.generation.generate import generate
from core.generation.types import Request, make_request
from core.methods.loading import LoadedRun, load_run
from core.methods.registry import new_method
from core.models.activations import text_prefix
from core.models.backbone import Backbone
from core.models.inputs import task_for_backbone
from core.models.loading import load_backbone
from core.prefix.attention import PrefixState, attach
from core.runs.run import Run
from core.runs.store import Store
from core.task import task
from core.training.batches import encode_rows
from core.training.loop import evaluate_loss, train
from core.training.trainer import Trainer
from tests.support.tiny_models import ARTICLES, EXAMPLES, make_run

TASK = task("e2e")
PLAIN = TrainConfig(autocast="off")
DECODES = (DecodeConfig(max_new=60), DecodeConfig("sample", max_new=12), DecodeConfig("beam", beams=3, max_new=12))

# How each is trained to know ten rows by heart, and the loss that it must get below (in nats; the frozen model has over 10).
METHODS = {
    "top_layers": (dict(rate=1e-2, layers=1), 0.1),
    "adapter": (dict(rate=2e-2, bottleneck=64), 0.4),
    "lora": (dict(rate=2e-2, rank=16, lora_alpha=32), 0.9),
    "embedding": (dict(rate=3e-2, length=8), 6.0),
    "infix": (dict(rate=3e-2, length=8), 6.0),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_folder):
    """Each method, trained once on ten rows."""
    place = tmp_path_factory.mktemp("methods")
    cache: dict[str, Run] = {}

    def of(method: str) -> Run:
        if method not in cache:
            changes = dict(METHODS[method][0])
            cache[method] = make_run(tiny_folder, place, method, method, updates=250, autocast="off", **changes)
        return cache[method]

    return of


@pytest.fixture(scope="module")
def backbone(tiny_folder) -> Backbone:
    return load_backbone(str(tiny_folder), "cpu")


def texts_of(loaded: LoadedRun, backbone: Backbone, decode: DecodeConfig, count: int = 3) -> list[str]:
    requests = [make_request(backbone, TASK, example.source, loaded.prefix, 7) for example in EXAMPLES[:count]]
    return [generation.text for generation in generate(loaded.model, backbone, requests, decode)]


class AsMethod:
    """A loaded run where a loss is asked for."""

    def __init__(self, loaded: LoadedRun) -> None:
        self.model, self.virtual = loaded.model, loaded.prefix
        self.length, self.infix = (self.virtual.length, self.virtual.infix) if self.virtual else (0, False)

    def attach(self, rows: int, split=None):
        return attach(self.model, PrefixState.of([self.virtual] * rows, torch.device("cpu"), torch.float32, None, split))


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_learns_ten_rows_by_heart_and_comes_back_with_the_same_loss(runs, backbone, method):
    run, expected = runs(method), METHODS[method][1]
    assert run.valid_loss < expected
    loaded = load_run(run, backbone)
    if expected <= 0.1:
        assert texts_of(loaded, backbone, DECODES[0]) == [example.targets[0] for example in EXAMPLES[:3]]
    again = AsMethod(loaded)
    rows = encode_rows(backbone, TASK, EXAMPLES[:4], again.length, again.infix)
    assert evaluate_loss(again, rows, PLAIN) == pytest.approx(run.valid_loss, rel=1e-5)


def test_in_context_learning_is_the_text_typed_before_the_input(tmp_path, backbone, tiny_folder):
    run = make_run(tiny_folder, tmp_path, "shots", "in_context", instruction="Tell:", shots=1)
    text = run.config["context"]
    assert (run.trained, run.stored, run.updates, run.bytes) == (0, 0, 0, len(text))
    assert text.startswith("Tell:\n") and text.endswith(".<|endoftext|>") and text.count("name : ") == 1
    typed = [Request(backbone.encode(text + TASK.prompt(example.source))) for example in EXAMPLES[:3]]
    for decode in DECODES:
        assert texts_of(load_run(run, backbone), backbone, decode) == [
            generation.text for generation in generate(backbone.model, backbone, [replace(one, seed=7) for one in typed], decode)
        ]


def test_examples_are_cut_to_fit(tmp_path, backbone, tiny_folder):
    """256 positions, half of them for the text: one row of some 60 tokens fits beside the instruction, a second does not."""
    run = make_run(tiny_folder, tmp_path, "cut", "in_context", instruction="x" * 30, shots=5)
    assert run.config["context"].count("<|endoftext|>") == 1 and load_run(run, backbone).prefix.length <= 128
    with pytest.raises(TooLong, match=r"Not one example fits: .* 128 tokens"):
        make_run(tiny_folder, tmp_path, "none", "in_context", instruction="x" * 120)
    with pytest.raises(BadInput, match="neither an instruction nor an example"):
        make_run(tiny_folder, tmp_path, "empty", "in_context", shots=0)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_stores_what_it_trained_and_writes_the_same_when_loaded_again(runs, backbone, tiny_folder, method):
    run = runs(method)
    stored = load_file(run.weights)
    assert sum(tensor.numel() for tensor in stored.values()) == run.stored
    one, other = load_run(run, backbone), load_run(run, load_backbone(str(tiny_folder), "cpu"))
    for decode in DECODES:
        assert texts_of(one, backbone, decode) == texts_of(other, backbone, decode)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_batch_equals_one_by_one(runs, backbone, method):
    loaded = load_run(runs(method), backbone)
    for decode in DECODES:
        requests = [make_request(backbone, TASK, example.source, loaded.prefix, at) for at, example in enumerate(EXAMPLES[3:6])]
        alone = [generate(loaded.model, backbone, [request], decode)[0].ids for request in requests]
        assert [generation.ids for generation in generate(loaded.model, backbone, requests, decode)] == alone


@pytest.mark.parametrize("method", METHODS)
def test_the_backbone_is_left_as_it_was_and_its_tensors_are_shared(runs, backbone, method):
    before = {name: weight.clone() for name, weight in backbone.model.state_dict().items()}
    loaded = load_run(runs(method), backbone)
    texts_of(loaded, backbone, DECODES[0])
    assert all(torch.equal(before[name], weight) for name, weight in backbone.model.state_dict().items())
    ours = {weight.data_ptr() for weight in loaded.model.parameters()}
    own = {name for name, weight in backbone.model.named_parameters() if weight.data_ptr() not in ours}
    assert own == set(load_file(runs(method).weights)) & set(before)


@pytest.mark.parametrize("method", METHODS)
def test_a_damaged_file_is_one_sentence(runs, backbone, method):
    run = runs(method)
    whole = run.weights.read_bytes()
    try:
        run.weights.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BadInput, match=f"'?{method}"):
            load_run(run, backbone)
    finally:
        run.weights.write_bytes(whole)


def test_the_top_layers_are_the_last_ones_with_the_embeddings_once(runs, backbone):
    names = set(load_file(runs("top_layers").weights))
    assert {name for name in names if ".h." in name} == {n for n, _ in backbone.model.named_parameters() if ".h.1." in n}
    assert names - {name for name in names if ".h." in name} == {
        "transformer.wte.weight",
        "transformer.ln_f.weight",
        "transformer.ln_f.bias",
    }


@pytest.mark.parametrize("method", [*METHODS, "prefix", "finetune"])
def test_a_model_in_bf16_is_trained_in_fp32_and_served_in_bf16(tmp_path, tiny_folder, method):
    """Backbones on a GPU are bf16: what learns beside them must not meet them in another dtype."""
    loaded = load_backbone(str(tiny_folder), "cpu")
    half = Backbone(loaded.spec, loaded.model.bfloat16(), loaded.tokenizer, loaded.device)
    config = TrainConfig(method=method, length=3, layers=1, updates=2, batch=5, autocast="off", init_words="a")
    training = Trainer(half, TASK, config, Store(tmp_path), "half")
    for step in training.steps(EXAMPLES, []):
        assert step.loss > 0
    learned = load_file(training.run.weights)
    assert all(tensor.dtype == torch.float32 for tensor in learned.values())
    served = load_run(training.run, half)
    assert {weight.dtype for weight in served.model.parameters()} <= {torch.bfloat16} | (
        {torch.float32} if method == "lora" else set()
    )
    assert texts_of(served, half, DECODES[0].replace(max_new=3), 1)


def test_more_layers_than_there_are_is_refused(backbone):
    with pytest.raises(BadConfig, match=r"at most 2, the blocks of tiny-gpt2; given: 3"):
        new_method(backbone, TrainConfig(method="top_layers", layers=3))


def test_top_layers_of_another_family(llama):
    names = set(new_method(llama, TrainConfig(method="top_layers", layers=1)).tensors())
    assert {"model.norm.weight", "model.embed_tokens.weight", "lm_head.weight"} < names
    assert any(".layers.1." in name for name in names) and not any(".layers.0." in name for name in names)


@pytest.mark.parametrize("model", ["tiny", "llama", "bart"])
@pytest.mark.parametrize("method", ["adapter", "lora"])
def test_it_begins_at_the_frozen_model_and_every_parameter_of_its_own_learns(model, method, request):
    backbone = request.getfixturevalue(model)
    new = new_method(backbone, TrainConfig(method=method, bottleneck=4, rank=2, autocast="off", updates=2, batch=10, rate=1e-2))
    rows = encode_rows(backbone, task_for_backbone(backbone, "e2e"), EXAMPLES, 0)
    frozen = new_method(backbone, TrainConfig(method="finetune"))
    assert evaluate_loss(new, rows, PLAIN) == pytest.approx(evaluate_loss(frozen, rows, PLAIN), rel=1e-6)
    before = new.tensors()
    list(train(new, rows, [], PLAIN.replace(updates=2, batch=10, rate=1e-2)))
    assert all((before[name] != tensor).any() for name, tensor in new.tensors().items())


def test_an_adapter_is_as_large_as_asked(backbone):
    def size(**changes) -> int:
        return sum(weight.numel() for weight in new_method(backbone, TrainConfig(method="adapter", **changes)).parameters())

    each = 2 * 32 + 2 * 32 * 1 + 1 + 32  # of a bottleneck of 1: norm, two matrices, two biases; there are two blocks
    assert size(bottleneck=1) == 2 * each and size(bottleneck=3) - size(bottleneck=1) == 2 * 2 * (2 * 32 + 1)
    step = 2 * (2 * 32 + 1)
    assert abs(size(share=0.05) - 0.05 * backbone.spec.parameters) <= step / 2
    assert abs(size(length=20) - 2 * 2 * 32 * 20) <= step / 2  # near to what that prefix stores
    assert size(length=1) == 2 * each  # never nothing


@pytest.mark.parametrize("model", ["tiny", "llama"])
def test_word_embeddings_fold_to_the_prefix_of_the_words(model, request):
    backbone = request.getfixturevalue(model)
    method = new_method(backbone, TrainConfig(method="embedding", init="words", init_words="four", length=4))
    assert method.tensors()["embeddings"].shape == (4, 32)
    torch.testing.assert_close(method.prefix().past["decoder"], text_prefix(backbone, "four").past["decoder"])


@pytest.mark.parametrize("changes", [{}, {"mlp": 8}, {"checkpointing": True}])
def test_embeddings_learn_through_the_model(tiny, changes):
    config = TrainConfig(method="embedding", length=3, init="random", autocast="off", updates=3, batch=10, rate=1e-2, **changes)
    method, rows = new_method(tiny, config), encode_rows(tiny, TASK, EXAMPLES, 3)
    before = method.tensors()["embeddings"]
    list(train(method, rows, [], config))
    assert ((method.tensors()["embeddings"] != before).any(-1)).all()
    assert all(weight.grad is None for weight in tiny.model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("method", ["adapter", "lora"])
def test_a_run_on_an_encoder_decoder_comes_back(tmp_path, bart, bart_folder, method):
    run = make_run(bart_folder, tmp_path, method, method, updates=30, rate=2e-2, bottleneck=8, autocast="off")
    loaded = load_run(run, bart)
    assert evaluate_loss(AsMethod(loaded), encode_rows(bart, run.task, ARTICLES[:4], 0), PLAIN) == pytest.approx(
        run.valid_loss, rel=1e-4
    )
    for decode in DECODES[:1] + DECODES[2:]:
        asked = [make_request(bart, run.task, article.source) for article in ARTICLES[:2]]
        alone = [generate(loaded.model, bart, [one], decode)[0].ids for one in asked]
        assert [generation.ids for generation in generate(loaded.model, bart, asked, decode)] == alone


def test_the_top_layers_of_an_encoder_decoder_are_refused_by_name(bart):
    with pytest.raises(NotSupported, match="top layers does not fit tiny-bart"):
        new_method(bart, TrainConfig(method="top_layers", layers=1))


def test_a_file_of_another_method_and_settings_out_of_range_are_one_sentence(runs, backbone):
    adapter, lora = runs("adapter"), runs("lora")
    for run, other, message in (
        (adapter, lora, "no adapter"),
        (lora, adapter, "no LoRA matrices"),
        (runs("embedding"), lora, "'lora'"),
    ):
        with pytest.raises(BadInput, match=message):
            load_run(replace(run, folder=other.folder, id=other.id), backbone)
    with pytest.raises(BadConfig, match="lora_alpha must be a whole number"):
        load_run(replace(lora, config=lora.config | {"lora_alpha": "much"}), backbone)
    huge = replace(adapter, config=adapter.config | {"bottleneck": 9_999_999})  # sizes are those of the file
    assert texts_of(load_run(huge, backbone), backbone, DECODES[0], 1) == texts_of(
        load_run(adapter, backbone), backbone, DECODES[0], 1
    )


@pytest.mark.parametrize("context", [None, 3, " ", ["a"]])
def test_a_run_without_its_context_is_one_sentence(tmp_path, backbone, tiny_folder, context):
    run = make_run(tiny_folder, tmp_path, "shots", "in_context", shots=1)
    with pytest.raises(BadInput, match="'shots' has no context"):
        load_run(replace(run, config=run.config | {"context": context}), backbone)
