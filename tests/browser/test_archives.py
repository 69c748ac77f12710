"""Links and files in a browser: a message is opened to learners, and becomes a ZIP with a page for each."""

from __future__ import annotations

import re
import zipfile

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.factories import make_action, make_table

ROWS = [["s1", "s1@uni.example", "Ada"], ["s2", "s2@uni.example", "Bo"], ["s3", "s3@uni.example", "C/y"]]


@pytest.fixture
def message(visit: Visit) -> str:
    """The path of a message for a class of three."""
    with visit.course() as (session, workflow):
        columns = make_table(session, workflow, {"sid": "text", "email": "text", "name": "text"}, ROWS)
        action = make_action(session, workflow, f"<p>Well done, {{{{ @c{columns['name']} }}}}.</p>", "Midterm")
    return f"/workflows/{workflow.id}/actions/{action.id}"


def test_names_are_looked_at_and_the_files_downloaded(visit: Visit, message: str) -> None:
    page = visit.page
    visit.go(f"{message}/zip")
    expect(page.locator("#names")).to_contain_text("s3_C-y_feedback.html")
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        visit.check()
    page.get_by_label("Then the value of").select_option("")
    expect(page.locator("#names")).to_contain_text("3 files, such as s1_feedback.html")
    page.get_by_label("Find a learner").fill("Bo")
    page.get_by_label("Bo").check()
    expect(page.locator("#names")).to_contain_text("2 files")
    page.get_by_label("A PDF beside each page").check()
    visit.check()
    page.get_by_role("button", name="Make the files").click()
    link = page.get_by_role("link", name=re.compile("^Download “OnTask_zip_"))
    expect(link).to_be_visible()
    page.set_viewport_size(PHONE)
    visit.check()
    with page.expect_download() as download:
        link.click()
    with zipfile.ZipFile(download.value.path()) as archive:
        names = ["s1_feedback.html", "s1_feedback.pdf", "s3_feedback.html", "s3_feedback.pdf"]
        assert archive.namelist() == names
        assert b"Well done, C/y." in archive.read("s3_feedback.html")


def test_a_link_is_switched_on_and_seen_as_a_learner_sees_it(visit: Visit, message: str) -> None:
    page = visit.page
    visit.go(f"{message}/link")
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        visit.check()
    page.get_by_label("The link works").check()
    page.get_by_label("Learners are known by their address in").select_option(label="email")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Address", exact=True)).to_have_value(re.compile(r"/a/\S{20,}$"))
    visit.check()
    page.set_viewport_size(PHONE)
    page.get_by_role("link", name="See it as a learner does").click()
    expect(page.frame_locator("iframe").get_by_text("Well done, Ada.")).to_be_visible()
    visit.check()
