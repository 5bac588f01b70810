"""The sentence over a run on Train."""

from types import SimpleNamespace

from app.train.headline import headline
from core.runs.status import RunStatus, TrainingLog


def test_a_stopped_run_says_how_far_it_came():
    run = SimpleNamespace(trained=10, valid_loss=None, status="cancelled")
    html = headline("demo", "cancelled", RunStatus("cancelled", 4, 100), TrainingLog(), [], run)
    assert "demo was stopped after 4 of 100 updates. It has no validation loss." in html
    done = SimpleNamespace(trained=10, valid_loss=1.5, status="done")
    assert "demo ended at a validation loss of 1.50." in headline(
        "demo", "done", RunStatus("done", 100, 100), TrainingLog(), [], done
    )
