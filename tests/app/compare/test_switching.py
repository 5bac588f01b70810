"""Another task brings another backbone, and the one that nobody shows any more is given back."""

import gc
import weakref
from collections import deque
from types import SimpleNamespace

import pytest

from app.attention.readings import ReadingCache
from app.compare.comparison import SLOTS
from app.compare.handlers import Handlers
from app.compare.source_editor import editor_value
from app.shared import model_pool
from app.shared.context import AppContext
from app.space.analyses import AnalysisCache, SpaceQuery
from core import paths
from core.errors import BackboneNotFound
from core.models import locate
from core.prefix.interventions import NO_INTERVENTION
from core.runs.store import Store
from tests.support.tiny_models import make_run, make_tiny_backbone, make_tiny_bart

REQUEST = SimpleNamespace(session_hash="a")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A GPT-2 and a BART as bundled models, with a prefix each."""
    root = tmp_path_factory.mktemp("switching")
    make_run(make_tiny_backbone(root / "models" / "mini-gpt2", positions=512), root / "runs", "table-prefix", updates=1)
    make_run(make_tiny_bart(root / "models" / "mini-bart"), root / "runs", "news-prefix", updates=1)
    return root


@pytest.fixture
def context(place, monkeypatch):
    monkeypatch.setattr(paths, "MODELS", place / "models")
    monkeypatch.setattr(paths, "BUNDLED_RUNS", place / "none")
    monkeypatch.setenv("PREFIX_LAB_HOME", str(place))
    return AppContext("mini-gpt2", "cpu", Store(place / "runs"))


class Named:
    """Stands for a page's components: each is its name."""

    def __getattr__(self, name):
        if name == "runs":
            return {slot: slot for slot in SLOTS if slot != "base"}
        return {slot: f"{name} {slot}" for slot in SLOTS} if name in ("heads", "outputs") else name


def updates_for(context, task, current, name="mini-gpt2", who=REQUEST, seed=0):
    """All updates of a run, in their order."""
    do, table = Handlers(context, Named(), Named()), editor_value([("name", "Alda"), ("Type", "pub")])
    inputs = {"ticket": do.ask(who)[0], "table": table, "backbone": name, "task": task, "current": current, "prompt": ""}
    inputs |= {"prefix": "", "finetuned": "", "other": "", "order": "base-prefix-finetuned"}
    return list(do.run(inputs | {"mode": "rerank", "seed": seed, "temperature": 1.0, "top_p": 1.0}, who))


def last(updates, name):
    return next(update[name] for update in reversed(updates) if name in update)


@pytest.mark.slow
def test_a_task_brings_its_backbone_and_says_so_and_another_brings_the_first_one_back(context):
    first = updates_for(context, "e2e", [])
    assert last(first, "current") == ["mini-gpt2", "e2e"] and last(first, "backbone") == "mini-gpt2"
    assert last(first, "task")["choices"] == [("e2e", "e2e"), ("summarization (mini-bart)", "summarization")]
    news = updates_for(context, "summarization", ["mini-gpt2", "e2e"])
    assert "Loading the model mini-bart, for the task summarization, in place of mini-gpt2" in news[0]["status"]
    assert last(news, "current") == ["mini-bart", "summarization"] and last(news, "backbone") == "mini-bart"
    assert last(news, "prefix") == "news-prefix" and last(news, "table")["form"] == "article" and "Done" in last(news, "status")
    back = updates_for(context, "e2e", ["mini-bart", "summarization"], "mini-bart")
    assert last(back, "current") == ["mini-gpt2", "e2e"] and last(back, "prefix") == "table-prefix"


@pytest.mark.parametrize("seed", [1.5, -1, 2**53, 1e18])
def test_a_seed_that_a_link_would_not_bring_back_is_refused_and_not_rounded(context, seed):
    (refused,) = updates_for(context, "e2e", [], seed=seed)
    assert f"The seed {int(seed) if seed == int(seed) else seed} cannot be used" in refused["status"]


def test_an_example_of_the_address_that_is_not_there_is_named(context):
    do = Handlers(context, Named(), Named())
    assert "no usable value for: example." in str(do.restore("?example=ghost")["note"])
    assert "no usable value" not in str(do.restore("?example=cafe-019")["note"])
    assert "no usable value for: task." in str(do.restore("?task=ghost")["note"])


def test_a_backbone_that_is_chosen_brings_its_own_task(context):
    news = updates_for(context, "e2e", ["mini-gpt2", "e2e"], "mini-bart")
    assert last(news, "current") == ["mini-bart", "summarization"]


