"""The token of an action: set, replaced, taken away, used; never shown."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.delivery.push.models import PushToken
from chalicelib.sealing import seal, unseal

MAX_LENGTH = 4096


def _purpose(action_id: int) -> str:
    return f"push token of {action_id}"


def check(token: str) -> None:
    """Check that a token, unless it is empty, can stand in a header.

    Raises errors.Invalid (field `token`).
    """
    if len(token) > MAX_LENGTH or not token.isascii() or not token.isprintable() or " " in token:
        message = "A token has letters, digits and signs without blanks. Copy it once more from the other system."
        raise errors.Invalid(message, {"token": message})


def put(session: Session, action_id: int, token: str) -> None:
    """Store a token in the place of another.

    Raises errors.Invalid (field `token`) when it can't stand in a header.
    """
    token = token.strip()
    check(token)
    values = {"sealed": seal(_purpose(action_id), token), "set_at": clock.now()}
    query = insert(PushToken).values(action_id=action_id, **values)
    session.execute(query.on_conflict_do_update(index_elements=["action_id"], set_=values))


def drop(session: Session, action_id: int) -> None:
    """Forget the token."""
    session.execute(sa.delete(PushToken).where(PushToken.action_id == action_id))


def set_at(session: Session, action_id: int) -> datetime | None:
    """Return when the token was set; None when there is none."""
    return session.scalar(sa.select(PushToken.set_at).where(PushToken.action_id == action_id))


def read(session: Session, action_id: int) -> str:
    """Return the token, for the one request it is for.

    Raises errors.Invalid when there is none that can be read.
    """
    sealed = session.scalar(sa.select(PushToken.sealed).where(PushToken.action_id == action_id))
    token = None if sealed is None else unseal(_purpose(action_id), sealed)
    if token is None:
        raise errors.Invalid("There is no token for the other system. Set it, then try the failed ones again.")
    return token
