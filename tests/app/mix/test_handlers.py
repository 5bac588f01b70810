"""What the Mix tab does: the text at every stop, its verdict, the curve, what opens elsewhere, and what is kept."""

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, quote_plus

import pytest

from analysis.experiments.mix_curve import Stop, slide, slider
from analysis.metrics.coverage import cover
from app.compare.state import CompareState
from app.mix import view
from app.mix.components import MixPage
from app.mix.handlers import CURVE, TAB, MixHandlers
from app.mix.mixing import Mixer, MixInput, MixTexts, StopText, bundled_examples, input_of, sample_input
from app.mix.request import settle
from app.mix.state import MixState
from app.shared import plot_widget, urlstate
from app.shared.examples import split_by_domain
from app.shared.last_comparison import ComparisonRecord
from app.space.state import SpaceState, parted
from core.config.decoding_defaults import batch_decoding
from core.errors import BadInput
from core.generation.generate import generate
from core.generation.types import make_request
from core.prefix.mix import KINDS, Mix
from core.runs.store import Store
from core.text.detokenize import detokenise
from tests.support.mix_points import mix_point

ROOT = Path(__file__).parents[3]
SOURCE = "name : Alda | area : Lahti"
RUNS = ("tiny-prefix", "triples-prefix")


@pytest.fixture
def backbone(context, house):
    return context.models.backbone(house.backbone)


@pytest.fixture
def do(context):
    names = {field.name: field.name for field in fields(MixPage)} | {"members": ["a", "b", "c"]}
    return MixHandlers(context, SimpleNamespace(status="status"), MixPage(**names))


def event(**values):
    return SimpleNamespace(**values)


def page(name="mix-page"):
    return SimpleNamespace(session_hash=name)


def listed_runs(*runs):
    """A catalog of runs, each given as (id, virtual tokens, task)."""
    made = [SimpleNamespace(id=name, config={"length": length}, task=SimpleNamespace(name=task)) for name, length, task in runs]
    return SimpleNamespace(usable=lambda methods, backbone: made)


MODEL = SimpleNamespace(spec=SimpleNamespace(name="tiny"))


def test_the_second_prefix_is_of_another_task_and_where_tokens_are_paired_of_one_length():
    catalog = listed_runs(("a", 30, "e2e"), ("a5", 5, "e2e"), ("b", 20, "tables"), ("c", 30, "triples"))
    members = {kind: settle(MixState(kind=kind), catalog, MODEL)[0].members for kind in KINDS}
    assert members["fade"] == members["join"] == ("a", "b")
    assert members["average"] == members["swap"] == ("a", "c")
    assert members["path"] == members["layers"] == ("a",)
    assert settle(MixState(kind="swap", runs="b"), catalog, MODEL)[0].members == ("b", "a")  # no other has 20


def test_a_text_prefix_has_no_training_to_go_along():
    state, _, notes = settle(MixState(kind="path", runs="text:Be brief."), listed_runs(("a", 30, "e2e")), MODEL)
    assert state.members == ("a",) and any("A text prefix was not trained" in note for note in notes)
    assert "text prefix…" not in view.member(state, 0, ["a"]) and "text prefix…" in view.member(MixState("layers"), 0, ["a"])


def outputs_of(do, state, name="", who="mix-page", address=""):
    """What the tab shows at the end: component -> value."""
    result: dict = {}
    for update in do.refresh(do.take_ticket(page(who)), state, name, address, page(who)):
        result |= update
    return result


def test_the_slider_has_stops_and_the_second_of_three_runs_in_its_middle():
    assert [stop.label for stop in slider("fade", RUNS)][::5] == ["0 %", "50 %", "100 %"]
    assert slide("fade", ("a", "b", "c"), 0.5).weights == (0, 1, 0) and slide("average", ("a", "b", "c"), 0.25).weights == (
        0.5,
        0.5,
        0,
    )
    assert [stop.run for stop in slider("swap", ("a", "b"))] == ["a", "mix:swap::a,b", "b"]
    assert [stop.run for stop in slider("join", ("a", "b", "c"))] == ["a", "b", "mix:join::a,b,c", "c"]
    assert [stop.run for stop in slider("layers", ("a",), 2)] == ["mix:layers:0,0:a", "mix:layers:1,0:a", "mix:layers:1,1:a"]
    with pytest.raises(BadInput, match="takes 1 prefix"):
        slider("path", ("a", "b"))


