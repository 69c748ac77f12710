"""The grid of a rubric by keyboard, and the page of a report with its sending, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from chalicelib import clock
from chalicelib.actions.rubrics.models import Criterion
from chalicelib.tables.models import Column, View
from tests.browser.conftest import PHONE, Visit
from tests.factories import make_action, make_table

KINDS = {"key": "text", "name": "text", "Structure": "text", "Sources": "text", "mark": "integer"}
ROWS = [("s1", "Ada", "good", "weak", 40), ("s2", "Bo", "great", "good", 80)]


@pytest.fixture
def pages(visit: Visit) -> tuple[str, str]:
    """A class with a rubric of two criteria and with a report; return the paths of both."""
    with visit.course() as (session, workflow):
        ids = make_table(session, workflow, KINDS, ROWS)
        rubric = make_action(session, workflow, "<p>Dear reader</p>", "Essay", "rubric_text")
        for position, name in enumerate(("Structure", "Sources"), 1):
            session.get_one(Column, ids[name]).allowed_values = ["good", "weak"]
            session.add(Criterion(action_id=rubric.id, column_id=ids[name], position=position, created_at=clock.now()))
        report = make_action(session, workflow, "", "Marks", "email_report")
        session.add(
            View(
                workflow_id=workflow.id, name="Everybody", columns=[ids["key"], ids["mark"]], sort=[],
                created_at=clock.now(), updated_at=clock.now(),
            )
        )  # fmt: skip
        paths = tuple(f"/workflows/{workflow.id}/actions/{one.id}" for one in (rubric, report))
    return paths[0], paths[1]


def test_the_grid_of_a_rubric_is_filled_by_keyboard(visit: Visit, pages: tuple[str, str]) -> None:
    page = visit.page
    visit.go(pages[0])
    expect(page.locator("#rubric-notes")).to_contain_text("s2 “great”")
    visit.check()
    page.get_by_role("link", name="Write “Structure”, good").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="Write “Sources”, good")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    text = page.get_by_role("textbox", name="What learners on this level read")
    text.focus()
    page.keyboard.type("Cite more, {na")
    page.keyboard.press("Enter")
    page.keyboard.type(".")
    visit.check()
    page.get_by_role("button", name="Save", exact=True).focus()
    page.keyboard.press("Enter")
    cell = page.get_by_role("link", name="Edit “Sources”, weak")
    expect(cell).to_be_focused()
    page.get_by_role("button", name="Insert the feedback of the rubric").click()
    expect(page.locator("#save-state")).to_have_text("Saved")
    expect(page.frame_locator("#mail").locator("li")).to_have_text("Sources: Cite more, Ada.")
    page.set_viewport_size(PHONE)
    visit.check()


def test_the_levels_of_a_rubric_are_changed_after_a_look(visit: Visit, pages: tuple[str, str]) -> None:
    page = visit.page
    visit.go(pages[0])
    page.get_by_role("link", name="Change the levels").click()
    page.get_by_role("textbox", name="good").fill("very good")
    page.get_by_role("textbox", name="weak").fill("")
    page.locator("#panel").get_by_role("button", name="Change the levels").click()
    expect(page.locator(".levels-plan")).to_contain_text("1 value “weak” in “Sources” is taken out")
    visit.check()
    page.get_by_label("I have looked at that").check()
    page.locator("#panel").get_by_role("button", name="Change the levels").click()
    expect(page.locator(".rubric thead")).to_contain_text("very good")
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.locator(".rubric thead")).to_contain_text("weak")


def test_a_report_gets_its_table_and_file_and_is_sent(visit: Visit, pages: tuple[str, str]) -> None:
    page = visit.page
    visit.go(pages[1])
    page.locator(".message-text").click()
    page.keyboard.type("The marks:")
    page.get_by_role("button", name="Insert a table of learners").click()
    for name in ("mark", "name"):
        page.get_by_label("Add a column").select_option(name)
    page.get_by_role("button", name="Move “name” up").click()
    page.get_by_label("Sorted by").select_option("mark")
    page.get_by_label("Direction").select_option("highest first")
    visit.check()
    page.get_by_role("button", name="Insert", exact=True).click()
    expect(page.locator("#save-state")).to_have_text("Saved")
    expect(page.frame_locator("#mail").locator("tbody tr").first).to_have_text(re.compile(r"Bo\s*80"))
    page.get_by_role("button", name="Attach").click()
    expect(page.locator(".files")).to_contain_text("Everybody")
    visit.check()
    page.set_viewport_size(PHONE)
    visit.check()
    page.get_by_role("link", name="Send…").click()
    page.get_by_label("To", exact=True).fill("dean@uni.example, nobody")
    expect(page.locator("#p-to")).to_have_text("Not an e-mail address: nobody")
    page.get_by_label("To", exact=True).fill("dean@uni.example, vice@uni.example")
    page.get_by_label("Subject").fill("Marks")
    expect(page.locator("#p-to")).to_have_text("")
    expect(page.locator(".receipt-total")).to_have_text("One mail to 2 recipients, about 2 learners")
    visit.check()
    page.get_by_role("button", name="Send the report").click()
    page.wait_for_url(re.compile("/runs/"))
    expect(page.locator("#learners")).to_contain_text("Delivered", timeout=20_000)
    visit.check()
    assert ["dean@uni.example", "vice@uni.example"] in visit.product.mails()
