"""Export a run as a zip file, and import one.

An imported zip is not trusted: names, types, sizes and contents are checked, and nothing is kept if a check fails.
"""

import json
import lzma
import os
import shlex
import shutil
import stat
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO

from safetensors import SafetensorError, safe_open

from core.config.methods import method_info
from core.errors import BadInput, StoreError
from core.methods.registry import method_class
from core.prefix.prefix import Prefix
from core.runs.layout import (
    HISTORY,
    RUN_JSON,
    SAMPLES,
    STEPS_CSV,
    WEIGHTS,
    JsonObject,
    RunFiles,
    check_id,
    disk_errors,
    json_text,
    temporary_of,
    write_json,
)
from core.runs.run import Run, command_words
from core.runs.store import Store

# File -> its largest size in bytes. Weights are as large as the model; the disk and the ratio below limit them.
FILES = {RUN_JSON: 1_000_000, STEPS_CSV: 100_000_000, SAMPLES: 20_000_000, HISTORY: 50_000_000, WEIGHTS: 20_000_000_000}
RATIO = 100  # largest size of the content, in sizes of the zip; weights hardly compress at all
CHUNK = 1 << 20
UNPACKED = ".import-"  # what the folder's name begins with in which a zip is unpacked
FORGOTTEN = 86_400  # seconds after which such a folder is a killed import's
DAMAGED = (OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, NotImplementedError, EOFError, RuntimeError)


def export_zip(run: Run, file: Path) -> Path:
    """Write a run to a new zip file. Raises BadInput if the file exists or cannot be written.

    Of the backbone's path only the last component is written; the fingerprint identifies its weights.
    """
    temporary = temporary_of(file)
    try:
        if os.path.lexists(file):
            raise BadInput(f"{file} exists already. Give a new file, so that nothing is overwritten.")
        with zipfile.ZipFile(temporary, "w", strict_timestamps=False) as archive:  # a zip knows no year before 1980
            for name in FILES:
                if (run.folder / name).is_file():
                    compression = zipfile.ZIP_STORED if name.endswith(".safetensors") else zipfile.ZIP_DEFLATED
                    content = _portable(run.folder / name) if name == RUN_JSON else None
                    if content is None:
                        archive.write(run.folder / name, f"{run.id}/{name}", compression)
                    else:
                        archive.writestr(f"{run.id}/{name}", content, compression)
        os.replace(temporary, file)
    except OSError as error:
        raise BadInput(f"Cannot write {file}: {error.strerror or error}. Give a file in a folder that can be written.") from error
    finally:
        with suppress(OSError):  # its name may be too long
            temporary.unlink(missing_ok=True)
    return file


def _portable(run_json: Path) -> str:
    """Return a run.json in which only the last component of the backbone's path is left, in its command too."""
    values = json.loads(run_json.read_text(encoding="utf-8"))
    if Path(str(values.get("backbone_path") or "")).is_absolute():
        values["backbone_path"] = ""
    values["command"] = _without_folders(str(values.get("command", "")))
    return json_text(values)


def _without_folders(command: str) -> str:
    """A command in which each absolute path, alone or after NAME=, is its last name."""
    words, shortened = command_words(command), []
    for word in words:
        name, equals, path = word.rpartition("=")
        last = Path(path).name if Path(path).is_absolute() else ""
        shortened.append(f"{name}{equals}{last}" if last else word)
    return shlex.join(shortened) if shortened != words else command


def import_zip(file: Path, store: Store, run_id: str = "", limits: Mapping[str, int] | None = None) -> Run:
    """Import a run from a zip file, under its own id or `run_id`.

    If a run of the store has the same backbone weights, the backbone's path is copied from that run; otherwise the backbone is
    looked up by name. `limits`: maximal sizes in bytes, instead of those in FILES. Raises BadInput for anything but an exported
    run, StoreError if the id is in use or the store cannot be written.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = _entries(archive, file, {**FILES, **(limits or {})})
            values = _run_values(archive, entries[RUN_JSON], file)
            run_id = check_id(run_id or str(values["id"]))
            store.check_free(run_id)
            return _unpack(archive, entries, values | {"id": run_id} | _known_backbone(values, store), store)
    except (*DAMAGED, ValueError) as error:
        if isinstance(error, zipfile.BadZipFile) and not zipfile.is_zipfile(file):
            raise BadInput(f"{file.name} is not a zip file, or not a whole one. Give a zip that Prefix Lab exported.") from error
        reason = getattr(error, "strerror", None) or str(error)[:200]
        raise BadInput(f"{file.name} cannot be read as a zip file ({reason}). Give a zip that Prefix Lab exported.") from error


def _known_backbone(values: JsonObject, store: Store) -> dict[str, str]:
    """Return where this machine has the weights of a run's backbone, by fingerprint; {} if no run of the store has them."""
    for run in store.runs():
        if run.fingerprint == values.get("fingerprint") and run.backbone_path:
            return {"backbone_path": run.backbone_path, "backbone_revision": run.backbone_revision}
    return {}


