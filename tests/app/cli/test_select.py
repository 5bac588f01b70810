"""The verb `select`: what it keeps, what it writes, and what a training reads of it."""

import json

import pytest

from analysis.experiments.references import complete, likeliest
from app.cli.main import main
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
def select(home, tmp_path, monkeypatch, capsys):
    """Call the verb on a folder with ROWS and a validation row."""
    monkeypatch.setenv("PREFIX_LAB_HOME", str(home))
    data = tmp_path / "data"
    data.mkdir()
    for split, rows in (("train", ROWS), ("dev", ROWS[1:2])):
        lines = [json.dumps({"in": source, "out": text}) + "\n" for source, text in rows]
        (data / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    options = ["--set", "columns", "--data", str(data), "--source", "in", "--target", "out", "--backbone", str(home / "tiny")]

    def call(*words, to="kept"):
        code = main(["select", *options, "--device", "cpu", "--to", str(tmp_path / to), *words])
        return code, tmp_path / to, capsys.readouterr()

    return call


def test_complete_texts_are_written_and_can_be_trained_on(select):
    code, folder, printed = select("--complete")
    assert code == 0 and printed.out.startswith("Kept 2 of 4 texts, for 1 of 2 inputs.")
    assert f"--data {folder} --set columns --source source --target text" in printed.out
    train, valid = DataSource("columns", str(folder), ("source",), ("text",)).load_train_valid([])
    assert [(one.source, one.targets) for one in train] == [(TABLE, (WHOLE, OTHER))]
    assert [text for one in valid for text in one.targets] == [PART]  # as they are


def test_the_likeliest_texts_of_each_input_are_those_with_the_lowest_loss(select, home):
    backbone = load_backbone(str(home / "tiny"), "cpu")
    run = load_run(Store(home / "runs").get("one"), backbone)
    texts = (WHOLE, OTHER, PART)
    alone = {text: likeliest([Example(TABLE, (text, WHOLE + " " + WHOLE))], run, backbone, 0.5)[0].targets for text in texts}
    assert alone == {text: (text,) for text in texts}  # a shorter text against one of twice the length
    (one,) = likeliest([Example(TABLE, texts)], run, backbone, 0.4)
    assert len(one.targets) == 2 and list(one.targets) == [text for text in texts if text in one.targets]
    code, folder, printed = select("--likeliest", "0.4", "--run", "one", "--json")
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
def test_what_cannot_be_selected_is_refused_and_nothing_is_written(select, words, sentence):
    code, folder, printed = select(*words)
    assert code == 1 and sentence in printed.err and not folder.exists()


def test_a_folder_that_is_there_stays_as_it_is(select, tmp_path):
    (tmp_path / "kept").mkdir()
    code, folder, printed = select("--complete")
    assert code == 1 and "exists already. Give --to a new folder." in printed.err and not any(folder.iterdir())


def test_articles_have_no_values_to_state():
    with pytest.raises(BadInput, match="Leave --complete out"):
        complete([Example("An article.", ("A summary.",))], "article")
