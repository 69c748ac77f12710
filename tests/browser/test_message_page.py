"""The page of a message in a real browser: saving, two people at once, conditions beside the text."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from chalicelib.accounts.models import User
from chalicelib.actions.models import Action
from tests.browser.conftest import DESKTOP, PASSWORD, PHONE, Visit
from tests.factories import make_action, make_condition, make_table

MESSAGE = "<p>Dear {{{{ @c{name} }}}}</p>{{% if @k{low} %}}<p>Read chapter 3.</p>{{% endif %}}"


@pytest.fixture
def message(visit: Visit) -> Visit:
    """The page of a message with one condition, for three learners."""
    return open_message(visit)


def open_message(visit: Visit, user: User | None = None) -> Visit:
    """Make the message in a workflow of this user, or of a new one, and open its page."""
    with visit.course(user) as (session, workflow):
        rows = [(f"s{n}", f"s{n}@uni.example", f"Name {n}", n * 30) for n in range(1, 4)]
        kinds = {"key": "text", "email": "text", "name": "text", "quiz": "integer"}
        ids = make_table(session, workflow, kinds, rows)
        action = make_action(session, workflow)
        low = make_condition(
            session, action, "low quiz", {"all": [{"column": ids["quiz"], "op": "less", "value": "50"}]}
        )
        session.get_one(Action, action.id).text = MESSAGE.format(name=ids["name"], low=low.id)
        action_id = action.id
    visit.go(f"/workflows/{workflow.id}/actions/{action_id}")
    return visit


def write(page: Page, words: str) -> None:
    """Type at the end of the first paragraph."""
    page.locator(".message-text p").first.click()
    page.keyboard.press("End")
    page.keyboard.type(words, delay=5)


def saved(page: Page) -> None:
    expect(page.locator("#save-state")).to_have_text("Saved")


def test_what_two_people_write_at_once_is_not_lost(message: Visit, context: BrowserContext) -> None:
    mine, theirs = message.page, context.new_page()
    theirs.goto(mine.url)
    write(theirs, " of mine")
    saved(theirs)
    write(mine, " and all")
    expect(mine.locator("#save-state")).to_have_text("Not saved: changed elsewhere")
    expect(mine.locator("#text-problems pre")).to_contain_text("of mine")
    message.check()
    mine.get_by_role("button", name="Take the other").click()
    expect(mine.locator(".message-text")).to_contain_text("of mine")
    mine.get_by_text("What you had written").first.click()
    expect(mine.get_by_label("What you had written")).to_have_value(re.compile("and all"))
    write(mine, " too")
    saved(mine)
    write(theirs, " again")
    expect(theirs.locator("#save-state")).to_have_text("Not saved: changed elsewhere")
    theirs.get_by_role("button", name="Keep mine").click()
    saved(theirs)
    mine.reload()
    expect(mine.locator(".message-text")).to_contain_text("of mine again")


def test_who_was_signed_out_signs_in_beside_and_loses_nothing(visit: Visit, context: BrowserContext) -> None:
    user = visit.enter(PASSWORD)
    message = open_message(visit, user)
    page, other = message.page, context.new_page()
    other.goto(message.product.url + "/workflows")
    other.get_by_role("button", name="Sign out").click()
    write(page, ", hello")
    expect(page.locator("#save-state")).to_have_text("Not saved: you are signed out")
    message.check()
    with context.expect_page() as opened:
        page.get_by_role("link", name="Sign in in another tab").click()
    opened.value.fill("input[name=email]", user.email)
    opened.value.fill("input[name=password]", PASSWORD)
    opened.value.keyboard.press("Enter")
    opened.value.wait_for_url(re.compile("/workflows"))
    expect(page.locator("#save-state")).to_have_text("Saved", timeout=15_000)
    page.reload()
    expect(page.locator(".message-text")).to_contain_text(", hello")


def test_a_link_waits_until_the_text_is_stored(message: Visit) -> None:
    page = message.page
    write(page, ", written a moment ago")
    page.get_by_role("link", name="Send…").click()
    expect(page.locator("#receipt summary").first).to_be_visible()
    page.get_by_role("link", name="Back to the text").click()
    expect(page.locator(".message-text")).to_contain_text(", written a moment ago")


def test_a_condition_is_renamed_copied_refused_and_deleted(message: Visit) -> None:
    page = message.page
    page.get_by_role("button", name="if low quiz: change this condition").click()
    page.get_by_role("menuitem", name="Change the rules of “low quiz”").click()
    expect(page.locator("#count")).to_contain_text("1 of 3 learners")
    page.get_by_label("Name", exact=True).fill("weak and tired")
    page.locator("#panel").get_by_role("button", name="Save").click()
    expect(page.locator(".message-text").get_by_role("group", name='if "weak and tired"')).to_be_visible()
    page.get_by_role("link", name="weak and tired", exact=True).click()
    page.locator("#panel").get_by_role("button", name="Delete").click()
    expect(page.locator("#panel").get_by_role("alert").first).to_contain_text("still uses “weak and tired”")
    message.check()
    page.locator("#panel").get_by_role("button", name="Copy").click()
    expect(page.get_by_role("heading", name="Condition “Copy of weak and tired”")).to_be_visible()
    page.locator("#panel").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="Copy of weak and tired", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_role("link", name="Copy of weak and tired", exact=True)).to_be_visible()


def test_one_learners_version_is_sent_to_oneself(message: Visit) -> None:
    page = message.page
    before = len(message.product.mails())
    write(page, ", dear")
    page.get_by_role("link", name="Next learner").click()
    expect(page.get_by_role("heading", name="As Name 2 sees it")).to_be_visible()
    page.get_by_role("button", name="Send this one to me").click()
    expect(page.get_by_role("status").first).to_contain_text("as Name 2 would get it")
    for _ in range(100):
        if len(message.product.mails()) > before:
            break
        page.wait_for_timeout(100)
    assert len(message.product.mails()) == before + 1


def test_a_lost_answer_is_no_conflict_with_oneself(message: Visit, context: BrowserContext) -> None:
    page = message.page
    lost: list[str] = []

    def lose_the_first(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.request.post_data or "")
        route.fetch()  # it arrives, but nobody hears of it
        route.abort()

    context.route("**/text", lose_the_first)
    write(page, ", first")
    expect(page.locator("#save-state")).to_have_text("Not saved: no connection; trying again")
    write(page, " and second")
    expect(page.locator("#save-state")).to_have_text("Saved", timeout=15_000)
    page.reload()
    expect(page.locator(".message-text")).to_contain_text(", first and second")
    message.problems.clear()  # the browser itself reports the lost connection


def test_the_figures_of_a_column_open_over_the_page(message: Visit) -> None:
    page = message.page
    page.get_by_text("Statistics of columns").click()
    link = page.locator(".statistics-menu").get_by_role("link", name="quiz")
    link.click()
    dialog = page.get_by_role("dialog", name="quiz")
    expect(dialog.locator("svg").first).to_be_visible()
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        message.check()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(link).to_be_focused()
