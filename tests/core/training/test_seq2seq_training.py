"""Training on BART: the same loop, with gradients for every virtual token of all three sites."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSeq2SeqLM

from core.config.decode import DecodeConfig
from core.config.train import TrainConfig
from core.errors import TooLong, WrongBackbone
from core.generation.generate import generate
from core.generation.types import Request
from core.methods.loading import load_run
from core.methods.registry import new_method
from core.models.activations import text_key_values
from core.models.inputs import encode_input, task_for_backbone
from core.models.loading import load_backbone
from core.prefix.prefix import Prefix
from core.runs.store import Store
from core.task import Example
from core.training.batches import collate, encode_rows
from core.training.loop import _backward, _checkpointing, batch_loss, evaluate_loss
from core.training.trainer import Trainer, resume_training
from tests.support.tiny_models import ARTICLES, make_run

CONFIG = TrainConfig(method="prefix", length=4, init="random", autocast="off", batch=3, rate=1e-2, validate_every=1000)
SITES = ("encoder", "decoder", "cross")


@pytest.fixture
def task(bart):
    return task_for_backbone(bart, "summarization")


@pytest.fixture
def rows(bart, task):
    return encode_rows(bart, task, ARTICLES, 4)


def loss_and_grads(method, rows, config=CONFIG):
    for parameter in method.parameters():
        parameter.grad = None
    with method.attach(len(rows)):
        loss = batch_loss(method, collate(rows, torch.device("cpu")), config)
        loss.backward()
    return loss.item(), [parameter.grad.clone() for parameter in method.parameters()]


def test_the_task_has_the_models_own_form(bart, task):
    assert (task.lead, task.separator, task.end, task.cut) == ("<s>", "</s>", "</s>", 512)
    assert encode_input(bart, task, "a").ids == [257, *bart.encode("a"), 258]


def test_what_looks_like_a_special_token_in_an_article_is_text(bart, task):
    assert encode_input(bart, task, "</s>").ids == [257, *bart.encode("<"), *bart.encode("/s>"), 258]


def test_a_long_article_is_cut_and_says_where(bart, task):
    source = encode_input(bart, task.replace(cut=20), "Zürich " * 10)
    assert (len(source.ids), source.tokens, source.used, source.is_cut) == (20, 80, 18, True)
    assert ("Zürich " * 10)[: source.end] == "Zürich Zürich Zü"  # the last letter in part
    assert not encode_input(bart, task, "short").is_cut
    assert len(encode_input(bart, task, "x" * 500).ids) == 128  # the model has no more positions


@pytest.mark.parametrize("mlp", [0, 16])
def test_gradients_reach_every_prefix_parameter_at_every_site(bart, rows, mlp):
    method = new_method(bart, CONFIG.replace(mlp=mlp))
    _, grads = loss_and_grads(method, rows)
    assert len(grads) == (3 if not mlp else 3 * 5)
    assert all(grad.abs().flatten(1).amax(1).min() > 0 for grad in grads if grad.ndim > 1)
    assert all(weight.grad is None for weight in bart.model.parameters())
    if not mlp:
        assert all((grad.abs().sum(-1) > 0).all() for grad in grads)  # (layers, 2, heads, P) at each site


def test_the_loss_is_the_models_own(bart, bart_folder, rows):
    plain = AutoModelForSeq2SeqLM.from_pretrained(bart_folder).eval()
    expected = 0.0
    for row in rows:
        labels = torch.tensor([[*row.decoder_start_ids[1:], *row.answer]])  # transformers puts </s> before these itself
        with torch.no_grad():
            logits = plain(input_ids=torch.tensor([row.prompt]), labels=labels).logits
        picked = logits.log_softmax(-1).gather(-1, labels[..., None])[0, len(row.decoder_start_ids) - 1 :]
        expected -= picked.sum().item()
    method = new_method(bart, CONFIG.replace(method="finetune"))
    assert loss_and_grads(method, rows)[0] == pytest.approx(expected, rel=1e-5)


def test_padding_changes_nothing(bart, rows):
    method = new_method(bart, CONFIG)
    alone = sum(loss_and_grads(method, [row])[0] for row in rows)
    assert loss_and_grads(method, rows)[0] == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("name", ["prefix", "finetune"])
def test_checkpointed_gradients_are_equal(bart, rows, name):
    config = CONFIG.replace(method=name)
    method, calls = new_method(bart, config), []
    plain = loss_and_grads(method, rows, config)
    hook = method.model.model.encoder.layers[0].self_attn.register_forward_hook(lambda *_: calls.append(1))
    with _checkpointing(method.model, True):
        checkpointed = loss_and_grads(method, rows, config)
    hook.remove()
    assert len(calls) == 2  # once forward, once again on the way back: it was really on
    assert checkpointed[0] == pytest.approx(plain[0], rel=1e-6)
    for one, other in zip(plain[1], checkpointed[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_accumulation_equals_one_large_batch(bart, rows):
    results = []
    for parts in ([rows], [rows[:2], rows[2:]]):
        method = new_method(bart, CONFIG)
        loss = _backward(method, [collate(part, torch.device("cpu")) for part in parts], CONFIG)
        results.append((loss, [parameter.grad for parameter in method.parameters()]))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    for one, other in zip(results[0][1], results[1][1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("init", ["random", "words", "zeros"])
def test_folded_mlp_equals_the_mlp(bart, rows, init):
    method = new_method(bart, CONFIG.replace(mlp=16, init=init, init_words="news"))
    direct = new_method(bart, CONFIG)
    with torch.no_grad():
        for site, kv in method.tensors().items():
            direct.module.past[site].copy_(kv)
    assert evaluate_loss(method, rows, CONFIG) == pytest.approx(evaluate_loss(direct, rows, CONFIG), rel=1e-5)
    assert Prefix(method.tensors()).parameters == (3 + 2 + 2) * 2 * 4 * 4 * 8


def test_words_begin_all_three_sites(bart):
    tensors = new_method(bart, CONFIG.replace(init="words", init_words="ab", length=5)).tensors()
    expected = text_key_values(bart, bart.encode("ababa"))
    assert set(tensors) == set(SITES) and all(torch.equal(tensors[site], expected[site]) for site in SITES)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "changes"), [("prefix", {"length": 8}), ("finetune", {"rate": 1e-2})])
def test_learns_a_few_rows_by_heart(tmp_path, bart_folder, name, changes):
    rate = changes.pop("rate", 3e-2)
    run = make_run(bart_folder, tmp_path, "r", name, updates=150, autocast="off", rate=rate, batch=6, **changes)
    backbone = load_backbone(str(bart_folder), "cpu")
    loaded, base = load_run(run, backbone), new_method(backbone, CONFIG.replace(method="finetune"))
    frozen = evaluate_loss(base, encode_rows(backbone, run.task, ARTICLES[:4], 0), CONFIG)
    assert run.valid_loss < (0.1 if name == "finetune" else 0.7 * frozen)
    if name == "finetune":
        request = Request(encode_input(backbone, run.task, ARTICLES[0].source).ids)
        decode = DecodeConfig(mode="beam", beams=6, max_new=62, length_penalty=0.8)
        assert generate(loaded.model, backbone, [request], decode)[0].text == ARTICLES[0].targets[0]


def test_saved_equals_loaded(tmp_path, bart_folder, bart):
    run = make_run(bart_folder, tmp_path, "p")
    stored, prefix = load_file(run.weights), load_run(run, bart).prefix
    assert set(stored) == set(SITES) and run.stored == sum(kv.numel() for kv in stored.values())
    assert all(torch.equal(prefix.past[site], stored[site]) for site in SITES)
    tuned = make_run(bart_folder, tmp_path, "f", "finetune")
    assert tuned.stored == bart.spec.parameters  # tied weights once
    model = load_run(tuned, bart).model
    assert model.lm_head.weight is model.model.shared.weight is model.model.encoder.embed_tokens.weight
    assert not torch.equal(model.lm_head.weight, bart.model.lm_head.weight)


def test_a_run_of_another_family_is_refused(tmp_path, bart_folder, tiny):
    with pytest.raises(WrongBackbone, match="tiny-bart"):
        load_run(make_run(bart_folder, tmp_path, "p", updates=1), tiny)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"mlp": 8}, {"init": "words", "init_words": "news"}])
def test_a_stopped_run_goes_on_to_the_same_bits(bart, task, tmp_path, changes):
    config = CONFIG.replace(updates=8, validate_every=3, save_every=4, **changes)

    whole, steps = Trainer(bart, task, config, Store(tmp_path), "whole"), []
    list(whole.steps(ARTICLES, ARTICLES[:2]))
    stopped = Trainer(bart, task, config, Store(tmp_path), "parts")
    for _ in stopped.steps(ARTICLES, ARTICLES[:2], lambda: len(steps) == 5):
        steps.append(1)
    training = resume_training(Store(tmp_path), "parts", lambda name: bart)
    assert len(list(training.steps(ARTICLES, ARTICLES[:2]))) == 3
    one, other = load_file(whole.run.weights), load_file(training.run.weights)
    assert all(torch.equal(one[site], other[site]) for site in SITES) and training.task == task


def test_what_does_not_fit_is_reported_by_its_part(bart, task):
    with pytest.raises(TooLong, match="target has 151 tokens, and at most 128 fit"):
        encode_rows(bart, task, [Example("short", ("y" * 149,))], 40)
    with pytest.raises(TooLong, match="input has 152 tokens, and at most 128 fit"):
        encode_rows(bart, task.replace(cut=0), [Example("x" * 150, ("y",))], 40)
    assert len(encode_rows(bart, task, [Example("x" * 150, ("y",))], 40)[0].prompt) == 128  # cut: it fits beside any prefix
