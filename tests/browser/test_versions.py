"""Versions and drafts of a text in a real browser."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import PHONE, Visit
from tests.browser.test_message_page import message, saved, write

__all__ = ["message"]


def test_a_text_with_mistakes_survives_a_reload_and_is_repaired(message: Visit) -> None:
    page = message.page
    write(page, " {{ nme }} and words")
    expect(page.locator("#save-state")).to_have_text("Not saved: see below the text")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.locator("#draft")).to_contain_text("This is your draft")
    expect(page.locator(".message-text")).to_contain_text("and words")
    page.get_by_role("button", name="Use “name”").click()
    saved(page)
    expect(page.locator("#draft")).to_have_count(0)
    page.reload()
    expect(page.locator(".message-text")).to_contain_text("and words")
    message.check()


def test_what_never_reached_the_server_comes_back_in_the_tab(message: Visit, context: BrowserContext) -> None:
    page = message.page
    context.route("**/text", lambda route: route.abort())
    write(page, " offline")
    expect(page.locator("#save-state")).to_contain_text("no connection")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    context.unroute("**/text")
    expect(page.locator(".message-text")).to_contain_text("offline")
    expect(page.locator("#text-notes")).to_contain_text("is back")
    saved(page)
    message.problems[:] = [one for one in message.problems if "net::ERR_FAILED" not in one]


def test_a_draft_is_dropped(message: Visit) -> None:
    page = message.page
    write(page, " {{ nme }}")
    expect(page.locator("#save-state")).to_have_text("Not saved: see below the text")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.get_by_role("button", name="Drop the draft").click()
    expect(page.locator(".flash")).to_contain_text("Your draft is gone")
    expect(page.locator(".message-text")).not_to_contain_text("nme")


def test_versions_are_compared_and_brought_back(message: Visit) -> None:
    page = message.page
    write(page, " and friends")
    saved(page)
    page.get_by_role("link", name="Earlier versions").click()
    expect(page.locator(".comparison ins")).to_contain_text("and friends")
    message.check()
    page.set_viewport_size(PHONE)
    message.check()
    page.get_by_role("link", name="As it came").click()
    page.get_by_role("button", name="Bring this version back").click()
    expect(page.locator(".message-text")).not_to_contain_text("friends")
    page.locator(".flash").get_by_role("button", name="Undo").click()
    expect(page.locator(".message-text")).to_contain_text("and friends")
