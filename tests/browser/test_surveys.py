"""Surveys in a browser: made, looked at as a learner, filled in like a spreadsheet by keyboard, and on a phone."""

from __future__ import annotations

import html
import re

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, Visit
from tests.factories import make_action, make_table

COLUMNS = {"sid": "text", "email": "text", "name": "text", "Came on Monday": "boolean", "mark": "integer"}


@pytest.fixture
def survey(visit: Visit) -> Visit:
    """The page of an empty survey in a class of twelve."""
    with visit.course() as (session, workflow):
        rows = [[f"s{n:02}", f"s{n:02}@forms.example", f"Learner {n}", None, None] for n in range(1, 13)]
        make_table(session, workflow, COLUMNS, rows)
        action = make_action(session, workflow, "", "How is it going?", "survey")
    visit.go(f"/workflows/{workflow.id}/actions/{action.id}")
    return visit


def add(visit: Visit, kind: str, words: str, **fields: str) -> None:
    """Add a question through the panel."""
    page = visit.page
    page.locator("#new-question").click()
    page.locator("#f-kind").select_option(kind)
    page.locator("#f-description").fill(words)
    for name, value in fields.items():
        page.locator(f"#f-{name}").fill(value)
    page.get_by_role("button", name="Add it").click()
    expect(page.locator("#questions")).to_contain_text(words)


def here(visit: Visit) -> str:
    return visit.page.url.partition("?")[0]


def test_a_survey_is_built_moved_by_keyboard_and_dragged(survey: Visit) -> None:
    page = survey.page
    survey.check()
    page.locator("#new-question").press("Enter")
    expect(page.get_by_role("heading", name="New question")).to_be_focused()
    expect(page.locator("#f-choices")).to_be_hidden()
    page.locator("#f-kind").select_option("choice")
    expect(page.locator("#f-choices")).to_be_visible()
    survey.check()
    page.locator("#f-description").fill("Which group?")
    page.locator("#f-choices").fill("red, blue")
    page.get_by_role("button", name="Add it").press("Enter")
    expect(page.locator("#questions")).to_contain_text("Which group?")
    add(survey, "scale", "How sure are you?", low_label="not at all")
    page.get_by_role("button", name="Move “How sure are you?” up").press("Enter")
    first = page.locator("#questions > li").first
    expect(first).to_contain_text("How sure are you?")
    page.locator("#questions > li").nth(1).drag_to(first, target_position={"x": 5, "y": 5})
    expect(page.locator("#questions > li").first).to_contain_text("Which group?")
    form = page.frame_locator("#mail")
    expect(form.get_by_text("1 = not at all")).to_be_visible()
    expect(form.get_by_role("radio", name="red")).to_be_disabled()
    page.get_by_role("link", name="Which group?").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator(".flash")).to_contain_text("Its column and all answers stay")
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.locator("#questions > li")).to_have_count(2)
    survey.check()


def test_attendance_is_taken_by_keyboard_alone(survey: Visit) -> None:
    page = survey.page
    page.locator("#existing-columns").click()
    for name in ("Came on Monday", "mark"):
        page.locator(".existing").get_by_label(re.compile(name)).check()
    page.get_by_role("button", name="Add them").click()
    expect(page.locator("#questions > li")).to_have_count(2)
    page.goto(here(survey) + "/answers?sheet=1")
    expect(page.get_by_label("Came on Monday, Learner 1", exact=True)).to_be_focused()
    for key in ("y", "Enter", "n", "ArrowDown", "y", "Tab"):
        page.keyboard.press(key)
    expect(page.get_by_label("mark, Learner 3", exact=True)).to_be_focused()
    page.keyboard.type("many")
    page.keyboard.press("Enter")
    expect(page.locator(".entry-wrong .problem")).to_have_text("Type a whole number.")
    page.keyboard.press("ArrowUp")
    page.keyboard.type("17")
    page.keyboard.press("Enter")
    expect(page.locator(".entry-wrong")).to_have_count(0)
    expect(page.locator("#sheet-state")).to_have_text("Saved.")
    survey.check()
    page.get_by_role("button", name="Yes where empty").press("Enter")
    expect(page.locator(".entry-saved select")).to_have_count(12)
    page.goto(here(survey))
    cells = page.locator("#answers-table tbody tr")
    expect(cells.nth(0)).to_contain_text("yes")
    expect(cells.nth(1)).to_contain_text("no")
    expect(cells.nth(2)).to_contain_text("17")
    expect(cells.nth(2)).to_contain_text("2 of 2")
    expect(cells.nth(3)).to_contain_text("yes")
    page.get_by_role("link", name="Results").click()
    expect(page.locator(".picture").first).to_be_visible()
    survey.check()


