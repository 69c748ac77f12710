"""The dashboard, a column's statistics and a learner's place in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.browser.test_table import COLUMNS, learner
from tests.factories import make_table


@pytest.fixture
def course(visit: Visit) -> Visit:
    """The table page of 120 learners."""
    with visit.course() as (session, workflow):
        make_table(session, workflow, COLUMNS, [learner(n) for n in range(1, 121)])
    visit.go(f"/workflows/{workflow.id}/table")
    return visit


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_charts_come_when_they_are_in_sight_and_are_accessible(course: Visit, size: dict[str, int]) -> None:
    page = course.page
    page.set_viewport_size(size)
    page.get_by_role("link", name="s0003 beside the class").click()
    dialog = page.get_by_role("dialog", name="s0003")
    expect(dialog.locator(".own-place").first).to_be_visible()
    course.check()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="s0003 beside the class")).to_be_focused()
    page.get_by_role("button", name="Menu of quiz 1").click()
    page.get_by_role("link", name="Statistics", exact=True).click()
    expect(page.get_by_role("dialog", name="quiz 1").get_by_role("img")).to_be_visible()
    course.check()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Menu of quiz 1")).to_be_focused()
    page.get_by_role("link", name="Dashboard").click()
    cards, pictures = page.locator(".chart-card"), page.locator("svg.picture")
    expect(cards).to_have_count(19)
    expect(cards.nth(3).locator(".chart-figures")).to_have_count(0 if size == PHONE else 1)
    assert pictures.count() < 19
    last = cards.last
    last.scroll_into_view_if_needed()
    expect(last.get_by_role("img")).to_be_visible()
    last.get_by_text("The chart as a table").click()
    expect(last.get_by_role("columnheader", name="Learners")).to_be_visible()
    course.check()
    with page.expect_download() as download:
        last.get_by_role("link", name="Download picture").click()
    assert download.value.suggested_filename.endswith(".svg")
    page.get_by_role("button", name="Columns").click()
    course.check()
    page.keyboard.press("Escape")
    last.get_by_role("heading").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("week 12")
    course.check()
    course.go(re.sub(r"/dashboard.*", "/table/rows/3", page.url))
    expect(page.locator(".own-place").first).to_be_visible()
    course.check()
