"""The page's examples: bundled records for tasks on tables, triples for WebNLG and DART, and articles."""

import json
from dataclasses import dataclass
from functools import cache

from core import paths
from core.data.registry import BUNDLED_TABLES
from core.errors import BadData
from core.runs.layout import JsonObject
from core.text.articles import article
from core.text.tables import Fields
from core.text.triples import SOURCES, table_of

# training_tables.jsonl has no examples.
FILES = {"table": ("records.jsonl", "tables.jsonl"), "triples": ("triples.jsonl",), "article": ("articles.jsonl",)}

OPENING = {"": "cafe-022", "tables": "cafe-020"}  # task -> sample


@dataclass(frozen=True)
class Sample:
    """A bundled example. `rows`: (key, value) pairs, or (subject, relation, object) triples; `fields`: for coverage.

    For an article both are empty, `text` is the article and `heading` its headline. `references` are untokenised; `held_out`:
    its topic is not in the project's own training rows; `seen`: its category is in WebNLG's training data (None for tables).
    """

    id: str
    topic: str
    rows: tuple[tuple[str, ...], ...]
    fields: tuple[tuple[str, str], ...]
    references: tuple[str, ...]
    held_out: bool = False
    seen: bool | None = None
    text: str = ""
    heading: str = ""

    @property
    def title(self) -> str:
        """The label of its button: the first value, with the number of triples if there are any; the headline of an article."""
        if self.heading:
            return self.heading
        if self.seen is not None:
            return f"{self.fields[0][1]} · {len(self.rows)}"
        names = [value for key, value in self.fields if key.lower() in ("name", "title")]
        names += [value for _, value in self.fields if value.lstrip("'\"")[:1].isupper()]
        return names[0] if names else f"{self.topic}: {self.fields[0][1]}"


@cache
def samples(form: str = "table") -> tuple[Sample, ...]:
    """Return the samples of a form (see `core.task.Task`), E2E's topic first; () for texts. Raises BadData for a damaged file."""
    return _read("triples" if form in SOURCES else form) if form in ("table", "article", *SOURCES) else ()


def opening(form: str = "table", task: str = "") -> Sample:
    """Return the sample with which a task opens: one that the bundled prefix gets right, else the first of its form."""
    every, opening_id = samples(form), OPENING.get(task, OPENING[""])
    return next((sample for sample in every if sample.id == opening_id), every[0])


def split_by_domain(form: str, task: str) -> tuple[list[Sample], list[Sample]]:
    """Return the samples whose topic is in a task's training rows, and the others (see `in_domain`)."""
    inside = [sample for sample in samples(form) if in_domain(sample, task)]
    return inside, [sample for sample in samples(form) if not in_domain(sample, task)]


def in_domain(sample: Sample, task: str) -> bool:
    """Whether a task's training rows have the sample's topic.

    That is restaurants for E2E, the topics of the bundled tables for runs on those, and WebNLG's categories for triples. True
    of articles, which have no such topics.
    """
    if sample.seen is not None or not sample.fields:
        return sample.seen is not False
    files = [name for name in BUNDLED_TABLES.get(task, BUNDLED_TABLES["records"]) if name in FILES["table"]]
    topics = [row.topic for name in files for row in _of_file(name, "table", "example") if not row.held_out]
    return sample.topic in (topics if task in BUNDLED_TABLES else topics[:1])


@cache
def training_samples() -> tuple[Sample, ...]:
    """Return the training rows of the examples' own topics, with their texts. Raises BadData for a damaged file."""
    return _read("table", "train")


def _read(kind: str, split: str = "example") -> tuple[Sample, ...]:
    return tuple(sample for name in FILES[kind] for sample in _of_file(name, kind, split))


@cache
def _of_file(name: str, kind: str, split: str) -> tuple[Sample, ...]:
    path = paths.DATA / name
    try:
        with path.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines if line.strip()]
        if kind == "triples":
            return tuple(_of_triples(row) for row in rows)
        if kind == "article":
            return tuple(_of_article(row) for row in rows)
        return tuple(_of_fields(row) for row in rows if row["split"] == split)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(f"The bundled examples in {path.name} cannot be read ({error}). Restore that file.") from error


def _of_fields(row: JsonObject) -> Sample:
    fields = tuple((str(key), str(value)) for key, value in row["fields"])
    return Sample(row["id"], row["topic"], fields, fields, tuple(row["targets"]), bool(row["held_out"]))


def _of_triples(row: JsonObject) -> Sample:
    triples = [(str(s), str(p), str(o)) for s, p, o in row["triples"]]
    return Sample(
        row["id"], row["category"], tuple(triples), tuple(table_of(triples)), tuple(row["texts"]), seen=bool(row["seen"])
    )


def _of_article(row: JsonObject) -> Sample:
    body, held_out = article(row["article"]), bool(row["held_out"])
    return Sample(row["id"], row["topic"], (), (), (row["summary"],), held_out, text=body, heading=str(row["title"]))


def find(sample_id: str) -> Sample | None:
    """Return a sample by id, or None."""
    return next((sample for form in ("table", "webnlg", "article") for sample in samples(form) if sample.id == sample_id), None)


def matching(fields: Fields, form: str, source: str) -> Sample | None:
    """Return the sample that is this input: a table with these fields, triples or an article with this source.

    `source`: what a model reads. None for an edited input, which has no references.
    """
    if form in SOURCES:  # the fields of different triples can be the same
        return next((sample for sample in samples(form) if _source_of_triples(form, sample) == source), None)
    if form == "article":
        return next((sample for sample in samples(form) if sample.text == source), None)
    return next((sample for sample in samples(form) if list(sample.fields) == list(fields)), None)


@cache
def _source_of_triples(form: str, sample: Sample) -> str:
    return SOURCES[form]([(s, p, o) for s, p, o in sample.rows])
