"""WebNLG 2017 and DART v1.1.1 as lists of examples, one an entry with all its references.

Sources are the linearisations of the paper (`core.text.triples`). Both official XML files and ours (JSON lines with "triples" and
"texts") are read, and the official JSON of DART. On the seen categories of WebNLG: the paper says 9, the training data has the 10
below; the test set holds these and 5 more.
"""

from collections.abc import Callable
from pathlib import Path

from core.data.rows import SPLIT_NAMES, BadRow, Row, Rows, collect, json_list_rows, json_rows, split_file
from core.data.webnlg_xml import entry_rows
from core.errors import BadData
from core.task import Example
from core.text.triples import Triple, dart_source, webnlg_source

SEEN_CATEGORIES = frozenset({"Airport", "Astronaut", "Building", "City", "ComicsCharacter", "Food", "Monument", "SportsTeam",
                             "University", "WrittenWork"})  # fmt: skip

_ENDINGS = (".jsonl.gz", ".jsonl", ".json", ".xml")
_WEBNLG = {"train": ("train",), "dev": ("dev", "valid"), "test": ("test", "testdata_with_lex"), "test_seen": ("test_seen",),
           "test_unseen": ("test_unseen", "testdata_unseen_with_lex")}  # fmt: skip
_DART: dict[str, tuple[str, ...]] = {split: (split, f"dart-v1.1.1-full-{split}") for split in ("train", "dev", "test")}
_ROW = '{"triples": [["s", "p", "o"]], "texts": ["…"]}'

Make = Callable[[Row, str], Example | None]


def read_webnlg(
    path: Path, split: str | None = None, skipped: list[str] | None = None, good_only: bool | None = None
) -> list[Example]:
    """WebNLG 2017: group is the category, `seen` says whether that category is in the training data.

    path: a file, the official folder (train/, dev/, test/), one of these, or a folder of JSON lines, one file a split.
    good_only: leave out references that are marked otherwise than "good", and entries that then have none; by default so in
    training data only, as the official code trains and as the official scores count all. Raises BadData (see `collect`).
    """
    path = Path(path)
    name = SPLIT_NAMES.get(split or "", split or "")
    if good_only is None:
        good_only = "train" in (name or path.name)
    files = _webnlg_files(path, split) if path.is_dir() else [path]
    return _read(files, lambda row, id: _webnlg_example(row, id, good_only), name, skipped)


def read_dart(path: Path, split: str | None = None, skipped: list[str] | None = None) -> list[Example]:
    """DART v1.1.1: group is where the entry comes from (e2e, webnlg, WikiSQL_lily, …); empty references are left out.

    path: a file, or a folder that holds one file a split, under the official names or ours. Raises BadData (see `collect`).
    """
    path = Path(path)
    files = [split_file(path, split, _DART, _ENDINGS)] if path.is_dir() else [path]
    return _read(files, _dart_example, SPLIT_NAMES.get(split or "", split or ""), skipped)


# --- files -------------------------------------------------------------------------------------------------------------------


def _webnlg_files(folder: Path, split: str | None) -> list[Path]:
    """The XML files of a split's folder or the one file of that split; the test folder's own parts are not read twice."""
    inner = folder / SPLIT_NAMES.get(split or "", split or "")
    if split is not None and not inner.is_dir():
        test = folder / "test"  # the official folder keeps the unseen part beside the whole
        return [split_file(test if split.startswith("test") and test.is_dir() else folder, split, _WEBNLG, _ENDINGS)]
    whole = inner / "testdata_with_lex.xml"
    files = [whole] if whole.is_file() else sorted(inner.rglob("*.xml"))
    if not files:
        raise BadData(f"No XML file in {inner}: give the folder that holds train, dev and test, or a file.")
    return files


def _rows(file: Path) -> Rows:
    endings = [ending for ending in file.suffixes if ending != ".gz"]
    if endings[-1:] == [".xml"]:
        return entry_rows(file)
    return json_list_rows(file) if endings[-1:] == [".json"] else json_rows(file, _ROW)


def _read(files: list[Path], make: Make, split: str, skipped: list[str] | None) -> list[Example]:
    def example(row: Row, number: int) -> Example | None:
        return make(row, f"{split or files[0].name.split('.')[0]}-{number}")

    made = collect(((file, _rows(file)) for file in files), example, skipped)
    found = [example for example in made if example is not None]
    if not found:
        raise BadData(f"No entry of {files[0].name} has a reference that can be used.")
    return found


# --- rows to examples --------------------------------------------------------------------------------------------------------


def _webnlg_example(row: Row, id: str, good_only: bool) -> Example | None:
    texts, comments = _texts(row.get("texts")), row.get("comments", row.get("lex_comments"))
    if good_only and isinstance(comments, list) and len(comments) == len(texts):
        texts = [text for text, comment in zip(texts, comments, strict=True) if comment in ("good", "", None)]
        if not texts:
            return None
    category = str(row.get("category") or "")
    seen = row.get("seen", not category or category in SEEN_CATEGORIES)
    return Example(webnlg_source(_triples(row)), _non_empty(texts), category, bool(seen), id)


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
    kept = tuple(text for text in texts if text)
    if not kept:
        raise BadRow("there is no reference")
    return kept
