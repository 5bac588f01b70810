"""What the Train tab asks for, as settings, a command line and a plan."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.main import main, parser
from app.shared.setting_labels import TRAINING_LABELS
from app.train.components import train_request
from app.train.request import (
    PRESET_LABELS,
    TrainRequest,
    UploadedData,
    command,
    estimate_request,
    free_name,
    guess_columns,
    is_encoder_decoder,
    is_suggested,
    store_upload,
)
from app.train.view import preview
from core.config.methods import METHODS
from core.config.presets import PRESETS
from core.data.source import DataSource
from core.data.uploads import preview_file
from core.errors import BadConfig, BadInput
from core.methods.parameter_counts import parameter_counts
from core.methods.registry import METHOD_CLASSES
from core.runs.store import Store
from tests.support.tiny_models import ARTICLES, EXAMPLES


@pytest.fixture
def own(tmp_path):
    lines = "".join(f'"{one.source}","{one.targets[0]}"\n' for one in EXAMPLES)
    (tmp_path / "own.csv").write_text("table,text\n" + lines + "no table at all,Bad.\n")
    return UploadedData(str(tmp_path / "own.csv"), ("table",), ("text",), "table", "pubs")


def test_every_preset_is_a_command_line_that_is_understood():
    assert set(PRESET_LABELS) - {"own"} <= set(PRESETS)
    for kind in PRESET_LABELS:
        request = TrainRequest("mine", kind, own={"length": 7, "rate": 0.02} if kind == "own" else {})
        args = parser().parse_args(request.to_argv())
        assert (args.run, args.preset) == ("mine", request.base)
        for name, value in request.changes().items():
            assert getattr(args, name) == value
    assert TrainRequest("mine", "demo").to_argv() == ["train", "--run", "mine", "--preset", "demo"]


def test_a_bad_setting_or_name_is_reported_before_anything_starts():
    with pytest.raises(BadConfig, match="length"):
        TrainRequest("mine", "own", own={"length": 0}).config()
    with pytest.raises(BadInput, match="cannot be the name of a run"):
        TrainRequest("../mine").to_argv()
    with pytest.raises(BadInput, match="which columns"):
        TrainRequest("mine", data=UploadedData("file.csv")).examples()


def test_the_plan_counts_what_will_be_trained(context, house):
    request = TrainRequest("mine", "own", backbone=house.backbone, own={"length": 3, "mlp": 8, "updates": 5})
    examples, valid, _ = request.examples()
    took, backbone = estimate_request(context, request, examples, valid)
    counted = parameter_counts(backbone, request.config())
    assert (took.trained, took.stored, took.updates) == (counted.trained, counted.stored, 5)
    assert took.stored == 2 * 2 * 4 * 3 * 8 and took.bytes > 4 * took.stored and took.seconds > 0


@pytest.mark.slow
def test_a_model_that_reads_and_writes_apart_is_trained_on_articles(context, house, tmp_path, monkeypatch):
    assert (
        is_encoder_decoder(context, house.bart)
        and not is_encoder_decoder(context, house.backbone)
        and not is_encoder_decoder(context, "hub-name")
    )
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path / "home"))
    store = Store(tmp_path / "home" / "runs")
    values = {"length": 2, "updates": 2, "batch": 2}
    bundled = TrainRequest("bundled", "own", backbone=house.bart, data=UploadedData(form="article"), own=values)
    examples, valid, _ = bundled.examples()
    assert len(examples) == 9 and valid == 3 and {one.group for one in examples} == {"news", "science", "local"}
    assert estimate_request(context, bundled, examples, valid)[0].stored == (3 + 2 + 2) * 2 * 4 * 2 * 8
    args = parser().parse_args(bundled.to_argv())
    assert (args.task, args.data, args.backbone) == ("summarization", None, house.bart)
    source = DataSource(set="summarization")
    assert [len(rows) for rows in source.load_train_valid([])] == [9, 3] and source.task_form == "article"

    rows = [json.dumps({"document": one.source, "summary": one.targets[0], "id": 1}) for one in ARTICLES]
    (tmp_path / "own.jsonl").write_text("\n".join([*rows, '{"document": "word", "summary": "No article."}']) + "\n")
    source, target, form = guess_columns(["id", "document", "summary"])
    own = TrainRequest(
        "own",
        "low",
        backbone=house.bart,
        data=UploadedData(str(tmp_path / "own.jsonl"), tuple(source), tuple(target), form, "own"),
    )
    examples, valid, bad = own.examples()
    assert (source, target, form, len(examples), valid, len(bad)) == (["document"], ["summary"], "article", 5, 1, 1)
    few = ["--updates", "1", "--warmup", "0", "--watch", "0", "--device", "cpu"]
    assert main([*own.to_argv(store_upload(store, own)), *few]) == 0
    run = store.get("own")
    assert (run.task.name, run.rows) == ("summarization", 5) and "summarize" in run.config["init_words"]
    with pytest.raises(BadInput, match="mini-bart at the head of the page"):
        estimate_request(context, replace(own, backbone=house.backbone), examples, 0)


def test_each_method_asks_for_its_own_settings_and_in_context_for_no_training(context, house):
    assert set(METHODS) == set(METHOD_CLASSES)
    values = dict.fromkeys(TRAINING_LABELS) | {"instruction": "Tell it.", "shots": 2.0, "rate": 9.0, "length": 0}
    values |= {"preset": "own", "method": "in_context", "name": "told", "rows": None, "where": "bundled"}
    request = train_request(values, house.backbone, False)
    assert request.changes() == {"instruction": "Tell it.", "shots": 2}
    with pytest.raises(BadConfig, match=r"shots must be a whole number .*; given: 2\.5"):  # it was rounded unseen
        train_request(values | {"shots": 2.5}, house.backbone, False).config()
    took, _ = estimate_request(context, request, *request.examples()[:2])
    assert (took.trained, took.stored, took.updates) == (0, 0, 0) and took.seconds > 0


def test_rows_of_ones_own_are_kept_and_train_from_the_shown_command(own, house, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path / "home"))
    store = Store(tmp_path / "home" / "runs")
    request = TrainRequest("mine", "own", backbone=house.backbone, data=own, own={"length": 2, "updates": 2, "batch": 2})
    examples, valid, bad = request.examples()
    assert request.usable() == len(EXAMPLES) and len(bad) == 1 and "line 12" in bad[0]
    args = parser().parse_args(request.to_argv())
    assert args.skip_bad and DataSource("columns", own.file, own.source, own.target, skip_bad=True).load_split("train", [])
    store.folder.mkdir(parents=True)
    assert main([*request.to_argv(store_upload(store, request)), "--device", "cpu"]) == 0
    run = store.get("mine")
    assert (run.task.name, run.updates, run.rows, valid) == ("pubs", 2, len(examples), len(EXAMPLES) - len(examples)) and valid
    assert run.valid_loss is not None
    assert [stored.id for stored in store.runs()] == ["mine"]
    assert free_name(store, {"mine-1"}, "mine") == "mine-2"


def test_rows_of_one_source_cannot_be_held_out(tmp_path):
    file = tmp_path / "own.csv"
    file.write_text("in,out\n" + "name : Alda,Alda is a pub.\n" * 20, encoding="utf-8")
    request = TrainRequest("mine", data=UploadedData(str(file), ("in",), ("out",)))
    examples, valid, _ = request.examples()
    assert (len(examples), valid) == (20, 0) and "--skip-bad" not in request.to_argv()


def test_the_shown_command_names_the_users_own_columns_and_file(own, house):
    Path(own.file).write_text("name,my city,text\nAlda,Lahti,Alda is in Lahti.\n", encoding="utf-8")
    request = TrainRequest("mine", backbone=house.backbone, data=replace(own, source=("name", "my city"), target=("text",)))
    line = command(request.to_argv())
    assert "--data own.csv --source name --source 'my city' --target text" in line
    args = parser().parse_args(request.to_argv())
    assert (args.source, args.target, args.set) == (["name", "my city"], ["text"], "columns")


def test_faults_of_an_uploaded_file_stand_on_the_page(tmp_path):
    file = tmp_path / "own.tsv"
    file.write_text('in\tout\na\t"Lovely place, A\nb\tB costs Â£5.\n', encoding="utf-8")
    request = TrainRequest("mine", data=UploadedData(str(file), ("in",), ("out",), "text"))
    examples, _, bad = request.examples()
    assert len(examples) == 2 and not bad
    html = preview(preview_file(file), bad, len(examples), request.odd())
    assert "1 row with a quote that is never closed; it was read as a character." in html and "export the file again" in html
    assert TrainRequest("mine").odd() == []


@pytest.mark.parametrize(
    ("name", "suggested"), [("", True), ("demo-1", True), ("own-12", True), ("cafes-1", False), ("demo", False)]
)
def test_a_suggested_name_gives_way_to_another_suggestion_and_a_typed_one_stays(name, suggested):
    assert is_suggested(name) is suggested
