"""What the Train tab asks for, as settings, a command line and a plan."""

import pytest

from app.cli import main, parser
from app.train_state import SHOWN, Data, Wish, free_name, kept, planned
from core.config import PRESETS
from core.errors import BadConfig, BadInput
from core.methods.counts import counts
from core.store import Store
from tests.tiny import EXAMPLES


@pytest.fixture
def own(tmp_path):
    lines = "".join(f'"{one.source}","{one.targets[0]}"\n' for one in EXAMPLES)
    (tmp_path / "own.csv").write_text("table,text\n" + lines + "no table at all,Bad.\n")
    return Data(str(tmp_path / "own.csv"), ("table",), ("text",), "table", "pubs")


def test_every_preset_is_a_command_line_that_is_understood():
    assert set(SHOWN) - {"own"} <= set(PRESETS)
    for kind in SHOWN:
        wish = Wish("mine", kind, own={"length": 7, "rate": 0.02} if kind == "own" else {})
        args = parser().parse_args(wish.words())
        assert (args.run, args.preset) == ("mine", wish.base)
        for name, value in wish.changes().items():
            assert getattr(args, name) == value
    assert Wish("mine", "demo").words() == ["train", "--run", "mine", "--preset", "demo"]


def test_a_bad_setting_or_name_is_told_before_anything_starts():
    with pytest.raises(BadConfig, match="length"):
        Wish("mine", "own", own={"length": 0}).config()
    with pytest.raises(BadInput, match="not a run id"):
        Wish("../mine").words()
    with pytest.raises(BadInput, match="which columns"):
        Wish("mine", data=Data("file.csv")).examples()


def test_the_plan_counts_what_will_be_trained(lab, house):
    wish = Wish("mine", "own", backbone=house.backbone, own={"length": 3, "mlp": 8, "updates": 5})
    examples, valid, _ = wish.examples()
    took, backbone = planned(lab, wish, examples, valid)
    counted = counts(backbone, wish.config())
    assert (took.trained, took.stored, took.updates) == (counted.trained, counted.stored, 5)
    assert took.stored == 2 * 2 * 4 * 3 * 8 and took.bytes > 4 * took.stored and took.seconds > 0


def test_rows_of_ones_own_are_kept_and_train_from_the_shown_command(own, house, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path / "home"))
    store = Store(tmp_path / "home" / "runs")
    wish = Wish("mine", "own", backbone=house.backbone, data=own, own={"length": 2, "updates": 2, "batch": 2})
    examples, _, bad = wish.examples()
    assert len(examples) == len(EXAMPLES) and len(bad) == 1 and "line 12" in bad[0]
    store.folder.mkdir(parents=True)
    assert main([*wish.words(kept(store, wish)), "--device", "cpu"]) == 0
    run = store.get("mine")
    assert (run.task.name, run.updates, run.rows) == ("pubs", 2, 9) and run.valid_loss is not None
    assert [found.id for found in store.runs()] == ["mine"]
    assert free_name(store, {"mine-1"}, "mine") == "mine-2"