def test_a_link_with_a_task_or_an_article_opens_its_backbone(context):
    do = Handlers(context, Named(), Named())
    assert do.restore("?task=summarization")["backbone"] == "mini-bart"
    assert do.restore("?article=Aldby+was+flooded.")["backbone"] == "mini-bart"
    assert do.restore("?task=e2e")["backbone"] == do.restore("")["backbone"] == "mini-gpt2"
    assert do.restore("?task=summarization&backbone=mini-gpt2")["backbone"] == "mini-gpt2"


@pytest.mark.slow
def test_texts_begin_with_reranked_beams_unless_a_mode_is_chosen(context):
    do = Handlers(context, Named(), Named())
    assert [do.restore(link)["mode"] for link in ("", "?task=summarization", "?task=summarization&mode=greedy")] == [
        "rerank",
        "rerank",
        "greedy",
    ]
    news = updates_for(context, "summarization", ["mini-gpt2", "e2e"])
    assert "mode" not in last(news, "address") and "beam search with 6 beams, reranked" in last(news, "status")
    assert all("mode" not in update for update in [*news, *updates_for(context, "e2e", [])])


def test_what_is_missing_is_named_before_and_after_the_choice(context, place, monkeypatch, tmp_path):
    (tmp_path / "mini-gpt2").symlink_to(place / "models" / "mini-gpt2")
    monkeypatch.setattr(paths, "MODELS", tmp_path)
    assert ("summarization (mini-bart is missing)", "summarization") in last(updates_for(context, "e2e", []), "task")["choices"]
    monkeypatch.setattr(locate, "snapshot_download", None)  # no hub is asked for it
    updates = updates_for(context, "summarization", ["mini-gpt2", "e2e"])
    assert "assets/models/mini-bart was looked for" in last(updates, "status") and last(updates, "task") == "e2e"
    with pytest.raises(BackboneNotFound, match="facebook/bart-base"):
        context.models.backbone("mini-bart")


@pytest.mark.slow
def test_the_backbone_that_no_page_shows_is_given_back_with_all_that_was_computed_on_it(context, monkeypatch):
    cache, analyses = ReadingCache(context), AnalysisCache(context)
    old = weakref.ref(context.models.assign("a", "mini-gpt2"))
    tuned = weakref.ref(context.models.load("table-prefix", old()))
    updates_for(context, "e2e", ["mini-gpt2", "e2e"])
    written = context.comparisons.get("a").columns["prefix"]
    cache.mass(old(), cache.reader("table-prefix", old()), written)
    deque(analyses.look(old(), SpaceQuery("writes", 1, None, ("table-prefix",))), 0)
    assert cache._readings and analyses._spaces and analyses._analyses
    context.models.assign("b", "mini-gpt2")
    context.models.assign("a", "mini-bart")
    assert context.models.is_loaded("mini-gpt2")  # the other page shows it
    context.models.release("b")
    assert context.models.is_loaded("mini-gpt2")  # it may be reloading
    context.models.assign("a", "mini-bart")
    assert context.models.is_loaded("mini-gpt2")  # it was used a moment ago, perhaps by a program or for the Train page
    monkeypatch.setattr(model_pool, "IDLE_SECONDS", -1)
    context.models.assign("a", "mini-bart")
    assert not context.models.is_loaded("mini-gpt2") and not cache._readings and not analyses._spaces and not analyses._analyses
    gc.collect()
    assert old() is None and tuned() is None


def test_a_page_that_changes_its_backbone_gives_the_former_one_back_at_once(context):
    context.models.assign("a", "mini-gpt2")
    context.models.assign("a", "mini-bart")
    assert context.models.loaded() == ["mini-bart"]


def test_a_backbone_that_cannot_be_loaded_leaves_the_page_its_own(context):
    context.models.assign("a", "mini-gpt2")
    with pytest.raises(BackboneNotFound):
        context.models.assign("a", "/no/such/folder")
    context.models.assign("b", "mini-bart")
    assert context.models.is_loaded("mini-gpt2")


def test_readings_are_kept_by_their_size(context, monkeypatch):
    monkeypatch.setattr("app.attention.readings.CACHE_BYTES", 2 * 4096)
    cache, backbone = ReadingCache(context), context.models.assign("a", "mini-gpt2")
    updates_for(context, "e2e", ["mini-gpt2", "e2e"])
    written = context.comparisons.get("a").columns["prefix"]
    reader = cache.reader("table-prefix", backbone)
    for layer in (0, 1):
        cache.layer(backbone, reader, written, layer, NO_INTERVENTION)
    assert len(cache._readings) == 1
