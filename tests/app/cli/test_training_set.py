"""The verbs `select` and `distill`: what they write, and what a training reads of it."""

import json
import shutil

import pytest

from analysis.evaluation.evaluate import outputs
from analysis.experiments.references import complete, likeliest
from app.cli.main import main
from core.config.decode import DecodeConfig
from core.data.source import DataSource
from core.errors import BadInput
from core.methods.loading import load_run
from core.models.loading import load_backbone
from core.runs.store import Store
from core.task import Example
from tests.support.tiny_models import make_run, make_tiny_backbone

TABLE = "name : Alda | food : Thai"
WHOLE, OTHER, PART = "Alda serves Thai food .", "There is Thai food at Alda .", "Alda is a pub ."
ROWS = [(TABLE, WHOLE), (TABLE, PART), (TABLE, OTHER), ("name : Bo | food : Greek", "Bo is a pub .")]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("select")
    make_run(make_tiny_backbone(place / "tiny", positions=512), place / "runs", "one")
    return place


@pytest.fixture
def call(home, tmp_path, monkeypatch, capsys):
    """Call a verb on a folder with ROWS and a validation row."""
    monkeypatch.setenv("PREFIX_LAB_HOME", str(home))
    data = tmp_path / "data"
    data.mkdir()
    for split, rows in (("train", ROWS), ("dev", ROWS[1:2])):
        lines = [json.dumps({"in": source, "out": text}) + "\n" for source, text in rows]
        (data / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    columns = ("--set", "columns", "--data", str(data), "--source", "in", "--target", "out")

    def run(verb, *words, data=columns, to="new"):
        code = main([verb, *data, "--backbone", str(home / "tiny"), "--device", "cpu", "--to", str(tmp_path / to), *words])
        return code, tmp_path / to, capsys.readouterr()

    return run


def test_complete_texts_are_written_and_can_be_trained_on(call):
    code, folder, printed = call("select", "--complete")
    assert code == 0 and printed.out.startswith("Kept 2 of 4 texts, for 1 of 2 inputs.")
    assert f"--data {folder} --set columns --source source --target text" in printed.out
    train, valid = DataSource("columns", str(folder), ("source",), ("text",)).load_train_valid([])
    assert [(one.source, one.targets) for one in train] == [(TABLE, (WHOLE, OTHER))]
    assert [text for one in valid for text in one.targets] == [PART]  # as they are


def test_the_likeliest_texts_of_each_input_are_those_with_the_lowest_loss(call, home):
    backbone = load_backbone(str(home / "tiny"), "cpu")
    run = load_run(Store(home / "runs").get("one"), backbone)
    texts = (WHOLE, OTHER, PART)
    alone = {text: likeliest([Example(TABLE, (text, WHOLE + " " + WHOLE))], run, backbone, 0.5)[0].targets for text in texts}
    assert alone == {text: (text,) for text in texts}  # a shorter text against one of twice the length
    (one,) = likeliest([Example(TABLE, texts)], run, backbone, 0.4)
    assert len(one.targets) == 2 and list(one.targets) == [text for text in texts if text in one.targets]
    code, folder, printed = call("select", "--likeliest", "0.4", "--run", "one", "--json")
    record = json.loads(printed.out)
    assert code == 0 and (record["texts"], record["of_texts"], record["inputs"]) == (3, 4, 2)
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(rows[0]["text"]) == sorted(one.targets) and rows[1]["text"] == "Bo is a pub ."


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "--complete, or --likeliest 0.5 --run RUN"),
        (("--likeliest", "0.5"), "go together"),
        (("--complete", "--run", "one"), "go together"),
        (("--likeliest", "1.5", "--run", "one"), "above 0 and below 1"),
        (("--likeliest", "nan", "--run", "one"), "above 0 and below 1"),
        (("--likeliest", "0.5", "--run", "nobody"), "There is no run 'nobody'"),
    ],
)
def test_what_cannot_be_selected_is_refused_and_nothing_is_written(call, words, sentence):
    code, folder, printed = call("select", *words)
    assert code == 1 and sentence in printed.err and not folder.exists()


def test_a_folder_that_is_there_stays_as_it_is(call, tmp_path):
    (tmp_path / "new").mkdir()
    code, folder, printed = call("select", "--complete")
    assert code == 1 and "exists already. Give --to a new folder." in printed.err and not any(folder.iterdir())


