"""Views, filters, chosen columns and many learners at once, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.browser.test_table import cell, table  # noqa: F401  the page of 120 learners


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_view_is_made_from_what_is_seen(table: Visit, size: dict[str, int]) -> None:  # noqa: F811
    page = table.page
    page.set_viewport_size(size)
    page.get_by_role("button", name="Menu of quiz 1").click()
    page.get_by_role("link", name="Filter…").click()
    expect(page.get_by_role("form", name="Filter by quiz 1").get_by_role("combobox")).to_be_focused()
    page.get_by_role("form", name="Filter by quiz 1").get_by_role("combobox").select_option("between")
    page.get_by_label("Value", exact=True).fill("10")
    page.get_by_label("Until").fill("many")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("type a whole number")
    table.check()
    page.get_by_label("Until").fill("20")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.get_by_text("quiz 1 is between 10 and 20")).to_be_visible()
    page.get_by_role("button", name="Views ▾").click()
    table.check()
    page.get_by_role("link", name=re.compile("as a view")).click()
    expect(page.locator("#view-count")).to_contain_text("of 120 learners: quiz 1 is between 10 and 20")
    page.locator("#f-name").fill("Between")
    page.get_by_role("button", name="Move quiz 1 up").click()
    table.check()
    page.get_by_role("button", name="Save the view").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Between")
    heads = page.locator("#learners thead a.name")
    assert heads.nth(3).inner_text() == "quiz 1"
    table.check()
    page.get_by_role("button", name="View: Between ▾").click()
    page.get_by_role("link", name="Change, copy or delete this view…").click()
    table.check()


def test_many_learners_are_chosen_set_and_taken_back(table: Visit) -> None:  # noqa: F811
    page = table.page
    boxes = page.get_by_role("checkbox", name="Choose this learner")
    boxes.nth(0).click()
    boxes.nth(3).click(modifiers=["Shift"])
    expect(page.get_by_text("4 chosen")).to_be_visible()
    table.check()
    page.get_by_label("Column to set").select_option(label="passed")
    page.get_by_role("button", name="Set this column…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Set “passed” for 4 learners")
    page.get_by_label("New value").select_option("yes")
    table.check()
    page.get_by_role("button", name="Set it for 4 learners").click()
    for row in range(1, 5):
        expect(cell(table, row, "passed")).to_have_text("yes")
    page.get_by_role("button", name="Undo").click()
    expect(cell(table, 1, "passed")).to_have_text("no")


def test_columns_are_sorted_dragged_and_hidden(table: Visit) -> None:  # noqa: F811
    page = table.page
    page.get_by_role("link", name="program", exact=True).click()
    expect(page.get_by_role("columnheader", name="program")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("link", name="quiz 1", exact=True).click(modifiers=["Shift"])
    expect(page.get_by_role("columnheader", name="quiz 1")).to_have_attribute("aria-sort", "ascending")
    expect(page.get_by_role("columnheader", name="program")).to_have_attribute("aria-sort", "ascending")
    heads = page.locator("#learners thead a.name")
    page.get_by_role("columnheader", name="program").drag_to(page.get_by_role("columnheader", name="email"))
    expect(heads.nth(1)).to_have_text("program")
    page.get_by_role("button", name="Menu of program").click()
    page.get_by_role("button", name="Move right").click()
    expect(heads.nth(1)).to_have_text("email")
    page.reload()
    expect(heads.nth(2)).to_have_text("program")
    page.get_by_role("button", name="Columns ▾").click()
    page.get_by_label("Columns that are shown").get_by_label("email").uncheck()
    page.get_by_role("button", name="Show these").click()
    expect(page.get_by_role("columnheader", name="email")).to_have_count(0)
    expect(heads.nth(1)).to_have_text("program")
