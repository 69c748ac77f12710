"""The pixel, the tracked links and the way out: signed, quick, and of no use to anybody else."""

from __future__ import annotations

import email
import html
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from chalicelib import database
from chalicelib.delivery import links, suppression
from chalicelib.delivery.models import Message, OptOut, Suppression
from chalicelib.delivery.tracking import PIXEL
from chalicelib.settings import settings
from tests.conftest import Browser, Outside, Page
from tests.delivery.cloud import Cloud, FakeSes, states
from tests.delivery.conftest import MakeCourse

TEXT = '<p>Read <a href="https://uni.example/a?x=1&amp;y=2">this</a> or <a href="mailto:me@uni.example">write</a>.</p>'


@pytest.fixture
def sent_html(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> str:
    """The HTML of a mail with opens and clicks tracked."""
    make_course(1, text=TEXT).confirm(track_opens=True, track_clicks=True)
    cloud.run(hours=1 / 60)
    mime = email.message_from_bytes(ses.accepted[0]["Content"]["Raw"]["Data"])
    return mime.get_payload()[1].get_payload(decode=True).decode()  # type: ignore[index,union-attr]


@pytest.fixture
def browser(cloud: Cloud) -> Browser:
    return Browser()


def content(page: Page) -> bytes:
    return page.body.encode("utf-8", "surrogateescape")


def path_of(address: str) -> str:
    parts = urlsplit(html.unescape(address))
    return parts.path + ("?" + parts.query if parts.query else "")


def address_in(body: str, pattern: str) -> str:
    found = re.search(pattern, body)
    assert found, body
    return path_of(found[1])


def test_administrators_can_forbid_counting_and_have_it_told(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    course = make_course(1, text=TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNT_OPENS", "no")
        patch.setenv("PRIVACY_NOTICE", "Who follows a link & when is counted.")
        settings.cache_clear()
        course.confirm(track_opens=True, track_clicks=True)
        cloud.run(hours=1 / 60)
    settings.cache_clear()
    mime = email.message_from_bytes(ses.accepted[0]["Content"]["Raw"]["Data"])
    plain, page = [part.get_payload(decode=True).decode() for part in mime.get_payload()]  # type: ignore[union-attr]
    assert "<img" not in page
    assert address_in(page, r'<a href="(http://127[^"]+)"')
    assert "Who follows a link &amp; when is counted." in page
    assert plain.rstrip().endswith("Who follows a link & when is counted.")


def test_an_opened_mail_is_counted_by_its_pixel(
    sent_html: str, browser: Browser, cloud: Cloud
) -> None:  # fmt: skip
    pixel = address_in(sent_html, r'<img src="([^"]+)"')
    answer = browser.get(pixel)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/gif")
    assert content(answer) == PIXEL
    assert "no-store" in answer.headers["Cache-Control"]
    cloud.run(hours=1 / 60)
    with database.scope() as session:
        assert [m.open_count for m in session.query(Message)] == [1]


def test_a_program_that_takes_no_pictures_is_counted_too(sent_html: str, browser: Browser, cloud: Cloud) -> None:
    pixel = address_in(sent_html, r'<img src="([^"]+)"')
    assert browser.request("GET", pixel, headers={"accept": "text/html"}).status == 204
    cloud.run(hours=1 / 60)
    with database.scope() as session:
        assert [m.open_count for m in session.query(Message)] == [1]


def test_a_link_leads_to_where_it_went_and_is_counted(sent_html: str, browser: Browser, cloud: Cloud) -> None:
    link = address_in(sent_html, r'<a href="(http://127[^"]+)"')
    answer = browser.request("GET", link)
    assert (answer.status, answer.location) == (302, "https://uni.example/a?x=1&y=2")
    cloud.run(hours=1 / 60)
    with database.scope() as session:
        (message,) = session.query(Message)
        assert (message.click_count, message.opened_at is not None) == (1, True)
    assert 'href="mailto:me@uni.example"' in sent_html


@pytest.mark.parametrize("token", ["", "1", "1-x", "x-y", "9" * 30 + "-a", "1-" + "a" * 22, "%00-%00", "²-x"])
def test_a_bad_token_gets_the_same_picture_and_nothing_else(browser: Browser, no_aws: Outside, token: str) -> None:
    answer = browser.get(f"/o/{token or '-'}")
    assert (answer.status, content(answer)) == (200, PIXEL)
    assert browser.request("GET", f"/c/{token or '-'}?to=https%3A%2F%2Fevil.example").status == 404
    assert browser.get(f"/u/{token or '-'}").status == 404
    assert not no_aws.wakeups


def test_a_link_can_not_be_bent_to_another_place(browser: Browser) -> None:
    token = links.token("click", 1, "https://uni.example")
    assert browser.request("GET", f"/c/{token}?to=https%3A%2F%2Funi.example").status == 302
    assert browser.request("GET", f"/c/{token}?to=https%3A%2F%2Fevil.example").status == 404
    assert browser.request("GET", f"/c/{links.token('open', 1)}?to=").status == 404


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"),
        (
            "multipart/form-data; boundary=b",
            '--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n',
        ),
    ],
)
def test_one_click_stops_the_mail_of_one_workflow_and_the_page_offers_more_or_all_back(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, browser: Browser, kind: str, body: str
) -> None:
    make_course(1).confirm()
    cloud.run(hours=1 / 60)
    mime = email.message_from_bytes(ses.accepted[0]["Content"]["Raw"]["Data"])
    path = path_of(str(mime["List-Unsubscribe"]).strip("<>"))
    page = browser.get(path)
    assert (page.status, "s1@uni.example" in page.body) == (200, True)
    with database.scope() as session:
        assert session.query(OptOut).count() == 0, "mail scanners follow links"
    for _ in range(2):
        assert browser.request("POST", path, body, {"content-type": kind}).status == 200
    with database.scope() as session:
        assert [row.address for row in session.query(OptOut)] == ["s1@uni.example"]
        assert session.query(Suppression).count() == 0
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert "by any class" in browser.request("POST", path, "wish=nothing", form).body
    with database.scope() as session:
        assert session.get_one(Suppression, "s1@uni.example").reason == "unsubscribed"
    assert "You get mail again" in browser.request("POST", path, "wish=again", form).body
    with database.scope() as session:
        assert (session.query(OptOut).count(), session.query(Suppression).count()) == (0, 0)


def test_nothing_is_tracked_that_was_not_asked_for(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    make_course(1, text=TEXT).confirm()
    cloud.run(hours=1 / 60)
    raw: Any = email.message_from_bytes(ses.accepted[0]["Content"]["Raw"]["Data"])
    body = raw.get_payload()[1].get_payload(decode=True).decode()
    assert "<img" not in body
    assert "/c/" not in body


def test_unsubscribing_stops_what_is_waiting_too(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    course = make_course(2)
    course.confirm()
    cloud.run(hours=1 / 60)
    waiting = course.confirm()
    cloud.run(hours=5 / 3600)
    with database.scope() as session:
        message = session.query(Message).filter_by(row_id=1).order_by(Message.id).first()
        assert suppression.stop(session, message.id, everywhere=True) == "s1@uni.example"
        # Of this workflow only, which is enough.
        suppression.release(session, None, "s1@uni.example")
        suppression.stop(session, message.id, everywhere=False)
    cloud.run(hours=1 / 60)
    assert states(waiting.id) == {"delivered": 1, "skipped": 1}
    assert ses.mails() == {"s1@uni.example": 1, "s2@uni.example": 2}
    later = course.confirm()
    cloud.run(hours=1 / 60)
    assert states(later.id) == {"delivered": 1, "skipped": 1}
