"""A training's settings as a command line, and back: the page starts with it what the command line reads."""

import pytest

from app.cli.main import parser
from app.cli.options import data_source
from core.data.source import DataSource
from core.errors import BadInput
from core.training.spec import TrainSpec


def read(argv):
    args = parser().parse_args(argv)
    if args.task == "summarization":
        args.set = args.set or "summarization"
    return TrainSpec.from_args(args, data_source(args, rows=args.rows))


@pytest.mark.parametrize(
    "spec",
    [
        TrainSpec("mine"),
        TrainSpec("mine", "demo", "lora", "gpt2", "pubs", layout="paper", cut=0, half=True),
        TrainSpec("mine", "low", changes={"rate": 1.23456789e-5, "updates": 7, "clip": 1e6, "checkpointing": True}),
        TrainSpec("mine", changes={"init_words": "a table, then a text", "instruction": '-x: say it\'s "so"', "shots": 0}),
        TrainSpec("mine", source=DataSource("columns", "/d/a file.csv", ("name", "-city"), ("text",), rows=50, skip_bad=True)),
        TrainSpec("mine", source=DataSource("columns", "/d/t.jsonl", ("triples",), ("text",), form="webnlg")),
        TrainSpec("mine", task="summarization", source=DataSource("summarization")),
        TrainSpec(
            "mine", task="news", source=DataSource("summarization", "/d", ("a",), ("b",), group="desk", topics="news-to-sports")
        ),
        TrainSpec("mine", source=DataSource("webnlg", "/d")),
    ],
)
def test_a_spec_is_read_back_as_it_was_written(spec):
    assert read(spec.to_argv()) == spec


def test_defaults_are_left_out_and_a_name_that_is_no_id_is_refused():
    assert TrainSpec("mine").to_argv() == ["train", "--run", "mine", "--preset", "mini"]
    with pytest.raises(BadInput, match="cannot be the name of a run"):
        TrainSpec("../mine").to_argv()
    with pytest.raises(BadInput, match="cannot be the name of a task"):
        TrainSpec("mine", task="pubs\nand bars")


def test_task_and_layout_follow_from_data_and_preset():
    assert (TrainSpec("r").task_name, TrainSpec("r").task_layout) == ("records", "newline")
    paper = TrainSpec("r", "paper", source=DataSource("dart", "/d"))
    assert (paper.task_name, paper.task_layout, paper.config().preset) == ("dart", "paper", "paper")
