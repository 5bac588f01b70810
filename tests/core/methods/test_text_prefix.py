"""Any text is a prefix: what the frozen model makes of it stands in for typing it."""

import pytest
import torch

from core.config.decode import DecodeConfig
from core.errors import BadInput, TooLong
from core.generation.decoding_batch import DecodingBatch
from core.generation.generate import generate
from core.generation.types import Request
from core.models.activations import text_prefix
from core.prefix.prefix import Prefix

TEXT, PROMPT = "Describe the place. ", "name : Alda | Type : pub"


@pytest.fixture(params=["gpt2", "llama"])
def backbone(request, tiny, llama):
    return {"gpt2": tiny, "llama": llama}[request.param]


def test_a_text_prefix_equals_typing_the_text_before_the_input(backbone):
    prefixed = Request(backbone.encode(PROMPT), text_prefix(backbone, TEXT))
    typed = Request(backbone.encode(TEXT + PROMPT))
    logits = [DecodingBatch(backbone.model, backbone, [request]).logits() for request in (prefixed, typed)]
    torch.testing.assert_close(*logits, rtol=1e-4, atol=1e-5)
    decode = DecodeConfig(max_new=12, min_new=12)
    ids = [generate(backbone.model, backbone, [request], decode)[0].ids for request in (prefixed, typed)]
    assert ids[0] == ids[1]


def test_it_is_a_prefix_of_its_backbone_that_can_be_kept(tiny, tmp_path):
    prefix = text_prefix(tiny, TEXT)
    assert (prefix.length, prefix.fingerprint) == (len(tiny.encode(TEXT)), tiny.spec.fingerprint)
    prefix.save(tmp_path / "text.safetensors")
    assert torch.equal(Prefix.load(tmp_path / "text.safetensors").past["decoder"], prefix.past["decoder"])


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_text_is_refused(tiny, text):
    with pytest.raises(BadInput, match="empty"):
        text_prefix(tiny, text)


def test_a_text_that_leaves_no_room_is_refused_with_both_numbers(tiny):
    assert text_prefix(tiny, "x" * 128).length == 128
    with pytest.raises(TooLong, match=r"129 tokens, and at most 128 .* 256 positions"):
        text_prefix(tiny, "x" * 129)
