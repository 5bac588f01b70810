"""What a bundled model has read is taken from its card."""

import pytest

from app.compare.model_card import card_texts
from core import paths
from core.text.checks import listing

CARD = """# my-model

| about | value |
|---|---|
| text | not what it has read |

## What it has read

| share | text | licence |
|---|---|---|
| 5/6 | Some Wiki (long articles, short ones), in proportion to their size | CC |
| 1/6 | records, below | none |
| | Some Wiki | CC |

| set | text |
|---|---|
| a detail | another table |

## Licence

| text | x |
"""


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "MODELS", tmp_path)
    card_texts.cache_clear()
    yield tmp_path
    card_texts.cache_clear()


def test_the_texts_stand_in_the_first_table_of_their_section(models):
    (models / "my-model").mkdir()
    (models / "my-model" / "README.md").write_text(CARD, encoding="utf-8")
    assert card_texts("my-model") == ("Some Wiki", "records")


def test_without_a_card_or_a_table_nothing_is_said(models):
    (models / "bare").mkdir()
    (models / "bare" / "README.md").write_text("# bare\n\n## What it has read\n\nThis and that.\n", encoding="utf-8")
    assert card_texts("bare") == card_texts("no-such-model") == card_texts("x\0y") == ()


@pytest.mark.parametrize("folder", sorted(path.name for path in paths.MODELS.iterdir() if path.is_dir()))
def test_the_cards_of_the_bundled_models_list_texts_and_nothing_else(folder):
    texts = card_texts(folder)
    assert "English Wikipedia" in texts
    assert not [name for name in texts if "---" in name or "licence" in name or name in ("MIT", "Apache-2.0", "none stated")]


def test_names_are_listed_as_in_a_sentence():
    assert [listing(names) for names in ((), ("a",), ("a", "b"), ("a", "b", "c"))] == ["", "a", "a and b", "a, b and c"]
