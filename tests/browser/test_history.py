"""The history of the data in a real browser: look at an earlier table, restore it, and take that back."""

from __future__ import annotations

import re

from playwright.sync_api import expect
from sqlalchemy.orm import Session

from chalicelib import database
from chalicelib.workflows.models import Workflow
from local import postgres
from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.factories import make_table


def test_an_emptied_table_comes_back_and_goes_again(visit: Visit) -> None:
    visit.sign_in("history@uni.example")
    page = visit.page
    page.fill("input[name=name]", "Biology 101")
    page.get_by_role("button", name="Create the workflow").click()
    page.wait_for_url(re.compile(r"/workflows/\d+$"))
    workflow_id = int(page.url.rpartition("/")[2])
    visit.go(f"/workflows/{workflow_id}/history")
    expect(page.get_by_role("heading", name="Nothing has happened yet")).to_be_visible()
    visit.check()
    engine = database.make(f"{postgres.start(visit.product.data / 'postgres', durable=True)}/ontask", local=True)
    with Session(engine) as session:
        workflow = session.get_one(Workflow, workflow_id)
        make_table(session, workflow, {"sid": "text", "name": "text", "quiz": "integer"}, [("s1", "Ann", 5)])
        session.commit()
    engine.dispose()
    visit.go(f"/workflows/{workflow_id}/flush")
    page.get_by_role("button", name="Empty it").click()
    visit.go(f"/workflows/{workflow_id}/history")
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
    visit.go(f"/workflows/{workflow_id}/history")
    expect(page.locator(".history > li")).to_have_count(3)
