"""Training: gradients, folding, checkpointing, stopping, and that it learns at all."""

import copy

import pytest
import torch

from core.config.decode import DecodeConfig
from core.config.train import TrainConfig
from core.errors import TooLong, TrainingFailed
from core.generation.generate import generate
from core.generation.types import Request
from core.methods.loading import load_run
from core.methods.registry import new_method
from core.models.loading import load_backbone
from core.prefix.prefix import Prefix
from core.runs.store import Store
from core.task import Example, task
from core.training.batches import collate, encode_rows
from core.training.loop import batch_loss, evaluate_loss, train
from core.training.trainer import Trainer
from tests.support.tiny_models import EXAMPLES, make_run

TASK = task("e2e")
PREFIX = TrainConfig(method="prefix", length=4, init="random", autocast="off", batch=5, rate=1e-2, validate_every=1000)


def loss_and_grads(method, rows, config):
    for parameter in method.parameters():
        parameter.grad = None
    with method.attach(len(rows)):
        loss = batch_loss(method, collate(rows, torch.device("cpu")), config)
        loss.backward()
    return loss.item(), [parameter.grad.clone() for parameter in method.parameters()]


@pytest.mark.parametrize("mlp", [0, 16])
def test_gradients_reach_every_prefix_parameter_and_no_weight_of_the_model(tiny, mlp):
    method = new_method(tiny, PREFIX.replace(mlp=mlp))
    _, grads = loss_and_grads(method, encode_rows(tiny, TASK, EXAMPLES, 4), PREFIX)
    assert all(grad.abs().flatten(1).amax(1).min() > 0 for grad in grads if grad.ndim > 1)
    assert all(weight.grad is None for weight in tiny.model.parameters())


def test_every_virtual_token_of_every_layer_gets_a_gradient(tiny):
    method = new_method(tiny, PREFIX)
    _, (grad,) = loss_and_grads(method, encode_rows(tiny, TASK, EXAMPLES, 4), PREFIX)
    assert (grad.abs().sum(-1) > 0).all()  # (layers, 2, heads, P)


def test_loss_counts_the_answer_only_and_equals_the_model_called_plainly(tiny):
    config = PREFIX.replace(method="finetune")
    method = new_method(tiny, config)
    rows = encode_rows(tiny, TASK, EXAMPLES[:3], 0)
    expected = 0.0
    for row in rows:
        ids = torch.tensor([row.prompt + row.answer])
        with torch.no_grad():
            logprobs = tiny.model(input_ids=ids).logits.log_softmax(-1)[0, :-1]
        picked = logprobs.gather(-1, ids[0, 1:, None])[:, 0]
        expected -= picked[len(row.prompt) - 1 :].sum().item()
    assert loss_and_grads(method, rows, config)[0] == pytest.approx(expected, rel=1e-5)


def test_positions_start_after_the_prefix(tiny):
    """A prefix taken from text gives the loss of the text itself in front."""
    from core.models.activations import text_key_values

    ids = tiny.encode("four")
    method = new_method(tiny, PREFIX)
    with torch.no_grad():
        method.module.past["decoder"].copy_(text_key_values(tiny, ids)["decoder"])
    rows = encode_rows(tiny, TASK, EXAMPLES[:2], 4)
    typed = [type(row)(tuple(ids) + row.prompt, row.answer) for row in rows]
    plain = new_method(tiny, PREFIX.replace(method="finetune"))
    assert evaluate_loss(method, rows, PREFIX) == pytest.approx(evaluate_loss(plain, typed, PREFIX), rel=1e-5)


