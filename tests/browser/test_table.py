"""The table in a real browser: keyboard, editing in place, searching, sorting, phones."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.factories import make_table

COLUMNS = {
    "sid": "text", "email": "text", "name": "text", "program": "text", "quiz 1": "integer", "mean": "double",
    "passed": "boolean", "seen": "datetime", **{f"week {week}": "integer" for week in range(1, 13)},
}  # fmt: skip


def learner(number: int) -> list[Any]:
    seen = datetime(2026, 3, 1, 8, tzinfo=UTC) + timedelta(hours=number)
    quiz = None if number % 9 == 0 else number * 7 % 101
    name = "José Ángel" if number == 3 else f"Learner {number}"
    weeks = [None if (number + week) % 11 == 0 else number * week % 20 for week in range(12)]
    return [
        f"s{number:04}", f"s{number:04}@uni.example", name, "ABC"[number % 3], quiz, number / 7, number % 4 == 0, seen,
        *weeks,
    ]  # fmt: skip


@pytest.fixture
def table(visit: Visit) -> Visit:
    """The table page of 120 learners."""
    with visit.course() as (session, workflow):
        make_table(session, workflow, COLUMNS, [learner(number) for number in range(1, 121)])
    visit.go(f"/workflows/{workflow.id}/table")
    return visit


def test_an_empty_table_says_what_to_do_next(visit: Visit) -> None:
    with visit.course() as (_, workflow):
        pass
    visit.go(f"/workflows/{workflow.id}/table")
    expect(visit.page.get_by_role("heading", name="There are no learners yet")).to_be_visible()
    visit.check()


def cell(visit: Visit, row: int, column: str) -> Locator:
    """The cell of a learner in the column of this name."""
    at = list(COLUMNS).index(column) + 1  # behind the boxes
    return visit.page.locator(f"#learners tbody tr:nth-child({row}) > :nth-child({at + 1})")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_table_and_its_pages_fit_and_are_accessible(table: Visit, size: dict[str, int]) -> None:
    table.page.set_viewport_size(size)
    here = table.page.url
    for path in ("", "?search=nobody", "/new", "/rows/1"):
        table.go(here + path)
        table.check()
    table.page.get_by_role("link", name="Change quiz 1").click()
    table.page.locator("#cell-value").fill("many")
    table.page.keyboard.press("Enter")
    expect(table.page.get_by_role("alert")).to_have_text("Type a whole number.")
    table.check()
    table.page.keyboard.press("Escape")
    table.go(here)
    table.page.get_by_role("button", name="Menu of quiz 1").click()
    table.check()
    table.page.get_by_role("link", name="About this column").click()
    table.check()


def test_a_cell_is_changed_by_keyboard_and_taken_back(table: Visit) -> None:
    page = table.page
    first = cell(table, 1, "email")
    first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    quiz = cell(table, 2, "quiz 1")
    expect(quiz).to_be_focused()
    page.keyboard.press("Enter")
    field = page.locator("#cell-value")
    expect(field).to_be_focused()
    assert field.input_value() == "14"
    page.keyboard.type("fourteen")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Type a whole number.")
    field = page.locator("#cell-value")
    expect(field).to_be_focused()
    assert field.input_value() == "fourteen"
    field.fill("77")
    page.keyboard.press("Enter")
    expect(quiz).to_have_text("77")
    expect(quiz).to_be_focused()
    page.keyboard.press("F2")
    page.locator("#cell-value").fill("1")
    page.keyboard.press("Escape")
    expect(quiz).to_have_text("77")
    expect(quiz).to_be_focused()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("main .flash")).to_have_text("“quiz 1” is what it was before.")
    expect(cell(table, 2, "quiz 1")).to_have_text("14")


def test_a_click_opens_a_cell_and_another_one_closes_it(table: Visit) -> None:
    cell(table, 1, "passed").click()
    expect(table.page.locator("#cell-value")).to_be_focused()
    cell(table, 3, "name").click()
    expect(table.page.locator("#cell-value")).to_be_focused()
    expect(cell(table, 1, "passed")).to_have_text("no")
    assert table.page.locator(".cell-form").count() == 1


def test_the_address_holds_search_order_and_page(table: Visit) -> None:
    page = table.page
    page.keyboard.press("/")
    page.keyboard.type("jose")
    expect(page.locator("#learners tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("search=jose"))
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.get_by_role("searchbox").fill("")
    expect(page.locator("#learners tbody tr")).to_have_count(50)
    page.get_by_role("link", name="quiz 1", exact=True).click()
    expect(page.get_by_role("columnheader", name="quiz 1")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("link", name="Next", exact=True).click()
    expect(page).to_have_url(re.compile("after="))
    second = page.locator("#learners tbody tr").first.inner_text()
    page.reload()
    assert page.locator("#learners tbody tr").first.inner_text() == second
    page.go_back()
    expect(page).not_to_have_url(re.compile("after="))
    expect(page.get_by_role("heading", level=1)).to_have_text("Table")
    expect(page.locator("#learners tbody tr").first).not_to_have_text(second)
    assert page.locator("h1").count() == 1


def test_headers_and_keys_stay_in_sight(table: Visit) -> None:
    table.page.locator(".sheet").evaluate("(sheet) => sheet.scrollTo(900, 900)")
    box = table.page.locator(".sheet").bounding_box()
    head = table.page.get_by_role("columnheader", name="sid").bounding_box()
    key = table.page.locator("#learners tbody th").last.bounding_box()
    assert box
    assert head
    assert key
    assert abs(head["x"] - box["x"]) <= 40  # behind the boxes
    assert abs(head["y"] - box["y"]) <= 2
    assert abs(key["x"] - box["x"]) <= 40


def test_the_file_is_waited_for(table: Visit) -> None:
    table.page.get_by_role("button", name="Download ▾").click()
    table.page.get_by_role("button", name="Download CSV").click()
    table.check()
    with table.page.expect_download() as download:
        table.page.get_by_role("link", name=re.compile("Download “")).click()
    assert download.value.suggested_filename.startswith("Biology 101 ")
