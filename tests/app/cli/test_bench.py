"""`bench`: every row on a tiny model, as a table and as JSON, and what is refused."""

import json
import math
import os
import re
import subprocess
import time

import pytest
import torch
from transformers import BartConfig, GPT2Config

from analysis.benchmark.measure import alternate, summarize_speeds
from analysis.benchmark.models import SIZES, benchmark_model
from analysis.benchmark.rows import LENGTHS, ROWS
from analysis.benchmark.scoring import synthetic_test_set
from app.cli.main import main
from tests.support.tiny_models import make_tiny_backbone, make_tiny_bart

pytestmark = pytest.mark.slow

RATIOS = ["training", "peft", "decoding", "batch", "lengths"]
QUICK = ["--device", "cpu", "--repeats", "1", "--tokens", "3", "--batch", "2"]


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory) -> str:
    return str(make_tiny_backbone(tmp_path_factory.mktemp("bench") / "tiny-gpt2"))


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> str:
    """With room for a bundled table and what the app writes of it."""
    return str(make_tiny_backbone(tmp_path_factory.mktemp("bench") / "wide-gpt2", positions=512))


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """A step is a measurement: how long it takes does not matter here."""
    monkeypatch.setattr("analysis.benchmark.measure.MIN_SECONDS", 1e-9)


def rows_of(capsys) -> list[dict]:
    return json.loads(capsys.readouterr().out)["rows"]


def test_every_row_is_measured_on_both_sides(gpt2, capsys):
    assert main(["bench", *RATIOS, "--backbone", gpt2, "--json", "--no-memory", *QUICK]) == 0
    rows = rows_of(capsys)
    assert [*dict.fromkeys(row["row"] for row in rows)] == RATIOS and set(RATIOS) < set(ROWS)
    assert all(row["n"] == 1 and row["first"] != row["second"] for row in rows)
    assert all(0 < number < math.inf for row in rows for number in (*row["speeds"], row["ratio"]))
    assert [row["second"] for row in rows if row["row"] == "peft"] == ["PEFT, direct", "PEFT, MLP"]
    names = [row["first"] for row in rows if row["row"] == "lengths"]
    assert names == [f"prefix, P = {length}" for length in LENGTHS[:-1]]  # 200 do not fit in its 256 positions


def timings_of(capsys) -> dict[str, dict]:
    rows = rows_of(capsys)
    assert all(0 < row["spread"][0] <= row["seconds"] <= row["spread"][1] < math.inf for row in rows)
    assert all(row["met"] == (None if row["target"] is None else row["seconds"] <= row["target"]) for row in rows)
    return {row["what"]: row for row in rows}


def test_the_tabs_that_look_inside_are_timed_and_the_users_folder_stays_as_it_is(wide, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path))
    monkeypatch.setattr("analysis.space.projection._run_umap", lambda vectors, *_: vectors[:, :2].copy())  # it takes 30 s
    assert main(["bench", "attention", "space", "--backbone", wide, "--json", *QUICK]) == 0
    timings = timings_of(capsys)
    nearest = f"nearest words of {len('Tell the table in a sentence:') + 1} virtual tokens"  # no run fits: a text is the prefix
    assert [*timings][:8] == [
        "filled, the first time in a process",
        "filled",
        "another layer",
        "another head",
        "the map of knock-outs, whole",
        f"{nearest}, the first time",
        f"{nearest}, from the cache",
        "the layer beside",
    ]
    assert [what.split(" of ")[0] for what in timings][8:] == ["PCA", "UMAP"]
    assert [row["target"] for row in timings.values()] == [1.5, 1.5, 0.3, 0.3, None, 20, 1, 0.3, 1, None]
    assert os.environ["PREFIX_LAB_HOME"] == str(tmp_path) and not list(tmp_path.iterdir())


def test_a_test_set_of_texts_is_scored(gpt2, capsys):
    assert main(["bench", "scoring", "--backbone", gpt2, "--json", *QUICK]) == 0
    ((what, row),) = timings_of(capsys).items()
    assert "630 texts" in what and all(name in what for name in ("BLEU", "NIST", "ROUGE-L", "CIDEr")) and row["n"] == 1
    texts, references = synthetic_test_set()
    assert (len(texts), sum(map(len, references))) == (630, 4693)


def test_the_app_is_opened_and_its_first_word_waited_for(wide, capsys):
    assert main(["bench", "app", "--backbone", wide, *QUICK]) == 0
    out = capsys.readouterr().out
    for phrase in ("from launch.py to the whole answer of the page", "the first word of a text"):
        assert re.search(rf"^app +{phrase} +1 +\d+\.\d{{3}} +[\d.-]+  ≤ [\d.]+ s: (met|not met)$", out, re.MULTILINE), out


