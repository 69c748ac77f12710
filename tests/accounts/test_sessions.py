"""Sessions of several kinds beside each other, and what each of them opens."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from chalicelib import signing
from chalicelib.accounts import sessions
from chalicelib.accounts.models import User
from chalicelib.web import cookies
from tests.conftest import Browser, launched, make_user, signed_in


def by_link(session: Session, user: User, path: str) -> Browser:
    browser = Browser()
    made = sessions.begin(session, user, "a test", sessions.Kind.LINK, is_learner=True, only_path=path)
    browser.cookies[cookies.LINK] = signing.sign("session", {"sid": made}, timedelta(days=1))
    return browser


def test_a_launch_opens_the_home_of_a_learner_and_nothing_of_an_instructor(session: Session, user: User) -> None:
    browser = launched(session, user)
    assert "Nothing is open to you now." in browser.get("/home").body
    assert browser.get("/workflows").location == "/sign-in?next=%2Fworkflows"
    assert "Password" in browser.get("/sign-in").body


def test_ones_own_sign_in_opens_everything_beside_a_launch(session: Session, user: User) -> None:
    browser = signed_in(session, user)
    browser.cookies |= launched(session, make_user(session, "ada@uni.example")).cookies
    assert "ada@uni.example" in browser.get("/home").body
    page = browser.get("/workflows")
    assert "Ines" in page.body
    assert browser.post("/sign-out").status == 303
    assert browser.get("/home").location.startswith("/sign-in")
    assert browser.get("/workflows").location.startswith("/sign-in")


def test_a_session_of_a_personal_link_opens_one_address_only(session: Session, user: User) -> None:
    assert by_link(session, user, "/home").get("/home").status == 200
    assert by_link(session, user, "/home/of/ada").get("/home").location.startswith("/sign-in")
    assert by_link(session, user, "/hom").get("/home").location.startswith("/sign-in")
    assert by_link(session, user, "/help").get("/help").location.startswith("/sign-in")
