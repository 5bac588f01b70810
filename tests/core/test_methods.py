"""Every other method: it learns, stores what it trained and nothing else, and comes back the same."""

import pytest
import torch
from safetensors.torch import load_file

from core.backbone import Backbone, load_backbone
from core.batching import rows_of
from core.config import DecodeConfig, TrainConfig
from core.errors import BadConfig, BadInput
from core.generate import Request, generate
from core.methods.table import new_method
from core.runs import LoadedRun, load_run
from core.store import Run
from core.tasks import task
from core.train import evaluate_loss
from tests.tiny import EXAMPLES, make_run

TASK = task("e2e")
PLAIN = TrainConfig(autocast="off")
DECODES = (DecodeConfig(max_new=60), DecodeConfig("sample", max_new=12), DecodeConfig("beam", beams=3, max_new=12))

# How each is trained to know ten rows by heart, and the loss it must get below (None: 0.7 of the frozen model's).
METHODS = {
    "top_layers": (dict(rate=1e-2, layers=1), 0.1),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_folder):
    """Each method, trained once on ten rows."""
    place = tmp_path_factory.mktemp("methods")
    made: dict[str, Run] = {}

    def of(method: str) -> Run:
        if method not in made:
            changes = dict(METHODS[method][0])
            made[method] = make_run(tiny_folder, place, method, method, updates=400, autocast="off", **changes)
        return made[method]

    return of


@pytest.fixture(scope="module")
def backbone(tiny_folder) -> Backbone:
    return load_backbone(str(tiny_folder), "cpu")


def told(loaded: LoadedRun, backbone: Backbone, decode: DecodeConfig, count: int = 3) -> list[str]:
    requests = [Request(backbone.encode(TASK.prompt(example.source)), loaded.prefix, 7) for example in EXAMPLES[:count]]
    return [made.text for made in generate(loaded.model, backbone, requests, decode)]


@pytest.mark.parametrize("method", METHODS)
def test_learns_ten_rows_by_heart(runs, backbone, method):
    frozen = evaluate_loss(new_method(backbone, TrainConfig(method="finetune")), rows_of(backbone, TASK, EXAMPLES[:4], 0), PLAIN)
    wanted = METHODS[method][1]
    assert runs(method).valid_loss < (0.7 * frozen if wanted is None else wanted)
    if wanted is not None:
        assert told(load_run(runs(method), backbone), backbone, DECODES[0]) == [example.targets[0] for example in EXAMPLES[:3]]


@pytest.mark.parametrize("method", METHODS)
def test_stores_what_it_trained_and_comes_back_the_same(runs, backbone, tiny_folder, method):
    run = runs(method)
    stored = load_file(run.weights)
    assert sum(tensor.numel() for tensor in stored.values()) == run.stored
    one, other = load_run(run, backbone), load_run(run, load_backbone(str(tiny_folder), "cpu"))
    for decode in DECODES:
        assert told(one, backbone, decode) == told(other, backbone, decode)


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_equals_one_by_one(runs, backbone, method):
    loaded = load_run(runs(method), backbone)
    for decode in DECODES:
        prompts = [backbone.encode(TASK.prompt(example.source)) for example in EXAMPLES[3:6]]
        requests = [Request(ids, loaded.prefix, seed) for seed, ids in enumerate(prompts)]
        alone = [generate(loaded.model, backbone, [request], decode)[0].ids for request in requests]
        assert [made.ids for made in generate(loaded.model, backbone, requests, decode)] == alone


@pytest.mark.parametrize("method", METHODS)
def test_the_backbone_is_left_as_it_was_and_its_tensors_are_shared(runs, backbone, method):
    before = {name: weight.clone() for name, weight in backbone.model.state_dict().items()}
    loaded = load_run(runs(method), backbone)
    told(loaded, backbone, DECODES[0])
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


def test_more_layers_than_there_are_is_refused(backbone):
    with pytest.raises(BadConfig, match=r"at most 2, the blocks of tiny-gpt2; given: 3"):
        new_method(backbone, TrainConfig(method="top_layers", layers=3))


def test_top_layers_of_another_family(llama):
    names = set(new_method(llama, TrainConfig(method="top_layers", layers=1)).tensors())
    assert {"model.norm.weight", "model.embed_tokens.weight", "lm_head.weight"} < names
    assert any(".layers.1." in name for name in names) and not any(".layers.0." in name for name in names)