@pytest.mark.parametrize("name", ["prefix", "finetune"])
def test_checkpointed_gradients_are_equal(tiny, name):
    from core.training.loop import _checkpointing

    config = PREFIX.replace(method=name)
    method, rows = new_method(tiny, config), encode_rows(tiny, TASK, EXAMPLES, 4)
    plain = loss_and_grads(method, rows, config)
    calls = []
    hook = method.model.transformer.h[0].attn.register_forward_hook(lambda *_: calls.append(1))
    with _checkpointing(method.model, True):
        checkpointed = loss_and_grads(method, rows, config)
    hook.remove()
    assert len(calls) == 2  # once forward, once again on the way back: it was really on
    assert checkpointed[0] == pytest.approx(plain[0], rel=1e-6)
    for one, other in zip(plain[1], checkpointed[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    assert not method.model.training


@pytest.mark.parametrize("autocast", ["off", "on"])
@pytest.mark.parametrize("name", ["prefix", "top_layers"])
def test_what_an_update_puts_in_place_changes_no_gradient_and_is_taken_back(tiny, name, autocast):
    from core.training.loop import _backward, _swaps

    config, cpu = PREFIX.replace(method=name, layers=1, autocast=autocast), torch.device("cpu")
    method, rows = new_method(tiny, config), encode_rows(tiny, TASK, EXAMPLES, 4)
    swaps, losses = _swaps(method.model, config), []
    assert {attribute for _, attribute, _, _ in swaps} == ({"act", "weight"} if autocast == "on" else {"act"})
    for used in ((), swaps):
        for weight in method.parameters():
            weight.grad = None
        losses.append((_backward(method, [collate(rows, cpu)], config, used), [weight.grad for weight in method.parameters()]))
    loose = autocast == "on"  # GPT-2's own activation rounds to bf16 at each of its eight operations
    assert losses[1][0] == pytest.approx(losses[0][0], rel=1e-2 if loose else 1e-5)
    for one, other in zip(losses[0][1], losses[1][1], strict=True):
        assert (one - other).norm() <= (0.05 if loose else 1e-4) * one.norm()
    assert all(getattr(module, attribute) is own for module, attribute, own, _ in swaps)


@pytest.mark.parametrize("name", ["prefix", "embedding", "adapter", "finetune"])
def test_a_validation_while_training_is_that_of_the_model_as_it_is(tiny, name):
    """Not only to rounding: the copies in bf16 are what autocast makes of each matrix."""
    config = PREFIX.replace(method=name, autocast="on", updates=2, validate_every=2)
    method, rows = new_method(tiny, config), encode_rows(tiny, TASK, EXAMPLES[:6], 4)
    *_, last = train(method, rows, rows[:3], config)
    assert last.valid_loss == evaluate_loss(method, rows[:3], config)


@pytest.mark.parametrize("reduction", ["token", "sentence"])
def test_accumulation_equals_one_large_batch(tiny, reduction):
    from core.training.loop import _backward

    rows, config = encode_rows(tiny, TASK, EXAMPLES, 4), PREFIX.replace(reduction=reduction)
    cpu, results = torch.device("cpu"), []
    for parts in ([rows], [rows[:3], rows[3:]]):
        method = new_method(tiny, config)
        loss = _backward(method, [collate(part, cpu) for part in parts], config)
        results.append((loss, method.parameters()[0].grad))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=1e-6)


def test_padding_changes_nothing(tiny):
    rows = encode_rows(tiny, TASK, EXAMPLES, 4)
    method = new_method(tiny, PREFIX)
    alone = sum(loss_and_grads(method, [row], PREFIX)[0] for row in rows)
    assert loss_and_grads(method, rows, PREFIX)[0] == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("init", ["random", "words"])
def test_folded_mlp_equals_the_mlp(tiny, init):
    method = new_method(tiny, PREFIX.replace(mlp=16, init=init, init_words="table"))
    folded = Prefix({site: kv.clone() for site, kv in method.tensors().items()})
    request, decode = Request(tiny.encode("name : Alda\n"), folded), DecodeConfig(max_new=8)
    with method.attach(1), torch.no_grad():
        ids = torch.tensor([request.prompt_ids])
        through = tiny.model(input_ids=ids, position_ids=torch.arange(ids.shape[1])[None] + 4).logits[0, -1]
    from core.generation.decoding_batch import DecodingBatch

    torch.testing.assert_close(DecodingBatch(tiny.model, tiny, [request]).logits()[0], through, rtol=1e-4, atol=1e-5)
    assert folded.parameters == 2 * 2 * 4 * 4 * 8
    assert generate(tiny.model, tiny, [request], decode)[0].ids


def test_words_start_the_prefix_at_the_models_own_activations(tiny):
    from core.models.activations import text_key_values

    method = new_method(tiny, PREFIX.replace(init="words", init_words="ab", length=5))
    assert torch.equal(method.tensors()["decoder"], text_key_values(tiny, tiny.encode("ababa"))["decoder"])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "changes"), [("prefix", {"length": 8}), ("prefix", {"mlp": 64}), ("finetune", {"rate": 1e-2})])
def test_learns_ten_rows_by_heart(tmp_path, tiny_folder, name, changes):
    run = make_run(tiny_folder, tmp_path, "r", name, updates=400, autocast="off", rate=changes.pop("rate", 3e-2), **changes)
    backbone = load_backbone(str(tiny_folder), "cpu")
    loaded, base = load_run(run, backbone), new_method(backbone, TrainConfig(method="finetune"))
    rows = encode_rows(backbone, TASK, EXAMPLES[:4], 8)
    frozen = evaluate_loss(base, rows, PREFIX)
    assert run.valid_loss < (0.1 if name == "finetune" else 0.7 * frozen)
    if name == "finetune":
        request = Request(backbone.encode(TASK.prompt(EXAMPLES[0].source)))
        assert generate(loaded.model, backbone, [request], DecodeConfig(max_new=60))[0].text == EXAMPLES[0].targets[0]


