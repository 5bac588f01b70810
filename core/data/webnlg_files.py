"""Find the files of a split in a WebNLG release, their language, and the categories of the training data.

The releases differ: 2017 has test/testdata_with_lex.xml; 2.x (release_v2.1/xml) has one folder per split; 3.0 has such folders
in en/ and ru/, and test files for two tasks, with and without references.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from core.data.lines import lines
from core.data.rows import ending_of, split_file, split_name
from core.errors import BadData

# What the training data holds where it does not stand beside the test file: 2017's categories, and those that 3.0 added.
SEEN_CATEGORIES = frozenset({"Airport", "Astronaut", "Building", "City", "ComicsCharacter", "Food", "Monument", "SportsTeam",
                             "University", "WrittenWork"})  # fmt: skip
_SEEN_3 = SEEN_CATEGORIES | {"Artist", "Athlete", "CelestialBody", "Company", "MeanOfTransportation", "Politician"}
_SEEN_3_RU = frozenset({"Airport", "Astronaut", "Building", "CelestialBody", "ComicsCharacter", "Food", "Monument", "SportsTeam",
                        "University"})  # fmt: skip

ENDINGS = (".jsonl.gz", ".jsonl", ".json", ".xml")
_STEMS = {"train": ("train",), "dev": ("dev", "valid"), "test": ("test", "testdata_with_lex"), "test_seen": ("test_seen",),
          "test_unseen": ("test_unseen", "testdata_unseen_with_lex")}  # fmt: skip
_TEST_2017, _TASK_3 = "testdata_with_lex.xml", "rdf-to-text-generation-test-data-with-refs"
_PARTS = ("train", "dev", "test")


def split_files(folder: Path, split: str | None) -> list[Path]:
    """Return the files of a split: those of its folder, or its single file. Raises BadData, which lists what the folder has."""
    root = _root(folder)
    inner = root / split_name(split)
    if split is not None and root.name == split_name(split) and not inner.is_dir() and _is_split_folder(root):
        inner = root
    if split is None and any((root / part).is_dir() for part in _PARTS):
        raise BadData(f"{folder} holds {', '.join(part for part in _PARTS if (root / part).is_dir())}: choose a split.")
    if split is not None and not inner.is_dir():
        test = root / "test"  # the official folder keeps the unseen part beside the whole
        return [split_file(test if split.startswith("test") and test.is_dir() else root, split, _STEMS, ENDINGS)]
    whole = inner / _TEST_2017
    files = [whole] if whole.is_file() else _of_this_task(sorted(inner.rglob("*.xml")), inner)
    if not files:
        raise BadData(f"No XML file in {inner}: give the folder that holds train, dev and test, or a file.")
    return files


def _is_split_folder(folder: Path) -> bool:
    """Whether a folder holds the XML files of one split in folders by size, as releases 2.x and 3.0 have them."""
    return not any(folder.glob("testdata*")) and any(folder.rglob("*.xml"))


def has_part(folder: Path, split: str) -> bool:
    """Whether a part of the test set ("test_seen", "test_unseen") has a file of its own."""
    try:
        return bool(split_files(folder, split))
    except BadData:
        return False


def _root(folder: Path) -> Path:
    """Return the folder of the splits: the given one, or the English or XML folder inside it."""
    for place in (folder, folder / "en", folder / "xml", folder / "en" / "xml"):
        if any((place / part).is_dir() for part in _PARTS):
            return place
    if releases := sorted(child.name for child in folder.glob("release_v*") if child.is_dir()):
        raise BadData(f"{folder} holds the releases {', '.join(releases)}: give the folder of one of them.")
    own = any(file.name.startswith(_PARTS) for file in folder.glob("*.*"))
    if not own and (inner := sorted(place.parent.name for place in folder.glob("*/train") if place.is_dir())):
        raise BadData(
            f"{folder} has no English part (en). It holds {', '.join(inner)}: give that folder, as {folder / inner[0]}."
        )
    return folder


def _of_this_task(files: list[Path], folder: Path) -> list[Path]:
    """Drop the test files of other tasks: release 3.0 also has those of text-to-triples, and inputs without references."""
    data_files = [file for file in files if file.name.startswith(("rdf-to-text", "semantic-parsing"))]
    if not data_files:
        return files
    matching = [file for file in data_files if file.name.startswith(_TASK_3)]
    if len(matching) != 1:
        there = ", ".join(file.name for file in data_files)
        raise BadData(f"{folder} holds {there}, and one {_TASK_3}-….xml is needed: give the file to read.")
    return matching


def language_of(files: Sequence[Path]) -> str:
    """Return the language to read, from the `lang` attributes of the references.

    Releases in another language repeat the English texts, so that language counts and not English. Files with English
    references only may belong to such a release: the neighbouring files then decide, unless the name ends in "-en". Raises
    BadData for references in several languages beside English.
    """
    languages = _attributes(tuple(files), "lex", "lang") - {"en"}
    if not languages and not files[0].stem.endswith("-en"):
        for neighbour in sorted(files[0].absolute().parent.glob("*.xml")):
            with suppress(BadData):  # a neighbour that cannot be read is none of this file's faults
                languages |= _attributes((neighbour,), "lex", "lang") - {"en"}
    if len(languages) > 1:
        where = files[0].parent if len(files) > 1 else files[0]
        raise BadData(f"{where} has references in {', '.join(sorted(languages))}: give files of one language beside English.")
    return next(iter(languages), "en")


def seen_categories(file: Path) -> frozenset[str]:
    """Return the categories of the release's own training data if it is beside the file, else the published list."""
    folder = next((place for place in file.parents[:4] if (place / "train").is_dir()), None)
    if file.name.startswith("testdata") or file.suffix.lower() not in (".xml", ".json"):
        return SEEN_CATEGORIES
    if folder is not None:
        files = sorted(file for file in (folder / "train").rglob("*") if file.suffix.lower() in (".xml", ".json"))
        return _attributes(tuple(files), "entry", "category")
    if (train := file.with_name(f"train{file.suffix}")).is_file():
        return _attributes((train,), "entry", "category")
    if file.name.startswith(_TASK_3):
        return _SEEN_3_RU if language_of([file]) == "ru" else _SEEN_3
    return SEEN_CATEGORIES


@cache
def _attributes(files: tuple[Path, ...], element: str, name: str) -> frozenset[str]:
    """Return the values of an attribute of an element in XML files, or under that name in a release's JSON."""
    patterns = {".xml": rf"""<{element}\b[^>]*\b{name}\s*=\s*["']([^"']+)""", ".json": rf'"{name}"\s*:\s*"([^"]+)"'}
    known = [(file, re.compile(patterns[ending])) for file in files for ending in patterns if ending == ending_of(file)]
    return frozenset(match[1] for file, pattern in known for _, line in lines(file) for match in pattern.finditer(line))
