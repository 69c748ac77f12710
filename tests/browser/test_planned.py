"""Planning in a browser: a sending each week, its page, its form again, the list, the calendar."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.factories import make_action, make_table


def test_a_sending_is_planned_looked_at_and_changed(visit: Visit) -> None:
    page = visit.page
    with visit.course() as (session, workflow):
        rows = [["s1", "s1@uni.example"], ["s2", "s2@uni.example"]]
        make_table(session, workflow, {"sid": "text", "email": "text"}, rows)
        action = make_action(session, workflow, "<p>Hello</p>", "Reminder")
    visit.go(f"/workflows/{workflow.id}/actions/{action.id}/send")
    page.get_by_label("Subject").fill("This week")
    page.get_by_label("Again and again").check()
    page.get_by_label("What you call it").fill("Weekly")
    page.get_by_label("How often").select_option(label="on some days of some months")
    expect(page.get_by_label("On the days of the month")).to_be_visible()
    page.get_by_label("How often").select_option(label="on some days of the week")
    page.get_by_label("Wednesday").check()
    expect(page.locator("#receipt")).to_contain_text("At 05:00 on Sunday and Wednesday")
    visit.check()
    page.locator("#send").click()
    expect(page.get_by_role("heading", name="Weekly")).to_be_visible()
    page.get_by_text("Change when").click()
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        visit.check()
    page.get_by_role("button", name="Change what is sent").click()
    page.get_by_label("Subject").fill("Each week")
    expect(page.locator("#send")).to_have_text("Save")
    visit.check()
    page.locator("#send").click()
    expect(page.locator("main")).to_contain_text("Each week")
    for path in (f"/workflows/{workflow.id}/schedules", f"/workflows/{workflow.id}/schedules?add=1", "/calendar"):
        visit.go(path)
        for size in (PHONE, DESKTOP):
            page.set_viewport_size(size)
            visit.check()
    page.get_by_role("link", name="after").click()
    expect(page.get_by_role("link", name=re.compile("05:00 Weekly")).first).to_be_visible()
