""" "As Python": the lines of every tab run in a fresh namespace, and make what the tab itself computes."""

import json
import math
import shutil
from dataclasses import fields
from functools import wraps
from types import SimpleNamespace
from urllib.parse import quote

import pytest
import torch
from playwright.sync_api import expect

from analysis.attention.shares import by_layer
from analysis.experiments.mix_curve import slider
from analysis.experiments.prefix_alone import SAMPLING
from analysis.metrics.coverage import error_counter
from analysis.named_runs import load_named_run, request_of
from analysis.next_words import context_effect
from app.attention.readings import ReadingCache
from app.attention.state import AttentionState
from app.compare.as_python import request_on_page
from app.compare.comparison import compare, record_of
from app.export.as_python import PythonHandlers
from app.export.python_lines import PythonLines
from app.learn.tab import lessons
from app.mix.mixing import Mixer, input_of
from app.mix.state import MixState
from app.mix.view import MixViewModel
from app.results.handlers import ResultsHandlers
from app.results.state import ResultsState
from app.shared.context import AppContext
from app.shared.html import text
from app.shared.urlstate import read, write
from app.space.alone_section import AloneHandlers, AloneSection, AloneState
from app.space.analyses import AnalysisCache, SpaceQuery
from app.train.components import train_request
from core.data.source import DataSource
from core.prefix.interventions import Intervention
from core.runs.store import Store, store
from core.text.detokenize import detokenise
from core.training.spec import TrainSpec
from tests.support.tiny_models import ARTICLES

TABLE = "table=" + quote('name : Aldo\'s "pub" \\ <b> | Type : pub | area : Łódź')
ARTICLE = "article=" + quote("\n".join(one.source for one in ARTICLES[:2]))
MIX = "mix:fade:0.5,0.5:tiny-prefix,triples-prefix"
FORM = {
    "preset": "own", "method": "prefix", "name": "mine", "rows": 50, "where": "bundled", "upload_path": "", "source": [],
    "target": [], "form": "table", "length": 3, "mlp": 8, "init_words": "a \"table\"'s", "updates": 2, "rate": 0.01, "batch": 2,
    "warmup": 0, "seed": 1,
}  # fmt: skip


