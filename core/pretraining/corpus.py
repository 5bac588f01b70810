"""Turn a folder of text (and one of records) into tokens on disk.

A prepared corpus is a folder: `tokenizer.json`, `<stream>.train.bin` and `<stream>.valid.bin` (uint16 token ids, documents
separated by `<|endoftext|>`), and `corpus.json` with the counts, which is written last.
"""

import gzip
import json
import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from core import paths
from core.errors import BadData, BadInput
from core.pretraining.made_up_names import MadeUpNames
from core.pretraining.records import RECORD_SETS, documents, read_set
from core.pretraining.withheld import Withheld
from core.runs.layout import disk_errors, write_text

END = "<|endoftext|>"
END_ID = 0
Drawn = TypeVar("Drawn")
RECORDS = "records"  # the stream of records; all others are of text
VALID_ONE_IN = 200  # documents
NAMED_DOCUMENTS = 300  # of each text, whose names and words made-up names are put together from
CHUNK = 2048  # documents encoded at a time
ANOTHER_OUT = "Free some space, or give another folder with --out."


def text_documents(path: Path) -> Iterator[str]:
    """Yield the documents of a text file (plain or gzip); a line with only `<|endoftext|>` ends each."""
    opener = gzip.open if path.suffix == ".gz" else open
    document: list[str] = []
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                if line.rstrip("\n") == END:
                    yield "".join(document).rstrip("\n")
                    document = []
                else:
                    document.append(line)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BadData(f"{path} is not UTF-8 text ({error}). Fix the file, or take it out of the corpus.") from error
    if document:
        yield "".join(document).rstrip("\n")


def text_files(folder: Path) -> list[Path]:
    """Return the `.txt` and `.txt.gz` files of a corpus folder, sorted. Raises BadInput if there are none."""
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}. Give one with .txt or .txt.gz files with --corpus.")
    files = sorted([*folder.glob("*.txt"), *folder.glob("*.txt.gz")])
    if not files:
        raise BadInput(f"No text to train on: {folder} has no .txt or .txt.gz file. Give a folder that does with --corpus.")
    return files


def text_streams(folder: Path) -> dict[str, Path]:
    """Return the text files of a corpus folder by the name of their stream, which is the file's name without its ending.

    Raises BadInput if there are no files, or if two streams would have one name.
    """
    streams: dict[str, Path] = {}
    for path in text_files(folder):
        name = path.name.removesuffix(".gz").removesuffix(".txt")
        if name == RECORDS:
            raise BadInput(f"{path} has the name under which the corpus keeps its records. Give the file another name.")
        if name in streams:
            raise BadInput(
                f"{streams[name].name} and {path.name} in {folder} have the same name before the ending. "
                "Give one of them another name, or take it out of the folder."
            )
        streams[name] = path
    return streams


def record_files(folder: Path) -> list[Path]:
    """Return the files of every known data set in a folder of records."""
    return [path for name in RECORD_SETS for path in sorted(folder.glob(name + ".jsonl*"))]


def record_documents(folder: Path, rng: random.Random, names: MadeUpNames | None = None) -> Iterator[str]:
    """Yield documents of rendered records, for every known data set in `folder`.

    With `names`, records that have sentences come a second time, many of them with made-up names.
    """
    paths = record_files(folder)
    if not paths:
        raise BadInput(
            f"No records to train on: {folder} holds none of {', '.join(RECORD_SETS)}. "
            "Leave --records out, or give another folder."
        )
    for path in paths:
        read_records = list(read_set(path))
        yield from documents(read_records, rng)
        if names:
            yield from documents([names.renamed(record, rng) for record in read_records if record.sentence], rng)


