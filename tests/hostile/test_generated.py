"""Generated tables, addresses, names, zips and files: one sentence or a right answer, and nothing is lost.

`PREFIX_LAB_EXAMPLES=5000 python launch.py test tests/hostile/test_generated.py` looks further than the suite does.
"""

import hashlib
import io
import json
import os
import string
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.attention.state import AttentionState
from app.compare.source_editor import read as read_editor
from app.compare.state import CompareState
from app.learn.state import ContextState, FigureState
from app.mix.state import MixState
from app.results.state import ResultsState
from app.shared import urlstate
from app.space.state import SpaceState, joined, parted
from app.train.state import RunAddress
from core.data.registry import parse_input
from core.data.uploads import preview_file, write_pasted
from core.errors import PrefixLabError
from core.exchange.archive import FILES, export_zip, import_zip
from core.prefix.mix import parse_mix
from core.runs.layout import check_id
from core.runs.manage import rename
from core.runs.store import Store
from tests.support.tiny_models import make_run, make_tiny_backbone

EXAMPLES = int(os.environ.get("PREFIX_LAB_EXAMPLES", "40"))
bounded = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
MARKS = [" : ", ":", " | ", "|", "[", "]", ", ", '"', "{", "}", "\n", "\t", "\\", "---", "\u2028", "\x00", "\ud800"]
WORDS = ["name", "The Eagle", "eatType", "area", "£", "é", "名", "\u202e", "nan", "-1", "1e999"]
TEXTS = st.lists(st.sampled_from(MARKS + WORDS), max_size=12).map("".join) | st.text(max_size=60)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))
GRIDS = st.lists(st.lists(TEXTS, max_size=4), max_size=5)
FORMS = st.sampled_from(["table", "webnlg", "dart", "article", "text"])
MIXES = st.lists(st.sampled_from(["mix", "fade", "path", ":", ",", "0.3", "nan", "one", "-1"])).map("".join)
STATES = [CompareState, AttentionState, SpaceState, MixState, RunAddress, ResultsState, ContextState, FigureState]
KEYS = sorted({key for state in STATES for key in urlstate.keys(state).values()})
NAMES = st.sampled_from([*FILES, "x/../run.json", "/run.json", "a/b/run.json"]) | TEXTS
FIELDS = st.sampled_from(["id", "task", "config", "scores", "created", "status", "method", "bytes", "notes", "seed"])
CELLS = [",", '"', "\n", "\r\n", "\t", "\x00", "a", "b", "{", "}", '{"a": 1}', "é", "\ufeff"]
ROWS = st.lists(st.sampled_from(CELLS), max_size=30).map("".join)
SHEETS = st.sampled_from(["rows.csv", "rows.tsv", "rows.jsonl", "rows.csv.gz"])


def check_sentence(error: Exception | str) -> None:
    """One sentence that a person can read."""
    sentence = str(error)
    assert sentence and "\n" not in sentence and sentence.isprintable() and len(sentence) < 700, sentence
    assert "Traceback" not in sentence and " object at 0x" not in sentence, sentence


@bounded
@given(TEXTS, FORMS)
def test_a_text_in_any_notation_is_read_for_good_or_refused(text, form):
    try:
        source = parse_input(form, text)
    except PrefixLabError as error:
        check_sentence(error)
        return
    if form in ("table", "webnlg", "dart"):
        assert parse_input(form, source) == source


@bounded
@given(GRIDS, TEXTS, st.sampled_from(["rows", "text"]), st.sampled_from(["table", "dart"]))
def test_the_grid_takes_whatever_is_typed(rows, text, newer, form):
    value, note = read_editor({"form": form, "rows": rows, "text": text, "newer": newer, "bad": 0, "version": 1})
    assert value["form"] == form and len(note) < 3000 and "Traceback" not in note


@bounded
@given(st.lists(st.tuples(st.sampled_from(KEYS), TEXTS), max_size=6))
def test_an_address_with_any_values_opens_and_is_written_again_the_same(pairs):
    query = "?" + "&".join(f"{key}={value}" for key, value in pairs)
    for kind in STATES:
        state = urlstate.read(query, kind)
        written = urlstate.write(state)
        assert urlstate.write(urlstate.read(written, kind)) == written


@bounded
@given(st.text(max_size=300))
@example("=0")
def test_an_address_of_anything_opens(query):
    for kind in STATES:
        urlstate.read(query, kind)


