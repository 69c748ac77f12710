"""The send page of JSON and the pages of its runs: said before, and told afterwards."""

from __future__ import annotations

import re
from html import unescape

import pytest

from chalicelib import database
from chalicelib.delivery.models import Run
from tests.conftest import Browser, Page, signed_in
from tests.delivery.cloud import Cloud
from tests.delivery.push.test_runs import Feed, MakeFeed, make_feed

__all__ = ["make_feed"]


def words(page: Page) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page.body)))


@pytest.fixture
def feed(make_feed: MakeFeed) -> Feed:
    return make_feed(4)


@pytest.fixture
def browser(feed: Feed) -> Browser:
    with database.scope() as session:
        return signed_in(session, feed.course.user)


def send_path(feed: Feed) -> str:
    return f"/workflows/{feed.course.workflow.id}/actions/{feed.course.action.id}/send"


def test_the_page_says_what_will_be_sent_and_where(feed: Feed, browser: Browser) -> None:
    shown = words(browser.get(send_path(feed)))
    assert f"To POST {feed.other.url('/marks')}" in shown
    assert "4 objects" in shown
    assert '"id": "s1"' in shown


def test_what_is_left_out_is_counted_before_anything_is_sent(feed: Feed, browser: Browser) -> None:
    form = {"draft": "f", "to_column_id": feed.course.columns["key"], "exclude": "1", "when": "now"}
    page = browser.follow(browser.post(f"{send_path(feed)}/prepare", {**form, "do": "next"}))
    assert "Tick those who get nothing this time." in words(page)
    chosen = {"draft": "f", "step": "who", "shown": ["s1", "s2", "s3", "s4"], "out": ["s1", "s3"]}
    shown = words(browser.post(f"{send_path(feed)}/prepare", chosen, htmx=True))
    assert "2 excluded, 2 will be sent" in shown
    assert "2 objects, 2 learners left out" in shown
    assert '"id": "s2"' in shown


def test_without_a_token_the_form_comes_back_as_it_was_typed(feed: Feed, browser: Browser) -> None:
    form = {"draft": "f", "to_column_id": feed.course.columns["name"], "when": "later", "due_at": "soon"}
    page = browser.post(send_path(feed), form)
    assert page.status == 422
    assert 'value="soon"' in page.body
    page = browser.post(send_path(feed), {**form, "when": "now"})
    assert page.status == 422
    assert "Type the token that the other system gave you." in words(page)
    assert f'<option value="{feed.course.columns["name"]}" selected>' in page.body


def test_a_token_that_was_typed_into_a_refused_form_is_not_lost_and_never_shown(feed: Feed, browser: Browser) -> None:
    form = {"draft": "f", "token": "s3cret-typed", "when": "later", "due_at": "soon"}
    page = browser.post(send_path(feed), form)
    assert page.status == 422
    assert "s3cret-typed" not in page.body
    assert "Leave this empty to use it." in words(page)
    assert browser.post(send_path(feed), {**form, "token": "", "when": "now"}).status == 303


def test_the_run_tells_each_answer_in_words_of_its_own(feed: Feed, browser: Browser, cloud: Cloud) -> None:
    feed.other.queue = [(404, {}, b"no such learner")]
    page = browser.post(send_path(feed), {"token": "s3cret", "draft": "f"})
    assert page.status == 303
    cloud.run(hours=0.2)
    page = browser.follow(page)
    shown = words(page)
    assert "404 no such learner" in shown
    assert '200 {"ok": true}' in shown
    assert "Retry 1 failed object" in shown
    assert "s3cret" not in page.body
    with database.scope() as session:
        run = session.query(Run).one()
        found = feed.messages(run)
    one = browser.get(f"/workflows/{run.workflow_id}/runs/{run.id}/messages/{found[1].id}")
    assert '"id": "s2"' in words(one)
    assert '200 {"ok": true}' in words(one)
    assert browser.get(f"/workflows/{run.workflow_id}/runs/{run.id}/messages/{found[1].id}/body").status == 404


def test_one_object_to_try_is_answered_on_the_page(feed: Feed, browser: Browser, cloud: Cloud) -> None:
    action = send_path(feed).removesuffix("/send")
    seen = re.search(r'name="seen" value="([^"]*)"', browser.get(action).body)
    assert seen
    form = {"do": "save", "seen": seen[1], "url": feed.other.url("/marks"), "method": "POST", "token": "t1"}
    assert browser.post(f"{action}/target", form).status == 303
    page = browser.post(f"{action}/target", {"do": "try", "row": "2"})
    cloud.run(hours=0.1)
    assert 'Answered: 200 {"ok": true}' in words(browser.follow(page))
    (got,) = feed.other.got
    assert (got.headers["authorization"], '"s2"' in got.body) == ("Bearer t1", True)