def test_a_row_that_cannot_be_measured_is_reported_and_the_others_go_on(gpt2, capsys, monkeypatch):
    def broken(backbone, settings):
        raise RuntimeError("no memory is left")
        yield

    monkeypatch.setitem(ROWS, "training", broken)
    assert main(["bench", "training", "decoding", "--backbone", gpt2, *QUICK]) == 1
    out, err = capsys.readouterr()
    assert "training: not measured. RuntimeError: no memory is left" in err and "prefix, P = 10 : no prefix" in out
    assert main(["bench", "training", "decoding", "--backbone", gpt2, "--json", *QUICK]) == 1
    first, second = rows_of(capsys)
    assert first == {"row": "training", "error": "RuntimeError: no memory is left"} and second["ratio"] > 0
    assert second["target"] == 0.9 and second["met"] == (second["ratio"] >= 0.9)


def test_peak_memory_is_that_of_a_process_each(gpt2, capsys):
    assert main(["bench", "training", "--backbone", gpt2, "--json", *QUICK]) == 0
    (row,) = rows_of(capsys)
    assert min(row["peaks"]) > 5e7 and row["memory_ratio"] == row["peaks"][0] / row["peaks"][1]


def test_an_encoder_decoder_model_is_measured_with_the_decoders_site_alone_and_with_all(tmp_path, capsys):
    folder = str(make_tiny_bart(tmp_path / "tiny-bart"))
    assert main(["bench", "peft", "decoding", "--backbone", folder, "--no-memory", *QUICK]) == 0
    out = capsys.readouterr().out
    for phrase in ("decoder only, direct : PEFT, direct", "prefix, MLP : PEFT, MLP", "prefix, P = 200 : no prefix"):
        assert phrase in out


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["speed"], "no row 'speed'. Choose one of: training, peft, decoding, batch, lengths, scoring, attention, space, app."),
        (["decoding", "--repeats", "0"], "--repeats must be at least 1; given: 0."),
        (["--batch", "-1"], "--batch must be at least 0; given: -1."),
        (["--tokens", "0"], "--tokens must be at least 1; given: 0."),
        (["--shape", "gpt2-large", "--backbone", "x"], "--shape gpt2-large and --backbone x are both given"),
        (["--backbone", "./nowhere"], "There is no folder ./nowhere"),
        (["--device", "quantum"], "There is no device 'quantum'"),
        (["decoding", "--tokens", "9999"], "has 512 positions"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_sentence(values, message, capsys):
    assert main(["bench", *values]) == 1
    _, err = capsys.readouterr()
    assert message in err and "Traceback" not in err


def test_memory_of_a_side_that_is_killed_is_an_error(gpt2, capsys, monkeypatch):
    killed = subprocess.CompletedProcess([], -9, "", "")
    monkeypatch.setattr("analysis.benchmark.measure.subprocess.run", lambda *args, **options: killed)
    assert main(["bench", "training", "--backbone", gpt2, *QUICK]) == 1
    out, err = capsys.readouterr()
    assert "The memory of 'prefix-mlp' could not be measured: it was ended with code -9" in err
    assert "prefix, MLP : fine-tuning" in out  # its speed was


@pytest.mark.parametrize(
    ("shape", "small"),
    [
        ("gpt2-large", GPT2Config(n_embd=32, n_layer=2, n_head=2)),
        ("bart-large", BartConfig(d_model=32, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=32, decoder_ffn_dim=32)),
    ],
)
def test_a_shape_is_made_with_the_same_random_weights_each_time(shape, small, capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(SIZES, shape, lambda: small)
    first, second = (benchmark_model(shape, "cpu", tmp_path / name) for name in "ab")
    assert first.spec.fingerprint == second.spec.fingerprint
    assert main(["bench", "peft", "batch", "--shape", shape, "--json", "--no-memory", *QUICK]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == shape


def test_the_ratio_is_the_median_of_neighbours_that_did_the_same_work():
    done: list[str] = []

    def side(name: str, seconds: float):
        return lambda: done.append(name) or time.sleep(seconds) or 1

    row = summarize_speeds("row", ("one", "other"), "examples", alternate(side("a", 0), side("b", 0.02), 3, torch.device("cpu")))
    assert row.n == 3 and row.spread[0] <= row.ratio <= row.spread[1] and row.ratio > 1
    assert "".join(done) == "ab" + "ab" + "ab" + "ba" + "ab"
