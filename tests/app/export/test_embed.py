"""One panel of a tab in a frame, parts left out of a lesson's page, and the form that builds such links, in a real browser."""

import html
import re

import pytest
from playwright.sync_api import expect

from app.main import EMBEDDABLE

pytestmark = pytest.mark.browser
PHASE = "#pl-status .status"
SHOWN = {  # a panel of each tab, and what in it shows that it is filled
    "compare": ("columns", "#pl-out-prefix .generated"),
    "attention": ("look-reads", "#pl-look-reads .generated"),
    "space": ("space-map", "#pl-space-map .pl-plot[data-drawn]"),
    "mix": ("mix-stage", "#pl-mix-stage .pl-mix-rows li"),
    "train": ("train-left", "#pl-train-facts :is(dl, p)"),
    "results": ("results-main", "#pl-results-main table"),
    "learn": ("learn-list", "#pl-learn-list li"),
}

BESIDE = """([name, names]) => {
  const at = (name) => document.querySelector(`#pl-${name}`), panel = at(name);
  return names.filter((other) => at(other)?.checkVisibility() && !at(other).contains(panel) && !panel.contains(at(other)));
}"""


def test_every_part_that_the_form_lists_is_on_its_tab(page, served):
    page.goto(served)
    expect(page.locator(PHASE)).to_have_attribute("data-phase", "done")
    missing = []
    for tab, parts in EMBEDDABLE.items():
        page.locator(f"#pl-tab-{tab}-button").click()
        expect(page.locator(f"#pl-tab-{tab}-button")).to_have_attribute("aria-selected", "true")
        if tab == "train":
            page.get_by_role("radio", name="Own", exact=True).click()
            page.locator("#pl-train-own").first.wait_for()
        page.wait_for_timeout(300)
        names = [*parts.panels, *parts.controls]
        missing += [name for name in names if page.locator(f"#pl-{name}").count() == 0]
    assert missing == []


@pytest.mark.parametrize("tab", EMBEDDABLE)
def test_an_embedded_panel_stands_alone_and_is_filled(page, served, tab):
    name, filled = SHOWN[tab]
    page.goto(f"{served}?embed=1&show={name}&demo=")
    expect(page.locator(filled).first).to_be_visible()
    expect(page.locator(f"#pl-{name}")).to_be_in_viewport()
    for part in ("#pl-header", "#pl-tabs .tab-wrapper", PHASE):
        expect(page.locator(part)).to_be_hidden()
    assert page.evaluate(BESIDE, [name, list(EMBEDDABLE[tab].panels)]) == []
    expect(page.locator("#pl-embed-link")).to_be_visible()


def test_an_embedded_curve_of_a_mix_is_measured(page, served):
    page.goto(f"{served}?embed=1&show=mix-curve&tab=mix&mix-runs=tiny-prefix,triples-prefix")
    expect(page.locator("#pl-mix-curve .js-plotly-plot")).to_be_visible(timeout=180_000)


def test_the_curve_of_a_bundled_run_opens_by_its_address(page, served):
    page.goto(f"{served}?embed=1&show=train-loss&tab=train&job=e2e-prefix")
    expect(page.locator("#pl-train-loss .js-plotly-plot")).to_be_visible()


def test_an_embedded_figure_names_its_axis_below_and_one_text_fills_the_frame(page, served):
    page.goto(f"{served}?embed=1&show=look-heads")
    plot = page.locator("#pl-look-heads .pl-plot[data-drawn]")
    expect(plot).to_be_visible()
    title, box = plot.locator(".xtitle").bounding_box(), plot.bounding_box()
    assert title["y"] > box["y"] + box["height"] / 2  # plotly puts it at the top where it cannot measure the labels
    page.goto(f"{served}?embed=1&show=prefix")
    expect(page.locator("#pl-out-prefix .generated").first).to_be_visible()
    assert page.locator("#pl-prefix").bounding_box()["width"] > 1100


def test_a_figure_without_a_legend_has_the_whole_width_for_its_recipe(page, served):
    page.set_viewport_size({"width": 960, "height": 540})
    page.goto(f"{served}?embed=1&show=look-influence&tab=attention")
    recipe = page.locator("#pl-look-influence .gtitle-subtitle")
    expect(recipe).to_contain_text("positions unchanged")
    expect(recipe.locator("tspan")).to_have_count(0)


def test_another_site_frames_what_asks_for_it_and_nothing_else(page, served):
    frames = f'<iframe src="{served}?embed=1&amp;show=columns" width="900" height="500"></iframe><iframe src="{served}"></iframe>'
    page.set_content(frames)
    expect(page.frame_locator("iframe").first.locator("#pl-out-prefix .generated").first).to_be_visible()
    expect(page.frame_locator("iframe").last.locator("#pl-header")).to_have_count(0)


def test_hidden_parts_are_gone_and_a_name_that_is_none_is_reported(page, served):
    page.goto(f"{served}?hide=bar,samples,nonsense")
    expect(page.locator("#pl-out-prefix .generated").first).to_be_visible()
    for part in ("#pl-bar", "#pl-samples"):
        expect(page.locator(part)).to_be_hidden()
    expect(page.locator("#pl-header")).to_be_visible()
    page.goto(f"{served}?embed=1&show=nonsense")
    expect(page.locator("#pl-embed-problem")).to_contain_text('no part named "nonsense"')


def test_the_form_builds_a_link_that_shows_its_panel(page, served):
    page.goto(f"{served}?tab=attention&alpha=0.5")
    expect(page.locator("#pl-look-lens .pl-plot")).to_have_attribute("data-drawn", "layer-by-layer")
    page.get_by_text("Share", exact=True).click()
    page.get_by_role("button", name="For slides").click()
    form = page.locator("#pl-embed")
    form.locator("[name=show]").select_option("attention")
    form.get_by_label("α, knock-outs and choices").check()
    form.locator("[name=theme]").select_option("dark")
    link = form.locator("[name=link]").input_value()
    assert re.search(r"alpha=0\.5&embed=1&show=attention&hide=look-bar&theme=dark$", link)
    written = form.locator("[name=frame]").input_value()
    assert html.unescape(re.search('src="([^"]+)"', written)[1]) == link
    page.goto(link)
    expect(page.locator("#pl-look-reads .generated").nth(1)).to_be_visible()
    expect(page.locator("#pl-look-bar")).to_be_hidden()
    expect(page.locator("body")).to_have_class(re.compile(r"\bdark\b"))
