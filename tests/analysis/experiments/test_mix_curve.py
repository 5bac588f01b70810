"""The curve's loss against the training's own, its texts against single requests, and its sentence."""

import math

import pytest
import torch

from analysis.experiments.mix_curve import MixPoint, describe_curve, ends, mean_loss, slide, slider
from analysis.metrics.coverage import cover
from core.config.decode import DecodeConfig
from core.generation.decoding_batch import make_batch
from core.generation.generate import generate
from core.generation.types import Request, make_request
from core.models.inputs import task_for_backbone
from core.models.loading import load_backbone
from core.prefix.interventions import Intervention
from core.prefix.mix import Mix
from core.text.tables import parse
from tests.support.mix_points import mix_point
from tests.support.tiny_models import ARTICLES, EXAMPLES, make_tiny_backbone, make_tiny_bart, random_prefix

DECODE = DecodeConfig(max_new=8, min_new=8)


@pytest.fixture(scope="module", params=[make_tiny_backbone, make_tiny_bart], ids=["gpt2", "bart"])
def backbone(request, tmp_path_factory):
    return load_backbone(str(request.param(tmp_path_factory.mktemp("models") / "tiny")), "cpu")


def rows_of(backbone):
    name, examples = ("summarization", ARTICLES) if backbone.is_encoder_decoder else ("e2e", EXAMPLES)
    return task_for_backbone(backbone, name), examples[:3]


@pytest.mark.parametrize("own", [Intervention(), Intervention(0.4)])
def test_the_loss_is_that_of_each_token_generated_in_turn(backbone, own):
    """Token by token: the log-probability that generation itself would give the next target token."""
    task, examples = rows_of(backbone)
    prefix, slow, count = random_prefix(backbone, 3), 0.0, 0
    requests = [Request(make_request(backbone, task, one.source).prompt_ids, prefix, intervention=own) for one in examples]
    answers = [backbone.encode(task.answer(one.targets[0]))[:4] for one in examples]
    for request, answer in zip(requests, answers, strict=True):
        slow -= sum(forced_logprobs(backbone, request, answer))
        count += len(answer)
    assert mean_loss(backbone.model, backbone, requests, answers) == pytest.approx(slow / count, rel=1e-4)


def forced_logprobs(backbone, request, answer):
    for length, token in enumerate(answer):
        if backbone.is_encoder_decoder:
            batch = make_batch(backbone.model, backbone, [request])
            logits = batch.logits()
            for earlier in answer[:length]:
                batch.append([earlier])
                logits = batch.logits()
        else:
            longer = Request(request.prompt_ids + answer[:length], request.prefix, intervention=request.intervention)
            logits = make_batch(backbone.model, backbone, [longer]).logits()
        yield torch.log_softmax(logits[0].double(), -1)[token].item()


def test_a_point_has_the_texts_and_the_coverage_of_its_mix(backbone):
    task, examples = rows_of(backbone)
    runs = [random_prefix(backbone, 3, 1), random_prefix(backbone, 3, 2)]
    mixes = [slide("fade", ("a", "b"), stop) for stop in (0.0, 0.5, 1.0)]
    points = [mix_point(backbone, task, mix, runs, examples, DECODE) for mix in mixes]
    assert len({point.texts for point in points}) == 3
    for point, run in ((points[0], runs[0]), (points[2], runs[1])):
        alone = [make_request(backbone, task, one.source, run) for one in examples]
        assert point.texts == tuple(generation.text for generation in generate(backbone.model, backbone, alone, DECODE))
        answers = [backbone.encode(task.answer(one.targets[0])) for one in examples]
        assert point.loss == mean_loss(backbone.model, backbone, alone, answers)
        if not backbone.is_encoder_decoder:
            coverage = [cover(parse(one.source), text) for one, text in zip(examples, point.texts, strict=True)]
            assert point.covered == sum(len(one.present) for one in coverage) and point.values == 9
            assert point.unsupported == sum(len(one.unsupported) for one in coverage)
        else:
            assert (point.covered, point.values, point.unsupported) == (0, 0, 0)
    assert all(math.isfinite(point.loss) for point in points)


def test_a_stop_gives_the_second_prefix_its_share():
    assert slide("fade", ("a", "b"), 0.25) == Mix("fade", ("a", "b"), (0.75, 0.25))
    assert slide("path", ("a",), 0.25) == Mix("path", ("a",), (0.25,))
    assert slide("swap", ("a", "b"), 0.25) == Mix("swap", ("a", "b"))


def test_the_ends_of_a_slider_are_the_prefixes_alone():
    assert ends(slider("fade", ("a", "b"))) == [0, 10]
    assert ends(slider("average", ("a", "b", "c"))) == [0, 5, 10]
    assert ends(slider("join", ("a", "b", "c"))) == [0, 1, 3]
    assert ends(slider("swap", ("a", "b"))) == [0, 2]
    assert ends(slider("path", ("a",))) == [0, 10]
    assert ends(slider("layers", ("a",), 4)) == [0, 4]


def test_the_sentence_says_what_mixing_cost():
    points = [MixPoint(loss, (), covered, 12) for loss, covered in ((1.0, 11), (2.5, 6), (1.5, 10))]
    assert describe_curve(points, slider("join", ("a", "b"))) == (
        "The loss runs from 1.00 to 1.50 nats per token, with a peak of 2.50 in between. "
        "Coverage is 11 and 10 of 12 values at the ends, and 6 at its lowest."
    )
    plain = [MixPoint(loss, ()) for loss in (1.0, 1.2, 1.5)]
    assert describe_curve(plain, slider("swap", ("a", "b"))) == "The loss runs from 1.00 to 1.50 nats per token."


def test_of_three_prefixes_the_second_is_no_cost_of_mixing():
    points = [MixPoint(loss, (), covered, 12) for loss, covered in ((1.4, 9), (2.1, 5), (1.3, 7), (1.6, 8))]
    assert describe_curve(points, slider("join", ("a", "b", "c"))) == (
        "Alone, the prefixes have a loss of 1.40, 2.10 and 1.60 nats per token, and mixed one of up to 1.30. "
        "Coverage is 9, 5 and 8 of 12 values alone, and 7 at its lowest when mixed."
    )
