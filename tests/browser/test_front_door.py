"""Signing in, the list of workflows, the pages around them: in a real browser."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import DESKTOP, PASSWORD, PHONE, Visit


def test_a_new_instructor_comes_in_by_the_link_and_makes_a_workflow(visit: Visit) -> None:
    zone = visit.page.context.new_cdp_session(visit.page)
    zone.send("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Tokyo"})
    visit.sign_in("new@uni.example")
    visit.check()
    visit.page.fill("input[name=name]", "Biology 101")
    visit.page.get_by_role("button", name="Create the workflow").click()
    visit.page.wait_for_url(re.compile(r"/workflows/\d+$"))
    assert visit.page.get_by_role("heading", level=1).inner_text() == "Biology 101"
    visit.check()
    visit.page.get_by_role("button", name="Sign out").click()
    visit.page.fill("input[name=email]", "new@uni.example")
    visit.page.fill("input[name=password]", PASSWORD)
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url(re.compile("/workflows"))
    assert visit.page.get_by_role("link", name="Biology 101").is_visible()
    visit.go("/me")
    assert visit.page.get_by_label("Time zone").input_value() == "Asia/Tokyo"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_pages_outside_workflows_fit_and_are_accessible(visit: Visit, size: dict[str, int]) -> None:
    visit.page.set_viewport_size(size)
    visit.go("/sign-in")
    visit.check()
    visit.sign_in(f"pages{size['width']}@uni.example")
    for path in ("/workflows", "/trash", "/help", "/me"):
        visit.go(path)
        visit.check()
    visit.page.get_by_role("textbox", name="Name of the program").fill("Nightly upload")
    visit.page.get_by_role("button", name="Make a token").click()
    visit.page.get_by_text("it is not shown again").wait_for()
    visit.check()


def test_a_deleted_workflow_comes_back_by_the_undo_button(visit: Visit) -> None:
    visit.sign_in("undo@uni.example")
    visit.page.fill("input[name=name]", "Chemistry")
    visit.page.get_by_role("button", name="Create the workflow").click()
    visit.page.get_by_role("link", name="Settings").click()
    visit.page.get_by_role("button", name="Delete this workflow").click()
    visit.page.get_by_role("button", name="Undo").click()
    visit.page.wait_for_url(re.compile(r"/workflows/\d+$"))
    assert "is back" in visit.page.get_by_role("status").inner_text()


def test_keys_lead_through_a_workflow(visit: Visit) -> None:
    visit.sign_in("keys@uni.example")
    visit.page.fill("input[name=name]", "Physics")
    visit.page.get_by_role("button", name="Create the workflow").click()
    visit.page.wait_for_url(re.compile(r"/workflows/\d+$"))
    visit.page.keyboard.press("?")
    assert visit.page.get_by_role("dialog").is_visible()
    visit.page.keyboard.press("Escape")
    visit.page.keyboard.press("g")
    visit.page.keyboard.press("s")
    visit.page.wait_for_url(re.compile("/settings"))
