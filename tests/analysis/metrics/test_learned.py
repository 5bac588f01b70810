"""Scores by trained models: never without package and weights, and the package's own numbers where they are there."""

import sys
from types import SimpleNamespace

import torch

from analysis.metrics import learned as module
from analysis.metrics.base import NotComputed, Score
from analysis.metrics.learned import learned

HYPS, REFS = ["A pub.", "An inn."], [["A pub.", "The pub."], ["The inn."]]


def test_without_packages_nothing_is_computed_and_it_says_why(monkeypatch):
    for name in ("bert_score", "moverscore_v2", "bleurt"):
        monkeypatch.setitem(sys.modules, name, None)
    scores = learned(HYPS, REFS)
    assert [one.name for one in scores] == ["BERTScore", "MoverScore", "BLEURT"]
    assert all(isinstance(one, NotComputed) and "needs the package" in one.reason for one in scores)


def test_a_package_alone_is_not_enough_and_with_weights_its_numbers_come_through(monkeypatch):
    def score(hyps, refs, model_type):
        assert (hyps, refs, model_type) == (HYPS, REFS, "roberta-large")
        return torch.zeros(2), torch.zeros(2), torch.tensor([0.5, 1.0])

    monkeypatch.setitem(sys.modules, "bert_score", SimpleNamespace(score=score, __spec__=True))
    monkeypatch.setattr(module, "_cached", lambda model: f"needs {model}")
    assert learned(HYPS, REFS)[0] == NotComputed("BERTScore", "not computed, needs roberta-large")
    monkeypatch.setattr(module, "_cached", lambda model: "")
    bert = learned(HYPS, REFS)[0]
    assert isinstance(bert, Score) and bert.value == 75 and bert.per_example == (50.0, 100.0)


def test_a_package_that_fails_is_reported(monkeypatch):
    def score(*_given, **_more):
        raise ValueError("made for another version")

    monkeypatch.setitem(sys.modules, "bert_score", SimpleNamespace(score=score, __spec__=True))
    monkeypatch.setattr(module, "_cached", lambda model: "")
    assert "ValueError: made for another version" in learned(HYPS, REFS)[0].reason
