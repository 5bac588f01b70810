"""P(next word | context) against the model's own probabilities."""

import pytest
import torch

from analysis.next_words import context_effect, word_probability
from core.errors import BadInput, NotSupported
from core.models.loading import load_backbone
from tests.support.tiny_models import make_tiny_backbone, make_tiny_bart


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return load_backbone(str(make_tiny_backbone(tmp_path_factory.mktemp("words") / "tiny")), "cpu")


@torch.no_grad()
def own(backbone, text):
    return backbone.model(torch.tensor([backbone.encode(text)])).logits[0, -1].softmax(-1)


def test_probabilities_are_the_models_own_with_and_without_words_in_front(backbone):
    effect = context_effect(backbone, " In Rome ", "we eat ", count=3)
    alone, fronted = own(backbone, "we eat"), own(backbone, "In Rome we eat")
    assert [change.with_front for change in effect.likeliest] == sorted((c.with_front for c in effect.likeliest), reverse=True)
    top = {int(token) for values in (alone, fronted) for token in values.topk(3).indices}
    expected = sorted(((float(fronted[token]), float(alone[token])) for token in top), reverse=True)
    assert [(change.with_front, change.alone) for change in effect.likeliest] == [pytest.approx(pair) for pair in expected]


def test_a_words_probability_is_the_product_of_its_tokens(backbone):
    expected = 1.0
    for place, letter in enumerate(" ab"):
        expected *= float(own(backbone, "we eat" + " ab"[:place])[backbone.encode(letter)[0]])
    assert word_probability(backbone, "we eat", "ab") == pytest.approx(expected, rel=1e-4)
    assert context_effect(backbone, "", "we eat", "ab").word.alone == pytest.approx(expected, rel=1e-4)


def test_what_cannot_be_continued_is_refused(backbone, tmp_path):
    with pytest.raises(BadInput, match="empty"):
        context_effect(backbone, "In Rome", "  ")
    with pytest.raises(NotSupported, match="encoder"):
        context_effect(load_backbone(str(make_tiny_bart(tmp_path / "bart")), "cpu"), "", "we eat")
