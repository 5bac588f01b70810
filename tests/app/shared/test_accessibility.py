"""axe-core finds nothing serious or critical on any page, and every figure says in words what it shows."""

from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import Page, expect

from tests.app.shared.test_layout import open_tab

pytestmark = pytest.mark.browser
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
FINDINGS = """async () => (await axe.run({ resultTypes: ["violations"] })).violations
  .filter((rule) => ["serious", "critical"].includes(rule.impact))
  .flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target} ${node.failureSummary}`))"""
# Figures without their numbers in words, and drawings without a name.
UNREAD = r"""() => [
  ...[...document.querySelectorAll(".pl-plot.js-plotly-plot")].filter((plot) => !/\. .*\d/.test(plot.getAttribute("aria-label"))),
  ...[...document.querySelectorAll("#pl-tabs svg[class*=pl-]")]
    .filter((svg) => !svg.closest(".pl-plot, button, [aria-hidden=true], [aria-label]")),
].filter((figure) => figure.checkVisibility()).map((figure) => `no text alternative: ${figure.outerHTML.slice(0, 120)}`)"""


def findings(page: Page) -> list[str]:
    """What axe finds serious or critical on a page as it is."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE)
    return page.evaluate(FINDINGS)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_tab_can_be_read_by_everyone(browser, served, theme):
    context = browser.new_context(viewport={"width": 1280, "height": 720}, color_scheme=theme, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(served)
    expect(page.locator("#pl-status .status")).to_have_attribute("data-phase", "done")
    buttons = [tab.get_attribute("id") for tab in page.locator("#pl-tabs [role=tab]").all()]
    found = []
    for view in ("", "presenter's view, "):
        for button in buttons:
            tab = open_tab(page, button)
            found += [f"{view}{tab}: {finding}" for finding in [*findings(page), *page.evaluate(UNREAD)]]
        page.keyboard.press("p")
    context.close()
    assert found == []