def train_tokenizer(texts: Iterable[str], size: int) -> Tokenizer:
    """Train a byte-level BPE in GPT-2's form; id 0 is `<|endoftext|>`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def tokenizer_of(name: str) -> Tokenizer | None:
    """Load the tokenizer of a bundled model, or of a model folder given by its absolute path; None for an empty name."""
    if not name:
        return None
    path = paths.MODELS / name / "tokenizer.json"  # an absolute path stays itself
    if not path.is_file():
        raise BadInput(
            f"A run can begin with a model's words where its folder has a tokenizer.json; {path.parent} has none. "
            "Give another folder."
        )
    return Tokenizer.from_file(str(path))


def prepare(
    corpus: Path | None,
    records: Path | None,
    out: Path,
    vocabulary: int,
    seed: int = 0,
    start: str = "",
    withheld: Withheld | None = None,
) -> dict:
    """Tokenise a corpus once; a folder that is already prepared is used as it is. Raises BadInput if it was prepared otherwise,
    or from other files. `corpus`: None where only a prepared one is to be used.

    The tokenizer is that of `start` (see `tokenizer_of`), or is trained on every sixth text document and every third record
    document. One document in 200 is held out for validation. Returns the content of `corpus.json`.
    """
    done = out / "corpus.json"
    if done.exists():
        report = json.loads(done.read_text())
        _check_prepared(out, report, vocabulary, start, corpus, records, withheld is not None)
        return report
    if not corpus:
        raise BadInput("There is no text to train on. Give a folder with --corpus, or a packed one with --packed.")
    tokenizer = tokenizer_of(start)
    files = text_streams(corpus)
    made_up_names = (
        MadeUpNames(text for path in files.values() for text in islice(text_documents(path), NAMED_DOCUMENTS))
        if records
        else None
    )
    record_docs = list(record_documents(records, random.Random(seed), made_up_names)) if records else []
    random.Random(seed).shuffle(record_docs)

    def tokenizer_texts() -> Iterator[str]:
        for path in files.values():
            yield from islice(text_documents(path), 0, None, 6)
        yield from record_docs[::3]

    def train_texts(name: str, path: Path) -> Iterator[str]:
        texts = text_documents(path)
        return texts if withheld is None else (text for text in (withheld.keep(name, text) for text in texts) if text)

    tokenizer = tokenizer or train_tokenizer(tokenizer_texts(), vocabulary)
    with disk_errors(f"write {out}", ANOTHER_OUT):
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "tokenizer.json", tokenizer.to_str(pretty=True), ANOTHER_OUT)
        streams = {name: _write(out, name, train_texts(name, path), tokenizer) for name, path in files.items()}
        if record_docs:
            streams[RECORDS] = _write(out, RECORDS, record_docs, tokenizer)
    sizes = _text_sizes(corpus) | ({RECORDS: _records_size(records)} if records else {})
    for name, counts in streams.items():
        counts["bytes"] = sizes[name]
    given = {"records": records is not None, "withheld": withheld is not None}
    report = {"vocabulary": vocabulary, "seed": seed, **given, "streams": streams}
    write_text(done, json.dumps(report, indent=1), ANOTHER_OUT)
    return report


def _check_prepared(
    out: Path, report: dict, vocabulary: int, start: str, corpus: Path | None, records: Path | None, withheld: bool
) -> None:
    """Raise BadInput if a prepared corpus is not what is asked for now. What is only left out now is not missed."""
    streams = report["streams"]
    differences = (
        other_words(report["vocabulary"], (out / "tokenizer.json").read_text(encoding="utf-8"), vocabulary, start),
        "without --records" if records and not report.get("records", RECORDS in streams) else "",  # earlier versions did not
        "without --withhold" if withheld and not report.get("withheld", True) else "",  # note these, nor sizes
    )
    if differs := next(filter(None, differences), ""):
        raise BadInput(f"The corpus in {out} was prepared {differs}. Give another folder with --out, or delete that one.")
    # A stream that an earlier version prepared has no size, and is taken for the same.
    if corpus:
        sizes, texts = _text_sizes(corpus), {name: counts for name, counts in streams.items() if name != RECORDS}
        if sizes.keys() != texts.keys() or any(texts[name].get("bytes", size) != size for name, size in sizes.items()):
            raise _other_files(out, "corpus")
    if records:
        size = _records_size(records)
        if streams.get(RECORDS, {}).get("bytes", size) != size:
            raise _other_files(out, "records")


def _other_files(out: Path, option: str) -> BadInput:
    return BadInput(
        f"The corpus in {out} was prepared from other files than those of --{option}. Give another folder with --out, "
        f"or leave --{option} out to train on what is prepared."
    )


def other_words(size: int, tokenizer: str, vocabulary: int, start: str) -> str:
    """Return how a corpus's words differ from those of a preset and of the model that a run begins with; "" if they do not."""
    begin = paths.MODELS / start / "tokenizer.json"
    if size != vocabulary:
        return f"with a vocabulary of {size:,}, and the preset has {vocabulary:,}"
    if start and begin.is_file() and Tokenizer.from_str(tokenizer).to_str() != Tokenizer.from_file(str(begin)).to_str():
        return f"with other words than those of {start}"
    return ""


def _text_sizes(corpus: Path) -> dict[str, int]:
    """Return the bytes of the file that each stream of texts is made of."""
    return {name: path.stat().st_size for name, path in text_streams(corpus).items()}


def _records_size(records: Path) -> int:
    """Return the bytes of the files that the records are made of."""
    return sum(path.stat().st_size for path in record_files(records))


