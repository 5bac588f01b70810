"""Bad input of every kind ends in one sentence and exit code 1, with nothing lost and nothing half-written."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest

from app.cli.main import main
from app.compare.state import CompareState
from app.shared.urlstate import read as read_address
from core.config.train import TrainConfig
from core.errors import PrefixLabError
from core.exchange.export_peft import export_peft
from core.models.loading import load_backbone
from core.runs.store import Store
from core.task import task
from core.training.trainer import Trainer
from tests.hostile.archives import ARCHIVES
from tests.hostile.articles import ARTICLES
from tests.hostile.files import FOREIGN, MODELS, STORE
from tests.hostile.inputs import DATA, SETTINGS, TABLES
from tests.hostile.place import Place
from tests.support.tiny_models import EXAMPLES, make_run, make_tiny_backbone, make_tiny_bart, make_tiny_llama

pytestmark = pytest.mark.slow

CASES = TABLES + SETTINGS + DATA + MODELS + STORE + FOREIGN + ARCHIVES + ARTICLES
# A sentence says what to do: one of these begins the advice.
ADVICE = re.compile(
    r"\b(give|use|write|delete|train|choose|load|restore|save|say|name|paste|leave|shorten|keep|take|check|fix|add|make|known"
    r"|did you mean|needs|must|go on|wait|copy|export|type)\b",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """What every case begins with."""
    root = tmp_path_factory.mktemp("hostile") / "good"
    folder = make_tiny_backbone(root / "model")
    make_tiny_backbone(root / "other", seed=7)
    make_tiny_llama(root / "llama")
    runs = root / "home" / "runs"
    export_peft(make_run(folder, runs, "mine", updates=1), root / "adapter")
    make_run(folder, runs, "tuned", method="finetune", updates=1)
    make_run(make_tiny_bart(root / "bart"), runs, "news", updates=1)
    (root / "data").mkdir()
    rows = [f'{{"table": "{one.source}", "text": "{one.targets[0]}"}}\n' for one in EXAMPLES]
    for split in ("train", "dev", "test"):
        (root / "data" / f"{split}.jsonl").write_text("".join(rows))
    config = TrainConfig(length=4, batch=5, updates=4, init="random")
    source = {"data": str(root / "data"), "rows": 0}
    training = Trainer(load_backbone(str(folder), "cpu"), task("e2e"), config, Store(runs), "stopped", source=source)
    steps = []
    for step in training.steps(EXAMPLES, [], lambda: len(steps) == 2):
        steps.append(step)
    return root


@pytest.fixture
def place(good, tmp_path, monkeypatch):
    """A copy of it for one case; the copy's store is the user's."""
    shutil.copytree(good, tmp_path / "place", symlinks=True)
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path / "place" / "home"))
    return Place(tmp_path / "place", monkeypatch)


def contents(root: Path) -> dict[str, str]:
    """Every file and link with what it holds; lock files, which say nothing, left out."""
    files = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            files[str(path)] = f"-> {path.readlink()}"
        elif path.is_file() and path.name != ".lock":
            files[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.is_dir():
            files[str(path)] = "folder"
    return files


def test_there_are_enough():
    names = [name for name, _, _ in CASES]
    assert len(set(names)) == len(names) >= 60


@pytest.mark.parametrize(
    ("message", "make"), [pytest.param(message, make, id=name.replace(" ", "-")) for name, message, make in CASES]
)
def test_bad_input_is_one_sentence_and_nothing_is_lost(place, capsys, message, make):
    words = make(place)
    before = contents(place.root)
    if callable(words):
        with pytest.raises(PrefixLabError) as caught:
            words()
        sentence = str(caught.value)
    else:
        assert main(words) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        *before_it, line = captured.err.splitlines()
        assert line.startswith("Error: ") and not any("Error" in message or "Traceback" in message for message in before_it)
        sentence = line.removeprefix("Error: ")
    assert message in sentence and "\n" not in sentence
    assert len(sentence) < 600 and sentence.isprintable() and "Traceback" not in sentence
    assert ADVICE.search(sentence), sentence
    assert contents(place.root) == before


def test_a_damaged_run_does_not_hide_the_others(place, capsys):
    place.change("home/runs/mine/run.json", stored="many", scores=5, created=None)
    assert main(["runs"]) == 0
    captured = capsys.readouterr()
    assert "tuned" in captured.out and "'mine' cannot be read" in captured.err


MANY = "?" + "&".join(f"x{number}=1" for number in range(99))


@pytest.mark.parametrize("query", [MANY, "?seed=9e9&top_p=nan", "?%ff=%00", "?seed=" + "9" * 9999], ids=str.__len__)
def test_a_hostile_address_is_left_aside(query):
    assert read_address(query, CompareState) == read_address("", CompareState)
