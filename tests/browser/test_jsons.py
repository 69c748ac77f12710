"""JSON for other systems in a real browser: written, checked, sent to nowhere yet, on a phone too."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy.orm import Session

from chalicelib import database
from chalicelib.workflows.models import Workflow
from local import postgres
from tests.browser.conftest import Visit
from tests.factories import make_action, make_table


@pytest.fixture
def feed(visit: Visit) -> Visit:
    """The page of personal JSON for three learners."""
    visit.sign_in("feed@uni.example")
    visit.page.fill("input[name=name]", "Biology 101")
    visit.page.get_by_role("button", name="Create the workflow").click()
    visit.page.wait_for_url(re.compile(r"/workflows/\d+$"))
    workflow_id = int(visit.page.url.rpartition("/")[2])
    engine = database.make(f"{postgres.start(visit.product.data / 'postgres', durable=True)}/ontask", local=True)
    with Session(engine) as session:
        workflow = session.get_one(Workflow, workflow_id)
        rows = [(f"s{n}", f"Name {n}", n * 30) for n in range(1, 4)]
        make_table(session, workflow, {"key": "text", "name": "text", "quiz": "integer"}, rows)
        action_id = make_action(session, workflow, "", "Marks", "personalised_json").id
        session.commit()
    engine.dispose()
    visit.go(f"/workflows/{workflow_id}/actions/{action_id}")
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
    page.get_by_text("Leave learners out").click()
    feed.check()
