"""What stays loaded: prefixes by the memory they take, whole models by their number."""

from app.shared import model_pool


def test_prefixes_are_kept_by_their_memory_and_do_not_push_out_a_model(lab, monkeypatch):
    backbone = lab.backbone(lab.default)
    tuned = lab.load("tiny-finetuned", backbone)
    first = lab.load("text:one text", backbone)
    monkeypatch.setattr(model_pool, "PREFIX_BYTES", 2 * 4 * first.prefix.parameters)
    second, third = lab.load("text:two text", backbone), lab.load("text:six text", backbone)
    assert lab.load("text:two text", backbone) is second and lab.load("text:six text", backbone) is third
    assert lab.load("text:one text", backbone) is not first
    assert lab.load("tiny-finetuned", backbone) is tuned


def test_few_whole_models_are_kept(lab, monkeypatch):
    backbone = lab.backbone(lab.default)
    prefix, tuned = lab.load("tiny-prefix", backbone), lab.load("tiny-finetuned", backbone)
    monkeypatch.setattr(model_pool, "MODELS_KEPT", 0)
    assert lab.load("tiny-prefix", backbone) is prefix
    assert lab.load("tiny-finetuned", backbone) is not tuned
