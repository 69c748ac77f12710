"""The history of the data in a real browser: look at an earlier table, restore it, and take that back."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.factories import make_table


def test_an_emptied_table_comes_back_and_goes_again(visit: Visit) -> None:
    page = visit.page
    with visit.course() as (session, workflow):
        make_table(session, workflow, {"sid": "text", "name": "text", "quiz": "integer"}, [("s1", "Ann", 5)])
    visit.go(f"/workflows/{workflow.id}/history")
    expect(page.get_by_role("heading", name="Nothing has happened yet")).to_be_visible()
    visit.check()
    visit.go(f"/workflows/{workflow.id}/flush")
    page.get_by_role("button", name="Empty it").click()
    visit.go(f"/workflows/{workflow.id}/history")
    line = page.locator(".history > li").first
    expect(line).to_contain_text("1 row gone")
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        visit.check()
    line.get_by_role("link", name="Look at the table before").click()
    expect(page.get_by_role("cell", name="Ann")).to_be_visible()
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        visit.check()
    page.get_by_role("button", name="Restore this table").click()
    expect(page.get_by_text("The earlier table is back.")).to_be_visible()
    expect(page.get_by_text("Ann")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Ann")).to_have_count(0)
    visit.go(f"/workflows/{workflow.id}/history")
    expect(page.locator(".history > li")).to_have_count(3)
