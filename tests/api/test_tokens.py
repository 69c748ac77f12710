"""Tokens: made and revoked on the profile, shown once, of no use to anybody but their owner's programs."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib.accounts.models import ApiToken, User
from chalicelib.accounts.roles import Role
from chalicelib.audit.models import Event
from tests.conftest import Browser, Clock, make_user, signed_in
from tests.programs import Program, program

WORKFLOWS = "/api/v2/workflows"
FORM = {"program": "Nightly upload", "scope": "write", "days": "30"}


def made(client: Browser) -> str:
    found = re.search(r"<code>([0-9a-f]{40})</code>", client.post("/me/tokens", FORM).body)
    assert found, "no token was shown"
    return found[1]


def test_a_token_is_shown_once_and_lets_a_program_in(session: Session, client: Browser) -> None:
    token = made(client)
    assert Program(token).get(WORKFLOWS).status == 200
    profile = client.get("/me").body
    assert "Nightly upload" in profile
    assert token not in profile
    row = session.scalars(select(ApiToken)).one()
    assert token not in str(vars(row))
    assert row.used_at is not None


def test_bearer_is_understood_as_well(client: Browser) -> None:
    other = Program()
    other.headers = {"authorization": f"Bearer {made(client)}"}
    assert other.get(WORKFLOWS).status == 200


def test_a_revoked_token_opens_nothing(session: Session, client: Browser) -> None:
    token = made(client)
    row = session.scalars(select(ApiToken)).one()
    client.post("/me/tokens", {"revoke": row.id})
    answer = Program(token).get(WORKFLOWS)
    assert answer.status == 401
    assert answer.json["detail"] == "Invalid token."
    types = session.scalars(select(Event.type).order_by(Event.id)).all()
    assert types[-2:] == ["token_made", "token_revoked"]


def test_nobody_revokes_somebody_elses(session: Session, client: Browser) -> None:
    token = made(client)
    row = session.scalars(select(ApiToken)).one()
    stranger = signed_in(session, make_user(session, "stranger@uni.example"))
    assert stranger.post("/me/tokens", {"revoke": row.id}).status == 404
    assert Program(token).get(WORKFLOWS).status == 200


def test_an_expired_token_opens_nothing(session: Session, user: User, frozen_clock: Clock) -> None:
    api = program(session, user)
    assert api.get(WORKFLOWS).status == 200
    frozen_clock.advance(days=30)
    assert api.get(WORKFLOWS).status == 401


def test_a_closed_account_has_no_programs(session: Session, user: User) -> None:
    api = program(session, user)
    user.is_active = False
    session.flush()
    answer = api.get(WORKFLOWS)
    assert answer.status == 401
    assert answer.json["detail"] == "User inactive or deleted."


def test_what_is_wrong_with_a_token_is_said_beside_its_field(client: Browser) -> None:
    page = client.post("/me/tokens", {"program": " ", "scope": "write", "days": "30"})
    assert page.status == 422
    assert "Type a name that says which program uses it" in page.body
    page = client.post("/me/tokens", {"program": "Kept <name>", "scope": "everything", "days": "5"})
    assert "Kept &lt;name&gt;" in page.body
    assert "Choose what the program may do." in page.body
    assert "Choose how long it is valid." in page.body


def test_learners_have_no_tokens(session: Session) -> None:
    learner = signed_in(session, make_user(session, "learner@uni.example", Role.LEARNER))
    assert "Programs that work for you" not in learner.get("/me").body
    assert learner.post("/me/tokens", FORM).status == 404


NOBODY = {
    "": "Authentication credentials were not provided.",
    "Digest x": "Authentication credentials were not provided.",
    "Token": "Invalid token header. No credentials provided.",
    "Token a b": "Invalid token header. Token string should not contain spaces.",
}


@pytest.mark.parametrize("header", NOBODY)
@pytest.mark.usefixtures("connection")
def test_headers_that_name_nobody_are_told_apart(header: str) -> None:
    answer = Program().get(WORKFLOWS, authorization=header)
    assert (answer.status, answer.json["detail"]) == (401, NOBODY[header])
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'