@pytest.fixture
def run_lines(house, tmp_path, monkeypatch):
    """Runs lines in a namespace of their own, where the user's store is the tests'; returns the namespace."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFIX_LAB_HOME", str(house.home))

    def run(lines: str) -> dict:
        names: dict = {}
        exec(lines, names)
        return names

    yield run
    shutil.rmtree(house.home / "runs" / FORM["name"], ignore_errors=True)  # the store is every test's


def handlers(context: AppContext) -> PythonHandlers:
    form = SimpleNamespace(request_inputs=dict.fromkeys(FORM))
    return PythonHandlers(context, AnalysisCache(context), form, ["search", "ladder", "toy"])


@pytest.fixture
def do(context):
    return handlers(context)


def compared(context, search, page="python"):
    """What the page writes for an address, remembered as the last comparison of a page."""
    request, backbone = request_on_page(context, search, "")
    *_, comparison = compare(context, backbone, request, lambda: False)
    context.comparisons.put(page, record_of(comparison))
    return comparison


def test_values_read_back_the_same_and_bring_their_imports():
    lines, values = PythonLines(), {"a": "x" * 400 + " \n'\"\\ " + "é\u2028z " * 40, "b": DataSource(rows=3), "c": 1e-7}
    values["spec"] = TrainSpec("r", source=DataSource("columns", "f.csv", ("a b",), ("t",)), changes={"rate": 0.1})
    for name, value in values.items():
        lines.assign(name, value)
    names: dict = {}
    exec(str(lines), names)
    assert {name: names[name] for name in values} == values


@pytest.mark.parametrize(
    "search",
    [
        "",
        f"{TABLE}&base=instruction&columns=base-prefix-other&other={quote(MIX)}",
        f"{TABLE}&base=3&columns=base-other&other={quote('text:Be brief, ' + chr(39) + 'please' + chr(39))}",
        f"{TABLE}&mode=sample&seed=3&temperature=0.7&top_p=0.9",
        "task=webnlg",
    ],
)
def test_compare_writes_the_texts_of_its_columns(context, do, run_lines, search):
    columns = compared(context, search).columns
    for page in ("", "python"):  # before the texts are written, and after
        texts = run_lines(do.lines("compare", search, page))["texts"]
        assert {slot: text.text for slot, text in texts.items()} == {slot: one.text for slot, one in columns.items()}
    assert any(one.text for one in columns.values())


def test_errors_are_counted_in_triples_also_for_a_run_on_tables(context, do, run_lines):
    search = "task=webnlg&prefix=text:Be+brief.&finetuned=triples-prefix&columns=base-prefix-finetuned"
    lines = do.lines("compare", search, "")
    assert lines.count("form='webnlg'") == 1 and "form='webnlg'" in do.lines("attention", f"{search}&text=prefix", "")
    assert "form=" not in do.lines("compare", TABLE, "")
    backbone = context.models.backbone(context.models.default)
    source, run = request_on_page(context, search, "")[0].source, load_named_run("text:Be brief.", backbone)
    counted = request_of(backbone, source, run, form="webnlg").errors
    assert counted("A pub.") == error_counter("webnlg", source)("A pub.")
    columns = compared(context, search).columns
    texts = run_lines(lines)["texts"]
    assert {slot: text.text for slot, text in texts.items()} == {slot: one.text for slot, one in columns.items()}


def test_a_finished_comparison_counts_and_not_an_address_without_its_input(context, do, run_lines):
    compared(context, TABLE)
    assert run_lines(do.lines("compare", "", "python"))["source"] == context.comparisons.get("python").source


@pytest.mark.parametrize(
    "state", ["", "alpha=0.5&out=P3.P1L2&beside=same&layer=2&head=3&on=values", "text=base&beside=tiny-prefix"]
)
def test_attention_reads_the_same_shares(context, do, run_lines, state):
    compared(context, TABLE)
    names = run_lines(do.lines("attention", f"{TABLE}&{state}", "python"))
    record, tab_state = context.comparisons.get("python"), read(state, AttentionState)
    column = record.columns[tab_state.column or "prefix"]
    readings, backbone = ReadingCache(context), context.models.backbone(record.name)
    reader = readings.reader(column.run, backbone)
    done = tab_state.intervention(reader.length, backbone.spec.depths)
    first, *others = names["masses"].values()
    assert torch.equal(first.mass, readings.mass(backbone, reader, column, done).mass)
    if tab_state.beside == "same":
        assert torch.equal(others[0].mass, readings.mass(backbone, reader, column).mass)
        assert torch.equal(names["weights"], readings.layer(backbone, reader, column, 1, done).weights[0, 2])
    elif tab_state.beside:
        assert torch.equal(others[0].mass, readings.mass(backbone, readings.reader(tab_state.beside, backbone), column).mass)
    assert by_layer(first).shape == (2, 3)
    if not column.run:
        return
    lens = readings.lens(backbone, reader, column, done)
    torch.testing.assert_close(names["lens"].kl, lens.kl)  # several threads round differently each time
    assert names["lens"].tokens == lens.tokens


def test_attention_has_the_words_of_the_chosen_cell_and_the_prefix_set_aside(context, do, run_lines, capsys):
    compared(context, f"{TABLE}&other=tiny-finetuned")
    lines = do.lines("attention", f"{TABLE}&lens-layer=1&lens-token=2&alpha=2", "python")
    names, output = run_lines(lines), capsys.readouterr().out
    record, backbone = context.comparisons.get("python"), context.models.backbone(context.models.default)
    readings, column = ReadingCache(context), record.columns["prefix"]
    reader, done = readings.reader(column.run, backbone), Intervention(2.0)
    lens = readings.lens(backbone, reader, column, done)
    assert (names["layer"], names["step"]) == (0, 1) and f"{lens.frozen[0][1]}\n{lens.prefix[0][1]}" in output
    assert lens.describe() in output
    assert str(readings.content_differences(backbone, reader, column, done, "decoder")) in output
    without_prefix = do.lines("attention", f"{TABLE}&text=finetuned", "python")
    assert "inspection.lens()" in without_prefix and "content_differences" not in without_prefix


def test_prefix_space_finds_the_same_words(context, do, run_lines):
    names = run_lines(
        do.lines("space", "among=tiny-prefix,triples-prefix&space-layer=1&space-of=triples-prefix&space-token=2", "")
    )
    query = SpaceQuery("keys", 0, None, ("tiny-prefix", "triples-prefix"))
    *_, (analysis, _, _) = do.analyses.look(context.models.backbone(context.models.default), query)
    expected = [one for one in analysis.nearest if (one.run, one.token) == ("triples-prefix", 1)]
    assert [(one.word, one.score, one.z_random) for one in names["nearest"]] == [
        (one.word, one.score, one.z_random) for one in expected
    ]
    assert run_lines(do.lines("space", "", ""))["nearest"]
    for word, searched in (("a", True), ("one two three", False), ("", False)):  # of several tokens, the page says so
        assert ("neighbors.search(" in do.lines("space", f"word={word}", "")) is searched


def test_prefix_space_samples_the_same_texts_of_the_prefix_on_its_own(context, do, run_lines, monkeypatch):
    short = SAMPLING.replace(max_new=5)
    monkeypatch.setattr("app.space.alone_section.SAMPLING", short)
    monkeypatch.setattr("app.space.as_python.SAMPLING", short)
    section = AloneSection(**{field.name: field.name for field in fields(AloneSection)})
    page = AloneHandlers(context, SimpleNamespace(status="status"), section)
    for run, on_map in (("tiny-prefix", "tiny-prefix"), ('text:A pub\'s "menu"', "tiny-finetuned")):  # with a map, and without
        *_, update = page.sample(AloneState(run), 7, 0.8, "", "", SimpleNamespace(session_hash="alone"))
        address = write(AloneState(run, 7, 0.8))
        names = run_lines(do.lines("space", f"among={on_map}&{address}", ""))
        alone = names["alone"]
        assert json.loads(update["words"])["data"][0]["x"] == [100 * share for _, share, _ in alone.first_words()]
        assert text(alone.describe(run)) in update["verdict"] and (alone.seed, alone.decode.temperature) == (7, 0.8)
        assert ("neighbors" in names) == (on_map == "tiny-prefix")


def test_mix_writes_the_text_of_every_stop(context, do, run_lines):
    backbone = context.models.backbone(context.models.default)
    names = run_lines(do.lines("mix", "mix-kind=average&mix-runs=tiny-prefix,triples-prefix&mix-stop=3", ""))
    stops = slider("average", ("tiny-prefix", "triples-prefix"))
    *_, texts = Mixer(context.models).texts(backbone, stops, input_of("table", names["source"]), lambda: False)
    assert [detokenise(text.text) for text in names["texts"]] == [stop.text for stop in texts.stops]
    assert len(run_lines(do.lines("mix", "", ""))["texts"]) == 11


def test_mix_prints_the_stop_that_the_page_shows(do, monkeypatch):
    @wraps(slider)
    def deeper(kind, members, layers):
        return slider(kind, members, layers + 1)

    monkeypatch.setattr("app.mix.as_python.slider", deeper)
    lines = do.lines("mix", "mix-kind=layers&mix-runs=tiny-prefix", "")
    stops = slider("layers", ["tiny-prefix"], 3)  # an even number
    page = MixViewModel(MixState("layers", "tiny-prefix"), "", (), (), stops, input_of("table", ""), {}, True)
    assert len(stops) == 4 and f"print(stops[{page.at}].run" in lines


TABLES = (
    "number=run:e2e-prefix",
    "number=run:gone",
    "results=figure4&set=records&metric=BLEU",
    "results=scatter",
    "results=evidence",
)


@pytest.mark.parametrize("search", [*TABLES, "results=runs&with=tiny&sort=-run&ticked=tiny-prefix"])
def test_results_is_the_same_table(run_lines, search):
    context = SimpleNamespace(store=store())
    names = run_lines(PythonHandlers(context, None, None, []).lines("results", search, ""))
    csv = ResultsHandlers(context, None, None)._file(read(search, ResultsState), "csv")["text"]
    assert names["frame"].to_csv(index=False, lineterminator="\n") == csv
    assert ("result" in names) == (search == TABLES[0])
    assert search != TABLES[0] or names["result"].scores["BLEU"]["n"] == 630


def test_train_trains_what_the_form_describes(context, house, do, run_lines, tmp_path, monkeypatch):
    values = ("", "", "", *FORM.values())
    lines = do.lines("train", "", "", house.backbone, values)
    spec = train_request(FORM, house.backbone, False).spec()
    monkeypatch.setattr(Store, "new_folder", lambda store, run: _new_folder(tmp_path / run))
    names = run_lines(lines)
    assert names["spec"] == spec and spec.changes["updates"] == 2
    assert names["training"].run.config == spec.config().to_dict() and names["training"].run.updates == 2
    assert "run = store().get('tiny-prefix')" in do.lines("train", "job=tiny-prefix", "", house.backbone, values)
    assert "run='demo-1'" in do.lines(
        "train", "", "", house.backbone, (*values[:3], *(FORM | {"name": "", "preset": "demo"}).values())
    )


def _new_folder(folder):
    folder.mkdir()
    return folder


def test_learn_has_its_steps_and_its_demonstrations(context, do, run_lines):
    lesson = lessons()[0][1]
    assert run_lines(do.lines("learn", f"lesson={lesson.name}.2", ""))["step"] == lesson.steps[1]
    assert run_lines(do.lines("learn", "lesson=en/none.9", ""))["every"] == lessons()[0]
    search = "demo=context&front=It's+late.&words=The+pub+is&watch=open"
    effect = context_effect(context.models.backbone(context.models.default), "It's late.", "The pub is", "open")
    assert run_lines(do.lines("learn", search, ""))["effect"] == effect
    assert run_lines(do.lines("learn", "demo=figure1&drawn=tiny-prefix", ""))["run"].id == "tiny-prefix"
    progress = run_lines(do.lines("learn", "demo=batch", ""))["progress"]
    assert progress.finished and progress.same == [True] * 8
    step = run_lines(do.lines("learn", "demo=search", "", "", ("a b", "", "")))["step"]
    assert (
        step.finished
        and math.isfinite(step.loss)
        and "check_words(backbone, 'a b')" in do.lines("learn", "demo=ladder", "", "", ("", "a b", ""))
    )
    assert "trial(toy_backbone(), 'copy', 200)" in do.lines("learn", "demo=toy", "", "", ("", "", "nonsense"))


def test_articles_go_as_tables_do(newsroom, run_lines, monkeypatch):
    do, search = handlers(newsroom), f"{ARTICLE}&task=summarization&mode=greedy&columns=prefix-base-other&other=text:Be+brief."
    monkeypatch.setenv("PREFIX_LAB_HOME", str(newsroom.store.folder.parent))
    columns = compared(newsroom, search).columns
    texts = run_lines(do.lines("compare", search, ""))["texts"]
    assert {slot: text.text for slot, text in texts.items()} == {slot: one.text for slot, one in columns.items()}
    names = run_lines(do.lines("attention", f"{search}&alpha-cross=2", "python"))
    record, readings = newsroom.comparisons.get("python"), ReadingCache(newsroom)
    backbone, column = newsroom.models.backbone(record.name), record.columns["prefix"]
    reader = readings.reader("news-prefix", backbone)
    done = AttentionState(cross=2.0).intervention(
        reader.length, {site: backbone.spec.depth(site) for site in backbone.spec.sites}
    )
    (mass,) = names["masses"].values()
    assert torch.equal(mass.mass, readings.mass(backbone, reader, column, done, "cross").mass)
    article = record.source[: column.end]
    by_sentence = readings.by_sentence(backbone, reader, column, article, done, "cross")
    assert torch.equal(names["sentences"].weights, by_sentence.weights)
    names = run_lines(do.lines("space", "alone-run=text:Hello+there", ""))
    assert names["nearest"] and len(names["alone"].prefix) == 20 and run_lines(do.lines("mix", "", "python"))["texts"]


def test_what_cannot_be_written_is_one_sentence(context, do):
    answer = do.ask(SimpleNamespace(session_hash=""), "among=tiny-finetuned", "space", "")
    assert json.loads(answer)["problem"].startswith("Nothing is on the map")


@pytest.mark.browser
def test_the_panel_has_the_lines_of_the_tab_that_is_open(page, served, run_lines):
    page.goto(f"{served}?{TABLE}")
    expect(page.locator("#pl-panels .pl-panel").first).to_be_visible()
    panel = page.locator("#pl-python")
    texts = page.locator("#pl-columns .generated:not(.raw)").all_inner_texts()
    for tab in ("compare", "train", "learn"):
        page.locator(f"#pl-tab-{tab}-button").click()
        if tab == "train":
            expect(page.locator("#pl-train-name :is(input, textarea)")).not_to_have_value("")
        page.get_by_text("Share", exact=True).click()
        page.get_by_role("button", name="As Python").click()
        expect(panel).to_be_visible()
        lines = panel.locator("code").inner_text()
        if tab == "compare":
            written = run_lines(lines)["texts"]
            assert [detokenise(text.text) for text in written.values()] == texts
        assert {"compare": "write(", "train": "run='demo-", "learn": "lessons()"}[tab] in lines  # a long call is broken after "("
        panel.get_by_role("button", name="Close").click()
