"""The infix: seen from the separator on and not before, counted in the positions, beside prefixes in one batch."""

import pytest
import torch

from analysis.attention.maps import attention_map
from core.config.decode import DecodeConfig
from core.config.train import TrainConfig
from core.errors import NotSupported
from core.generation.decoding_batch import DecodingBatch
from core.generation.generate import generate
from core.generation.types import Request, make_request
from core.methods.registry import new_method
from core.models.activations import read_key_values
from core.prefix.attention import PrefixState
from core.prefix.prefix import Prefix
from core.task import task
from core.training.batches import Row, encode_rows
from core.training.loop import evaluate_loss, train
from tests.support.tiny_models import EXAMPLES, random_prefix

TASK = task("e2e")
PLAIN = TrainConfig(method="infix", length=4, init="random", autocast="off")
SOURCES = ["name : Alda", "name : Brio | Type : inn | area : south", "x"]


def typed(backbone, source: str, text: str) -> tuple[Request, Request]:
    """A text as an infix, with what the model makes of it after the source; and the same text typed there."""
    before, words, after = backbone.encode(source), backbone.encode(text), backbone.encode(TASK.separator)
    with torch.no_grad():
        past = read_key_values(backbone, input_ids=torch.tensor([before + words]))["decoder"]
    infix = Prefix({"decoder": past[:, :, :, len(before) :]}, infix=True)
    return Request(before + after, infix, split=len(before)), Request(before + words + after)


@pytest.mark.parametrize("model", ["tiny", "llama"])
def test_a_text_as_an_infix_equals_typing_it_after_the_source(model, request):
    backbone = request.getfixturevalue(model)
    pairs = [typed(backbone, source, text) for source, text in zip(SOURCES, ["four", "a", "twelve ones"], strict=True)]
    infixes, plain = [one for one, _ in pairs], [other for _, other in pairs]
    torch.testing.assert_close(
        DecodingBatch(backbone.model, backbone, infixes).logits(),
        DecodingBatch(backbone.model, backbone, plain).logits(),
        rtol=1e-4,
        atol=1e-4,
    )
    for decode in (DecodeConfig(max_new=8), DecodeConfig("beam", beams=3, max_new=8)):
        ids = [[generation.ids for generation in generate(backbone.model, backbone, asked, decode)] for asked in (infixes, plain)]
        assert ids[0] == ids[1]


def test_it_shares_a_batch_with_prefixes_and_with_none(tiny):
    infix = Prefix(random_prefix(tiny, 5, seed=3).past, infix=True)
    asked = [
        make_request(tiny, TASK, source, prefix)
        for source, prefix in zip(SOURCES, [infix, random_prefix(tiny, 3), None], strict=True)
    ]
    for decode in (DecodeConfig(max_new=8), DecodeConfig("beam", beams=3, max_new=8)):
        alone = [generate(tiny.model, tiny, [one], decode)[0].ids for one in asked]
        assert [generation.ids for generation in generate(tiny.model, tiny, asked, decode)] == alone


def test_the_source_does_not_see_it(tiny):
    infix = Prefix(random_prefix(tiny, 3, scale=4).past, infix=True)
    request = make_request(tiny, TASK, "abc", infix)
    weights = attention_map(tiny.model, tiny, request, []).weights  # (layers, heads, query, virtual + key)
    assert request.split == 3 and weights.shape[-2:] == (4, 7)
    assert weights[..., :3, :3].max() == 0 and weights[..., 3, :3].min() > 0


def test_training_sees_what_generation_sees(tiny):
    """The loss with a text as an infix is that of the text typed."""
    example = EXAMPLES[0]
    with_infix, plain = typed(tiny, example.source, "four")
    method = new_method(tiny, PLAIN)
    with torch.no_grad():
        method.module.past["decoder"].copy_(with_infix.prefix.past["decoder"])
    (row,) = encode_rows(tiny, TASK, [example], 4, infix=True)
    assert row.split == len(tiny.encode(example.source)) and list(row.prompt) == with_infix.prompt_ids
    whole = new_method(tiny, PLAIN.replace(method="finetune"))
    expected = evaluate_loss(whole, [Row(tuple(plain.prompt_ids), row.answer)], PLAIN)
    short = encode_rows(tiny, TASK, EXAMPLES[4:5], 4, infix=True)
    assert evaluate_loss(method, [row], PLAIN) == pytest.approx(expected, rel=1e-5)
    both, alone = evaluate_loss(method, [row, *short], PLAIN), evaluate_loss(method, short, PLAIN)
    counts = [len(row.answer), len(short[0].answer)]
    assert both == pytest.approx((expected * counts[0] + alone * counts[1]) / sum(counts), rel=1e-5)  # padding changes nothing


@pytest.mark.parametrize("changes", [{"mlp": 8}, {"checkpointing": True}])
def test_every_virtual_token_learns(tiny, changes):
    config = PLAIN.replace(updates=2, batch=10, rate=1e-2, **changes)
    method = new_method(tiny, config)
    before = method.tensors()["decoder"]
    list(train(method, encode_rows(tiny, TASK, EXAMPLES, 4, infix=True), [], config))
    assert ((method.tensors()["decoder"] != before).any(-1)).all()


def test_it_is_refused_where_it_would_be_taken_for_a_prefix(tiny, bart):
    with pytest.raises(NotSupported, match="infix goes between"):
        PrefixState.of([Prefix(random_prefix(tiny, 2).past, infix=True)], tiny.device, tiny.dtype)
    for method, message in (("infix", "Infix-tuning"), ("embedding", "Embedding-only")):
        with pytest.raises(NotSupported, match=f"{message}.* does not fit tiny-bart, an encoder-decoder"):
            new_method(bart, PLAIN.replace(method=method))
