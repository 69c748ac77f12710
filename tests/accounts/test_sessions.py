"""Sessions of several kinds beside each other, and what each of them opens."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import signing
from chalicelib.accounts import passwords, service, sessions
from chalicelib.accounts.lti import launches
from chalicelib.accounts.models import FailedSignIn, Launch, User
from chalicelib.accounts.models import Session as Visit
from chalicelib.accounts.roles import Role
from chalicelib.schedules import due
from chalicelib.web import cookies
from tests.conftest import Browser, Clock, Page, launched, make_user, signed_in

PASSWORD = "green tea at half past nine"


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


WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"


@pytest.fixture
def ines(session: Session) -> User:
    """Ines, with a password."""
    user, _ = service.create_user(session, "ines@uni.example", "Ines", Role.INSTRUCTOR)
    service.set_password(session, user, PASSWORD)
    session.flush()
    return user


def sign_in(agent: str = "", **fields: str) -> tuple[Browser, Page]:
    browser = Browser()
    browser.headers = {"user-agent": agent}
    return browser, browser.post("/sign-in", {"email": "ines@uni.example", "password": PASSWORD, **fields})


def test_a_session_ends_half_an_hour_after_the_last_request(frozen_clock: Clock, ines: User) -> None:
    browser, answer = sign_in()
    (cookie,) = [line for line in answer.cookies if line.startswith("ontask_session=")]
    assert "Max-Age" not in cookie
    for _ in range(3):
        frozen_clock.advance(minutes=29)
        assert browser.get("/workflows").headers["X-Session-Seconds"] == "1800"
    frozen_clock.advance(seconds=1800)
    assert browser.get("/workflows").location.startswith("/sign-in")


def test_one_who_asks_to_be_remembered_is_for_thirty_days(frozen_clock: Clock, ines: User) -> None:
    browser, answer = sign_in(remember="1")
    (cookie,) = [line for line in answer.cookies if line.startswith("ontask_session=")]
    assert "Max-Age=2592000" in cookie
    for _ in range(2):
        frozen_clock.advance(days=14)
        page = browser.get("/workflows")
        assert "X-Session-Seconds" not in page.headers
        assert "data-session-seconds" not in page.body
    frozen_clock.advance(days=2, seconds=1)
    assert browser.get("/workflows").location.startswith("/sign-in")


def test_a_wrong_password_keeps_the_wish_to_be_remembered(ines: User) -> None:
    _, page = sign_in(remember="1", password="wrong")
    assert 'value="1" checked' in page.body


def test_a_page_says_how_long_the_session_lasts_and_staying_renews_it(frozen_clock: Clock, client: Browser) -> None:
    assert 'data-session-seconds="1800"' in client.get("/workflows").body
    frozen_clock.advance(seconds=40)
    assert 'data-session-seconds="1760"' in client.get("/workflows").body
    frozen_clock.advance(seconds=1700)
    answer = client.post("/keep_alive", htmx=True)
    assert (answer.status, answer.body) == (200, "{}")
    assert answer.headers["X-Session-Seconds"] == "1800"
    frozen_clock.advance(seconds=1790)
    assert client.get("/workflows").status == 200


def test_keeping_alive_needs_a_session_and_a_token(visitor: Browser, client: Browser) -> None:
    assert visitor.post("/keep_alive").location.startswith("/sign-in")
    assert client.request("POST", "/keep_alive").status == 403


def test_the_profile_lists_where_one_is_signed_in_and_ends_it(session: Session, ines: User) -> None:
    phone, _ = sign_in(IPHONE)
    here, _ = sign_in(WINDOWS)
    lms = launched(session, ines)
    page = here.get("/me").body
    assert "<strong>Firefox on Windows</strong> by password <span" in page
    assert "<strong>Safari on iPhone</strong> by password<br>" in page
    assert "from your LMS" in page
    (its_id,) = session.scalars(select(Visit.id).where(Visit.agent == IPHONE))
    assert here.post("/me/sessions", {"end": str(its_id)}).location == "/me"
    assert phone.get("/me").location.startswith("/sign-in")
    assert lms.get("/home").status == 200
    here.post("/me/sessions", {"others": "1"})
    assert lms.get("/home").location.startswith("/sign-in")
    assert here.get("/me").status == 200


def test_nobody_ends_the_sessions_of_others(session: Session, ines: User) -> None:
    here, _ = sign_in()
    stranger = signed_in(session, make_user(session, "bob@uni.example"))
    for end in (*map(str, session.scalars(select(Visit.id).where(Visit.user_id == ines.id))), "nonsense", ""):
        assert stranger.post("/me/sessions", {"end": end}).status == 303
    assert here.get("/me").status == 200


def test_wrong_passwords_are_forgotten_by_the_daily_round(session: Session, ines: User, frozen_clock: Clock) -> None:
    passwords.note_failure(session, ines.email, "192.0.2.7")
    frozen_clock.advance(hours=23)
    due.tidy()
    assert session.scalars(select(FailedSignIn)).all()
    frozen_clock.advance(hours=2)
    due.tidy()
    assert not session.scalars(select(FailedSignIn)).all()


def test_expired_sessions_are_removed_with_their_launches(session: Session, user: User, frozen_clock: Clock) -> None:
    browser = launched(session, user)
    launches.keep(session, str(session.scalars(select(Visit.id)).one()), "canvas", {"resource_link_id": "x"})
    due.tidy()
    assert browser.get("/home").status == 200
    frozen_clock.advance(minutes=31)
    due.tidy()
    assert session.scalar(select(Visit.id)) is None
    assert session.scalar(select(Launch.id)) is None


@pytest.mark.parametrize(("role", "home"), [(Role.LEARNER, "/home"), (Role.INSTRUCTOR, "/workflows")])
def test_everybody_gets_home(session: Session, role: Role, home: str) -> None:
    browser = signed_in(session, make_user(session, "ada@uni.example", role))
    assert browser.get("/").location == browser.get("/sign-in").location == home
    assert f'href="{home}" aria-label="OnTask"' in browser.get("/me").body


def test_a_part_of_a_page_whose_visit_is_over_loads_the_whole(visitor: Browser) -> None:
    """The whole page knows whether it stands in a frame, where the sign-in can't be shown."""
    assert visitor.get("/home", htmx=True).headers["HX-Refresh"] == "true"
