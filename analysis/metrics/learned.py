"""BERTScore, BLEURT and MoverScore, which DART's paper reports beside BLEU.

They are computed by their authors' packages if these and their weights are on this machine. None of the packages is a
requirement, and nothing is downloaded.
"""

import importlib
import importlib.util
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from analysis.metrics.base import NotComputed, Score, check, mean_score

BLEURT = "PREFIX_LAB_BLEURT"  # names the folder of a BLEURT checkpoint
BERT, MOVER = "roberta-large", "distilbert-base-uncased"
References = list[list[str]]


def learned(hyps: list[str], refs: References) -> list[Score | NotComputed]:
    """Return all three, each a Score (0 to 100, higher is better) or the reason why there is none. Raises BadInput as other
    scores do."""
    check(hyps, refs)
    return [
        _score("BERTScore", "bert_score", _cached(BERT), lambda: _bert(hyps, refs), f"{BERT}|F1|refs:best"),
        _score("MoverScore", "moverscore_v2", _cached(MOVER), lambda: _mover(hyps, refs), f"{MOVER}|1-gram|refs:mean"),
        _score("BLEURT", "bleurt", _checkpoint(), lambda: _bleurt(hyps, refs), f"{_folder().name}|refs:best"),
    ]


def _score(name: str, package: str, lacking: str, each: Callable[[], Sequence[float]], how: str) -> Score | NotComputed:
    if importlib.util.find_spec(package) is None:
        return NotComputed(name, f"not computed, needs the package {package} and its weights")
    if lacking:
        return NotComputed(name, f"not computed, {lacking}")
    try:
        values = [100 * float(value) for value in each()]
    except Exception as error:  # third-party packages may raise anything
        message = " ".join(str(error).split())[:120]
        return NotComputed(name, f"not computed, {package} failed ({type(error).__name__}: {message})")
    return mean_score(name, values, True, f"{package}|{how}")


def _cached(model: str) -> str:
    """Say in a few words what a cached hub model lacks; "" if it is complete."""
    here = isinstance(try_to_load_from_cache(model, "config.json"), str)
    return "" if here else f"needs the weights of {model} in the hub's cache"


def _folder() -> Path:
    return Path(os.environ.get(BLEURT, ""))


def _checkpoint() -> str:
    return "" if os.environ.get(BLEURT) and _folder().is_dir() else f"needs a checkpoint: set {BLEURT} to its folder"


def _bert(hyps: list[str], refs: References) -> Sequence[float]:
    scores = importlib.import_module("bert_score").score(hyps, refs, model_type=BERT)  # precision, recall, F1: (n,) each
    return scores[2].tolist()


def _mover(hyps: list[str], refs: References) -> Sequence[float]:
    package = importlib.import_module("moverscore_v2")
    plain: defaultdict[str, float] = defaultdict(lambda: 1.0)  # every word weighs the same

    def one(hyp: str, own: list[str]) -> float:
        options = {"stop_words": [], "n_gram": 1, "remove_subwords": True}
        return sum(package.word_mover_score(own, [hyp] * len(own), plain, plain, **options)) / len(own)

    return [one(hyp, own) for hyp, own in zip(hyps, refs, strict=True)]


def _bleurt(hyps: list[str], refs: References) -> Sequence[float]:
    scorer = importlib.import_module("bleurt.score").BleurtScorer(str(_folder()))
    pairs = [(hyp, ref) for hyp, own in zip(hyps, refs, strict=True) for ref in own]
    scores = iter(scorer.score(references=[ref for _, ref in pairs], candidates=[hyp for hyp, _ in pairs]))
    return [max(next(scores) for _ in own) for own in refs]