def test_rows_that_cannot_be_used_are_named_or_left_out_and_tables_stay_as_they_are(call, tmp_path):
    """A table without a colon, as data sets of dialogues have them, can be trained on and has no values to check."""
    tables = {"act : ?request | area": "Which area?", "name : Bo | type : pub": "Bo is a pub.", TABLE: "word " * 600 + WHOLE}
    rows = [json.dumps({"table": table, "text": text}) + "\n" for table, text in tables.items()]
    (tmp_path / "own.jsonl").write_text("".join(rows), encoding="utf-8")
    own = ("--set", "e2e", "--data", str(tmp_path / "own.jsonl"))

    def kept(folder):
        return [one.source for one in DataSource(data=str(folder / "train.jsonl")).load_split("train", [])]

    code, folder, printed = call("select", "--complete", data=own)
    assert code == 1 and "'act : ?request | area'" in printed.err and "With --skip-bad" in printed.err and not folder.exists()
    code, folder, printed = call("select", "--complete", "--skip-bad", data=own)
    assert code == 0 and "1 row was left out" in printed.err and kept(folder) == list(tables)[1:]
    assert f"--data {folder}/train.jsonl\n" in printed.out  # E2E's own form
    shutil.rmtree(folder)
    code, folder, printed = call("select", "--likeliest", "0.5", "--run", "one", data=own)
    assert code == 1 and "tokens, and at most" in printed.err and repr(TABLE[:20])[:-1] in printed.err and not folder.exists()
    code, folder, printed = call("select", "--likeliest", "0.5", "--run", "one", "--skip-bad", data=own)
    assert code == 0 and kept(folder) == list(tables)[:2]


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(call, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    code, _, printed = call("select", "--likeliest", "0.5", "--run", "nobody", to="file/new")
    assert code == 1 and "Cannot write" in printed.err and "nobody" not in printed.err


def test_articles_have_no_values_to_state():
    with pytest.raises(BadInput, match="Use --likeliest in place of --complete"):
        complete([Example("An article.", ("A summary.",))], "article")


def test_the_texts_of_a_run_take_the_place_of_the_references(call, home):
    code, folder, printed = call("distill", "--run", "one", "--mode", "greedy", "--max-new", "6", "--min-new", "3")
    assert code == 0 and printed.out.startswith("Wrote 2 texts of one, for 2 of 2 inputs. Train on them with\n")
    backbone = load_backbone(str(home / "tiny"), "cpu")
    run = load_run(Store(home / "runs").get("one"), backbone)
    sources, decode = [TABLE, "name : Bo | food : Greek"], DecodeConfig(mode="greedy", max_new=6, min_new=3)
    texts = outputs(run.model, backbone, run.task, run.prefix, sources, decode)
    train, valid = DataSource("columns", str(folder), ("source",), ("text",)).load_train_valid([])
    written = [(one.source, one.targets[0].split()) for one in train]
    assert written == [(source, text.split()) for source, text in zip(sources, texts, strict=True)]
    assert [(one.source, one.targets[0].split()) for one in valid] == written[:1]  # what a training comes close to is the run


def test_inputs_that_are_too_long_are_named_or_left_out(call, tmp_path):
    rows = [{"table": "name : " + "long " * 600, "text": WHOLE}, {"table": TABLE, "text": WHOLE}]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    words = ("distill", "--run", "one", "--mode", "greedy", "--max-new", "4", "--min-new", "2")
    own = ("--set", "e2e", "--data", str(tmp_path / "own.jsonl"))
    code, folder, printed = call(*words, data=own)
    assert code == 1 and "'name : long" in printed.err and "With --skip-bad" in printed.err and not folder.exists()
    code, folder, printed = call(*words, "--skip-bad", data=own)
    assert code == 0 and "for 1 of 2 inputs" in printed.out
    assert [one.source for one in DataSource(data=str(folder / "train.jsonl")).load_split("train", [])] == [TABLE]


def test_a_run_on_other_inputs_does_not_write_the_texts(call):
    code, folder, printed = call("distill", "--run", "one", "--source-form", "text")
    assert code == 1 and "inputs of another kind" in printed.err and not folder.exists()
