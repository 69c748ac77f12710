"""Working with others in a real browser: share, attributes in a text, learners with access, a copy, an empty table."""

from __future__ import annotations

from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.conftest import make_user
from tests.factories import make_action, make_table

ROWS = [[f"s{number}", f"s{number}@uni.example"] for number in range(1, 6)]


@pytest.fixture
def course(visit: Visit) -> Visit:
    """The overview of a workflow with five learners and an empty message."""
    with visit.course() as (session, workflow):
        make_table(session, workflow, {"sid": "text", "email": "text"}, ROWS)
        make_action(session, workflow, "")
    visit.go(f"/workflows/{workflow.id}")
    return visit


def test_a_colleague_is_let_in_gets_another_role_and_goes(course: Visit) -> None:
    page, here = course.page, course.page.url
    olaf = f"olaf-{uuid4().hex}@uni.example"
    with course.product.database() as session:
        make_user(session, olaf)
    course.go(here + "/people")
    course.check()
    page.get_by_label("E-mail address").fill("nobody@uni.example")
    page.get_by_role("button", name="Share", exact=True).click()
    expect(page.get_by_text("There is no account with the address nobody@uni.example")).to_be_visible()
    course.check()
    page.get_by_label("E-mail address").fill(olaf)
    page.get_by_label("Viewer").check()
    page.get_by_role("button", name="Share", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("can open this workflow now")
    page.get_by_label(f"Role of {olaf}").select_option("sender")
    page.get_by_role("button", name=f"Save the role of {olaf}").click()
    expect(page.get_by_label(f"Role of {olaf}")).to_have_value("sender")
    page.set_viewport_size(PHONE)
    page.get_by_text("Hand the workflow over").click()
    course.check()
    page.get_by_role("button", name=f"Remove {olaf}").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label(f"Role of {olaf}")).to_have_value("sender")
    course.go("/workflows")
    page.get_by_role("button", name="Star Biology 101").click()
    expect(page.get_by_role("button", name="Star Biology 101")).to_have_attribute("aria-pressed", "true")
    course.check()


def test_an_attribute_is_offered_by_the_editor_and_shown_to_everybody(course: Visit) -> None:
    page, here = course.page, course.page.url
    course.go(here + "/attributes")
    page.get_by_label("Name").fill("Course name")
    page.get_by_label("Value").fill("Biology for beginners")
    page.get_by_role("button", name="Add").click()
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        course.check()
    page.set_viewport_size(DESKTOP)
    course.go(here + "/actions")
    page.get_by_role("link", name="Reminder").first.click()
    page.get_by_role("button", name="Insert a value").click()
    page.get_by_role("menuitem", name="Course name").click()
    expect(page.frame_locator("iframe").get_by_text("Biology for beginners")).to_be_visible()
    course.go(here + "/attributes")
    page.get_by_role("button", name="Delete Course name").click()
    expect(page.get_by_role("alert")).to_contain_text("is used in the text of the message “Reminder”")
    course.check()


def test_learners_get_access_and_a_copy_is_made(course: Visit) -> None:
    page, here = course.page, course.page.url
    for path in ("/learners", "/clone", "/flush", "/settings"):
        for size in (DESKTOP, PHONE):
            page.set_viewport_size(size)
            course.go(here + path)
            course.check()
    page.set_viewport_size(DESKTOP)
    course.go(here + "/learners")
    page.get_by_label("Column with their addresses").select_option("sid")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("5 addresses in this column are not usable")).to_be_visible()
    course.check()
    course.go(here + "/clone")
    page.get_by_role("button", name="Make the copy").click()
    expect(page.get_by_role("heading", name="Copy of Biology 101")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("5", exact=True).first).to_be_visible()
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("link", name="Empty this workflow").click()
    page.get_by_label("Table and messages").check()
    page.get_by_role("button", name="Empty it").click()
    expect(page.get_by_role("link", name="Add your learners")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("s5@uni.example").first).to_be_visible()