def _entries(archive: zipfile.ZipFile, file: Path, limits: Mapping[str, int]) -> dict[str, zipfile.ZipInfo]:
    """Map file names to zip entries. Raises BadInput for anything that is not a file of a run."""
    do = "Give a zip that Prefix Lab exported."
    entries: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    if len(archive.infolist()) > 2 * len(FILES):
        raise BadInput(f"{file.name} holds {len(archive.infolist()):,} files, and a run has {len(FILES)} at most. {do}")
    for entry in archive.infolist():
        path = PurePosixPath(entry.filename)
        if entry.is_dir() and len(path.parts) == 1 and ".." not in path.parts:
            continue
        mode = entry.external_attr >> 16
        if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
            raise BadInput(f"{file.name} holds {entry.filename[:80]!r}, which is a link or not a plain file. {do}")
        plain = "\\" not in entry.filename and ".." not in path.parts and not path.is_absolute() and len(path.parts) <= 2
        if not plain or path.name not in FILES:
            raise BadInput(f"{file.name} holds {entry.filename[:80]!r}, which is not a file of a run. {do}")
        if path.name in entries:
            raise BadInput(f"{file.name} holds {path.name} twice. {do}")
        entries[path.name] = entry
        folders.add(str(path.parent))
    for name in (RUN_JSON, WEIGHTS):
        if name not in entries:
            raise BadInput(f"{file.name} has no {name}, so it is not a run. {do}")
    if len(folders) > 1:
        raise BadInput(f"The files of {file.name} lie in several folders: {', '.join(sorted(folders))[:200]}. {do}")
    _check_sizes(entries, file, limits)
    return entries


def _check_sizes(entries: dict[str, zipfile.ZipInfo], file: Path, limits: Mapping[str, int]) -> None:
    for name, entry in entries.items():
        if entry.file_size > limits[name]:
            raise BadInput(
                f"{name} in {file.name} has {entry.file_size:,} bytes; at most {limits[name]:,} are allowed. "
                "Give a run's own file."
            )
    total, packed = sum(entry.file_size for entry in entries.values()), file.stat().st_size
    if total > RATIO * packed:
        raise BadInput(
            f"{file.name} has {packed:,} bytes and would become {total:,}: no run compresses that much. "
            "Give a zip that Prefix Lab exported."
        )


def _run_values(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, file: Path) -> JsonObject:
    try:
        values = json.loads(archive.read(entry).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"The run.json in {file.name} cannot be read ({str(error)[:100]}). Export the run again.") from error
    if not isinstance(values, dict) or not isinstance(values.get("id"), str):
        raise BadInput(f"The run.json in {file.name} does not describe a run: it has no id. Export the run again.")
    return values


def _unpack(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], values: JsonObject, store: Store) -> Run:
    """Unpack into a temporary folder of the store, check the run there, then move it into place."""
    needed = sum(entry.file_size for entry in entries.values())
    with disk_errors(f"write {store.folder}", "Choose a writable folder with PREFIX_LAB_HOME."):
        store.folder.mkdir(parents=True, exist_ok=True)
        _sweep(store.folder)
        place = Path(tempfile.mkdtemp(prefix=UNPACKED, dir=store.folder))
    try:
        if (free := shutil.disk_usage(place).free) < needed:
            raise StoreError(f"The run takes {needed:,} bytes and {free:,} are free. Free some space, then import it again.")
        folder = place / values["id"]
        folder.mkdir()
        for name, entry in entries.items():
            if name != RUN_JSON:
                _copy(archive, entry, folder / name)
        write_json(RunFiles(folder).run_json, values | {"bytes": RunFiles(folder).weights.stat().st_size})
        _check_run(_read_unpacked(Store(place), values["id"]))
        store.check_free(values["id"])
        os.rename(folder, store.folder / values["id"])
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return store.get(values["id"])


def _read_unpacked(store: Store, run_id: str) -> Run:
    try:
        run = store.get(run_id)
    except StoreError as error:  # its message names the temporary folder
        raise BadInput(
            f"The run.json in the zip is not a run's ({str(error.__cause__ or error)[:200]}). Export the run again."
        ) from error
    if run.status not in ("done", "cancelled", "failed"):
        raise BadInput(f"The run.json in the zip says that its training is {run.status[:40]!r}. Export the run again.")
    return run


def _sweep(folder: Path) -> None:
    """Delete what imports that were killed have left."""
    for place in folder.glob(UNPACKED + "*"):
        with suppress(FileNotFoundError):  # of an import that has just ended
            if time.time() - place.stat().st_mtime > FORGOTTEN:
                shutil.rmtree(place, ignore_errors=True)


def _copy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    with disk_errors(f"write {target}"), archive.open(entry) as packed, open(target, "wb") as out:
        for chunk in _chunks(packed, entry):
            out.write(chunk)


def _chunks(packed: IO[bytes], entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield at most as many bytes as the entry declares, since the declared size may be wrong."""
    remaining = entry.file_size
    try:
        while chunk := packed.read(CHUNK):
            remaining -= len(chunk)
            if remaining < 0:
                raise BadInput(f"{entry.filename} is larger than its zip says. Export the run again.")
            yield chunk
    except OSError as error:  # how bz2 says that its data are damaged
        raise zipfile.BadZipFile(str(error)) from error


def _check_run(run: Run) -> None:
    """Check what can be checked without the backbone: the method, the tensors, the prefix's shape."""
    method_class(run)
    info = method_info(run.method)
    if info.trajectory and not info.at_input:  # keys and values
        Prefix.load(run.weights)
    for path in (run.weights, run.files.history):
        if path.exists():
            try:
                with safe_open(path, "pt") as tensors:
                    tensors.keys()
            except SafetensorError as error:
                raise BadInput(f"The {path.name} of {run.id!r} cannot be read ({error}). Export the run again.") from error
