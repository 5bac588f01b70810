"""Articles with their summaries: JSON lines, CSV, or plain text files, from a file or from a folder that holds one a split.

A folder of plain text holds either train.source and train.target, line by line (as the official code reads them; XSUM also comes
as train.document and train.summary), or a folder a split with articles/NAME.txt and summaries/NAME.txt; without splits these two
stand in the folder itself, and folders in them are topics. XSUM's original release is read as well (see `core.data.xsum`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from core import paths
from core.data import xsum
from core.data.csv_rows import csv_rows
from core.data.lines import lines
from core.data.rows import BadRow, Row, Rows, collect, ending_of, json_file_rows, split_file, split_name, text_in, whole_text
from core.errors import BadData, BadInput
from core.task import Example
from core.text.articles import article, plain

# What the columns are called where nobody says: ours, XSUM's, CNN/DailyMail's.
COLUMNS = (("article", "summary"), ("document", "summary"), ("article", "highlights"), ("text", "summary"))
GROUPS = ("topic", "section", "category", "group")
_SPLITS = {"train": ("train",), "dev": ("dev", "valid", "validation", "val"), "test": ("test",)}
_PAIRS = {".source": ".target", ".document": ".summary"}  # line by line
_ENDINGS = (".jsonl.gz", ".jsonl", ".json", ".csv", ".tsv", ".csv.gz", ".tsv.gz", *_PAIRS)
_SPORT, _NEWS = frozenset({"sport", "sports"}), frozenset({"world", "uk", "business"})


@dataclass(frozen=True)
class TopicSplit:
    """A split of the paper's §6.4. `trains(topic)`: used for training and validation; `tests(topic)`: used for the test only."""

    trains: Callable[[str], bool]
    tests: Callable[[str], bool]


TOPIC_SPLITS = {
    "news-to-sports": TopicSplit(lambda topic: topic not in _SPORT, _SPORT.__contains__),
    "within-news": TopicSplit(_NEWS.__contains__, lambda topic: topic not in _NEWS | _SPORT),
}


def read_articles(
    path: Path,
    split: str | None = None,
    skipped: list[str] | None = None,
    columns: tuple[str, str] | None = None,
    group: str = "",
    topics: str = "",
) -> list[Example]:
    """Read one Example from each row: the source is the article (one line per paragraph), the target its summary, the group its
    topic.

    `columns`: article and summary, by default the first pair of COLUMNS that the file has; `group`: the topic column. `topics`:
    a name in TOPIC_SPLITS. Its training and validation examples are the rows of train and dev with a training topic; its test
    examples are the rows of the other topics from all splits, since none of them is trained on. Raises BadData with file, line
    and reason, or appends to `skipped`.
    """
    path = Path(path)
    if not topics:
        return _read(path, split, skipped, columns, group)
    if topics not in TOPIC_SPLITS:
        raise BadInput(f"There is no topic split {topics!r}: choose {' or '.join(TOPIC_SPLITS)}.")
    topic_split, name = TOPIC_SPLITS[topics], split_name(split)
    if name != "test":
        return _of_topics(_read(path, split, skipped, columns, group), topic_split.trains, topics, path)
    rows = [row for part in _splits(path) for row in _read(path, part, skipped, columns, group)]
    return [replace(row, seen=False) for row in _of_topics(rows, topic_split.tests, topics, path)]


def read_bundled_articles(split: str | None) -> list[Example]:
    """The project's own articles: those of one topic are held out of "train" and are all other splits. Raises BadData."""
    return read_articles(paths.DATA / "articles.jsonl", "train" if split == "train" else "test", topics="news-to-sports")


def _splits(path: Path) -> list[str | None]:
    """The splits that a folder holds; a file has none."""
    if not path.is_dir():
        return [None]
    splits: list[str | None] = []
    for split in _SPLITS:
        try:
            _files(path, split)
        except BadData:
            continue
        splits.append(split)
    if not splits:
        _files(path, "test")
    return splits


def _of_topics(rows: list[Example], accepts: Callable[[str], bool], topics: str, path: Path) -> list[Example]:
    if not any(row.group for row in rows):
        raise BadData(f"{path.name} names no topics, which {topics} goes by: name that column with --topic-column.")
    matching = [row for row in rows if accepts(row.group.lower())]
    if not matching:
        known = ", ".join(sorted({row.group for row in rows})[:20])
        raise BadData(f"{path.name} has no row of the topics that {topics} wants here. It has: {known}. Use another split.")
    return matching


