"""Killed at random moments, or with no room left: the store opens, and nothing is lost or half-written."""

import pytest

from app.bench import faults
from app.cli.main import main
from core.runs.store import Store
from tests.support.tiny_models import make_tiny_backbone

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny_path(tmp_path_factory) -> str:
    return str(make_tiny_backbone(tmp_path_factory.mktemp("faults") / "tiny-gpt2", positions=512))


def test_each_kind_of_work_survives_kills(tiny_path, monkeypatch):
    monkeypatch.setitem(faults.SPANS, "training", 1.5)
    outcomes = list(faults.kills(tiny_path, 2, seed=3))
    assert {fault.work for fault in outcomes} == set(faults.WORKS) and len(outcomes) == 2 * len(faults.WORKS)
    assert [fault for fault in outcomes if fault.broken] == []
    assert sum(fault.done for fault in outcomes) > 10  # they did not die before they had begun


def test_each_kind_of_work_says_in_a_sentence_that_there_is_no_room(tiny_path):
    outcomes = list(faults.full_disks(tiny_path, limits=(0, 1_000)))
    assert [fault for fault in outcomes if fault.broken] == []
    assert {fault.done for fault in outcomes if fault.work in ("import", "rename") and not fault.moment} <= {0}


def test_what_is_lost_is_noticed(tiny_path, tmp_path):
    home = faults._prepare("import", tmp_path, tiny_path)
    weights = Store(home / "runs").get(faults.RUN).weights
    assert faults._broken("import", home, tiny_path, [("in-7",)]) == ["in-7 was imported, and is not listed"]
    weights.write_bytes(weights.read_bytes()[:-8])
    assert faults._broken("delete", home, tiny_path, []) != []


def test_too_many_kills_are_refused(capsys):
    assert main(["bench", "faults", "--kills", "0"]) == 1
    assert "kills must be between 1 and 1,000; given: 0." in capsys.readouterr().err
