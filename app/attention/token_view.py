"""What the Attention tab's token view draws, as JSON: one head token by token, or an article by its sentences.

The page gets the texts of the keys, those of the queries where they are others (the cross-attention), and for each reader the
weights of a query as a row, in thousandths. The row of query q belongs to the text q + `lag`: a token is written by the query
before it, and read by its own.
"""

import json
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from analysis.attention.maps import SITE, AttentionLabels, AttentionMap, AttentionReading
from analysis.attention.sentences import ArticleSentences, SentenceMap
from app.attention.state import AttentionState
from core.runs.layout import JsonObject

CELLS = 60_000  # weights sent to the page for one head; beyond them only those of some tokens
HINT = "Hover a token: what {what} looked at when that token came next. A click keeps it."
READ = "Hover a {unit}: what {what} looked at while it was read. A click keeps it."


def tokens(
    state: AttentionState,
    maps: Mapping[str, AttentionMap],
    kinds: Sequence[str],
    named: AttentionLabels,
    article: ArticleSentences | None,
) -> str:
    """One head of one layer. Where there are too many weights: the rows of what was written, or of a chosen sentence."""
    first = next(iter(maps.values()))
    rows, sent = range(len(first.tokens)), sum(len(one.key_tokens) for one in maps.values()) * len(first.tokens)
    part = ""
    if sent > CELLS and first.site == "encoder" and article is not None:
        rows = _of_sentence(article, state.sentence)
        part = "The article is long: the tokens of one sentence can be chosen. A number chooses another sentence."
    elif sent > CELLS:
        rows, part = first.step_queries, "The text is long: only written tokens can be chosen."
    weights = {name: one.weights[0, state.head - 1] for name, one in maps.items()}
    about = {"title": f"Layer {state.layer}, head {state.head}", "part": part, "whole": not part, "unit": "tokens"}
    if article is not None and first.site != SITE:
        about |= {"starts": _starts(article), "sentence": state.sentence}
    return _json(first, weights, maps, kinds, named, rows, about, "this head")


def sentences(state: AttentionState, maps: Mapping[str, SentenceMap], kinds: Sequence[str], named: AttentionLabels) -> str:
    """An article by its sentences: in the chosen head, or the mean of all layers and heads."""
    chosen, first = bool(state.layer and state.head), next(iter(maps.values()))
    weights = {
        name: one.weights[state.layer - 1, state.head - 1] if chosen else one.weights.mean((0, 1)) for name, one in maps.items()
    }
    which = f"Layer {state.layer}, head {state.head}" if chosen else "All layers and heads"
    about = {"title": f"{which}, by sentence", "part": "", "whole": True, "unit": "sentences"}
    what = "this head" if chosen else "the model"
    return _json(first, weights, maps, kinds, named, range(len(first.tokens)), about, what)


def _json(
    first: AttentionReading,
    weights: Mapping[str, Tensor],
    maps: Mapping[str, AttentionReading],
    kinds: Sequence[str],
    named: AttentionLabels,
    rows: range,
    about: JsonObject,
    what: str,
) -> str:
    reads, sentences = first.site == "encoder", about["unit"] == "sentences"
    keys, unit = first.key_tokens[first.virtual :], "sentence" if sentences else "token"
    apart = first.site == "cross"
    data = about | {
        "keys": list(keys),
        "queries": list(first.tokens) if apart else None,
        "source": first.group_sizes[1],
        "opening": first.source if apart else 0,
        "first": rows.start,
        "lag": 0 if reads else 1,
        "hint": READ.format(what=what, unit=unit) if reads else HINT.format(what=what),
        "mean": f"On average over all {unit}s read" if reads else "On average over the written tokens",
        "one": ("While “{}” was read" if unit == "token" else "While sentence {} was read") if reads else "When “{}” came next",
        "groups": list(named.groups),
    }
    readers = zip(maps.items(), kinds, strict=True)
    data["readers"] = [_reader(name, kind, reading, weights[name], rows) for (name, reading), kind in readers]
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _reader(name: str, kind: str, reading: AttentionReading, weights: Tensor, rows: range) -> JsonObject:
    """`weights`: (query, virtual + key). `sums`: of each row the shares of the groups of keys, the mean's last."""
    rows_and_mean = torch.cat([weights[list(rows)], weights[list(reading.step_queries)].mean(0, keepdim=True)])
    *thousandths, mean = (1000 * rows_and_mean).round().int().tolist()
    sums = (100 * torch.stack([part.sum(-1) for part in rows_and_mean.split(reading.group_sizes, -1)], -1)).round().int().tolist()
    return {"name": name, "kind": kind, "virtual": reading.virtual, "rows": thousandths, "mean": mean, "sums": sums}


def _of_sentence(sentences: ArticleSentences, number: int) -> range:
    """The positions of the tokens of a sentence, counted from 1; of the first sentence if there is no such one."""
    index = number - 1 if number - 1 in sentences.sentence_of_token else 0
    places = [place for place, part in enumerate(sentences.sentence_of_token) if part == index]
    return range(places[0], places[-1] + 1) if places else range(len(sentences.sentence_of_token))


def _starts(sentences: ArticleSentences) -> list[int]:
    """The position of the first token of each sentence that has one."""
    return sorted({part: place for place, part in reversed(list(enumerate(sentences.sentence_of_token))) if part >= 0}.values())
