"""What people paste for an article, through the page: a sentence where it cannot be one, and a summary where it can."""

from types import SimpleNamespace

import pytest

from app.compare.comparison import SLOTS
from app.compare.handlers import Handlers
from app.shared.context import AppContext
from core.runs.store import Store
from tests.support.tiny_models import make_tiny_bart

REQUEST = SimpleNamespace(session_hash="a")

WORDS = 100_000
REFUSED = {
    "nothing": ("", "article is empty"),
    "blanks": (" \n\t \r\n", "article is empty"),
    "signs": ("?!… —", "article is empty"),
    "one word": ("Flooded.", "one word"),
    "a picture": ("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "control character"),
    "a program": ("\x7fELF\x02\x01\x01\0", "control character"),
    "half a character": ("Aldby was \ud800 flooded.", "control character"),
    "a web page": ("<!doctype html><html><body><p>Aldby was flooded.</p></body></html>", "source of a web page"),
    "a library": ("word " * 500_000, "2,000,000 are allowed"),
}
TAKEN = {
    "100,000 words": ("Aldby was flooded on Monday. " * (WORDS // 5), "the rest is left out"),
    "one endless word": ("ab " + "a" * 100_000, "the rest is left out"),
    "Russian": ("Дождь шёл весь день и всю ночь, и утром улицы старого города стояли под водой.", "does not look like English"),
    "Chinese": ("大雨下了一整天，城里的街道都被水淹了。没有人受伤。 市长说，桥要关到星期五。", "does not look like English"),
    "a few tags": ("Aldby was <b>flooded</b> & evacuated. <script>alert(1)</script>", "all of them read"),
    "special tokens": ("Aldby <s> was </s> flooded <pad> on <mask> Monday.", "all of them read"),
    "right to left": ("\u202eAldby was flooded on Monday.\u202c Nobody was hurt.", "all of them read"),
}


class Named:
    """Stands for a page's components: each is its name."""

    def __getattr__(self, name):
        if name == "runs":
            return {slot: slot for slot in SLOTS if slot != "base"}
        return {slot: f"{name} {slot}" for slot in SLOTS} if name in ("heads", "outputs") else name


@pytest.fixture(scope="module")
def do(tmp_path_factory):
    root = tmp_path_factory.mktemp("pasted")
    return Handlers(AppContext(str(make_tiny_bart(root / "tiny-bart")), "cpu", Store(root / "runs")), Named(), Named())


def pasted(do, text):
    """The note under the article while it is typed, and all that Generate writes."""
    name = do.context.models.default
    do.context.models.backbone(name)
    table = {"form": "article", "rows": [], "text": text, "newer": "text", "bad": 0, "version": 1}
    _, note, *_ = do.read(table, name, "")
    ticket, *_ = do.ask(REQUEST)
    inputs = {"ticket": ticket, "table": table, "backbone": name, "task": "summarization", "current": [name, "summarization"]}
    inputs |= {"prefix": "", "finetuned": "", "other": "", "prompt": "", "order": "base-prefix-finetuned"}
    return note, list(do.run(inputs | {"mode": "greedy", "seed": 0, "temperature": 1.0, "top_p": 1.0}, REQUEST))


@pytest.mark.parametrize(("text", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_an_article_is_reported_in_a_sentence(do, text, why):
    note, updates = pasted(do, text)
    assert why in note and len(note) < 600 and "pl-problem" in note
    (update,) = updates
    assert "Problem" in update["status"] and why in update["status"] and "Traceback" not in update["status"]


@pytest.mark.parametrize(("text", "message"), TAKEN.values(), ids=TAKEN)
def test_warnings_about_articles_are_sentences(do, text, message):
    note, updates = pasted(do, text)
    assert message in note and "Done" in updates[-2]["status"]
    html = updates[-1]["panels"]
    assert "What each summary attends to" in html and "<script>" not in html and "<b>flooded" not in html
    assert all(len(part) < 40_000 for update in updates for part in update.values() if isinstance(part, str))  # for any length
