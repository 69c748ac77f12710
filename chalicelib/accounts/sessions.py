"""Signed-in browsers. One statement a request finds session and user together."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session as Transaction

from chalicelib import clock
from chalicelib.accounts.models import Session, User
from chalicelib.settings import settings

#: The row is written at most this often, so that reading pages does not mean writing rows.
SEEN_STEP = timedelta(minutes=1)
#: The cookie may outlive the row: the row decides.
COOKIE_LIFETIME = timedelta(days=30)


def begin(session: Transaction, user: User, agent: str) -> str:
    """Open a session for the user and return its id, which is always a new one."""
    now = clock.now()
    row = Session(
        id=uuid4(), user_id=user.id, agent=agent[:200], created_at=now, seen_at=now, expires_at=now + _lifetime()
    )
    session.add(row)
    user.signed_in_at = now
    session.flush()
    return str(row.id)


def find_user(session: Transaction, session_id: str) -> User | None:
    """Return the user of a live session and keep it alive; None when it ended or the account is closed."""
    now = clock.now()
    row = session.execute(
        select(User, Session.seen_at)
        .join(Session, Session.user_id == User.id)
        .where(Session.id == UUID(session_id), Session.expires_at > now, User.is_active)
    ).one_or_none()
    if row is None:
        return None
    user, seen_at = row
    if now - seen_at > SEEN_STEP:
        session.execute(
            update(Session).where(Session.id == UUID(session_id)).values(seen_at=now, expires_at=now + _lifetime())
        )
    return user


def end(session: Transaction, session_id: str) -> None:
    """End the session; one that is over is fine."""
    session.execute(delete(Session).where(Session.id == UUID(session_id)))


def end_others(session: Transaction, user_id: int, session_id: str) -> None:
    """End all sessions of the user but this one (none of them: pass an empty id)."""
    doomed = delete(Session).where(Session.user_id == user_id)
    if session_id:
        doomed = doomed.where(Session.id != UUID(session_id))
    session.execute(doomed)


def remove_expired(session: Transaction) -> None:
    """Delete the rows of sessions that are over."""
    session.execute(delete(Session).where(Session.expires_at < clock.now()))


def _lifetime() -> timedelta:
    return timedelta(minutes=settings().session_minutes)
