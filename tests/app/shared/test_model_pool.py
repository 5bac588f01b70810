"""What stays loaded: prefixes by the memory they take, whole models by their number."""

from app.shared import model_pool
from app.shared.context import AppContext


def test_prefixes_are_kept_by_their_memory_and_do_not_push_out_a_model(house, context, monkeypatch):
    backbone = context.models.backbone(context.models.default)
    size = 4 * context.models.load("text:one text", backbone).prefix.parameters
    monkeypatch.setattr(model_pool, "PREFIX_BYTES", 2 * size)
    small = AppContext(house.backbone, "cpu", house.store).models
    tuned = small.load("tiny-finetuned", backbone)
    first = small.load("text:one text", backbone)
    second, third = small.load("text:two text", backbone), small.load("text:six text", backbone)
    assert small.load("text:two text", backbone) is second and small.load("text:six text", backbone) is third
    assert small.load("text:one text", backbone) is not first
    assert small.load("tiny-finetuned", backbone) is tuned


def test_few_whole_models_are_kept(house, context, monkeypatch):
    monkeypatch.setattr(model_pool, "CACHED_MODELS", 1)
    backbone, small = context.models.backbone(context.models.default), AppContext(house.backbone, "cpu", house.store).models
    prefix, tuned = small.load("tiny-prefix", backbone), small.load("tiny-finetuned", backbone)
    assert small.load("tiny-finetuned", backbone) is tuned
    small.load("triples-finetuned", backbone)
    assert small.load("tiny-prefix", backbone) is prefix
    assert small.load("tiny-finetuned", backbone) is not tuned