def test_answers_are_entered_on_a_phone(survey: Visit) -> None:
    page = survey.page
    add(survey, "yes_no", "Did you come?")
    add(survey, "choices", "What did you use?", choices="book\nvideos")
    add(survey, "long_text", "Anything else?")
    page.set_viewport_size(PHONE)
    survey.check()
    page.goto(here(survey) + "/answers/1")
    survey.check()
    page.get_by_label("no answer").focus()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("No", exact=True)).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.get_by_label("book")).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("It was fine.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#answers-table tbody tr").first).to_contain_text("It was fine.")
    expect(page.locator("#answers-table tbody tr").first).to_contain_text("3 of 3")
    survey.check()
    page.get_by_role("link", name="Only who has not answered").click()
    expect(page.locator("#answers-table tbody tr")).to_have_count(11)


def test_a_form_is_filled_in_on_a_phone_by_keyboard(survey: Visit) -> None:
    page = survey.page
    add(survey, "scale", "How sure are you?", low_label="not at all", high_label="very")
    add(survey, "page", "About the tutorial")
    add(survey, "yes_no", "Did you come?")
    add(survey, "long_text", "Anything else?")
    page.set_viewport_size(PHONE)
    page.get_by_role("link", name="Try it").click()
    survey.check()
    page.get_by_label("no answer").focus()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("5", exact=True)).to_be_checked()
    expect(page.locator("#form-state")).to_have_text("Kept on this site, not sent yet.")
    page.reload()
    expect(page.get_by_label("5", exact=True)).to_be_checked()
    page.get_by_role("button", name="Next").press("Enter")
    expect(page.get_by_text("Page 2 of 2")).to_be_visible()
    page.get_by_label("Anything else?").focus()
    page.keyboard.type("It was fine.")
    survey.check()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Thank you")).to_be_focused()
    survey.check()


def test_a_learner_comes_from_the_reminder_to_the_survey_and_answers(survey: Visit, chromium: Chromium) -> None:
    page = survey.page
    add(survey, "long_text", "What is unclear?")
    form = here(survey)
    page.goto(f"{form}/link")
    page.get_by_label("The link works").check()
    page.get_by_role("button", name="Save").click()
    page.goto(f"{form}/results")
    page.get_by_role("button", name=re.compile("Remind")).click()
    expect(page.locator(".message-text a")).to_have_text("How is it going?")
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Link to a page or form…").click()
    expect(page.get_by_role("menuitem", name="How is it going?", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    survey.check()
    page.get_by_role("link", name="Send…").click()
    page.get_by_label("Subject").fill("A reminder")
    page.get_by_role("button", name="Send 12 messages").click()
    expect(page.get_by_role("img", name=re.compile("Totals over time: sent 12"))).to_be_visible(timeout=30_000)
    page.goto(survey.product.url + "/dev/outbox?q=s03@forms.example")
    mail = page.get_by_role("link", name="A reminder").first.get_attribute("href")
    own = re.search(r'href="([^"]+/enter/[^"]+)"', page.request.get(f"{survey.product.url}{mail}/body").text())
    assert own is not None
    context = chromium.new_context(viewport=PHONE)
    phone = context.new_page()
    phone.goto(html.unescape(own[1]))
    phone.get_by_label("What is unclear?").fill("Osmosis")
    phone.get_by_role("button", name="Send").click()
    expect(phone.get_by_role("heading", name="Thank you")).to_be_visible()
    context.close()
    page.goto(f"{form}/answers")
    expect(page.locator("#answers-table tbody tr").nth(2)).to_contain_text("Osmosis")
