"""Adding data in a real browser: the wizard to the end, the review of a merge, phones."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Visit

CLASS = "SID;Name;Mark;At\n00123;Müller, Jan;7,5;03/04/2026\n00124;Ana;8,25;05/06/2026\n00125;Ben;;\n"
MARKS = "student,Mark,Group\n00124,9.5,A\n00126,6,B\n"


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_a_class_and_its_marks_come_in_through_the_wizard(visit: Visit, size: dict[str, int]) -> None:
    page = visit.page
    page.set_viewport_size(size)
    with visit.course() as (_, workflow):
        pass
    visit.go(f"/workflows/{workflow.id}/upload")
    visit.check()

    page.set_input_files("#f-file", {"name": "class.csv", "mimeType": "text/csv", "buffer": CLASS.encode()})
    page.wait_for_url(re.compile(r"/look$"))
    visit.check()
    page.get_by_role("heading", name="Read the file differently").click()
    page.get_by_label("Numbers are written").select_option(",")
    page.get_by_label("Dates such as 03/04/2026 have first the").select_option("day")
    visit.check()
    page.get_by_role("button", name="Read again").click()
    page.wait_for_url(re.compile(r"/look$"))
    expect(page.get_by_label("Read “Mark” as")).to_have_value("double_comma")
    expect(page.get_by_label("Read “At” as")).to_have_value("datetime_day")
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Add 3 learners").click()
    expect(page.get_by_role("heading", name="is in the table")).to_be_visible()

    page.get_by_role("link", name="Add more data").click()
    page.set_input_files("#f-file", {"name": "marks.csv", "mimeType": "text/csv", "buffer": MARKS.encode()})
    page.wait_for_url(re.compile(r"/look$"))
    page.get_by_role("button", name="Next").click()
    page.wait_for_url(re.compile(r"/match$"))
    page.get_by_label("Column of the file", exact=True).select_option("student")
    page.get_by_text("One column is not enough").click()
    page.get_by_label("What wins in “Mark”").select_option("erase")
    visit.check()
    page.get_by_role("button", name="See what changes").click()
    page.wait_for_url(re.compile(r"/check$"))
    expect(page.get_by_text("8.25")).to_be_visible()
    visit.check()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download every change").click()
    assert "00124,changed,Mark,8.25,9.5" in saved.value.path().read_text(encoding="utf-8-sig")
    page.get_by_role("button", name="Change the table").click()
    expect(page.get_by_text("1 new learner, 1 cell changed, 1 new column")).to_be_visible()
    visit.check()
