from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from chalicelib.accounts import service
from chalicelib.accounts.roles import Role
from tests.conftest import Browser, Clock

PASSWORD = "green tea at half past nine"


@pytest.fixture
def ana(session: Session) -> str:
    """The address of an instructor with a password."""
    user, _ = service.create_user(session, "Ana@Uni.example", "Ana", Role.INSTRUCTOR)
    service.set_password(session, user, PASSWORD)
    session.flush()
    return user.email


def test_right_password_opens_the_list_of_workflows(visitor: Browser, ana: str) -> None:
    answer = visitor.post("/sign-in", {"email": "  ANA@uni.example ", "password": PASSWORD})
    page = visitor.follow(answer)
    assert page.status == 200
    assert "Start with your class" in page.body


def test_wrong_password_says_neither_which_nor_forgets_the_address(visitor: Browser, ana: str) -> None:
    for email in (ana, "nobody@uni.example"):
        page = visitor.post("/sign-in", {"email": email, "password": "wrong"})
        assert page.status == 422
        assert "The e-mail address or the password is wrong." in page.body
        assert f'value="{email}"' in page.body


def test_sign_in_leads_to_the_page_that_was_asked_for(visitor: Browser, ana: str) -> None:
    asked = visitor.get("/trash")
    assert asked.location == "/sign-in?next=%2Ftrash"
    answer = visitor.post("/sign-in", {"email": ana, "password": PASSWORD, "next": "/trash"})
    assert answer.location == "/trash"


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "/\r/evil.example",
     "javascript:alert(1)"],
)  # fmt: skip
def test_sign_in_never_leads_to_another_site(visitor: Browser, ana: str, target: str) -> None:
    answer = visitor.post("/sign-in", {"email": ana, "password": PASSWORD, "next": target})
    assert answer.location == "/workflows"


def test_guessing_is_slowed_down_per_account(visitor: Browser, ana: str, frozen_clock: Clock) -> None:
    for _ in range(6):
        assert visitor.post("/sign-in", {"email": ana, "password": "wrong"}).status == 422
    page = visitor.post("/sign-in", {"email": ana, "password": PASSWORD})
    assert page.status == 429
    assert "try again in 2 s" in page.body
    frozen_clock.advance(seconds=3)
    assert visitor.post("/sign-in", {"email": ana, "password": PASSWORD}).status == 303


def test_guessing_many_accounts_is_slowed_down_per_address(visitor: Browser, ana: str, frozen_clock: Clock) -> None:
    for number in range(31):
        visitor.post("/sign-in", {"email": f"user{number}@uni.example", "password": "wrong"})
    assert visitor.post("/sign-in", {"email": ana, "password": PASSWORD}).status == 429


def test_a_right_password_releases_the_account(visitor: Browser, ana: str, frozen_clock: Clock) -> None:
    for _ in range(4):
        visitor.post("/sign-in", {"email": ana, "password": "wrong"})
    Browser().post("/sign-in", {"email": ana, "password": PASSWORD})
    for _ in range(5):
        assert visitor.post("/sign-in", {"email": ana, "password": "wrong"}).status == 422
    assert visitor.post("/sign-in", {"email": ana, "password": PASSWORD}).status == 303


def test_signing_out_ends_the_session_everywhere(client: Browser) -> None:
    stolen = Browser()
    stolen.cookies = dict(client.cookies)
    client.post("/sign-out")
    assert stolen.get("/workflows").location.startswith("/sign-in")


def test_a_session_ends_when_it_is_not_used(frozen_clock: Clock, client: Browser) -> None:
    assert client.get("/workflows").status == 200
    frozen_clock.advance(minutes=29)
    assert client.get("/workflows").status == 200
    frozen_clock.advance(minutes=31)
    assert client.get("/workflows").location.startswith("/sign-in")


def test_an_altered_cookie_is_nobody(client: Browser) -> None:
    client.cookies["ontask_session"] = client.cookies["ontask_session"][:-3] + "abc"
    assert client.get("/workflows").location.startswith("/sign-in")


def test_a_post_without_the_token_changes_nothing(client: Browser) -> None:
    page = client.request("POST", "/workflows", "name=Forged")
    assert page.status == 403
    assert "Forged" not in client.get("/workflows").body


def test_a_one_time_link_sets_the_first_password_once(visitor: Browser, session: Session) -> None:
    _, token = service.create_user(session, "bob@uni.example", "Bob", Role.INSTRUCTOR)
    assert "bob@uni.example" in visitor.get(f"/welcome/{token}").body
    answer = visitor.post(f"/welcome/{token}", {"password": PASSWORD, "again": PASSWORD})
    assert answer.location == "/workflows"
    assert visitor.get("/workflows").status == 200
    again = Browser().get(f"/welcome/{token}")
    assert again.status == 422
    assert "was used already" in again.body


@pytest.mark.parametrize(
    ("password", "again", "hint"),
    [
        ("short", "short", "at least 12 characters"),
        (PASSWORD, PASSWORD + "!", "The two passwords differ"),
        ("aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa", "easy to guess"),
        ("bobby-is-the-best", "bobby-is-the-best", "easy to guess"),
        ("x" * 300, "x" * 300, "at most 200"),
    ],
)
def test_a_weak_first_password_is_refused_and_the_link_stays_good(
    visitor: Browser, session: Session, password: str, again: str, hint: str
) -> None:
    _, token = service.create_user(session, "bobby@uni.example", "Bobby", Role.INSTRUCTOR)
    page = visitor.post(f"/welcome/{token}", {"password": password, "again": again})
    assert page.status == 422
    assert hint in page.body
    assert visitor.post(f"/welcome/{token}", {"password": PASSWORD, "again": PASSWORD}).status == 303


@pytest.mark.parametrize(("sent", "kept"), [("Asia/Tokyo", "Asia/Tokyo"), ("Mars/Base", "UTC"), ("", "UTC")])
def test_a_new_user_has_the_time_zone_of_the_browser(visitor: Browser, session: Session, sent: str, kept: str) -> None:
    _, token = service.create_user(session, "bob@uni.example", "Bob", Role.INSTRUCTOR)
    answer = visitor.post(f"/welcome/{token}", {"password": PASSWORD, "again": PASSWORD, "time_zone": sent})
    assert answer.status == 303
    assert f"<option selected>{kept}" in visitor.get("/me").body


def test_changing_the_password_ends_other_sessions(client: Browser, session: Session, ana: str) -> None:
    here, elsewhere = Browser(), Browser()
    for browser in (here, elsewhere):
        browser.post("/sign-in", {"email": ana, "password": PASSWORD})
    new = "a walk along the river bank"
    wrong = here.post("/me/password", {"old": "wrong", "password": new, "again": new})
    assert "not your present password" in wrong.body
    assert here.post("/me/password", {"old": PASSWORD, "password": new, "again": new}).status == 303
    assert here.get("/me").status == 200
    assert elsewhere.get("/me").location.startswith("/sign-in")


def test_a_profile_keeps_name_and_time_zone(client: Browser) -> None:
    client.post("/me", {"name": " Inés  Ruiz ", "time_zone": "Europe/Madrid"})
    page = client.get("/me")
    assert 'value="Inés Ruiz"' in page.body
    assert "<option selected>Europe/Madrid" in page.body
    assert "Choose one of the list" in client.post("/me", {"name": "x", "time_zone": "Mars/Base"}).body
