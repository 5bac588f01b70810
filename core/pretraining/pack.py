"""Carry files to another machine and back: a prepared corpus as one small file, a model folder in pieces."""

import hashlib
import io
import json
import lzma
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path

from core.errors import BadData, BadInput
from core.pretraining.corpus import ANOTHER_OUT, other_words
from core.runs.layout import disk_errors

PIECE = 15 * 2**20  # bytes
_TOKENS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 2, "lp": 1, "pb": 1, "dict_size": 2**26}]  # for 16-bit numbers
_SUFFIX = ".piece"
_PIECE_NAME = re.compile(rf"[0-9a-f]{{12}}-\d+-of-\d+\{_SUFFIX}")


def pack_corpus(folder: Path, file: Path, without: Sequence[str] = ()) -> int:
    """Write a prepared corpus, without the streams in `without`, to a tar of xz-compressed tokens; returns its size in bytes."""
    report = json.loads((folder / "corpus.json").read_text())
    unknown = set(without) - set(report["streams"])
    if unknown:
        raise BadInput(f"The corpus has no stream {', '.join(sorted(unknown))}. It has {', '.join(report['streams'])}.")
    report["streams"] = {name: counts for name, counts in report["streams"].items() if name not in without}
    with disk_errors(f"write {file}", "Give --pack a file in a folder that can be written."), tarfile.open(file, "w") as tar:
        _add(tar, "corpus.json", json.dumps(report, indent=1).encode())
        _add(tar, "tokenizer.json", (folder / "tokenizer.json").read_bytes())
        for name in report["streams"]:
            for part in (f"{name}.train.bin", f"{name}.valid.bin"):
                _add(tar, part + ".xz", lzma.compress((folder / part).read_bytes(), filters=_TOKENS))
    return file.stat().st_size


def unpack_corpus(file: Path, folder: Path, vocabulary: int, start: str = "") -> None:
    """Unpack a packed corpus into a folder; one that is there already is used if it is the same.

    Raises BadInput if the folder has another one, or if its words are not those of `vocabulary` and `start` (see `prepare`).
    """
    try:
        with tarfile.open(file, "r:") as tar:
            packed = {member.name: _read(tar, member) for member in tar if member.isfile() and "/" not in member.name}
        report = packed.pop("corpus.json")
        differs = other_words(json.loads(report)["vocabulary"], packed["tokenizer.json"].decode(), vocabulary, start)
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise _not_packed(file, error) from error
    done = folder / "corpus.json"
    if differs:
        raise BadInput(f"The corpus in {file} was prepared {differs}. Give another file with --packed, or another --preset.")
    if done.exists() and done.read_bytes() != report:
        raise BadInput(f"{folder} has another corpus than {file}. Give another folder with --out, or delete that one.")
    if done.exists():
        return
    with disk_errors(f"write {folder}", ANOTHER_OUT):
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in packed.items():
            try:
                content = lzma.decompress(data) if name.endswith(".xz") else data
            except lzma.LZMAError as error:
                raise _not_packed(file, error) from error
            (folder / name.removesuffix(".xz")).write_bytes(content)
        done.write_bytes(report)  # last: it says that the folder is complete


def _not_packed(file: Path, error: Exception) -> BadData:
    if isinstance(error, OSError) and error.strerror:
        return BadData(f"{file} cannot be read: {error.strerror}. Give --packed a file that `pretrain --pack` wrote.")
    return BadData(f"{file} is not a packed corpus ({error}). Make one with `pretrain --pack`.")


def write_pieces(model: Path, folder: Path) -> list[Path]:
    """Split a model folder into files of at most `PIECE` bytes, replacing those from an earlier call. Raises StoreError."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(model.iterdir()):
            _add(tar, path.name, path.read_bytes())
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()[:12]
    count = -(-len(data) // PIECE)
    paths = [folder / f"{digest}-{index + 1}-of-{count}{_SUFFIX}" for index in range(count)]
    with disk_errors(f"write {folder}", "Free some space, or give --pieces another folder."):
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"*{_SUFFIX}"):
            old.unlink()
        for index, path in enumerate(paths):
            path.write_bytes(data[index * PIECE : (index + 1) * PIECE])
    return paths


def join_pieces(folder: Path, model: Path) -> None:
    """Join a model folder from its pieces. Raises BadData if one is missing or damaged."""
    pieces = [path for path in folder.glob(f"*{_SUFFIX}") if _PIECE_NAME.fullmatch(path.name)]
    paths = sorted(pieces, key=lambda path: int(path.name.split("-")[1]))
    if not paths:
        raise BadInput(f"{folder} has no pieces of a model (*{_SUFFIX}). Give the folder that --pieces wrote.")
    data = b"".join(path.read_bytes() for path in paths)
    if hashlib.sha256(data).hexdigest()[:12] != paths[0].name.split("-")[0]:
        raise BadData(f"The pieces in {folder} do not make a whole model: one is missing or damaged. Copy them again.")
    with disk_errors(f"write {model}", ANOTHER_OUT), tarfile.open(fileobj=io.BytesIO(data)) as tar:
        model.mkdir(parents=True, exist_ok=True)
        for member in tar:
            (model / Path(member.name).name).write_bytes(_read(tar, member))


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    handle = tar.extractfile(member)
    return handle.read() if handle else b""
