"""A handout: its texts at every α against the model asked one by one, and the file itself in a browser without a network."""

import json
import re
from types import SimpleNamespace

import pytest
from playwright.sync_api import expect

from app.attention.readings import ReadingCache
from app.attention.state import ALPHAS
from app.compare.comparison import CompareRequest, compare, record_of
from app.export.handout import HandoutHandlers
from core.config.decode import DecodeConfig
from core.generation.generate import generate
from core.generation.types import Request
from core.prefix.interventions import Intervention

REQUEST = SimpleNamespace(session_hash="handout")
DECODE = DecodeConfig(max_new=6, min_new=6)
HOSTILE = "name : <img src=x onerror=alert(1)> | Type : pub"


@pytest.fixture
def do(context):
    ask = CompareRequest(HOSTILE, "tiny-prefix", "tiny-finetuned", decode=DECODE)
    *_, last = compare(context, context.models.backbone(context.models.default), ask, lambda: False)
    context.comparisons.put("handout", record_of(last))
    return HandoutHandlers(context, ReadingCache(context))


def text_of(html):
    return re.sub("<[^>]+>", "", re.search('<p class="generated">(.*?)</p>', html)[1])


def test_every_stop_is_the_text_at_its_alpha_written_alone(context, do):
    from html import unescape

    from core.text.detokenize import detokenise

    answer = json.loads(do.ask("?out=P1.P99", "attention", REQUEST))
    (slider,) = answer["sliders"]
    assert [stop["label"] for stop in slider["stops"]] == [f"α = {name}" for name in ALPHAS.values()]
    assert slider["stops"][slider["at"]]["label"] == "α = 1" and slider["title"].endswith("without P1")
    backbone = context.models.backbone(context.models.default)
    prefix = context.models.load("tiny-prefix", backbone).prefix
    prompt = list(context.comparisons.get("handout").columns["prefix"].prompt_ids)
    for alpha, stop in zip(ALPHAS, slider["stops"], strict=True):
        alone = Request(prompt, prefix, 0, Intervention(alpha).without(token=0))
        text = detokenise(generate(backbone.model, backbone, [alone], DECODE)[0].text)
        assert unescape(text_of(stop["html"])) == (text or "(nothing)")


def test_tabs_without_a_prefix_have_no_slider_and_a_running_comparison_is_waited_for(context, do):
    assert json.loads(do.ask("", "results", REQUEST)) == {"sliders": []}
    context.comparisons.forget("handout")
    assert "still being written" in json.loads(do.ask("", "compare", REQUEST))["problem"]


# ---- the file


@pytest.fixture
def offline(browser):
    """Opens a file on a phone without a network; what it asks for all the same, and every error, fails the test."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    page = context.new_page()
    asked, broken = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.on("console", lambda message: broken.append(message.text) if message.type == "error" else None)

    def open_file(path):
        page.goto(path.as_uri())
        return page

    yield open_file
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == [] and broken == []


def take(page, tmp_path, ready):
    """Take the handout of the page that is open, by the menu Share."""
    expect(page.locator(ready).first).to_be_visible()
    expect(page.locator("body[data-busy]")).to_have_count(0)
    page.get_by_text("Share", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Handout").first.click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


@pytest.mark.browser
def test_compare_opens_without_a_network_and_its_slider_moves(page, served, tmp_path, offline):
    page.goto(f"{served}?table=name+%3A+%3Cimg+src%3Dx+onerror%3Dalert(1)%3E+%7C+Type+%3A+pub")
    path = take(page, tmp_path, "#pl-panels .pl-panel")
    texts = page.locator("#pl-columns .generated:not(.raw)").all_inner_texts()
    assert path.name == "prefix-lab-compare.html" and path.stat().st_size < 400_000
    file = offline(path)
    assert file.locator("#pl-columns .generated").all_inner_texts() == texts
    stop, slider = file.locator(".pl-stop:visible"), file.locator(".pl-stops input")
    expect(stop).to_have_count(1)
    expect(stop.locator(".generated")).to_have_text(texts[1])
    before = file.locator(".pl-stops output").inner_text()
    slider.focus()
    file.keyboard.press("Home")
    assert (before, file.locator(".pl-stops output").inner_text()) == ("α = 1", "α = 0")
    expect(stop.locator(".meta")).to_contain_text("0 % of the attention")
    expect(file.locator("#pl-table")).to_contain_text("<img src=x onerror=alert(1)>")
    assert file.locator("main img, main button, main select").count() == 0
    assert file.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.browser
def test_columns_stand_in_the_order_of_the_page_under_their_own_braces(page, served, tmp_path, offline):
    page.goto(f"{served}?columns=finetuned-prefix-base")
    file = offline(take(page, tmp_path, "#pl-panels .pl-panel"))
    columns = file.evaluate("[...document.querySelectorAll('#pl-columns > [id]')].map((column) => column.id)")
    assert columns == ["pl-finetuned", "pl-prefix", "pl-base"]
    left = [file.locator(f"#pl-{kind}").bounding_box()["y"] for kind in ("finetuned", "prefix", "base")]
    assert left == sorted(left)  # one below the other on a phone


@pytest.mark.browser
@pytest.mark.parametrize(
    ("tab", "ready", "holds"),
    [
        ("attention", "#pl-look-influence .pl-plot[data-drawn=influence]", "#pl-look-heads, .pl-stops"),
        ("space", "#pl-space-map .pl-plot[data-drawn]", "#pl-space-all"),
        ("mix", "#pl-mix-stage .pl-mix-rows li", ".pl-stops"),
        ("results", "#pl-results-main table", "#pl-results-main table"),
        ("train", "#pl-train-facts :is(dl, p)", "#pl-train-runs"),
        ("learn", "#pl-learn-list li", ".pl-lesson-page li"),
    ],
)
def test_every_tab_has_a_handout_with_its_figures(page, served, tmp_path, offline, tab, ready, holds):
    page.goto(f"{served}?tab={tab}")
    path = take(page, tmp_path, ready)
    drawn = [figure for figure in page.locator("#pl-tabs .pl-plot[data-drawn]").all() if figure.is_visible()]
    file = offline(path)
    assert file.locator(holds).first.is_visible()
    sizes = file.evaluate("[...document.images].map((image) => image.naturalWidth)")
    assert len(sizes) == len(drawn) and all(sizes)
    file.evaluate("dispatchEvent(new Event('beforeprint'))")  # paper shows the answers
    assert file.locator("details:not([open])").count() == 0 and (tab != "learn" or file.locator("details").count() > 20)
    file.evaluate("dispatchEvent(new Event('afterprint'))")
    assert file.evaluate("document.documentElement.scrollWidth") <= 390
