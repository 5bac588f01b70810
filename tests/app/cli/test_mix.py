"""The verb `mix`."""

import json

import pytest

from app.cli.main import main
from tests.support.tiny_models import make_run, make_tiny_backbone


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("home")
    backbone = make_tiny_backbone(place / "tiny", positions=512)
    for name in ("one", "two"):
        make_run(backbone, place / "runs", name)
    return place


def mix(home, monkeypatch, capsys, *more):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(home))
    monkeypatch.setattr("app.mix.mixing.EXAMPLES", 2)
    code = main(["mix", "--device", "cpu", *more])  # on the backbone of the runs
    return code, capsys.readouterr()


def test_every_stop_is_measured_and_the_last_line_sums_up(home, monkeypatch, capsys):
    code, output = mix(home, monkeypatch, capsys, "--runs", "one", "two", "--kind", "join")
    lines = output.out.splitlines()
    assert code == 0 and [line.split("loss")[0].strip() for line in lines[:3]] == ["A alone", "joined", "B alone"]
    assert lines[3].startswith("The loss runs from") and "n=2 examples, cpu" in lines[3]
    code, output = mix(home, monkeypatch, capsys, "--runs", "one", "two", "--kind", "swap", "--json")
    values = json.loads(output.out)
    assert (
        code == 0 and values["examples"] == 2 and [stop["run"] for stop in values["stops"]] == ["one", "mix:swap::one,two", "two"]
    )


def test_what_cannot_be_measured_says_why(home, monkeypatch, capsys):
    two = ["one", "two", "--inputs", "text"]
    for more, says in ((["one", "--kind", "fade"], "takes 2 or 3 prefixes"), (two, "no bundled examples")):
        code, output = mix(home, monkeypatch, capsys, "--runs", *more)
        assert code == 1 and says in output.err