def _write(out: Path, name: str, docs: Iterable[str], tokenizer: Tokenizer) -> dict:
    counts = {"train_tokens": 0, "valid_tokens": 0, "documents": 0}
    with open(out / f"{name}.train.bin", "wb") as train, open(out / f"{name}.valid.bin", "wb") as valid:
        texts = iter(docs)
        while chunk := list(islice(texts, CHUNK)):
            for encoding in tokenizer.encode_batch_fast([text + END for text in chunk]):
                held_out = counts["documents"] % VALID_ONE_IN == 0
                (valid if held_out else train).write(np.asarray(encoding.ids, dtype=np.uint16).tobytes())
                counts["valid_tokens" if held_out else "train_tokens"] += len(encoding.ids)
                counts["documents"] += 1
    return counts


class Documents:
    """The documents of a prepared corpus's text streams, as token ids."""

    def __init__(self, folder: Path, split: str, accepts: Callable[[str], bool] = lambda name: True) -> None:
        report = json.loads((folder / "corpus.json").read_text())
        names = [name for name, counts in report["streams"].items() if name != RECORDS and counts[f"{split}_tokens"] > 0]
        self.data, self.ends = [], []
        for name in filter(accepts, names):
            self.data.append(np.memmap(folder / f"{name}.{split}.bin", dtype=np.uint16, mode="r"))
            self.ends.append(np.flatnonzero(self.data[-1] == END_ID))
        if not self.data:
            raise BadInput(f"{folder} has no text of the kind this objective needs for its {split} part. Give more text.")

    def _draw(self, weights: list[int], rng: np.random.Generator) -> int:
        return int(rng.choice(len(weights), p=np.array(weights) / sum(weights)))

    def by_token(self, rng: np.random.Generator) -> np.ndarray:
        """Return the document of a randomly drawn token, without its end token: (T,) ids."""
        stream = self._draw([len(data) for data in self.data], rng)
        place = int(rng.integers(0, len(self.data[stream])))
        return self._document(stream, int(np.searchsorted(self.ends[stream], place)))

    def by_document(self, rng: np.random.Generator) -> np.ndarray:
        """Return a randomly drawn document, without its end token: (T,) ids."""
        stream = self._draw([len(ends) for ends in self.ends], rng)
        return self._document(stream, int(rng.integers(0, len(self.ends[stream]))))

    def _document(self, stream: int, index: int) -> np.ndarray:
        ends = self.ends[stream]
        begin = ends[index - 1] + 1 if index else 0
        return np.asarray(self.data[stream][begin : ends[index]], dtype=np.int64)


def usable(draw: Callable[[], Drawn | None], tries: int, problem: str) -> Drawn:
    """Draw until a text can be used. Raises BadInput with the `problem` after so many `tries`."""
    for _ in range(tries):
        if (drawn := draw()) is not None:
            return drawn
    raise BadInput(problem)


class Windows:
    """Draws random windows of up to `longest` tokens of a prepared corpus, from its streams with the given weights.

    Every file has held-out documents, a small one only few: for validation, streams shorter than a window are left out. Raises
    BadInput for one in training, and if no text is left.
    """

    def __init__(self, folder: Path, split: str, record_share: float, longest: int) -> None:
        report = json.loads((folder / "corpus.json").read_text())
        every = {name: counts[f"{split}_tokens"] for name, counts in report["streams"].items()}
        sizes = {name: size for name, size in every.items() if size >= longest}
        short = [f"{name} has {size}" for name, size in every.items() if 0 < size < longest]
        texts = [size for name, size in sizes.items() if name != RECORDS]
        if not texts or (short and split == "train"):
            raise BadInput(
                f"The {split} part of the corpus has too little text for windows of {longest} tokens: "
                f"{', '.join(short) or 'it is empty'}. One document in {VALID_ONE_IN} is held out for validation. Give more "
                "text, or join short files to longer ones, and give another folder with --out."
            )
        self.names = list(sizes)
        self.data = {name: np.memmap(folder / f"{name}.{split}.bin", dtype=np.uint16, mode="r") for name in self.names}
        share = record_share if RECORDS in sizes else 0.0
        self.weights = [share if name == RECORDS else (1 - share) * size / sum(texts) for name, size in sizes.items()]

    def batch(self, rows: int, length: int, rng: np.random.Generator) -> np.ndarray:
        """Return (rows, length) token ids, int64; each row is a window at a random position of a random stream."""
        out = np.empty((rows, length), dtype=np.int64)
        for row, index in enumerate(rng.choice(len(self.names), size=rows, p=np.array(self.weights) / sum(self.weights))):
            tokens = self.data[self.names[index]]
            start = int(rng.integers(0, max(1, len(tokens) - length)))
            out[row] = tokens[start : start + length]
        return out
