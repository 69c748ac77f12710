"""The columns in a real browser: dragging, keys, the form of a formula, phones."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.factories import make_table

COLUMNS = {"sid": "text", "name": "text", "quiz 1": "integer", "quiz 2": "integer", "passed": "boolean"}
ROWS = [(f"s{number:02}", f"Learner {number}", number, number * 2, number % 2 == 0) for number in range(1, 21)]


@pytest.fixture
def columns(visit: Visit) -> Visit:
    """The page of the columns."""
    with visit.course() as (session, workflow):
        make_table(session, workflow, COLUMNS, ROWS)
    visit.go(f"/workflows/{workflow.id}/columns")
    return visit


def names(visit: Visit) -> list[str]:
    return visit.page.locator(".column-list tbody .c-name").all_inner_texts()


def test_columns_are_moved_by_keys_and_by_dragging(columns: Visit) -> None:
    page = columns.page
    page.get_by_role("button", name="Move quiz 2").focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator("#moved")).to_have_text("quiz 2 is number 3 now.")
    assert names(columns) == ["sid", "name", "quiz 2", "quiz 1", "passed"]
    expect(page.get_by_role("button", name="Move quiz 2")).to_be_focused()
    page.keyboard.press("End")
    expect(page.locator("#moved")).to_have_text("quiz 2 is number 5 now.")
    page.get_by_role("button", name="Move quiz 2").drag_to(page.get_by_role("button", name="Move sid"))
    expect(page.locator(".column-list tbody .c-name").first).to_have_text("quiz 2")
    expect(page.locator("#moved")).to_have_text("quiz 2 is number 1 now.")
    page.reload()
    assert names(columns)[0] == "quiz 2"
    page.get_by_role("button", name="Menu of quiz 2").click()
    page.get_by_role("button", name="Make last").click()
    expect(page.get_by_role("status").first).to_contain_text("“quiz 2” is number 5 now.")


def test_a_formula_is_put_together_and_told(columns: Visit) -> None:
    page = columns.page
    page.get_by_role("link", name="Add a formula").click()
    page.get_by_label("Name", exact=True).fill("gain")
    page.get_by_label("Work out").select_option("difference")
    expect(page.get_by_role("checkbox", name="passed")).to_be_hidden()
    page.get_by_role("checkbox", name="quiz 1").check()
    page.get_by_role("checkbox", name="quiz 2").check()
    page.get_by_role("button", name="Move quiz 2").focus()
    page.keyboard.press("Home")
    columns.check()
    page.get_by_role("button", name="Add the formula").click()
    expect(page.get_by_text("“quiz 2” minus “quiz 1”")).to_be_visible()
    expect(page.get_by_text("kept up to date", exact=True)).to_be_visible()
    page.get_by_role("link", name="Change the formula…").click()
    page.get_by_label("Work out").select_option("sum")
    page.get_by_role("button", name="Show what happens").click()
    expect(page.get_by_role("heading", name="What will change")).to_be_visible()
    columns.check()
    page.get_by_role("button", name="Use this formula").click()
    expect(page.get_by_text("sum of “quiz 2”, “quiz 1”", exact=False)).to_be_visible()


def test_allowed_values_are_a_list_that_is_put_in_order(columns: Visit) -> None:
    page = columns.page
    page.get_by_role("link", name="Add a column").click()
    page.get_by_label("Name", exact=True).fill("group")
    page.get_by_role("button", name="Add a value").click()
    page.keyboard.type("low")
    page.keyboard.press("Enter")
    page.keyboard.type("high")
    page.keyboard.press("Enter")
    page.keyboard.type("middle")
    page.get_by_role("button", name="Move middle").focus()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_text("middle is number 2 now.")).to_be_attached()
    expect(page.get_by_role("button", name="Move middle")).to_be_focused()
    page.get_by_role("button", name="Move high").drag_to(page.get_by_role("button", name="Move low"))
    columns.check()
    page.get_by_role("button", name="Add the column").click()
    fields = page.get_by_role("list", name="Allowed values").get_by_role("textbox")
    expect(fields).to_have_count(3)
    assert [field.input_value() for field in fields.all()] == ["high", "low", "middle"]
    page.get_by_role("button", name="Take out low").click()
    page.get_by_role("button", name="Type them as lines").click()
    assert page.get_by_role("textbox", name="Allowed values").input_value() == "high\nmiddle"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_fits_and_is_accessible(columns: Visit, size: dict[str, int]) -> None:
    columns.page.set_viewport_size(size)
    here = columns.page.url
    first = columns.page.locator("tr[data-column]").nth(2).get_attribute("data-column")
    paths = ["", "?search=nothing", "/new/column", "/new/formula", "/new/groups", f"/{first}"]
    paths += [f"/{first}/{step}" for step in ("type?to=boolean", "restrict", "delete")]
    for path in paths:
        columns.go(here + path)
        columns.check()
    columns.go(here)
    columns.page.get_by_role("button", name="Menu of quiz 1").click()
    columns.check()
