"""The list of messages, the map of one, and what can be done with conditions, in a real browser."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import PHONE, Visit
from tests.browser.test_message_page import message, saved, write

__all__ = ["message"]

#: A picture of one by one pixel.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def both_sizes(visit: Visit) -> None:
    visit.check()
    visit.page.set_viewport_size(PHONE)
    visit.check()
    visit.page.set_viewport_size({"width": 1280, "height": 800})


def test_the_list_is_searched_laid_out_and_emptied(message: Visit) -> None:
    page = message.page
    page.get_by_role("navigation", name="Biology 101").get_by_role("link", name="Messages").click()
    both_sizes(message)
    page.get_by_role("link", name="Table", exact=True).last.click()
    expect(page.locator(".action-table")).to_be_visible()
    both_sizes(message)
    page.get_by_role("button", name="More for Reminder").click()
    page.locator(".menu:popover-open").get_by_role("button", name="Delete").click()
    expect(page.locator(".flash")).to_contain_text("is deleted")
    page.get_by_role("link", name="Deleted messages and forms").click()
    both_sizes(message)
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Reminder")


def test_the_map_leads_to_the_rows_and_back(message: Visit) -> None:
    page = message.page
    page.get_by_role("link", name="Who gets what").click()
    expect(page.locator(".parts")).to_contain_text("if low quiz")
    both_sizes(message)
    page.get_by_role("link", name="Reminder").first.click()
    page.locator(".conditions a.num").click()
    expect(page.locator(".filter")).to_contain_text("for whom “low quiz” holds")
    expect(page.get_by_text("s1@uni.example")).to_be_visible()
    expect(page.get_by_text("s3@uni.example")).to_have_count(0)
    message.check()


def test_a_condition_goes_with_its_words_and_comes_back(message: Visit) -> None:
    page = message.page
    page.locator(".conditions").get_by_role("link", name="low quiz", exact=True).click()
    page.locator("#panel").get_by_role("button", name="Delete").click()
    expect(page.locator("#panel")).to_contain_text("What shall become of these words?")
    both_sizes(message)
    page.get_by_role("button", name="Keep the words, for everybody").click()
    expect(page.locator(".flash")).to_contain_text("is deleted")
    expect(page.locator(".message-text")).to_contain_text("Read chapter 3.")
    expect(page.locator(".cond")).to_have_count(0)
    page.locator(".flash").get_by_role("button", name="Undo").click()
    expect(page.locator(".cond")).to_have_count(1)


def test_the_preview_is_as_wide_as_a_phone(message: Visit) -> None:
    page = message.page
    page.get_by_role("button", name="As on a phone").click()
    expect(page.locator("#mail")).to_have_css("width", "360px")
    write(page, " and more")
    saved(page)
    expect(page.get_by_role("button", name="As on a phone")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="As on a phone").click()
    expect(page.locator("#mail")).not_to_have_css("width", re.compile("^360px$"))


def test_a_picture_goes_into_the_text(message: Visit, tmp_path: Path) -> None:
    page = message.page
    picture = tmp_path / "plan.png"
    picture.write_bytes(b64decode(PIXEL))
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Picture…").click()
    page.get_by_label("A file of yours").set_input_files(picture)
    message.check()
    page.get_by_role("button", name="Insert", exact=True).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_label("What it shows").fill("The plan of the room")
    page.get_by_role("button", name="Insert", exact=True).click()
    expect(page.locator("textarea.source")).to_have_value(re.compile(r'/images/[^"]+\.png" alt="The plan of the room"'))
    saved(page)
    expect(page.frame_locator("#mail").get_by_role("img", name="The plan of the room")).to_have_js_property(
        "complete", True
    )
    message.check()
