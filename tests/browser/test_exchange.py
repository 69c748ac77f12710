"""Export and import in a real browser: a file of OnTask becomes a workflow, and goes out again."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.conftest import real_file


def test_a_course_of_ontask_comes_in_and_goes_out(visit: Visit) -> None:
    page = visit.page
    visit.enter()
    visit.go("/workflows")
    page.get_by_role("link", name="Import a workflow").click()
    expect(page.get_by_role("heading", name="Import a workflow")).to_be_visible()
    visit.check()
    page.get_by_label("Choose a file").set_input_files(real_file("ontask_exports/initial_workflow.gz"))
    expect(page.get_by_role("heading", name="What will come")).to_be_visible()
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        visit.check()
    page.get_by_label("Name of the workflow").fill("Cell biology")
    page.get_by_role("button", name="Create the workflow").click()
    expect(page.get_by_role("heading", name="“Cell biology” is here")).to_be_visible()
    visit.check()
    page.get_by_role("link", name="Open the workflow").click()
    page.wait_for_url(re.compile(r"/workflows/\d+$"))
    visit.go(f"{page.url}/export")
    visit.check()
    page.set_viewport_size(PHONE)
    visit.check()
    page.get_by_role("button", name="Write the file").click()
    link = page.get_by_role("link", name=re.compile("^Download “Cell biology"))
    expect(link).to_be_visible()
    visit.check()
    with page.expect_download() as download:
        link.click()
    assert re.fullmatch(r"Cell biology \d{4}-\d\d-\d\d \d\d\.\d\d\.zip", download.value.suggested_filename)
