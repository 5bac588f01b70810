"""One batch with a prefix per row: its padding is what attention masks, and its texts are those of one by one."""

import pytest

from analysis.experiments.shared_batch import RowLayout, batch_layout, write_both_ways
from core.config.decode import DecodeConfig
from core.generation.decoding_batch import DecodingBatch
from core.generation.generate import generate
from core.generation.types import Request
from core.models.activations import text_prefix
from core.models.loading import load_backbone
from tests.support.tiny_models import make_tiny_backbone

DECODE = DecodeConfig(max_new=6, min_new=6)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return load_backbone(str(make_tiny_backbone(tmp_path_factory.mktemp("batch") / "tiny-gpt2")), "cpu")


@pytest.fixture(scope="module")
def requests(tiny):
    long, short = (text_prefix(tiny, text) for text in ("tell the table: ", "tell"))
    return [Request(tiny.encode("a : b"), long), Request(tiny.encode("name : c | d"), short), Request(tiny.encode("e"))]


def test_the_layout_is_the_masks_of_the_batch(tiny, requests):
    layouts = batch_layout(tiny.model, tiny, requests)
    long = requests[0].prefix.length
    short = requests[1].prefix.length
    assert layouts == [RowLayout(0, long, 7, 5), RowLayout(long - short, short, 0, 12), RowLayout(long, 0, 11, 1)]
    batch = DecodingBatch(tiny.model, tiny, requests)
    assert batch.state.mask.logical_not().sum(-1).tolist() == [layout.prefix_padding for layout in layouts]
    assert (batch.mask == 0).sum(-1).tolist() == [layout.text_padding for layout in layouts]


def test_each_row_has_the_text_that_it_has_alone_and_every_pass_is_counted(tiny, requests):
    (*_, progress) = write_both_ways(tiny.model, tiny, requests, DECODE)
    assert progress.finished and progress.done == 3 and progress.same == [True, True, True]
    expected = [generate(tiny.model, tiny, [request], DECODE)[0] for request in requests]
    assert progress.together.ids == progress.alone.ids == [text.ids for text in expected]
    assert progress.together.texts == [text.text for text in expected]
    assert (progress.together.passes, progress.alone.passes) == (6, 18)
    assert progress.ratio == progress.alone.seconds / progress.together.seconds > 0


def test_a_text_that_differs_alone_is_said_to_differ(tiny, requests):
    steps = write_both_ways(tiny.model, tiny, requests, DECODE)
    for _ in range(6):
        progress = next(steps)
    progress.together.ids[1] = [0, *progress.together.ids[1][1:]]
    (*_, progress) = steps
    assert progress.same == [True, False, True]
