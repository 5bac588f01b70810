"""Sets of the hub by name, through a package that is not there, and through one that answers as `datasets` does."""

import sys
from types import SimpleNamespace

import pytest

from core.data.source import DataSource
from core.errors import BadData, BadInput

ROWS = {
    "train": [{"mr": "name[Alda]", "ref": "Alda."}, {"mr": "name[Brio]", "ref": ""}],
    "validation": [{"mr": "a : b", "ref": "B."}],
}
GIVEN = DataSource("columns", "hub:owner/tables:small", source=("mr",), target=("ref",), skip_bad=True)


@pytest.fixture
def package(monkeypatch):
    """What `datasets` offers of a set."""
    asked: list[tuple] = []

    def load(name, configuration, split):
        asked.append((name, configuration, split))
        return ROWS[split]

    module = SimpleNamespace(load_dataset=load, get_dataset_split_names=lambda *named: list(ROWS), asked=asked, __spec__=True)
    monkeypatch.setitem(sys.modules, "datasets", module)
    return module


def test_a_set_is_read_by_its_columns_with_its_own_validation_split(package):
    skipped: list[str] = []
    examples, valid = GIVEN.load_train_valid(skipped)
    assert [one.source for one in examples + valid] == ["name : Alda", "a : b"]
    assert package.asked == [("owner/tables", "small", "train"), ("owner/tables", "small", "validation")]
    assert len(skipped) == 1 and "tables:small, line 2" in skipped[0]
    with pytest.raises(BadData, match="no split 'test', only train, validation"):
        GIVEN.load_split("test", [])


def test_without_network_or_package_one_sentence_says_what_to_do(package, monkeypatch):
    def refuse(*_named):
        raise ConnectionError("no route\nto host")

    package.get_dataset_split_names = refuse
    with pytest.raises(BadData, match=r"ConnectionError: no route to host\)\. Check the name and the network"):
        GIVEN.load_train_valid([])
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(BadInput, match="pip install datasets"):
        GIVEN.load_train_valid([])
