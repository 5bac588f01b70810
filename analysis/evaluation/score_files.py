"""Score any system's outputs from files, in the formats of the official scripts.

Outputs: a text file with one output per line (an empty line is an empty output), or CSV/TSV with a column of outputs.
References: for E2E a text file in which the references of one input are consecutive lines, followed by an empty line, or
CSV/TSV with an input and a reference per row; for WebNLG, DART and summaries one file per reference, parallel to the outputs,
in which an empty line is a missing reference; for all of them a file or folder of the data set itself, which also separates
seen from unseen. Outputs with their inputs may be in any order, if the references are CSV/TSV or the data set.
"""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from analysis.evaluation.significance import Difference, compare
from analysis.evaluation.suites import Result, entries, named_suite, score_examples
from analysis.metrics.base import Progress, Score
from core.data.csv_rows import csv_records, file_header, header_names
from core.data.lines import UNREADABLE, lines
from core.data.registry import SETS, parse_input, read_set
from core.data.rows import BadRow, bad_data, ending_of
from core.errors import BadData, BadInput
from core.task import Example, task
from core.text.checks import counted

# What the columns may be called, as in the E2E challenge's script.
_SOURCE = re.compile(r"(mr|src|source|meaning([_ .-]rep(resentation)?)?|da|dial(ogue)?[_ .-]act)s?", re.IGNORECASE)
_OUTPUT = re.compile(r"(out(put)?|ref(erence)?|sys(tem)?([_ .-](out(put)?|ref(erence)?))?)s?", re.IGNORECASE)
_REFERENCE = re.compile(r"(trg|tgt|target|ref(erence)?|human([_ .-](ref(erence)?))?)s?", re.IGNORECASE)
# A mark that belongs to a word, as WebNLG's script leaves none: it has separated them all.
_ATTACHED = re.compile(r"""\w(?:[.!?]$|[,;:]\s|["')](?:\s|$))|(?:^|\s)["'(]\w""")
_COLUMN_NAMES = {
    _SOURCE: "an input (mr, source)",
    _OUTPUT: "outputs (output, system output)",
    _REFERENCE: "references (ref, target)",
}


@dataclass(frozen=True)
class FileScores:
    """The scores of a file of outputs; with a second file, also that file's scores and the differences."""

    n: int
    scores: list[Result]
    other: list[Result]
    differences: list[Difference]


def score_files(
    outputs: Path,
    references: Sequence[Path],
    suite: str = "e2e",
    split: str | None = None,
    against: Path | None = None,
    skipped: list[str] | None = None,
    progress: Progress | None = None,
) -> FileScores:
    """Compute the scores of a suite (e2e, webnlg, dart, rouge, plain) for a file of outputs, and compare it with a second one.

    `split`: the split of a data folder in `references`. `skipped`: receives messages about unusable entries of the data set,
    which are then left out together with their outputs (see `collect`). Raises BadInput and BadData, with file and line if
    there is one.
    """
    named_suite(suite)
    texts, sources = read_outputs(outputs)
    of_set = len(references) == 1 and _is_data(references[0], suite)
    count = max((number for number, text in enumerate(texts, 1) if text), default=0)
    examples, pretokenized = _examples(references, suite, split, sources, skipped, count)

    def scored(file: Path, texts: list[str], sources: list[str]) -> list[Result]:
        if of_set and any(sources):
            texts = _in_order(file, texts, sources, examples, suite, skipped)
        else:
            texts = _as_many(file, texts, examples, skipped)
        return score_examples(suite, texts, examples, pretokenized, progress=progress)

    scores = scored(outputs, texts, sources)
    if against is None:
        return FileScores(len(examples), scores, [], [])
    others, own_sources = read_outputs(against)
    if not of_set and sources and own_sources and sources != own_sources:
        raise BadInput(
            f"{outputs.name} and {against.name} do not have the same inputs in the same order: give them in one order."
        )
    other = scored(against, others, own_sources)
    known = {score.name: score for score in other if isinstance(score, Score)}
    pairs = [(score, known[score.name]) for score in scores if isinstance(score, Score) and score.name in known]
    return FileScores(len(examples), scores, other, [compare(one, two) for one, two in pairs])


def read_outputs(file: Path) -> tuple[list[str], list[str]]:
    """Read the outputs of a file, and their inputs if it has them. Raises BadData."""
    if _is_table(file):
        pairs = _table_pairs(file, _OUTPUT)
        return [text for _, text in pairs], [source for source, _ in pairs]
    if ending_of(file) in (".jsonl", ".json", ".xml"):
        raise BadData(
            f"{file.name} is not read as outputs: give a text file with one output per line, or CSV with a column of outputs."
        )
    texts = _text_lines(file)
    if not any(texts):
        raise BadData(f"{file.name} has no outputs: write one per line.")
    return texts, []


