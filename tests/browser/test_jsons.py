"""JSON for other systems in a real browser: written, checked, sent to nowhere yet, on a phone too."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.factories import make_action, make_table


@pytest.fixture
def feed(visit: Visit) -> Visit:
    """The page of personal JSON for three learners."""
    with visit.course() as (session, workflow):
        rows = [(f"s{n}", f"Name {n}", n * 30) for n in range(1, 4)]
        make_table(session, workflow, {"key": "text", "name": "text", "quiz": "integer"}, rows)
        action_id = make_action(session, workflow, "", "Marks", "personalised_json").id
    visit.go(f"/workflows/{workflow.id}/actions/{action_id}")
    return visit


def test_json_is_written_with_the_menus_checked_and_ready_to_send_on_a_phone(feed: Visit) -> None:
    page = feed.page
    page.set_viewport_size({"width": 360, "height": 800})
    field = page.get_by_label("The JSON")
    field.fill('{"quiz": ')
    page.get_by_label("Insert a column").select_option("quiz")
    expect(page.locator("#save-state")).to_have_text("Draft: can’t be sent")
    expect(page.locator("#text-problems")).to_contain_text("Name 1: Line 1, column")
    field.press_sequentially("}")
    expect(page.locator("#save-state")).to_have_text("Saved")
    expect(page.frame_locator("#mail").locator("pre")).to_contain_text('"quiz": 30')
    feed.check()
    page.get_by_label("Address").fill("https://system.example/marks")
    page.get_by_label("Token").fill("s3cret")
    page.locator("#target-form").get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Type another to replace it")).to_be_visible()
    page.get_by_role("link", name="Send…").click()
    expect(page.get_by_role("heading", name="3 objects")).to_be_visible()
    page.get_by_label("Look at who gets it").check()
    expect(page.get_by_role("button", name="Next: who is left out")).to_be_visible()
    feed.check()
