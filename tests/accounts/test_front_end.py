"""Sign-on by a front end that tells in a header who the visitor is, and by others who only pretend to be one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import metrics
from chalicelib.accounts.models import Session as Visit
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role
from chalicelib.aws import secrets
from chalicelib.settings import settings
from tests.conftest import Browser, Clock, make_user, signed_in

PROOF = "what only the front end knows"


@pytest.fixture(autouse=True)
def front_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation behind a front end."""
    monkeypatch.setenv("REMOTE_USER_HEADER", "X-Remote-User")
    monkeypatch.setenv("REMOTE_USER_PROOF", PROOF)
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


def tell(browser: Browser, email: str | None, proof: str = PROOF) -> None:
    """Have the front end tell this about the visitor from now on."""
    browser.headers = {"x-ontask-proxy": proof} | ({} if email is None else {"x-remote-user": email})


def test_whom_the_front_end_names_is_signed_in_with_a_new_account(visitor: Browser, session: Session) -> None:
    tell(visitor, "Ada@uni.example")
    assert "ada@uni.example" in visitor.get("/home").body
    user = session.scalars(select(User)).one()
    assert (user.email, user.role, user.password_hash) == ("ada@uni.example", Role.LEARNER, None)
    assert "ada@uni.example" in visitor.get("/home").body
    assert len(session.scalars(select(Visit)).all()) == 1


def test_an_instructor_has_all_rights_and_can_send_forms(visitor: Browser, user: User) -> None:
    tell(visitor, user.email)
    assert visitor.get("/workflows").status == 200
    assert visitor.post("/me", {"name": "Inés", "time_zone": "UTC"}).status == 303
    assert visitor.get("/sign-in").location == "/workflows"


def test_another_name_switches_and_no_name_ends(visitor: Browser, user: User) -> None:
    tell(visitor, user.email)
    visitor.get("/home")
    old = dict(visitor.cookies)
    tell(visitor, "ada@uni.example")
    page = visitor.get("/home")
    assert "ada@uni.example" in page.body
    assert visitor.get("/workflows").status == 404
    tell(visitor, None)
    assert visitor.get("/home").location.startswith("/sign-in")
    visitor.cookies = old
    assert visitor.get("/home").location.startswith("/sign-in")


def test_a_session_of_the_front_end_is_worth_nothing_past_it(visitor: Browser, user: User) -> None:
    tell(visitor, user.email)
    visitor.get("/home")
    visitor.headers = {}
    assert visitor.get("/workflows").location.startswith("/sign-in")
    tell(visitor, user.email)
    assert visitor.get("/workflows").status == 200


@pytest.mark.parametrize("proof", ["", "guessed", PROOF + "x"])
def test_without_the_secret_the_name_is_ignored_and_counted(visitor: Browser, user: User, proof: str) -> None:
    lines: list[dict[str, Any]] = []
    metrics.listen(lines.append)
    tell(visitor, user.email, proof)
    assert visitor.get("/workflows").location.startswith("/sign-in")
    metrics.listen(None)
    assert [line["NamesWithoutProof"] for line in lines if "NamesWithoutProof" in line] == [[1.0]]


def test_without_a_secret_set_nobody_is_believed(visitor: Browser, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_USER_PROOF", "")
    settings.cache_clear()
    tell(visitor, user.email, "")
    assert visitor.get("/workflows").location.startswith("/sign-in")


def test_where_no_header_is_set_none_is_read(visitor: Browser, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_USER_HEADER", "")
    settings.cache_clear()
    tell(visitor, user.email)
    visitor.headers |= {"": user.email, "remote-user": user.email}
    assert visitor.get("/workflows").location.startswith("/sign-in")


@pytest.mark.parametrize("value", ["s123", "ada@", "ada@uni.example, bob@uni.example", "<b>ada</b>", "x" * 300])
def test_what_is_no_address_makes_no_account(visitor: Browser, session: Session, value: str) -> None:
    tell(visitor, value)
    page = visitor.get("/home")
    assert page.status == 403
    assert "which is no e-mail address" in page.body
    assert "<b>ada" not in page.body
    assert session.scalar(select(User.id)) is None
    assert visitor.get("/sign-in").status == 200


def test_a_closed_account_stays_closed(visitor: Browser, user: User, session: Session) -> None:
    user.is_active = False
    session.flush()
    tell(visitor, user.email)
    assert "account that is closed" in visitor.get("/workflows").body


def test_the_front_end_s_word_goes_before_another_sign_in(session: Session, user: User) -> None:
    browser = signed_in(session, user)
    tell(browser, "ada@uni.example")
    assert "ada@uni.example" in browser.get("/home").body
    tell(browser, user.email)
    assert browser.get("/workflows").status == 200


@pytest.mark.parametrize("path", ["/o/nothing", "/c/nothing", "/u/nothing", "/healthz"])
def test_paths_of_mails_are_answered_whatever_the_front_end_tells(
    visitor: Browser, session: Session, path: str
) -> None:
    plain = visitor.get(path)
    tell(visitor, "no address")
    told = visitor.get(path)
    assert told.status == plain.status
    tell(visitor, "ada@uni.example")
    visitor.get("/o/nothing")
    assert session.scalar(select(Visit.id)) is None


def test_the_front_end_s_secret_can_be_replaced(
    aws: str, visitor: Browser, monkeypatch: pytest.MonkeyPatch, frozen_clock: Clock, session: Session
) -> None:
    ines = make_user(session)
    manager = boto3.client("secretsmanager")
    manager.create_secret(Name="front-test", SecretString="old")
    monkeypatch.setenv("REMOTE_USER_SECRET", "front-test")
    settings.cache_clear()
    secrets.forget()
    tell(visitor, ines.email, "old")
    assert visitor.get("/workflows").status == 200
    manager.put_secret_value(SecretId="front-test", SecretString="new")
    frozen_clock.advance(seconds=301)
    assert visitor.get("/workflows").location.startswith("/sign-in")
    tell(visitor, ines.email, "new")
    assert visitor.get("/workflows").status == 200
    secrets.forget()
