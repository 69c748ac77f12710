"""Tokens for programs: made on the profile, shown once, taken back any time; a closed account has none."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.accounts.models import ApiToken, User
from chalicelib.audit import service as audit

MAX_NAME_LENGTH = 100
MAX_TOKENS = 50
#: What people choose from, in days; 0 is for ever.
LIFETIMES = {30: "30 days", 90: "90 days", 365: "a year", 0: "until I revoke it"}
#: The row is written at most this often.
USED_STEP = timedelta(minutes=1)


class Scope(StrEnum):
    """What the bearer of a token may do."""

    READ = "read"
    WRITE = "write"


class Unrecognised(errors.AppError):
    """Raised when a request does not say whose it is, or says it with a token that is not valid."""

    status = 401


def make(session: Session, user: User, name: str, scope: str, days: int | None) -> str:
    """Make a token and return it; nobody can look it up later.

    Raises errors.Invalid with a message for each field that can't stay.
    """
    name, problems = " ".join(name.split()), {}
    if not name:
        problems["program"] = "Type a name that says which program uses it, such as “Nightly upload”."
    elif len(name) > MAX_NAME_LENGTH:
        problems["program"] = f"Use at most {MAX_NAME_LENGTH} characters; this has {len(name)}."
    if scope not in set(Scope):
        problems["scope"] = "Choose what the program may do."
    if days not in LIFETIMES:
        problems["days"] = "Choose how long it is valid."
    count = session.scalar(select(func.count()).where(ApiToken.user_id == user.id)) or 0
    if count >= MAX_TOKENS:
        problems["program"] = f"You have {count} tokens. Revoke one that is not used any more."
    if problems:
        raise errors.Invalid(next(iter(problems.values())), problems)
    now, token = clock.now(), secrets.token_hex(20)
    session.add(
        ApiToken(
            user_id=user.id, name=name, scope=scope, token_hash=_hash(token), created_at=now,
            expires_at=now + timedelta(days=days) if days else None,
        )
    )  # fmt: skip
    audit.record(session, "token_made", user_id=user.id, name=name, scope=scope)
    session.flush()
    return token


def of_user(session: Session, user_id: int) -> list[ApiToken]:
    """Return the tokens of a user by name; those that have expired are among them."""
    return list(session.scalars(select(ApiToken).where(ApiToken.user_id == user_id).order_by(ApiToken.name)))


def revoke(session: Session, user_id: int, token_id: int) -> str:
    """Take a token of the user back and return its name.

    Raises errors.NotFound when there is none.
    """
    doomed = delete(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == user_id).returning(ApiToken.name)
    name = session.scalar(doomed)
    if name is None:
        raise errors.NotFound("This token was revoked already.")
    audit.record(session, "token_revoked", user_id=user_id, name=name)
    return name


def find(session: Session, header: str) -> tuple[User, ApiToken]:
    """Return whom the Authorization header names, and the token.

    Raises Unrecognised when it names nobody.
    """
    kind, _, token = header.strip().partition(" ")
    if kind.lower() not in {"token", "bearer"}:
        raise Unrecognised("Authentication credentials were not provided.")
    token = token.strip()
    if not token:
        raise Unrecognised("Invalid token header. No credentials provided.")
    if " " in token:
        raise Unrecognised("Invalid token header. Token string should not contain spaces.")
    row = session.execute(
        select(User, ApiToken)
        .join(ApiToken, ApiToken.user_id == User.id)
        .where(ApiToken.token_hash == _hash(token))
    ).one_or_none()  # fmt: skip
    if row is None or (row[1].expires_at is not None and row[1].expires_at <= clock.now()):
        raise Unrecognised("Invalid token.")
    if not row[0].is_active:
        raise Unrecognised("User inactive or deleted.")
    _note_use(session, row[1])
    return row[0], row[1]


def _note_use(session: Session, token: ApiToken) -> None:
    now = clock.now()
    if token.used_at is None or now - token.used_at > USED_STEP:
        session.execute(update(ApiToken).where(ApiToken.id == token.id).values(used_at=now))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
