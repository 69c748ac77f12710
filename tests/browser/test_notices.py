"""The page on which an administrator writes the mail about ended sendings."""

from __future__ import annotations

from playwright.sync_api import expect
from sqlalchemy import update

from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role
from tests.browser.conftest import DESKTOP, PHONE, Visit


def test_an_administrator_writes_the_mail_about_ended_sendings(visit: Visit) -> None:
    user = visit.enter()
    with visit.product.database() as session:
        session.execute(update(User).where(User.id == user.id).values(role=Role.ADMIN))
    page = visit.page
    visit.go("/me")
    page.get_by_role("link", name="Mail about ended sendings").click()
    expect(page.frame_locator("iframe").get_by_text("Messages: 240")).to_be_visible()
    visit.check()
    page.get_by_label("Text, as HTML").fill("<p>{{ massages }} sent</p>")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#h-text")).to_contain_text("massages")
    expect(page.get_by_label("Text, as HTML")).to_have_value("<p>{{ massages }} sent</p>")
    page.set_viewport_size(PHONE)
    visit.check()
    page.set_viewport_size(DESKTOP)
    page.get_by_label("Text, as HTML").fill("<p>{{ messages }} sent</p>")
    page.get_by_role("button", name="Save").click()
    expect(page.frame_locator("iframe").get_by_text("240 sent")).to_be_visible()
    page.get_by_role("button", name="Back to the original words").click()
    expect(page.frame_locator("iframe").get_by_text("Messages: 240")).to_be_visible()
