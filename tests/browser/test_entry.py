"""Learners come in from an LMS on another site, in a real browser that blocks the cookies of third parties."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Frame, Page, Route, expect

from chalicelib import clock
from chalicelib.actions.surveys.models import Question
from chalicelib.tables import queries as tables
from chalicelib.workflows import service as workflows
from local import browser as finder
from tests.browser.conftest import AXE, DESKTOP, NOTE_VIOLATIONS, PHONE, Product, Visit
from tests.browser.lms import Lms
from tests.conftest import make_user
from tests.factories import make_action, make_link, make_table


@pytest.fixture(scope="module")
def strict(chromium: Chromium) -> Iterator[Chromium]:
    """A Chromium as all of them are to be: third parties have partitioned cookies or none."""
    found = finder.find()
    flags = [*found.flags, "--test-third-party-cookie-phaseout"]
    made = chromium.browser_type.launch(
        executable_path=found.program, args=flags, env={**found.environment} or None
    )  # fmt: skip
    yield made
    made.close()


@pytest.fixture
def window(strict: Chromium) -> Iterator[BrowserContext]:
    """A window of that Chromium."""
    made = strict.new_context(viewport=DESKTOP, reduced_motion="reduce")
    made.add_init_script(NOTE_VIOLATIONS)
    made.set_default_timeout(15_000)
    yield made
    made.close()


def launch(window: BrowserContext, lms: Lms, product: Product, email: str, path: str = "/lti_entry") -> Page:
    """Open the course and press its button."""
    page = window.new_page()
    page.goto(lms.course(product.url + path, email))
    page.get_by_role("button", name="Open the tool").click()
    return page


def tool(page: Page) -> Frame:
    (found,) = [frame for frame in page.frames if frame.name == "tool"]
    return found


def check(frame: Frame) -> None:
    """Fail on a policy violation, a finding of axe-core or a page wider than its frame."""
    assert frame.evaluate("window.__violations") == []
    assert frame.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    frame.evaluate(AXE())
    assert frame.evaluate("axe.run(document).then((r) => r.violations.map((v) => v.id))") == []


@pytest.fixture
def course(product: Product) -> dict[str, str]:
    """The links of a message and a survey that are open to Cleo."""
    with product.database() as session:
        workflow = workflows.create(session, make_user(session, "owner@uni.example").id, "Biology 101")
        columns = make_table(session, workflow, {"email": "text", "name": "text"}, [["cleo@uni.example", "Cleo"]])
        message = make_action(session, workflow, f"<p>Well done, {{{{ @c{columns['name']} }}}}.</p>")
        survey = make_action(session, workflow, "<p>Tell us.</p>", "Weekly", "survey")
        column = tables.columns(session, workflow.id)[1]
        column.description = "What shall we call you?"
        session.add(
            Question(
                action_id=survey.id, column_id=column.id, kind="text", position=1, options={}, created_at=clock.now()
            )
        )  # fmt: skip
        return {
            "message": make_link(session, message, columns["email"]),
            "survey": make_link(session, survey, columns["email"]),
        }


def test_actions_open_by_their_own_addresses_inside_the_frame(
    window: BrowserContext, lms: Lms, product: Product, course: dict[str, str]
) -> None:
    page = launch(window, lms, product, "cleo@uni.example", course["message"])
    inside = page.frame_locator("iframe")
    expect(inside.frame_locator("iframe").get_by_text("Well done, Cleo.")).to_be_visible()
    page = launch(window, lms, product, "cleo@uni.example", course["survey"])
    inside = page.frame_locator("iframe")
    inside.get_by_label("What shall we call you?").fill("Cle")
    page.set_viewport_size(PHONE)
    check(tool(page))
    inside.get_by_role("button", name="Send").click()
    expect(inside.get_by_role("heading", name="Thank you")).to_be_visible()


def test_a_learner_stays_known_inside_the_frame(window: BrowserContext, lms: Lms, product: Product) -> None:
    page = launch(window, lms, product, "ada@uni.example")
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("heading", name="Open to you")).to_be_visible()
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        check(tool(page))
    inside.get_by_role("link", name="OnTask").click()
    expect(inside.get_by_role("heading", name="Open to you")).to_be_visible()
    expect(inside.get_by_text("ada@uni.example")).to_be_visible()
    assert {cookie["name"] for cookie in window.cookies() if "partitionKey" in cookie} == {"ontask_launch"}
    elsewhere = window.new_page()
    elsewhere.goto(product.url + "/home")
    expect(elsewhere.get_by_role("heading", name="Sign in")).to_be_visible()
    page.evaluate("url => document.querySelector('iframe').src = url", product.url + "/workflows")
    expect(inside.get_by_role("heading", name="Open to you")).to_have_count(0)


def test_the_frame_is_handed_over_to_a_window(window: BrowserContext, lms: Lms, product: Product) -> None:
    page = launch(window, lms, product, "bob@uni.example")
    inside = page.frame_locator("iframe")
    with window.expect_page() as opened:
        inside.get_by_role("button", name="Open in a new window").click()
    other = opened.value
    expect(other.get_by_role("heading", name="Open to you")).to_be_visible()
    expect(other.get_by_role("button", name="Open in a new window")).to_have_count(0)
    check(other.main_frame)
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    inside.get_by_role("link", name="OnTask").click()
    expect(inside.get_by_role("heading", name="Open to you")).to_be_visible()


def without_cookies(route: Route) -> None:
    """Take the cookies off an answer, as a browser does that keeps none."""
    answer = route.fetch(max_redirects=0)
    headers = {name: value for name, value in answer.headers.items() if name != "set-cookie"}
    route.fulfill(response=answer, headers=headers)


def test_refused_cookies_are_explained_and_a_window_goes_on(window: BrowserContext, lms: Lms, product: Product) -> None:
    window.route(product.url + "/lti_entry", without_cookies)
    page = launch(window, lms, product, "eve@uni.example")
    inside = page.frame_locator("iframe")
    expect(inside.get_by_text("Your browser keeps no cookies for pages that are shown inside")).to_be_visible()
    page.set_viewport_size(PHONE)
    check(tool(page))
    with window.expect_page() as opened:
        inside.get_by_role("button", name="Open in a new window").click()
    expect(opened.value.get_by_role("heading", name="Open to you")).to_be_visible()


def test_a_session_that_is_about_to_end_asks_first(visit: Visit) -> None:
    visit.enter()
    visit.page.clock.install()
    visit.go("/workflows")
    visit.page.clock.fast_forward("28:50")
    dialog = visit.page.get_by_role("dialog", name="Are you still there?")
    expect(dialog).to_be_hidden()
    visit.page.clock.fast_forward("00:20")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Stay")).to_be_focused()
    visit.page.set_viewport_size(PHONE)
    visit.check()
    dialog.get_by_role("button", name="Stay").click()
    expect(dialog).to_be_hidden()
    visit.page.clock.fast_forward("29:10")
    dialog.get_by_role("button", name="Sign out").click()
    expect(visit.page.get_by_role("heading", name="Sign in")).to_be_visible()