def test_every_stop_is_written_as_it_would_be_alone_and_only_once(context, backbone, monkeypatch):
    mixer, stops, mix_input = Mixer(context.models), slider("fade", RUNS), input_of("table", SOURCE)
    *_, texts = mixer.texts(backbone, stops, mix_input, lambda: False)
    decode = batch_decoding("table")
    for place, run in ((texts.stops[0], RUNS[0]), (texts.stops[-1], RUNS[1]), (texts.stops[4], stops[4].run)):
        loaded = context.models.load(run, backbone)
        alone = generate(backbone.model, backbone, [make_request(backbone, loaded.task, SOURCE, loaded.prefix)], decode)[0]
        assert place.text == detokenise(alone.text) and not place.open and place.coverage is not None
    monkeypatch.setattr(context.models.engine, "submit", None)
    *_, again = mixer.texts(backbone, stops, mix_input, lambda: False)
    assert [stop.text for stop in again.stops] == [stop.text for stop in texts.stops]


def test_a_refresh_fills_the_page_and_the_address_and_names_what_was_left_out(do):
    state = urlstate.read("?mix-kind=average&mix-runs=ghost,tiny-prefix&mix-stop=x", MixState)
    result = outputs_of(do, state)
    stage = json.loads(result["stage"])
    assert len(stage["stops"]) == 11 and stage["at"] == 5 and not any("caret" in stop["html"] for stop in stage["stops"])
    assert "no such prefix: ghost" in result["note"] and "no usable value for: mix-stop" in result["note"]
    assert parse_qs(result["address"])["mix-runs"] == ["tiny-prefix,triples-prefix"]  # the free place is filled
    assert "Averaging" in result["headline"] and 'data-phase="done"' in result["status"]
    assert "triples-finetuned" not in result["a"] and "selected" in result["a"]
    again = outputs_of(do, result["state"])  # as when the link's backbone arrives after its tab
    assert again["note"] == result["note"] and again["address"] == result["address"]
    assert "Left out" not in outputs_of(do, again["state"].changed("kind", "join"))["note"]


def test_what_a_mix_does_not_have_is_named_with_what_is_shown(do):
    state = urlstate.read("?mix-kind=path&mix-runs=tiny-prefix,triples-prefix&mix-stop=99&mix-example=ghost", MixState)
    result = outputs_of(do, state)
    last = json.loads(result["stage"])["at"]
    assert "this kind of mix takes no more than 1: triples-prefix." in result["note"]
    assert f"There is no stop 99: the slider’s are 0 to {last}. The last is shown instead." in result["note"]
    assert "These runs have no example “ghost”. Another input is shown." in result["note"]
    again = outputs_of(do, result["state"])  # as when the link's backbone arrives after its tab
    assert again["note"] == result["note"]
    assert "no more than" not in outputs_of(do, again["state"].changed("example", "cafe-001"))["note"]


def test_an_older_request_writes_nothing_more(do):
    old = do.take_ticket(page())
    do.take_ticket(page())
    assert list(do.refresh(old, MixState(), "", "", page())) == [do.no_update()]
    assert do.enter("compare", page()) == 0 and do.enter(TAB, page()) > 0


def test_the_input_on_compare_is_mixed_before_its_texts_are_done_and_not_again_when_they_are(do):
    state, who = MixState("fade", ",".join(RUNS)), "beside-compare"
    result = outputs_of(do, state, who=who, address=f"?table={quote_plus(SOURCE)}")
    assert "Alda" in result["stage"] and "the input on Compare" in result["example"]
    record = ComparisonRecord("", SOURCE, batch_decoding("table"), {})
    do.context.comparisons.put(who, record)
    assert do.follow(TAB, page(who)) == 0
    do.context.comparisons.put(who, replace(record, source="name : Brio"))
    assert do.follow("compare", page(who)) == 0 and do.follow(TAB, page(who)) > 0
    do.context.comparisons.forget(who)
    assert do.follow(TAB, page(who)) == 0  # Compare has begun to write
    assert do.follow(TAB, page("opened")) == 0


def test_an_example_is_mixed_where_the_input_on_compare_cannot_be_read(do):
    result = outputs_of(do, MixState("fade", ",".join(RUNS)), who="unreadable", address="?table=nonsense")
    assert "The Blue Finch" in result["example"] and "the input on Compare" not in result["example"]
    assert len(json.loads(result["stage"])["stops"]) == 11


def test_a_mix_that_cannot_be_made_is_reported_in_a_sentence(do):
    result, says = outputs_of(do, MixState("swap", "tiny-prefix,text%3AHi")), "Choose prefixes of one length"
    assert says in result["headline"] and says in result["status"] and result["stage"] == ""
    assert result["acts"] == "" and result["curve"] == plot_widget.NOTHING  # those of the mix before it


def test_a_backbone_without_a_prefix_says_what_to_do(do, house):
    assert "Train a prefix on the Train tab" in outputs_of(do, MixState(), house.bart)["headline"]


