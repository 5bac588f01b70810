"""A mix by its name wherever a run can stand: loaded, compared, looked at, stored and exported."""

from dataclasses import replace

import pytest

from app.compare.comparison import CompareRequest, compare
from app.compare.run_picker import run_head, select_runs
from app.shared.method_labels import mix_label
from app.space.analyses import AnalysisCache
from app.space.request import SpaceRequest, resolve
from core.config.decode import DecodeConfig
from core.errors import NotSupported, PrefixLabError
from core.exchange.export_peft import export_peft
from core.exchange.import_checkpoint import store_prefix
from core.generation.generate import generate
from core.generation.types import make_request
from core.methods.loading import load_run
from core.runs.store import Store

SOURCE = "name : Alda | area : Lahti"
FADE, END = "mix:fade:0.5,0.5:tiny-prefix,triples-prefix", "mix:fade:0,1:tiny-prefix,triples-prefix"


@pytest.fixture
def backbone(context, house):
    return context.models.backbone(house.backbone)


def ids(backbone, loaded):
    request = make_request(backbone, loaded.task, SOURCE, loaded.prefix)
    return generate(loaded.model, backbone, [request], DecodeConfig(max_new=8, min_new=8))[0].ids


def test_a_mix_is_loaded_once_and_its_end_is_the_run(context, backbone):
    mixed, run = context.models.load(FADE, backbone), context.models.load("triples-prefix", backbone)
    assert context.models.load(FADE, backbone) is mixed and mixed.prefix.length == 8 and mixed.run.method == "mix"
    end = context.models.load(END, backbone)
    assert end.task == run.task and end.prefix.past["decoder"].equal(run.prefix.past["decoder"]) and not end.prefix.bias
    assert ids(backbone, end) == ids(backbone, run)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mix:fade:0.5,0.5:tiny-prefix,tiny-finetuned", "tiny-finetuned has no virtual tokens to mix"),
        ("mix:fade:0.5,0.5:tiny-prefix,mix%3Ajoin%3A%3Aa%2Cb", "holds another mix"),
        ("mix:fade:0.5,0.5:tiny-prefix,ghost", "There is no run 'ghost'"),
        ("mix:blend:1:tiny-prefix", "no mix of the kind 'blend'"),
    ],
)
def test_a_mix_that_cannot_be_made_says_why(context, backbone, name, says):
    with pytest.raises(PrefixLabError, match=says):
        context.models.load(name, backbone)


def test_compare_shows_a_mix_as_a_run_and_a_faulty_one_as_a_sentence(context, backbone, house):
    expected = {"prefix": END, "other": "mix:blend:1:a"}
    selection = select_runs(context.catalog, backbone, "e2e", expected, ("base", "prefix", "other"))
    assert (selection.run_ids["prefix"], selection.method("prefix")) == (END, "mix")
    head = run_head("prefix", selection.listed, END, END, backbone)
    assert "cross-fade: 0 % tiny-prefix, 100 % triples-prefix" in head and "there is no such run" not in head
    asked = CompareRequest(SOURCE, END, name=house.backbone, other="mix:blend:1:a", order=("prefix", "other"))
    *_, last = compare(context, backbone, replace(asked, decode=DecodeConfig(max_new=8, min_new=8)), lambda: False)
    assert last.columns["prefix"].ids == ids(backbone, context.models.load("triples-prefix", backbone))
    assert last.columns["other"].state == "error" and "no mix of the kind 'blend'" in last.columns["other"].note


def test_the_column_other_takes_a_run_that_another_column_has_if_it_is_asked_for(context, backbone):
    order = ("base", "prefix", "other")
    asked = {"prefix": "tiny-prefix", "other": "tiny-prefix"}
    assert select_runs(context.catalog, backbone, "e2e", asked, order).run_ids["other"] == "tiny-prefix"
    for other in ("", "ghost"):  # the choice that is made for a person is another run
        selection = select_runs(context.catalog, backbone, "e2e", asked | {"other": other}, order)
        assert selection.run_ids["other"] not in ("", *(selection.run_ids[slot] for slot in ("prefix", "finetuned")))


def test_prefix_space_places_a_mix_among_the_words(context, backbone):
    analyses = AnalysisCache(context)
    resolved = resolve(analyses, backbone, SpaceRequest((FADE,), "keys", 0, 0, "pca", False, False, "", ()))
    assert resolved.on_map == (FADE,)
    (analysis,) = [scene for scene, _, _ in analyses.look(backbone, resolved.query) if scene is not None]
    assert len(analysis.runs[0].vectors) == 8
    resolved = resolve(analyses, backbone, SpaceRequest((FADE,), "embeddings", 0, 0, "pca", False, False, "", ()))
    assert not resolved.on_map and "No chosen run has vectors at the model's input" in resolved.reason.replace("&#x27;", "'")


def test_a_mix_that_is_stored_writes_the_same_and_peft_is_refused(context, backbone, tmp_path):
    mixed = context.models.load(FADE, backbone)
    run = store_prefix(mixed.prefix, "faded", backbone, Store(tmp_path), mixed.task, {})
    stored = load_run(Store(tmp_path).get("faded"), backbone)
    assert (stored.run.method, stored.run.config["length"], stored.prefix.shift) == ("prefix", 8, 4)
    assert ids(backbone, stored) == ids(backbone, mixed)
    with pytest.raises(NotSupported, match="PEFT cannot store"):
        export_peft(run, tmp_path / "adapter")


def test_a_mix_has_a_name_for_people():
    assert mix_label("mix:average:0.25,0.75:a,text%3ABe brief.") == "average: 25 % a, 75 % Be brief."
    assert mix_label("mix:swap::a,b") == "keys of a, values of b" and mix_label("mix:path:0.5:a") == "a, 50 % of its training"
    assert mix_label("mix:join::a,b") == "joined: a, b"
    assert mix_label("mix:layers:1,0.5:a") == "a, strength by layer 1, 0.5" and mix_label("mix:x") == "mix:x"