def read_references(files: Sequence[Path], blocks: bool = True, sources: Sequence[str] = (), outputs: int = 0) -> list[list[str]]:
    """Read the references of each input, from one file in `blocks`, from CSV/TSV, or from several parallel files.

    In several files an empty line is an empty reference: the WebNLG and DART scripts rely on its position. `sources`: the
    inputs of the outputs; CSV/TSV references are returned in their order. `outputs`: the number of outputs; empty lines after
    their references are left out. Raises BadData.
    """
    if len(files) == 1 and _is_table(files[0]):
        return _by_source(files[0], sources)
    columns = [_text_lines(file) for file in files]
    while all(len(column) > max(1, outputs) and not column[-1] for column in columns):
        columns = [column[:-1] for column in columns]
    if blocks and len(files) == 1 and any(not line for line in columns[0]):
        return _blocks(files[0], columns[0])
    if len({len(column) for column in columns}) > 1:
        counted = ", ".join(f"{file.name} {len(column)}" for file, column in zip(files, columns, strict=True))
        raise BadData(f"The files of references have different numbers of lines ({counted}): give one line per output in each.")
    rows = [list(row) for row in zip(*columns, strict=True)]
    if missing := next((number for number, row in enumerate(rows, 1) if not any(row)), 0):
        where = files[0].name if len(files) == 1 else f"any of the {len(files)} files of references"
        raise BadData(f"Line {missing} has no reference in {where}: add one, or leave that output out.")
    return rows


# --- examples ----------------------------------------------------------------------------------------------------------------


def _examples(
    files: Sequence[Path], suite: str, split: str | None, sources: list[str], skipped: list[str] | None, outputs: int
) -> tuple[list[Example], bool]:
    """Return the examples to score against, and whether texts are tokenised as the data set's script expects."""
    if not files:
        raise BadInput("There are no references: give a file, or several with one reference per line in each.")
    if len(files) == 1 and _is_data(files[0], suite):
        if suite not in SETS:
            raise BadInput(f"{files[0]} is data, and the scores named {suite!r} belong to no set: give text files of references.")
        return entries(suite, read_set(suite, files[0], split, skipped)), False
    rows = read_references(files, named_suite(suite).blocks, sources, outputs)
    every = [text for row in rows for text in row]
    # WebNLG's gold-*.lex, not its raw references
    normalised = all(text.isascii() and text == text.lower() and not _ATTACHED.search(text) for text in every)
    return [Example(str(place), tuple(row)) for place, row in enumerate(rows)], suite == "dart" or normalised


def _is_data(path: Path, suite: str) -> bool:
    """Whether a path is a folder or a data file of the set. A CSV is the E2E script's own format for references."""
    return path.is_dir() or ending_of(path) in (".jsonl", ".json", ".xml")


def _as_many(file: Path, texts: list[str], examples: list[Example], skipped: list[str] | None) -> list[str]:
    """Check that there is one output per example; outputs of skipped entries are left out, if the file has them, and so are
    empty lines after the last output."""
    while len(texts) > len(examples) + len(skipped or ()) and not texts[-1]:
        texts = texts[:-1]
    if skipped and len(texts) == len(examples) + len(skipped):
        numbers = [int(example.id.rpartition("-")[2]) for example in examples]  # of the entries, see `collect`
        texts = [texts[number - 1] for number in numbers if number <= len(texts)]
    if len(texts) != len(examples):
        counts = f"{counted(len(texts), 'output')}, and there are references for {counted(len(examples), 'input')}"
        raise BadInput(f"{file.name} has {counts}: give one output per input, in the same order.")
    return texts


def _in_order(
    file: Path, texts: list[str], sources: list[str], examples: list[Example], suite: str, skipped: list[str] | None
) -> list[str]:
    """Return the outputs in the order of the set's examples, matched by their inputs; those of skipped entries are left out."""
    given = [_comparable(source, suite) for source in sources]
    wanted = [_comparable(example.source, suite) for example in examples]
    times = Counter(wanted)
    unknown = [source for source, key in zip(sources, given, strict=True) if key not in times]
    if len(unknown) > len(skipped or ()):
        fix = "give the set that the outputs were made for, or the outputs alone, one per line in the set's order"
        raise BadInput(f"{file.name} has an output for the input {unknown[0][:60]!r}, which is not in the set: {fix}.")
    outputs: dict[str, list[str]] = {key: [] for key in [*wanted, *given]}
    for key, text in zip(given, texts, strict=True):
        outputs[key].append(text)
    for example, key in zip(examples, wanted, strict=True):
        if len(outputs[key]) != times[key]:
            has = f"{counted(len(outputs[key]), 'output')} for the input {example.source[:60]!r}"
            often = "once" if times[key] == 1 else f"{times[key]:,} times"
            raise BadInput(f"{file.name} has {has}, which is in the set {often}: give as many.")
    return [outputs[key].pop(0) for key in wanted]


