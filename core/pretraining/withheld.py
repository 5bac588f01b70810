"""Withhold parts of a corpus from training, because a summarization task tests with them.

For the held-out rows (valid and test) of every given data set: a document with the title of one is left out, and so is every
paragraph that shares a sentence or 13 consecutive words with one. News streams also lose their titles and opening sentences,
which are the summaries of the task.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from core.errors import BadData, BadInput
from core.pretraining.records import json_lines

NEWS = ("wikinews",)
HELD_OUT = ("valid", "test")
LONG, RUN = 8, 13  # words
SENTENCE_END = re.compile(r"(?<![A-Z])(?<!\b(?:Mr|Ms|Dr|St|Jr|Sr|No|vs))(?<!\bMrs)[.!?][\"')\]]*\s+(?=[A-Z0-9\"'(])")


def is_news(stream: str) -> bool:
    """Whether a stream of a corpus is news, from one file or from several such as wikinews.2020.txt."""
    return stream.split(".")[0] in NEWS


def _key(text: str) -> str:
    return re.sub(r"\W+", " ", text.casefold()).strip()


class Withheld:
    """The content that summarization sets withhold. `keep` returns what may be used of a document."""

    def __init__(self, folder: Path) -> None:
        files = sorted(path for path in folder.glob("*/*.jsonl*") if path.name.split(".")[0] in ("train", *HELD_OUT))
        if not files:
            raise BadInput(f"No rows to withhold: {folder} has no SET/train.jsonl and the like. Give another --withhold.")
        self.titles: set[str] = set()
        self.held_out: set[int] = set()
        self.summary_traces: set[int] = set()
        self.summaries: set[str] = set()
        for path in files:
            for row in _rows(path):
                self.summaries.add(_key(row["summary"]))
                self.summary_traces |= _traces(row["summary"])
                if path.name.split(".")[0] in HELD_OUT:
                    self.titles |= {_key(row["title"])} - {""}
                    self.held_out |= _traces(row["summary"] + "\n" + row["article"])

    def keep(self, stream: str, text: str) -> str | None:
        """Return a document without what is withheld; None if nothing is left."""
        title, *paragraphs = text.split("\n")
        if _key(title) in self.titles:
            return None
        if is_news(stream):
            return self._body(paragraphs) or None
        return "\n".join(part for part in (title, *paragraphs) if self.held_out.isdisjoint(_traces(part))) or None

    def _body(self, paragraphs: list[str]) -> str:
        """Return a news text after its opening sentence, without paragraphs that have a summary or a part of a held-out row."""
        remaining = []
        for index, paragraph in enumerate(paragraphs):
            parts = SENTENCE_END.split(paragraph, maxsplit=1)
            if index == 0 or _key(parts[0]) in self.summaries:
                paragraph = parts[1] if len(parts) > 1 else ""
            traces = _traces(paragraph)
            if (
                paragraph
                and _key(paragraph) not in self.summaries
                and traces.isdisjoint(self.held_out)
                and traces.isdisjoint(self.summary_traces)
            ):
                remaining.append(paragraph)
        return "\n".join(remaining)


def _traces(text: str) -> set[int]:
    """Return hashes that identify a text elsewhere: of its longer sentences, and of every run of `RUN` words."""
    traces = set()
    for paragraph in text.split("\n"):
        traces |= {hash(_key(sentence)) for sentence in SENTENCE_END.split(paragraph) if len(sentence.split()) >= LONG}
        words = _key(paragraph).split()
        traces |= {hash(" ".join(words[start : start + RUN])) for start in range(len(words) - RUN + 1)}
    return traces


def _rows(path: Path) -> Iterator[dict[str, str]]:
    for number, row in json_lines(path):
        try:
            texts = {"summary": row["summary"], "article": row["article"], "title": row.get("title") or ""}
        except (KeyError, TypeError, AttributeError) as error:
            raise BadData(f"{path}, line {number}: not a row with 'article' and 'summary' ({error}). Fix it.") from error
        if odd := next((name for name, text in texts.items() if not isinstance(text, str)), ""):
            raise BadData(f"{path}, line {number}: {odd!r} is not a text. Fix that line, or delete it.")
        yield texts