@bounded
@given(st.lists(TEXTS.filter(bool), max_size=4))
def test_runs_in_an_address_come_back(runs):
    assert parted(joined(runs)) == [run.encode("utf-8", "replace").decode() for run in runs]


@bounded
@given(TEXTS.map("mix:".__add__) | MIXES)
def test_the_name_of_a_mix_is_read_or_refused(name):
    try:
        parse_mix(name)
    except PrefixLabError as error:
        check_sentence(error)


# --- on a store


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A store with one run, and its zip."""
    root = tmp_path_factory.mktemp("generated")
    run = make_run(make_tiny_backbone(root / "model"), root / "runs", "mine", updates=1)
    export_zip(run, root / "mine.zip")
    return root


def contents(store: Store) -> dict[str, str]:
    return {run.id: hashlib.sha256(run.weights.read_bytes()).hexdigest() for run in store.runs()}


def take(home: Path, content: bytes) -> None:
    """Import a zip: whole under a new name, or refused with nothing left behind."""
    store, file = Store(home / "runs"), home / "given.zip"
    file.write_bytes(content)
    before, names = contents(store), sorted(path.name for path in store.folder.iterdir())
    try:
        run = import_zip(file, store, "new")
    except PrefixLabError as error:
        check_sentence(error)
        assert sorted(path.name for path in store.folder.iterdir()) == names
    else:
        assert contents(store).keys() == before.keys() | {"new"} and store.broken() == []
        for path in run.folder.iterdir():
            path.unlink()
        run.folder.rmdir()
    assert contents(store) == before


def zipped(home: Path, **replaced: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(home / "mine.zip") as good, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in good.namelist():
            archive.writestr(name, replaced.get(Path(name).stem, good.read(name)))
    return out.getvalue()


@bounded
@given(st.text(string.ascii_letters + "./\\-_ \x00é", max_size=90) | TEXTS)
@example("mine.")
@example("con")
def test_a_run_gets_any_name_that_is_one_and_no_other(home, name):
    store = Store(home / "runs")
    try:
        assert rename(store, "mine", name).id == check_id(name)
    except PrefixLabError as error:
        check_sentence(error)
        assert contents(store).keys() == {"mine"}
        return
    assert rename(store, name, "mine").id == "mine"


@bounded
@given(st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6), st.booleans())
@example([(0.11751153147631713, b"\0\0\0\0\0\0\0\2")], False)
def test_a_damaged_zip_is_refused_or_whole(home, changes, deflated):
    content = bytearray(zipped(home) if deflated else (home / "mine.zip").read_bytes())
    for place, change in changes:
        start = int(place * (len(content) - 1))
        content[start : start + len(change)] = change
    take(home, bytes(content))


@bounded
@given(st.lists(st.tuples(NAMES, st.binary(max_size=40)), max_size=5))
def test_a_zip_of_anything_is_refused(home, entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries:
            archive.writestr(name.encode("utf-8", "replace").decode().replace("\0", "") or "x", content)
    take(home, out.getvalue())


@bounded
@given(st.dictionaries(FIELDS | TEXTS, JSON, max_size=4))
@example({"\x1f": None})
@example({"scores": {"test": {"BLEU": {"value": "many"}}}})
@example({"seed": float("nan")})
@example({"task": {"name": "e2e", "separator": 5}})
def test_a_run_json_with_any_values_is_refused_or_whole(home, values):
    with zipfile.ZipFile(home / "mine.zip") as good:
        known = json.loads(good.read("mine/run.json"))
    take(home, zipped(home, run=json.dumps(known | values).encode("utf-8", "surrogatepass")))


@bounded
@given(st.binary(max_size=200), st.integers(0, 400))
def test_weights_of_anything_are_refused_or_whole(home, content, cut):
    with zipfile.ZipFile(home / "mine.zip") as good:
        weights = good.read("mine/weights.safetensors")
    take(home, zipped(home, weights=weights[:cut] + content + weights[cut + len(content) :]))


# --- files of rows


@bounded
@given(ROWS.map(str.encode) | st.binary(max_size=100), SHEETS)
def test_a_file_of_anything_has_a_preview_or_a_sentence(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    try:
        assert preview_file(tmp_path / name).columns
    except PrefixLabError as error:
        check_sentence(error)


@bounded
@given(ROWS)
def test_pasted_rows_have_a_preview_or_a_sentence(tmp_path, text):
    try:
        preview_file(write_pasted(text, tmp_path))
    except PrefixLabError as error:
        check_sentence(error)
