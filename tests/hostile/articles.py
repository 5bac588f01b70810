"""Hostile articles, data of articles, and runs and models of the encoder-decoder family."""

import json
from collections.abc import Callable

from safetensors.torch import load_file, save_file

from tests.hostile.place import Command, Place, cases

TEXT = "Aldby was flooded on Monday. People left by boat, and nobody was hurt."
ROW = {"article": TEXT, "summary": "Aldby flooded", "topic": "news"}
LONG = {"article": "a b " * 99, "summary": "ab " * 99}


def article(content: str | bytes, *options: str) -> Callable[[Place], Command]:
    """An article from a file."""
    return lambda place: sum_up(place, str(place.put("a.txt", content)), *options)


def sum_up(place: Place, article: str, *options: str, run: str | None = None, model: str = "bart") -> list[str]:
    chosen = [] if run is None else ["--run", run]
    return ["generate", *chosen, "--backbone", str(place.root / model), "--device", "cpu", *options, "--article", article]


def train(place: Place, rows: list[dict], *options: str) -> list[str]:
    data = place.put("mine.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    words = ["train", "--task", "summarization", "--data", str(data), "--run", "new", "--backbone", str(place.root / "bart")]
    return [*words, "--device", "cpu", "--updates", "1", "--length", "2", "--mlp", "0", "--init", "zeros", *options]


def scored(place: Place, *options: str) -> list[str]:
    return ["evaluate", "--data", str(place.root / "data"), *options]


def without_site(place: Place) -> Command:
    """A run whose file has lost one of its three sites."""
    path = place.root / "home/runs/news/weights.safetensors"
    save_file({site: kv for site, kv in load_file(path).items() if site != "cross"}, path)
    return sum_up(place, str(place.put("a.txt", TEXT)), run="news")


def no_start(place: Place) -> Command:
    place.change("bart/config.json", decoder_start_token_id=None)
    return sum_up(place, str(place.put("a.txt", TEXT)))


ARTICLES = cases(
    ("an empty article", "article is empty", article("")),
    ("an article of blanks", "article is empty", article(" \n\t\r\n ")),
    ("an article of one word", "one word", article("Flooded.")),
    ("a picture as an article", "not UTF-8", article(b"\x89PNG\r\n\x1a\n\xff\xfe\x00")),
    ("a program as an article", "U+0090", article(b"MZ\x90\x00".decode("latin-1").encode() * 20)),
    ("a web page as an article", "source of a web page", article("<html><body><p>Aldby was flooded.</p></body></html>")),
    ("a library as an article", "2,000,000 are allowed", article("word " * 500_000)),
    ("no such article", "cannot be read", lambda place: sum_up(place, str(place.root / "nowhere.txt"))),
    ("a folder as an article", "cannot be read", lambda place: sum_up(place, str(place.root / "data"))),
    ("an article beside a table", "Give one input", lambda place: [*sum_up(place, "-"), "name : Alda"]),
    ("neither article nor table", "Give one input", lambda place: ["generate", "--run", "mine"]),
    ("an article for a run on tables", "was trained on tables", lambda place: sum_up(place, "-", run="mine", model="model")),
    ("more new tokens than a decoder has", "127 fit", article(TEXT, "--max-new", "128")),
    ("a summary longer than its article", "line 2", lambda place: train(place, [ROW, ROW | {"summary": TEXT * 2}])),
    ("a web page in training data", "line 1", lambda place: train(place, [ROW | {"article": "<p>a</p><p>b</p><br>"}])),
    ("articles without summaries", '"summary" is missing', lambda place: train(place, [{"article": TEXT}])),
    ("an unknown topic split", "'news-to-news'", lambda place: train(place, [ROW], "--topics", "news-to-news")),
    ("a topic split of one topic", "It has: news", lambda place: train(place, [ROW], "--topics", "within-news")),
    ("topics without a column", "--topic-column", lambda place: train(place, [ROW | {"topic": ""}], "--topics", "within-news")),
    ("topics of tables", "--set summarization", lambda place: place.train(None, "--topic-column", "x", "--set", "e2e")),
    ("two columns of articles", "one column", lambda place: train(place, [ROW], "--source", "article", "--source", "topic")),
    ("a cut below zero", "cut", lambda place: train(place, [ROW], "--cut", "-5")),
    ("a summary longer than a decoder", "target has", lambda place: train(place, [LONG])),
    ("the lead of tables", "articles", lambda place: scored(place, "--set", "e2e", "--lead", "1")),
    ("a table run on an encoder-decoder", "loaded is bart", lambda place: place.generate("mine", model="bart")),
    ("an article run on a decoder", "trained on bart", lambda place: place.generate("news", model="model", table=TEXT)),
    ("a prefix without one of its sites", "takes encoder", without_site),
    ("a PEFT prefix for an encoder-decoder", "models like GPT-2", lambda place: place.import_run(model="bart")),
    ("an encoder-decoder run for PEFT", "PEFT stores one", lambda place: place.export_run("out", run="news")),
    ("an encoder-decoder without a start", "decoder_start_token_id", no_start),
    ("half a BART", "safetensors", lambda place: _half(place)),
)  # fmt: skip


def _half(place: Place) -> Command:
    path = place.root / "bart/model.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    return sum_up(place, str(place.put("a.txt", TEXT)))