def test_saved_equals_loaded(tmp_path, tiny_folder):
    backbone = load_backbone(str(tiny_folder), "cpu")
    run = make_run(tiny_folder, tmp_path, "p", "prefix")
    from safetensors.torch import load_file

    stored = load_file(run.weights)
    assert set(stored) == {"decoder"} and stored["decoder"].shape == (2, 2, 4, 4, 8)
    assert torch.equal(load_run(run, backbone).prefix.past["decoder"], stored["decoder"])
    tuned = make_run(tiny_folder, tmp_path, "f", "finetune")
    assert tuned.stored == backbone.spec.parameters  # tied weights once
    weights = load_run(tuned, backbone).model.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in load_file(tuned.weights).items())
    assert torch.equal(weights["lm_head.weight"], weights["transformer.wte.weight"])


def test_training_leaves_the_shared_backbone_alone(tiny):
    before = copy.deepcopy(tiny.model.state_dict())
    for name in ("prefix", "finetune"):
        config = PREFIX.replace(method=name, updates=3)
        list(train(new_method(tiny, config), encode_rows(tiny, TASK, EXAMPLES, 4), [], config))
    assert all(torch.equal(before[name], value) for name, value in tiny.model.state_dict().items())


def test_same_seed_same_prefix(tiny):
    def trained():
        config = PREFIX.replace(updates=4, mlp=8, seed=3)
        method = new_method(tiny, config)
        list(train(method, encode_rows(tiny, TASK, EXAMPLES, 4), [], config))
        return method.tensors()["decoder"]

    assert torch.equal(trained(), trained())


def test_stop_keeps_what_there_is(tmp_path, tiny):
    config = PREFIX.replace(updates=50, validate_every=5)
    training, steps = Trainer(tiny, TASK, config, Store(tmp_path), "stopped"), []
    for step in training.steps(EXAMPLES, EXAMPLES[:2], lambda: len(steps) >= 12):
        steps.append(step)
    run = Store(tmp_path).get("stopped")
    assert (run.status, run.updates) == ("cancelled", 12)
    assert load_run(run, tiny).prefix.length == 4
    assert len((run.folder / "steps.csv").read_text().splitlines()) == 13


def test_the_best_by_validation_is_kept(tmp_path, tiny):
    config = PREFIX.replace(updates=20, validate_every=5, rate=0.5)
    training = Trainer(tiny, TASK, config, Store(tmp_path), "best")
    losses = [step.valid_loss for step in training.steps(EXAMPLES, EXAMPLES[:3]) if step.valid_loss is not None]
    assert training.run.valid_loss == min(losses)
    method = new_method(tiny, config)
    method.module.past["decoder"].data.copy_(load_run(training.run, tiny).prefix.past["decoder"])
    assert evaluate_loss(method, encode_rows(tiny, TASK, EXAMPLES[:3], 4), config) == pytest.approx(min(losses), rel=1e-4)


def test_a_loss_that_is_no_number_ends_the_run_and_says_so(tmp_path, tiny):
    training = Trainer(tiny, TASK, PREFIX.replace(rate=10, clip=0, updates=200, length=4), Store(tmp_path), "wild")
    method_rows = EXAMPLES
    original = torch.nn.functional.cross_entropy
    calls = []

    def breaks(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs) * (float("nan") if len(calls) > 5 else 1)

    torch.nn.functional.cross_entropy = breaks
    try:
        with pytest.raises(TrainingFailed, match="lower rate"):
            list(training.steps(method_rows, []))
    finally:
        torch.nn.functional.cross_entropy = original
    run = Store(tmp_path).get("wild")
    assert (run.status, run.updates) == ("failed", 5)
    assert "resume.safetensors" not in [path.name for path in run.folder.iterdir()]
    assert all(torch.isfinite(kv).all() for kv in load_run(run, tiny).prefix.past.values())


def test_an_example_too_long_says_how_many_tokens(tiny):
    with pytest.raises(TooLong, match=r"has \d+ tokens, and at most 252 fit"):
        encode_rows(tiny, TASK, [Example("name : " + "x" * 300, ("y",))], 4)


def test_validation_rows_are_spread_over_the_whole_set(tiny, tmp_path):
    """Data sets are sorted: of 7 rows, 4 were the first ones."""
    config = PREFIX.replace(valid_rows=4)
    examples = [Example(f"name : {letter}", (letter,)) for letter in "ABCDEFG"]
    rows = Trainer(tiny, TASK, config, Store(tmp_path), "run")._valid_rows(examples, new_method(tiny, config))
    assert [tiny.decode(row.answer[:1]).strip() for row in rows] == ["A", "B", "D", "F"]