def test_a_stop_opens_on_the_other_tabs(do):
    stop = json.loads(outputs_of(do, MixState("fade", "tiny-prefix,triples-prefix", example="cafe-021"))["stage"])["stops"][3]
    compared = urlstate.read(stop["open"]["compare"], CompareState)
    assert (compared.prefix, compared.other, compared.finetuned) == ("tiny-prefix", stop["run"], "triples-prefix")
    assert compared.order == ("prefix", "other", "finetuned") and compared.example == "cafe-021" and not compared.ignored
    assert compared.mode == "greedy"
    assert urlstate.read(stop["open"]["attention"], CompareState).prefix == stop["run"]
    assert parted(urlstate.read(stop["open"]["space"], SpaceState).runs) == [stop["run"], *RUNS]


def test_a_form_is_measured_on_examples_from_all_of_its_files():
    """Of the 53 tables of the bundled topics, it was the first 40 alone."""
    every, measured = split_by_domain("table", "tables")[0], bundled_examples("table", "tables")
    sources = [sample_input("table", sample).source for sample in every]
    places = [sources.index(example.source) for example in measured]
    assert len(places) == 20 and max(places) > 45 and places == sorted(places)


def test_the_curve_is_that_of_the_command_and_can_be_stopped(context, backbone, do, monkeypatch):
    monkeypatch.setattr("app.mix.handlers.bundled_examples", lambda form, task: bundled_examples(form, task)[:2])
    state = MixState("swap", "tiny-prefix,triples-prefix")
    *_, last = do.measure(state, "", "", page("curve"))
    mixer, stops = do.mixer, slider("swap", RUNS)
    *_, points = mixer.curve(backbone, stops, "table", bundled_examples("table")[:2], lambda: False)
    runs = [context.models.load(run, backbone).prefix for run in RUNS]
    mixed = context.models.load(stops[1].run, backbone)
    examples, decode = bundled_examples("table")[:2], batch_decoding("table")
    expected = mix_point(backbone, mixed.task, slide("swap", RUNS, 0), runs, examples, decode)
    assert points[1].loss == pytest.approx(expected.loss, rel=1e-5)
    assert (points[1].covered, points[1].values) == (expected.covered, expected.values)
    assert "mix-curve" in outputs_of(do, state)["curve"]  # known now: it is drawn at once
    assert last["stop"]["interactive"] is False
    do.context.tickets.take("curve", CURVE)
    mixer._points = Mixer(context.models)._points
    going = do.measure(state, "", "", page("curve"))
    next(going)
    do.stop_measuring(page("curve"))
    assert all("curve" not in update for update in going)


def test_measuring_ends_when_another_mix_is_chosen(do, monkeypatch):
    monkeypatch.setattr("app.mix.handlers.bundled_examples", lambda form, task: bundled_examples(form, task)[:2])
    state, who = MixState("swap", "tiny-prefix,triples-prefix"), page("chosen")
    for choose in (
        lambda: do.change(state, event(name="kind", value="join"), who),
        lambda: do.choose(0)(state, event(id="triples-prefix"), who),
    ):
        going = do.measure(state, "", "", who)
        next(going)
        choose()
        *_, stopped, last = going
        assert stopped["stop"]["interactive"] is False and "curve" not in stopped | last


def test_a_mix_is_kept_as_a_run_and_a_name_that_is_taken_is_refused(context, house, do, monkeypatch, tmp_path):
    name = "mix:average:0.5,0.5:tiny-prefix,triples-prefix"
    own = Store(tmp_path, house.home / "runs")
    monkeypatch.setattr(context, "store", own)
    state = MixState("average", "tiny-prefix,triples-prefix")
    for run, run_id, says in (
        ("tiny-prefix", "x", "is the run tiny-prefix itself"),
        (name, "", "Give the run a name"),
        (name, "a/b", "cannot be the name of a run"),
    ):
        assert says in do.keep("", state, event(run=run, name=run_id), page())["status"]
    assert "half is kept as a run" in do.keep("", state, event(run=name, name="half"), page())["status"]
    assert own.get("half").notes.endswith(name) and own.get("half").method == "prefix"
    assert "There is a run &#x27;half&#x27; already" in do.keep("", state, event(run=name, name="half"), page())["status"]


def texts_of(kind, texts, values, members=("one", "two")):
    """One text at each stop of a slider with so many stops."""
    last = len(texts) - 1
    if kind in ("path", "layers"):
        runs = [Mix(kind, ("one",), (0.5,)).name] * len(texts)
    elif kind == "swap":
        runs = ["one", slide(kind, members, 0).name, "two"]
    else:
        runs = [slide(kind, members, at / last).name for at in range(last + 1)]
    stops = [Stop(f"{number} %", run) for number, run in enumerate(runs)]
    return MixTexts(
        [StopText(stop, text, False, cover(list(values.fields), text)) for stop, text in zip(stops, texts, strict=True)]
    )


