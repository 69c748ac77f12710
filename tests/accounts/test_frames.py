"""Inside the frame of an LMS: cookies and who may frame, the way into a window, what an action shows there."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from chalicelib.accounts.models import Launch, User
from chalicelib.accounts.models import Session as Visit
from chalicelib.accounts.roles import Role
from chalicelib.audit.models import Event
from chalicelib.settings import settings
from chalicelib.workflows.models import Workflow
from tests.accounts.lms import CANVAS, LEARNER, SECRET, come_in, launch, signed
from tests.conftest import Browser, Clock, Page, make_user, signed_in
from tests.factories import make_action, make_link, make_table

pytestmark = pytest.mark.usefixtures("lms")


def test_the_cookie_is_kept_in_frames_and_the_page_may_stand_in_those_of_the_lms_only(visitor: Browser) -> None:
    answer = launch(visitor, signed(LEARNER))
    (cookie,) = [line for line in answer.cookies if line.startswith("ontask_launch=")]
    for attribute in ("HttpOnly", "Secure", "SameSite=None", "Partitioned", "Path=/"):
        assert f"; {attribute}" in cookie
    arrival = visitor.follow(answer)
    page = visitor.follow(arrival)
    for framed in (arrival, page, launch(Browser(), {**LEARNER}), visitor.get("/home")):
        assert f"frame-ancestors 'self' {CANVAS};" in framed.headers["Content-Security-Policy"]
        assert "X-Frame-Options" not in framed.headers
    for other in (visitor.get("/sign-in"), visitor.get("/workflows"), visitor.get("/me")):
        assert "frame-ancestors 'self';" in other.headers["Content-Security-Policy"]
        assert other.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_a_page_for_learners_stands_in_no_frame_for_one_who_signed_in(session: Session, user: User) -> None:
    page = signed_in(session, user).get("/home")
    assert page.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_no_odd_origin_gets_into_the_policy(visitor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = ["*", "https:", "https://a.example; script-src *", "https://a.example/path", "https://ok.example:8443"]
    monkeypatch.setenv("LTI_CREDENTIALS", json.dumps({"canvas": {"secret": SECRET, "origins": odd}}))
    settings.cache_clear()
    policy = come_in(visitor, signed(LEARNER)).headers["Content-Security-Policy"]
    assert "frame-ancestors 'self' https://ok.example:8443;" in policy


def refuse_cookies(browser: Browser) -> None:
    browser.cookies.pop("ontask_launch")


def field_of(page: Page, name: str) -> str:
    return page.body.partition(f'name="{name}" value="')[2].partition('"')[0]


def test_refused_cookies_are_explained_and_a_new_window_goes_on(visitor: Browser) -> None:
    answer = launch(visitor, signed(LEARNER))
    refuse_cookies(visitor)
    page = visitor.follow(answer)
    assert page.status == 200
    assert "keeps no cookies" in page.body
    window = Browser()
    body = urlencode({"token": field_of(page, "token")})
    opened = window.request("POST", "/hand-over", body)
    assert opened.location == "/home"
    assert window.follow(opened).status == 200
    again = Browser().request("POST", "/hand-over", body)
    assert again.status == 422
    assert "works once" in again.body
    assert "works once" in visitor.follow(answer).body


def test_the_arrival_of_one_who_has_come_in_is_worth_nothing_to_others(visitor: Browser) -> None:
    answer = launch(visitor, signed(LEARNER))
    for _ in range(2):
        assert visitor.follow(answer).location == "/home"
    stolen = Browser().follow(answer)
    assert stolen.status == 422
    assert "hand-over" not in stolen.body


def test_a_frame_hands_its_visit_over_with_its_rights_and_launches(visitor: Browser, session: Session) -> None:
    make_user(session, "ada@uni.example", Role.INSTRUCTOR)
    page = come_in(visitor, signed(LEARNER))
    window = Browser()
    assert "Open in a new window" in page.body
    window.follow(window.request("POST", "/hand-over", urlencode({"token": field_of(page, "token")})))
    assert window.get("/workflows").location.startswith("/sign-in")
    assert "Open in a new window" not in window.get("/home").body
    assert len(session.scalars(select(Launch)).all()) == 2
    assert visitor.get("/home").status == 200


@pytest.mark.parametrize("token", ["", "nonsense"])
def test_a_hand_over_without_a_token_is_refused(visitor: Browser, token: str) -> None:
    assert visitor.request("POST", "/hand-over", urlencode({"token": token})).status == 422


def test_a_visit_that_is_over_is_not_handed_over(visitor: Browser, session: Session, frozen_clock: Clock) -> None:
    page = come_in(visitor, signed(LEARNER))
    session.execute(update(Visit).values(expires_at=frozen_clock()))
    answer = Browser().request("POST", "/hand-over", urlencode({"token": field_of(page, "token")}))
    assert "visit has ended" in answer.body


def test_a_visit_that_is_over_is_explained_inside_the_frame(visitor: Browser) -> None:
    page = visitor.request("GET", "/home", headers={"sec-fetch-dest": "iframe"})
    assert page.status == 401
    assert "open this page again in your course" in page.body
    assert CANVAS in page.headers["Content-Security-Policy"]


@pytest.fixture
def course(session: Session, workflow: Workflow) -> dict[str, str]:
    """The links of a message and a survey that are open to Ada."""
    columns = make_table(session, workflow, {"email": "text", "name": "text"}, [["Ada@uni.example", "Ada"]])
    message = make_action(session, workflow, f"<p>Well done, {{{{ @c{columns['name']} }}}}.</p>")
    survey = make_action(session, workflow, "<p>One question.</p>", "Weekly", "survey")
    return {
        "message": make_link(session, message, columns["email"]),
        "survey": make_link(session, survey, columns["email"]),
    }


@pytest.mark.parametrize(("name", "shown"), [("message", "served-text"), ("survey", "One question.")])
def test_a_launch_to_an_action_is_its_first_display(
    visitor: Browser, session: Session, course: dict[str, str], name: str, shown: str
) -> None:
    """Not an answer, whatever fields the LMS sends."""
    path = course[name]
    page = come_in(visitor, signed(LEARNER | {"do": "send"}, "http://127.0.0.1:8910" + path), path)
    assert page.status == 200
    assert shown in page.body
    assert not session.scalars(select(Event).where(Event.type == "survey_answered")).all()


def test_the_text_of_a_message_stands_in_a_frame_inside_the_frame(visitor: Browser, course: dict[str, str]) -> None:
    path = course["message"]
    come_in(visitor, signed(LEARNER, "http://127.0.0.1:8910" + path), path)
    text = visitor.get(path + "/text")
    assert "Well done, Ada." in text.body
    assert f"frame-ancestors 'self' {CANVAS};" in text.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in text.headers


def test_an_answer_is_taken_in_the_frame(visitor: Browser, course: dict[str, str]) -> None:
    path = course["survey"]
    page = come_in(visitor, signed(LEARNER, "http://127.0.0.1:8910" + path), path)
    body = urlencode({"csrf_token": page.csrf_token(), "do": "send"})
    assert visitor.request("POST", path, body).status == 200


def test_somebody_else_of_the_lms_is_told_that_there_is_nothing_for_them(
    visitor: Browser, course: dict[str, str]
) -> None:
    path = course["survey"]
    fields = LEARNER | {"lis_person_contact_email_primary": "eve@uni.example"}
    page = come_in(visitor, signed(fields, "http://127.0.0.1:8910" + path), path)
    assert page.status == 403
    assert "There is nothing here for you now" in page.body
    assert CANVAS in page.headers["Content-Security-Policy"]


def test_an_address_of_an_earlier_ontask_leads_to_what_is_open(visitor: Browser, course: dict[str, str]) -> None:
    path = "/action/serve/?pk=7&uatn=email"
    page = come_in(visitor, signed(LEARNER, "http://127.0.0.1:8910" + path), path)
    assert page.location == "/home"
    home = visitor.follow(page)
    assert home.status == 200
    assert f"frame-ancestors 'self' {CANVAS};" in home.headers["Content-Security-Policy"]
    assert Browser().get("/action/serve", pk="7").location == "/sign-in?next=%2Faction%2Fserve%3Fpk%3D7"
