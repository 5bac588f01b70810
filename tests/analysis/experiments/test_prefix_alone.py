"""Texts without an input: each equals the same request generated alone, and first words are counted."""

import pytest

from analysis.experiments.prefix_alone import NO_WORD, PrefixAlone, sample_alone
from core.config.decode import DecodeConfig
from core.generation.generate import generate
from core.generation.types import Request
from core.models.inputs import task_for_backbone
from core.models.loading import load_backbone
from core.prefix.interventions import Intervention
from tests.support.tiny_models import make_tiny_backbone, make_tiny_bart, random_prefix

SAMPLING = DecodeConfig(mode="sample", max_new=12)


@pytest.mark.parametrize(("make", "task"), [(make_tiny_backbone, "e2e"), (make_tiny_bart, "summarization")])
def test_texts_are_sampled_from_what_the_task_puts_around_nothing(tmp_path, make, task):
    backbone = load_backbone(str(make(tmp_path / "tiny")), "cpu")
    task, prefix = task_for_backbone(backbone, task), random_prefix(backbone, 3)
    alone = sample_alone(backbone.model, backbone, task, prefix, n=4, decode=SAMPLING, seed=7)
    assert alone.prompt == task.prompt("") != "" and len(alone.prefix) == len(alone.frozen) == 4
    for texts, own in ((alone.prefix, prefix), (alone.frozen, None)):
        for i, text in enumerate(texts):
            request = Request(backbone.encode(task.prompt("")), own, 7 + i)
            assert generate(backbone.model, backbone, [request], SAMPLING)[0].text.strip() == text
    assert alone.prefix != alone.frozen and len(set(alone.prefix)) > 1
    again = sample_alone(backbone.model, backbone, task, prefix, 4, SAMPLING, 7, Intervention(0.0))
    assert again.frozen == alone.frozen and again.prefix != alone.prefix


def test_first_words_are_shares_of_either_side():
    alone = PrefixAlone(("The Eagle is", "The Mill", "", "A pub"), ("The", "and so", "and", "of"), "\n", SAMPLING, 0)
    assert alone.first_words() == [
        ("The", 0.5, 0.25),
        (NO_WORD, 0.25, 0.0),
        ("A", 0.25, 0.0),
        ("and", 0.0, 0.5),
        ("of", 0.0, 0.25),
    ]
    assert alone.first_words(top=1) == [("The", 0.5, 0.25)]


def test_cancelling_keeps_what_was_written(tmp_path):
    backbone = load_backbone(str(make_tiny_backbone(tmp_path / "tiny")), "cpu")
    alone = sample_alone(backbone.model, backbone, task_for_backbone(backbone, "e2e"), None, 3, SAMPLING, cancel=lambda: True)
    assert alone.prefix == alone.frozen == ("", "", "")