def _comparable(source: str, suite: str) -> str:
    """Return an input in the form of the set's own, on one line; as it stands if it cannot be parsed."""
    with suppress(BadInput):
        source = parse_input(task(suite).input_format, source)
    return " ".join(source.split())


# --- files -------------------------------------------------------------------------------------------------------------------


def _is_table(file: Path) -> bool:
    return file.suffix.lower() in (".csv", ".tsv")


def _text_lines(file: Path) -> list[str]:
    """Read lines without surrounding spaces. Raises BadData for a file that is empty or not UTF-8."""
    texts = []
    for number, line in lines(file):
        if UNREADABLE.search(line):
            raise bad_data(file, number, "not UTF-8 text: save the file as UTF-8")
        texts.append(line.strip())
    if not texts:
        raise BadData(f"{file.name} is empty: write one text per line.")
    return texts


def _blocks(file: Path, texts: list[str]) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for number, line in enumerate(texts, 1):
        if line:
            blocks[-1].append(line)
        elif not blocks[-1]:
            raise bad_data(file, number, "an empty line where references are to begin: leave one between inputs")
        elif number < len(texts):
            blocks.append([])
    blocks = blocks if blocks[-1] else blocks[:-1]
    return blocks if len(blocks) > 1 else [[line] for line in blocks[0]]  # one block is a file of single references


def _by_source(file: Path, sources: Sequence[str]) -> list[list[str]]:
    """Return the references in the order of `sources`; without these, consecutive rows with the same input belong together."""
    pairs = _table_pairs(file, _REFERENCE)
    if not sources:
        gathered: list[list[str]] = []
        for place, (source, text) in enumerate(pairs):
            if place and source == pairs[place - 1][0]:
                gathered[-1].append(text)
            else:
                gathered.append([text])
        return gathered
    known: dict[str, list[str]] = {}
    for source, text in pairs:
        known.setdefault(source, []).append(text)
    missing = next((source for source in sources if source not in known), None)
    if missing is not None:
        raise BadData(f"{file.name} has no reference for the input {missing[:60]!r}: add one, or leave that output out.")
    return [known[source] for source in sources]


def _table_pairs(file: Path, text_column: re.Pattern[str]) -> list[tuple[str, str]]:
    """Return (input, text) for each row, by column name; if the names are missing, the file's two columns."""
    number, first = file_header(file)
    try:
        headers = [(header_names(first, mark), mark) for mark in "\t,;"]
    except csv.Error as error:
        raise bad_data(file, number, f"not CSV ({error}): give a file with a header") from error
    named = next(((found, len(names), mark) for names, mark in headers if (found := _places(names, text_column))), None)
    if named is None:
        header, mark = max(headers, key=lambda pair: len(pair[0]))
        if len(header) != 2 or any(kind.fullmatch(name) for name in header for kind in (_SOURCE, text_column)):
            needed = f"one with {_COLUMN_NAMES[_SOURCE]} and one with {_COLUMN_NAMES[text_column]}"
            columns = ", ".join(header)[:200] or "none"
            raise bad_data(file, number, f"the columns are {columns}, and {needed} are needed: name them so")
    places, width, delimiter = named or ([0, 1], 2, mark)
    rows = list(csv_records(file, delimiter, width))[named is not None :]
    for line, cells in rows:
        if isinstance(cells, BadRow):
            raise bad_data(file, line, str(cells))
        if len(cells) != width:
            raise bad_data(file, line, f"{counted(len(cells), 'cell')} under {width} columns: put each text in quotes")
        if any(UNREADABLE.search(cell) for cell in cells):
            raise bad_data(file, line, "not UTF-8 text: save the file as UTF-8")
    pairs = [tuple(" ".join(cells[place].split()) for place in places) for _, cells in rows if not isinstance(cells, BadRow)]
    return [(source, text) for source, text in pairs]


def _places(header: Sequence[str], text_column: re.Pattern[str]) -> list[int]:
    """The places of the columns of inputs and texts; empty unless there is one of each."""
    found = [[place for place, name in enumerate(header) if kind.fullmatch(name)] for kind in (_SOURCE, text_column)]
    return [place for one in found for place in one] if [len(one) for one in found] == [1, 1] else []
