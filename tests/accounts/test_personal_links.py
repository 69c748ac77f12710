"""Personal links of mails: one address, one person, for a time."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import signing
from chalicelib.accounts import personal_links
from chalicelib.accounts.models import Session as Visit
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Clock, make_user
from tests.factories import make_action, make_link, make_table


def follow(browser: Browser, email: str = "ada@uni.example", path: str = "/home") -> str:
    """Follow a link of a mail; return where it leads."""
    return browser.get(urlsplit(personal_links.address(email, path)).path).location


def test_a_link_opens_its_address_for_its_person(visitor: Browser, session: Session) -> None:
    ada = make_user(session, "ada@uni.example", Role.LEARNER)
    assert follow(visitor, " ADA@uni.example ") == "/home"
    assert "Ada" in visitor.get("/home").body
    visit = session.scalars(select(Visit)).one()
    assert (visit.user_id, visit.is_learner, visit.only_path) == (ada.id, True, "/home")


def test_its_cookie_is_sent_to_that_address_only(visitor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = visitor.get(urlsplit(personal_links.address("ada@uni.example", "/home?from=mail")).path)
    assert answer.location == "/home?from=mail"
    (cookie,) = [line for line in answer.cookies if line.startswith("ontask_link=")]
    assert "; Path=/home;" in cookie
    assert "HttpOnly" in cookie


def test_somebody_without_an_account_gets_one(visitor: Browser, session: Session) -> None:
    follow(visitor, "new@uni.example")
    assert "new@uni.example" in visitor.get("/home").body
    assert session.scalars(select(User.role)).one() == Role.LEARNER


def test_a_link_gives_nobody_more_than_a_learner_s_rights(visitor: Browser, user: User) -> None:
    follow(visitor, user.email, "/workflows")
    assert visitor.get("/workflows").location.startswith("/sign-in")
    assert visitor.get("/home").location.startswith("/sign-in")


def test_following_it_again_keeps_what_is_open_elsewhere(visitor: Browser, session: Session) -> None:
    follow(visitor)
    token = visitor.get("/home").csrf_token()
    follow(visitor)
    assert visitor.get("/home").csrf_token() == token
    assert len(session.scalars(select(Visit)).all()) == 1


def test_a_link_expires_and_so_does_its_session(visitor: Browser, frozen_clock: Clock) -> None:
    path = urlsplit(personal_links.address("ada@uni.example", "/home", timedelta(days=2))).path
    visitor.get(path)
    frozen_clock.advance(hours=23)
    assert visitor.get("/home").status == 200
    frozen_clock.advance(hours=25)
    assert visitor.get("/home").location.startswith("/sign-in")
    page = visitor.get(path)
    assert page.status == 422
    assert "This link is too old" in page.body


@pytest.mark.parametrize("purpose", ["session", "hand-over", "arrival"])
def test_no_other_token_is_a_link_and_a_link_is_no_other_token(visitor: Browser, purpose: str) -> None:
    claims = {"for": "ada@uni.example", "to": "/home", "sid": "x", "id": "y"}
    assert visitor.get(f"/enter/{signing.sign(purpose, claims, timedelta(days=1))}").status == 422
    link = urlsplit(personal_links.address("ada@uni.example", "/home")).path.rpartition("/")[2]
    assert signing.read(purpose, link) is None


def test_a_link_opens_a_survey_and_takes_its_answer(visitor: Browser, session: Session, workflow: Workflow) -> None:
    columns = make_table(session, workflow, {"email": "text"}, [["ada@uni.example"]])
    survey = make_action(session, workflow, "<p>One question.</p>", "Weekly", "survey")
    path = make_link(session, survey, columns["email"])
    follow(visitor, path=path)
    page = visitor.get(path)
    assert "One question." in page.body
    body = urlencode({"csrf_token": page.csrf_token(), "do": "send"})
    assert visitor.request("POST", path, body).status == 200


def test_an_altered_link_is_refused(visitor: Browser, session: Session) -> None:
    path = urlsplit(personal_links.address("ada@uni.example", "/home")).path
    assert visitor.get(path[:-4] + "abcd").status == 422
    assert session.scalar(select(User.id)) is None


def test_a_closed_account_stays_closed(visitor: Browser, session: Session) -> None:
    make_user(session, "ada@uni.example", Role.LEARNER).is_active = False
    session.flush()
    page = visitor.get(urlsplit(personal_links.address("ada@uni.example", "/home")).path)
    assert page.status == 403
    assert "closed" in page.body
