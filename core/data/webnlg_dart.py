"""WebNLG and DART v1.1.1 as lists of examples, one an entry with all its references.

Sources are the linearisations of the paper (`core.text.triples`). Both official XML files and ours (JSON lines with "triples" and
"texts") are read, and the official JSON of both. On the seen categories of WebNLG: the paper says 9, the training data has the 10
below; the test set holds these and 5 more.
"""

from collections.abc import Callable
from pathlib import Path

from core.data.rows import BadRow, Row, Rows, collect, ending_of, json_list_rows, json_rows, split_file, split_name
from core.data.webnlg_files import ENDINGS, has_part, language_of, seen_categories, split_files
from core.data.webnlg_xml import entry_rows
from core.errors import BadData
from core.task import Example
from core.text.triples import Triple, dart_source, webnlg_source

_DART: dict[str, tuple[str, ...]] = {split: (split, f"dart-v1.1.1-full-{split}") for split in ("train", "dev", "test")}
_SEEN = {"test_seen": True, "test_unseen": False}
_ROW = '{"triples": [["s", "p", "o"]], "texts": ["…"]}'

Make = Callable[[Row, str], Example | None]


def read_webnlg(
    path: Path, split: str | None = None, skipped: list[str] | None = None, good_only: bool | None = None
) -> list[Example]:
    """Read WebNLG. `group` is the category, and `seen` says whether the release's training data has that category.

    `path`: a file, the folder of a release (2017, 2.x, 3.0), one of its split folders, or a folder of JSON lines with one file
    per split. One language is read (see `language_of`). `split`: also "test_seen" and "test_unseen", the test entries by
    category. `good_only`: leave out references not marked "good", and entries that then have none; by default only in training
    data, since the official code trains this way and the official scores use all references. Raises BadData (see `collect`).
    """
    path = Path(path)
    name = split_name(split)
    if good_only is None:
        good_only = "train" in (name or path.name)
    if name in _SEEN and path.is_dir() and not has_part(path, name):
        return [example for example in read_webnlg(path, "test", skipped, good_only) if example.seen is _SEEN[name]]
    files = split_files(path, split) if path.is_dir() else [path]
    categories, language = seen_categories(files[0]), language_of(files)
    return _read(files, lambda row, id: _webnlg_example(row, id, good_only, categories, language), name, skipped)


def read_dart(path: Path, split: str | None = None, skipped: list[str] | None = None) -> list[Example]:
    """Read DART v1.1.1. `group` is the origin of the entry (e2e, webnlg, WikiSQL_lily, …); empty references are left out.

    `path`: a file, or a folder with one file per split under the official names or ours. Raises BadData (see `collect`).
    """
    path = Path(path)
    files = [split_file(path, split, _DART, ENDINGS)] if path.is_dir() else [path]
    return _read(files, _dart_example, split_name(split), skipped)


# --- files -------------------------------------------------------------------------------------------------------------------


def _rows(file: Path) -> Rows:
    ending = ending_of(file)
    if ending == ".xml":
        return entry_rows(file)
    return json_list_rows(file) if ending == ".json" else json_rows(file, _ROW)


def _read(files: list[Path], make: Make, split: str, skipped: list[str] | None) -> list[Example]:
    def example(row: Row, number: int) -> Example | None:
        return make(row, f"{split or files[0].name.split('.')[0]}-{number}")

    results = collect(((file, _rows(file)) for file in files), example, skipped)
    examples = [example for example in results if example is not None]
    if not examples:
        raise BadData(
            f"No entry of {files[0].name} has a reference that can be used (in WebNLG's training data, one that is marked good): "
            "give a file with such references."
        )
    return examples


# --- rows to examples --------------------------------------------------------------------------------------------------------


def _from_release_json(row: Row) -> Row:
    """Return an entry of a release's JSON, `{"1": {"modifiedtripleset": …, "lexicalisations": …}}`, as one of its XML."""
    entry = next(iter(row.values()), None) if len(row) == 1 else None
    if not isinstance(entry, dict) or "modifiedtripleset" not in entry:
        return row
    triples, texts = (entry.get(name) or [] for name in ("modifiedtripleset", "lexicalisations"))
    if not all(isinstance(item, dict) for part in (triples, texts) for item in part):
        raise BadRow('"modifiedtripleset" and "lexicalisations" are not lists of objects')
    return {
        "category": entry.get("category"),
        "triples": [[triple.get(part) for part in ("subject", "property", "object")] for triple in triples],
        "texts": [text.get("lex") for text in texts],
        "comments": [text.get("comment", "") for text in texts],
        "languages": [text.get("lang", "") for text in texts],
    }


def _webnlg_example(row: Row, id: str, good_only: bool, categories: frozenset[str], language: str) -> Example | None:
    row = _from_release_json(row)
    texts, comments = _texts(row.get("texts")), row.get("comments", row.get("lex_comments"))
    languages = row.get("languages")
    keep = [True] * len(texts)
    if isinstance(languages, list) and len(languages) == len(texts):
        keep = [one in ("", language) for one in languages]
    if good_only and isinstance(comments, list) and len(comments) == len(texts):
        keep = [usable and comment in ("good", "", None) for usable, comment in zip(keep, comments, strict=True)]
    if not all(keep):
        texts = [text for text, usable in zip(texts, keep, strict=True) if usable]
        if not texts:
            return None
    category = str(row.get("category") or "")
    is_seen = row.get("seen", not category or category in categories)
    return Example(webnlg_source(_triples(row)), _non_empty(texts), category, bool(is_seen), id)


def _dart_example(row: Row, id: str) -> Example:
    annotations = row.get("annotations")  # the official JSON's pairs of source and text
    texts: object
    sources: object
    if isinstance(annotations, list) and all(isinstance(item, dict) for item in annotations):
        texts, sources = [item.get("text") for item in annotations], [item.get("source") for item in annotations]
    else:
        texts, sources = row.get("texts"), row.get("source", row.get("comments"))
    group = str(sources[0]) if isinstance(sources, list) and sources else ""
    return Example(dart_source(_triples(row)), _non_empty(_texts(texts)), group, id=id)


def _triples(row: Row) -> list[Triple]:
    triples = row.get("triples", row.get("tripleset"))
    if not isinstance(triples, list) or not triples:
        raise BadRow("there are no triples: an entry has a list of [subject, relation, object]")
    for number, triple in enumerate(triples, 1):
        if not isinstance(triple, list) or len(triple) != 3 or not all(isinstance(part, str) for part in triple):
            raise BadRow(f"triple {number} is not three texts (subject, relation, object)")
    return [(" ".join(s.split()), " ".join(p.split()), " ".join(o.split())) for s, p, o in triples]


def _texts(texts: object) -> list[str]:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise BadRow("there is no list of reference texts")
    return [text.strip() for text in texts]


def _non_empty(texts: list[str]) -> tuple[str, ...]:
    references = tuple(text for text in texts if text)
    if not references:
        raise BadRow("there is no reference")
    return references