@pytest.mark.parametrize(
    ("kind", "texts", "says"),
    [
        (
            "average",
            ["Alda in Lahti", "nothing", "Alda"],
            "Averaging lost 2 of 2 values: 0 covered, and 2 by one alone.",
        ),
        (
            "swap",
            ["Alda", "Alda in Lahti", "Alda"],
            "lost no value: the mixed text covers at least the 1 of 2 that one covers alone.",
        ),
        (
            "fade",
            ["Alda", "Alda in Oslo", "Lahti"],
            "Mixed, a text makes up to 1 unsupported statement; with one prefix alone, none.",
        ),
        ("path", ["nothing", "Alda", "Alda in Lahti"], "The text first covers that many at 2 % of the way."),
        (
            "layers",
            ["nothing", "Alda in Lahti", "Alda in Lahti"],
            "0. The text first covers that many with 1 %.",
        ),
        ("layers", ["Alda in Lahti", "nothing", "Alda"], "covers 1 of 2 values; with no layer the text covers 2."),
    ],
)
def test_the_verdict_counts_what_was_lost(kind, texts, says):
    mix_input = MixInput("table", SOURCE, (("name", "Alda"), ("area", "Lahti")))
    members = [SimpleNamespace(run=SimpleNamespace(id=name)) for name in ("one", "two")]
    sentence = texts_of(kind, texts, mix_input)
    vm = view.MixViewModel(MixState(kind), "", (), members, [one.stop for one in sentence.stops], mix_input, {}, False)
    assert says in view.verdict(vm, sentence)


def test_unsupported_words_are_marked_where_they_are_counted():
    mix_input = MixInput("table", SOURCE, (("name", "Alda"), ("area", "Lahti")))
    members = [SimpleNamespace(run=SimpleNamespace(id=name, task=None), prefix=None) for name in ("one", "two")]
    texts = texts_of("fade", ["Alda", "Alda in Oslo", "Lahti"], mix_input)
    vm = view.MixViewModel(MixState("fade"), "", (), members, [one.stop for one in texts.stops], mix_input, {}, False)
    stop = json.loads(view.stage(vm, texts))["stops"][1]
    assert re.search(r'class="u"[^>]*>Oslo<', stop["html"]) and stop["count"] == "1 of 2 values · 1\u00a0unsupported"


@pytest.mark.parametrize("kind", ["fade", "average"])
def test_of_three_prefixes_the_one_in_the_middle_is_no_mixed_stop(kind):
    mix_input = MixInput("table", SOURCE, (("name", "Alda"), ("area", "Lahti")))
    members = [SimpleNamespace(run=SimpleNamespace(id=name)) for name in ("one", "two", "three")]
    for texts, says in (
        (["Alda", "Alda", "nothing", "Alda", "Alda"], "every mixed stop covers at least the 1 of 2 that one covers alone."),
        (["Alda", "Alda", "Alda in Lahti", "Alda", "Alda"], "lost 1 of 2 values at the stop 1 %: 1 covered, and 2 by two alone."),
        (["nothing", "Alda", "nothing", "Alda", "Alda"], "every mixed stop covers at least the 1 of 2 that three covers alone."),
    ):
        sentence = texts_of(kind, texts, mix_input, ("one", "two", "three"))
        vm = view.MixViewModel(MixState(kind), "", (), members, [one.stop for one in sentence.stops], mix_input, {}, False)
        assert says in view.verdict(vm, sentence)


def test_summaries_are_described_by_rouge_or_by_their_words():
    members = [SimpleNamespace(run=SimpleNamespace(id=name)) for name in ("one", "two")]
    stops = [StopText(Stop(label, "x"), text, False) for label, text in (("0 %", "a b c"), ("50 %", "x"), ("100 %", "a b"))]
    for references, says in (
        (("a b c",), "ROUGE-L is 100 and 80 at the ends of the slider, and 0 at its lowest, at 50 %"),
        ((), "From 1 to 3 words"),
    ):
        vm = view.MixViewModel(
            MixState("fade"), "", (), members, [one.stop for one in stops], MixInput("article", "x", (), references), {}, False
        )
        assert says in view.verdict(vm, MixTexts(stops))
    assert [stop["count"] for stop in json.loads(view.stage(vm, MixTexts(stops)))["stops"]] == ["3 words", "1 word", "2 words"]


def test_what_the_page_says_of_the_bundled_runs_is_what_the_results_say():
    section = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").split("## Mixing prefixes")[1].split("\n## ")[0]
    counts = re.findall(r"\d+ of 109", view.MEASURED)
    assert len(counts) == 5 and all(count in section for count in counts)