def _read(path: Path, split: str | None, skipped: list[str] | None, columns: tuple[str, str] | None, group: str) -> list[Example]:
    if xsum.is_release(path):
        return collect(
            xsum.split_rows(path, split), lambda row, number: _example(row, "article", "summary", "", row["name"]), skipped
        )
    file = _files(path, split) if path.is_dir() else path
    stem = file.name.split(".")[0]
    if file.is_dir():
        return collect(_text_files(file), lambda row, number: _example(row, "article", "summary", "", row["name"]), skipped)
    rows, article_column, summary_column = _rows(file, columns)
    return collect(
        [(file, rows)],
        lambda row, number: _example(row, article_column, summary_column, group, f"{stem}-{number}"),
        skipped,
    )


def _files(folder: Path, split: str | None) -> Path:
    """The file of a split, or the folder that holds articles/ and summaries/. Raises BadData with what was looked for."""
    stems: Mapping[str, tuple[str, ...]] = _SPLITS
    names = stems.get(split_name(split), ())
    for place in [*(folder / name for name in names), folder]:
        if (place / "articles").is_dir() and (place / "summaries").is_dir():
            return place
        if (place / "articles").is_dir():
            there = ", ".join(sorted(child.name for child in place.iterdir())[:10])
            raise BadData(f"{place} has articles/ and no summaries/. It holds: {there}. Put a summary of each article there.")
    return split_file(folder, split, stems, _ENDINGS)


def _rows(file: Path, columns: tuple[str, str] | None) -> tuple[Rows, str, str]:
    """The rows of a file and the names of their columns of article and summary."""
    if file.suffix in _PAIRS:
        return _line_by_line(file), "article", "summary"
    pairs = [columns] if columns else list(COLUMNS)
    if ending_of(file) in (".csv", ".tsv"):
        for pair in pairs:
            try:
                rows = csv_rows(file, pair)
                first = next(rows, None)  # the header is read with the first row
            except BadData:
                continue
            return chain([first] if first else [], rows), *pair
        return csv_rows(file, pairs[0]), *pairs[0]  # its complaint is the one to give
    first_row = next((row for _, row in json_file_rows(file, "") if isinstance(row, dict)), {})
    pair = next((pair for pair in pairs if set(pair) <= set(first_row)), pairs[0])
    return json_file_rows(file, f'{{"{pair[0]}": "…", "{pair[1]}": "…"}}'), *pair


def _line_by_line(file: Path) -> Rows:
    target = file.with_suffix(_PAIRS[file.suffix])
    if not target.is_file():
        raise BadData(f"There is no {target.name} beside {file.name}: give the summaries in it, one per line.")
    texts = [[text for _, text in lines(one)] for one in (file, target)]
    if len(texts[0]) != len(texts[1]):
        raise BadData(f"{file.name} has {len(texts[0])} lines and {target.name} {len(texts[1])}: give one summary per article.")
    for number, (source, summary) in enumerate(zip(*texts, strict=True), 1):
        yield number, {"article": source, "summary": summary}


def _text_files(folder: Path) -> Iterator[tuple[Path, Rows]]:
    """A row a pair of files, in the order of their names; the folder that a file is in, if any, is its topic."""
    articles = folder / "articles"
    files = [file for file in sorted(articles.rglob("*")) if file.is_file() and not _is_hidden(file)]
    if not files:
        there = ", ".join(sorted(child.name for child in articles.iterdir())[:10]) or "nothing"
        raise BadData(f"No article in {articles}, which holds {there}: put one text file per article there.")
    for file in files:
        yield file, _pair(file, articles, folder / "summaries")


def _is_hidden(file: Path) -> bool:
    """Whether a system keeps the file for itself."""
    return file.name.startswith(".") or file.name.lower() in ("thumbs.db", "desktop.ini")


def _pair(file: Path, articles: Path, summaries: Path) -> Rows:
    inner = file.relative_to(articles)
    summary = summaries / inner
    if not summary.is_file():
        yield 1, BadRow(f"there is no summaries/{inner.as_posix()}: write its summary there")
        return
    try:
        row: Row = {"article": whole_text(file), "summary": whole_text(summary)}
    except BadRow as error:
        yield 1, error
        return
    topic = "" if inner.parent == Path() else inner.parent.name
    yield 1, row | {"name": inner.with_suffix("").as_posix(), "topic": topic}


def _example(row: Row, article_column: str, summary_column: str, group: str, name: object) -> Example:
    try:
        source = article(text_in(row, article_column))
        summary = " ".join(plain(text_in(row, summary_column), "summary").split())
    except BadInput as error:
        raise BadRow(str(error)) from error
    if len(summary.split()) > len(source.split()):
        raise BadRow(
            f"the summary ({len(summary.split())} words) is longer than its article ({len(source.split())}): "
            "check which column holds which"
        )
    topic = row.get(group, "") if group else next((row[key] for key in GROUPS if row.get(key)), "")
    return Example(source, (summary,), topic if isinstance(topic, str) else "", id=str(row.get("id") or name))
