"""Three columns from one article, on an encoder-decoder model, without a page."""

import pytest

from app.compare.comparison import CompareRequest, compare
from app.shared.context import AppContext
from core.config.decode import DecodeConfig
from core.generation.generate import generate
from core.generation.types import Request
from core.models.inputs import encode_input, task_for_backbone
from core.runs.store import Store
from tests.support.tiny_models import ARTICLES, make_run, make_tiny_bart

ARTICLE = ARTICLES[0].source * 3  # longer than the model reads


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    root = tmp_path_factory.mktemp("articles")
    folder = make_tiny_bart(root / "tiny-bart")
    for name, method in (("news-prefix", "prefix"), ("news-finetuned", "finetune")):
        make_run(folder, root / "runs", name, method, updates=2)
    return AppContext(str(folder), "cpu", Store(root / "runs"))


@pytest.mark.parametrize("mode", ["greedy", "beam"])
def test_columns_are_what_each_method_writes_alone(context, mode):
    backbone = context.models.backbone(context.models.default)
    ask = CompareRequest(
        ARTICLE, "news-prefix", "news-finetuned", decode=DecodeConfig(mode, beams=3, max_new=8, min_new=3), form="article"
    )
    *_, comparison = compare(context, backbone, ask, lambda: False)
    prefix, tuned = context.models.load("news-prefix", backbone), context.models.load("news-finetuned", backbone)
    ids = encode_input(backbone, prefix.task, ARTICLE).ids
    assert len(ids) == 128  # cut to what the encoder has room for
    for kind, model, past in (
        ("base", backbone.model, None),
        ("prefix", backbone.model, prefix.prefix),
        ("finetuned", tuned.model, None),
    ):
        alone = generate(model, backbone, [Request(ids, past)], ask.decode)[0]
        assert comparison.columns[kind].ids == alone.ids, kind
        assert len(comparison.columns[kind].words) == 5
    assert comparison.phase == "done"


def test_the_frozen_model_alone_reads_an_article_in_its_own_form(context):
    backbone = context.models.backbone(context.models.default)
    *_, comparison = compare(
        context, backbone, CompareRequest(ARTICLE, decode=DecodeConfig(max_new=4), form="article"), lambda: False
    )
    assert (
        comparison.columns["base"].prompt_ids == encode_input(backbone, task_for_backbone(backbone, "summarization"), ARTICLE).ids
    )
