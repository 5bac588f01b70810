"""Hostile zips: names that lead elsewhere, links, bombs, lies, and files of something else."""

import json
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.exchange.archive import import_zip
from core.runs.store import store
from tests.hostile.place import Command, Place, cases, half

RUN = "home/runs/mine"


def zipped(spoil: Callable[[Place, Path], Any]) -> Callable[[Place], Command]:
    """The import of a zip that was spoilt, or made, by `spoil`."""

    def case(place: Place) -> Command:
        file = place.root / "given.zip"
        pack(place, file)
        spoil(place, file)
        return ["import", "--zip", str(file), "--run", "new"]

    return case


def pack(place: Place, file: Path, **replaced: bytes) -> None:
    """A good zip of the run "mine", files replaced by name ("run.json" as run_json)."""
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("run.json", "weights.safetensors", "steps.csv"):
            content = replaced.get(name.replace(".", "_"), (place.root / RUN / name).read_bytes())
            archive.writestr(f"mine/{name}", content)


def with_entry(name: str, content: bytes = b"x", mode: int = 0, kind: int = zipfile.ZIP_STORED) -> Callable[[Place, Path], None]:
    def add(place: Place, file: Path) -> None:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        entry.compress_type = kind
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(entry, content)

    return add


def described(**values: Any) -> Callable[[Place, Path], None]:
    def change(place: Place, file: Path) -> None:
        known = json.loads((place.root / RUN / "run.json").read_text())
        pack(place, file, run_json=json.dumps(known | values).encode())

    return change


def lying(place: Place, file: Path) -> None:
    """The directory says that steps.csv has 5 bytes; it has more."""
    content = bytearray(file.read_bytes())
    at = content.rindex(b"PK\x01\x02")  # the last entry of the directory
    content[at + 24 : at + 28] = struct.pack("<I", 5)
    file.write_bytes(bytes(content))


def encrypted(place: Place, file: Path) -> None:
    content = bytearray(file.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    file.write_bytes(bytes(content))


def bomb(place: Place, file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(place.root / RUN / "run.json", "mine/run.json")
        archive.writestr("mine/weights.safetensors", b"\0" * 30_000_000)


def taken(place: Place) -> Command:
    file = place.root / "given.zip"
    pack(place, file)
    return lambda: import_zip(file, store(), "mine")


ARCHIVES = cases(
    ("no zip", "nowhere.zip", lambda place: ["import", "--zip", str(place.root / "nowhere.zip")]),
    ("a zip that is none", "not a zip", zipped(lambda place, file: file.write_bytes(b"not a zip at all" * 99))),
    ("half a zip", "zip", zipped(lambda place, file: half(file))),
    ("an empty zip", "no run.json", zipped(lambda place, file: zipfile.ZipFile(file, "w").close())),
    ("a zip with ../", "../evil", zipped(with_entry("../evil/run.json"))),
    ("a zip with a path from the root", "/etc", zipped(with_entry("/etc/steps.csv"))),
    ("a zip with a Windows path", "not a file of a run", zipped(with_entry("C:\\runs\\watch.jsonl"))),
    ("a zip with a link", "a link", zipped(with_entry("mine/watch.jsonl", b"/etc/passwd", stat.S_IFLNK | 0o777))),
    ("a zip with a device", "not a plain file", zipped(with_entry("mine/watch.jsonl", b"", stat.S_IFCHR | 0o666))),
    ("a zip with a program", "run.sh", zipped(with_entry("mine/run.sh"))),
    ("a zip with a pickle", "weights.bin", zipped(with_entry("mine/weights.bin"))),
    ("a zip with two runs", "several folders", zipped(with_entry("yours/watch.jsonl"))),
    ("a zip with a file twice", "twice", zipped(with_entry("mine/steps.csv"))),
    ("a zip with a zip of files", "files", zipped(lambda place, file: [with_entry(f"a/{n}")(place, file) for n in range(20)])),
    ("a zip bomb", "no run compresses", zipped(bomb)),
    ("a zip with too large a part", "watch.jsonl", zipped(with_entry("mine/watch.jsonl", b"1" * 20_000_001))),
    ("a zip that lies about a size", "", zipped(lying)),
    ("a zip with a password", "encrypted", zipped(encrypted)),
    ("a zip with half a run.json", "run.json", zipped(lambda place, file: pack(place, file, run_json=b'{"id": "mi'))),
    ("a zip with a run.json nested too deep", "run.json", zipped(lambda p, f: pack(p, f, run_json=b'{"a":' * 50_000))),
    ("a zip whose run has no id", "no id", zipped(described(id=5))),
    ("a zip with an unknown field", "surprise", zipped(described(surprise=1))),
    ("a zip with an unknown method", "'magic'", zipped(described(method="magic"))),
    ("a zip that is still training", "'running'", zipped(described(status="running"))),
    ("a zip with weights of nothing", "safetensors", zipped(lambda p, f: pack(p, f, weights_safetensors=b"\xff" * 64))),
    ("a zip for a name taken", "already", taken),
    ("a zip whose own name is bad", "cannot be the name of a run", lambda place: _own_name(place)),
    ("an export over a file", "exists already", lambda place: _export(place, "data/train.jsonl")),
    ("an export to a folder that is not there", "Cannot write", lambda place: _export(place, "nowhere/mine.zip")),
    ("deleting nothing", "'nobody'", lambda place: ["runs", "--delete", "nobody"]),
    ("deleting ../", "cannot be the name of a run", lambda place: ["runs", "--delete", "../mine"]),
    ("renaming to ../", "cannot be the name of a run", lambda place: ["runs", "--rename", "mine", "../mine"]),
    ("renaming to a name taken", "already", lambda place: ["runs", "--rename", "mine", "tuned"]),
    ("notes without end", "2,000", lambda place: ["runs", "--note", "mine", "x" * 3000]),
    ("restoring nothing", "the trash is empty", lambda place: ["runs", "--restore", "mine"]),
)


def _own_name(place: Place) -> Command:
    described(id="../../evil")(place, place.root / "given.zip")
    return ["import", "--zip", str(place.root / "given.zip")]


def _export(place: Place, name: str) -> Command:
    return ["export", "--run", "mine", "--zip", str(place.root / name)]
