"""Three columns from one table, without a page."""

from app.compare.comparison import Ask, compare
from app.shared.model_pool import Lab, of_task
from core.config.decode import DecodeConfig
from core.generation.generate import generate
from core.generation.types import Request
from tests.support.held_engine import held

SOURCE = "name : Alda | Type : pub | area : north"
DECODE = DecodeConfig(max_new=12)
LONG = DecodeConfig(max_new=400, min_new=400)


def finished(lab: Lab, ask: Ask, cancel=lambda: False):
    *_, last = compare(lab, lab.backbone(lab.default), ask, cancel)
    return last


def test_columns_are_what_each_method_writes_alone(lab):
    for decode in (DECODE, DecodeConfig("sample", max_new=12, seed=3), DecodeConfig("beam", max_new=12)):
        seen = finished(lab, Ask(SOURCE, "tiny-prefix", "tiny-finetuned", decode=decode))
        backbone = lab.backbone(lab.default)
        prefix, tuned = lab.load("tiny-prefix", backbone), lab.load("tiny-finetuned", backbone)
        ids = backbone.encode(prefix.task.prompt(SOURCE))
        alike = [
            ("base", backbone.model, None),
            ("prefix", backbone.model, prefix.prefix),
            ("finetuned", tuned.model, None),
        ]
        for kind, model, past in alike:
            alone = generate(model, backbone, [Request(ids, past, decode.seed)], decode)[0]
            assert seen.columns[kind].text == alone.text, (decode.mode, kind)
        assert seen.phase == "done" and all(len(column.words) == 5 for column in seen.columns.values())


def test_a_run_that_cannot_be_used_is_told_in_its_column(lab):
    seen = finished(lab, Ask(SOURCE, "other-prefix", "", decode=DECODE))
    assert seen.columns["base"].text and seen.phase == "done"
    assert seen.columns["prefix"].state == "error" and "other-gpt2" in seen.columns["prefix"].note
    assert seen.columns["finetuned"].state == "missing"


def test_stop_keeps_the_text_and_says_so(lab):
    growing = compare(lab, lab.backbone(lab.default), Ask(SOURCE, "tiny-prefix", "tiny-finetuned", decode=LONG), lambda: stop)
    stop = False
    for seen in growing:
        stop = stop or all(column.text for column in seen.columns.values())
    assert seen.phase == "cancelled" and "What was written so far is kept" in seen.say
    for column in seen.columns.values():
        assert column.state == "cancelled" and 0 < column.tokens == len(column.ids) < 400 and not column.words


def test_a_page_that_goes_away_frees_its_places(lab):
    growing = compare(lab, lab.backbone(lab.default), Ask(SOURCE, "tiny-prefix", "tiny-finetuned", decode=LONG), lambda: False)
    while next(growing).phase != "running":
        pass
    growing.close()
    lab.work(int)  # a turn of every model
    lab.work(int)
    assert (lab.engine.running(), lab.engine.waiting()) == (0, 0)


def test_a_page_that_waits_is_told_how_many_texts_come_before(lab):
    ask, backbone = Ask(SOURCE, decode=DECODE), lab.backbone(lab.default)
    with held(lab.engine):
        first, second = (compare(lab, backbone, ask, lambda: False, who) for who in ("first", "second"))
        assert [next(page).say for page in (first, second)] == ["Loading the runs…"] * 2
        assert next(first).say == "Writing…"
        assert next(second).say == "Waiting for the model: 1 text of other pages before yours."
    *_, seen = second
    assert seen.phase == "done"
    first.close()


def test_runs_that_do_not_fit_say_why(lab):
    backbone = lab.backbone(lab.default)
    choices = {choice.run.id: choice.reason for choice in lab.choices(["prefix"], backbone)}
    other = "trained on other-gpt2, not on tiny-gpt2"
    assert choices == {"tiny-prefix": "", "triples-prefix": "", "other-prefix": other}
    listed = lab.choices(["prefix"], backbone)
    assert of_task(listed, "webnlg")[0].run.id == "triples-prefix" and not of_task(listed, "webnlg")[0].reason
    told = {choice.run.id: choice.reason for choice in of_task(listed, "another")}
    assert told == {"tiny-prefix": "its task is e2e", "triples-prefix": "its task is webnlg", "other-prefix": other}


def test_a_newer_request_or_a_stop_ends_those_before_it(lab):
    tickets = lab.tickets
    first, second = tickets.take("page"), tickets.take("page")
    assert tickets.is_stopped("page", first) and tickets.is_stale("page", first) and not tickets.is_stopped("page", second)
    tickets.stop("page")
    assert tickets.is_stopped("page", second) and not tickets.is_stale("page", second)
    assert not tickets.is_stopped("page", tickets.take("page"))
