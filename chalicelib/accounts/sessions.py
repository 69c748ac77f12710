"""Signed-in browsers. One statement a request finds session and user together."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session as Transaction

from chalicelib import clock
from chalicelib.accounts.models import Session, User
from chalicelib.settings import settings
from chalicelib.web.urls import prefix

#: The row is written at most this often, so that reading pages does not mean writing rows.
SEEN_STEP = timedelta(minutes=1)
#: Of one who asked to be remembered.
REMEMBERED = timedelta(days=30)
#: A personal link opens one address only, and would open it again: whoever writes there slowly loses nothing.
LINK_LIFETIME = timedelta(days=1)


class Kind(StrEnum):
    """How a session began; the profile says it in these words."""

    SIGN_IN = "sign-in"
    LAUNCH = "launch"
    HAND_OVER = "hand-over"
    LINK = "link"
    PROXY = "proxy"


def begin(
    session: Transaction, user: User, agent: str, kind: Kind = Kind.SIGN_IN, *, is_learner: bool = False,
    is_remembered: bool = False, only_path: str | None = None,
) -> str:  # fmt: skip
    """Open a session for the user and return its id, which is always a new one."""
    now = clock.now()
    row = Session(
        id=uuid4(), user_id=user.id, kind=kind, is_learner=is_learner, is_remembered=is_remembered,
        only_path=only_path, agent=agent[:200], created_at=now, seen_at=now, expires_at=now,
    )  # fmt: skip
    row.expires_at = now + (REMEMBERED if is_remembered else _lifetime(row))
    session.add(row)
    user.signed_in_at = now
    session.flush()
    return str(row.id)


def find(session: Transaction, session_ids: Collection[str]) -> list[tuple[User, Session]]:
    """Return the live sessions among these, with their users; the newest first. Closed accounts have none."""
    if not session_ids:
        return []
    found = session.execute(
        select(User, Session)
        .join(Session, Session.user_id == User.id)
        .where(Session.id.in_(map(UUID, session_ids)), Session.expires_at > clock.now(), User.is_active)
        .order_by(Session.created_at.desc(), Session.id)
    )
    return [(row[0], row[1]) for row in found]


def begin_by_link(session: Transaction, user: User, agent: str, path: str) -> str:
    """Return a session that opens one address: the one of the person's latest visit by a link there, or a new one.

    A page that is open in another window belongs to the same session, and what was written there can still be sent.
    """
    row = session.scalar(
        select(Session)
        .where(Session.user_id == user.id, Session.kind == Kind.LINK, Session.only_path == path)
        .where(Session.expires_at > clock.now())
        .limit(1)
    )
    if row is None:
        return begin(session, user, agent, Kind.LINK, is_learner=True, only_path=path)
    keep_alive(session, row)
    return str(row.id)


def of_user(session: Transaction, user_id: int) -> list[Session]:
    """Return the live sessions of a user, the one used last first."""
    query = select(Session).where(Session.user_id == user_id, Session.expires_at > clock.now())
    return list(session.scalars(query.order_by(Session.seen_at.desc(), Session.id)))


def opens(row: Session, path: str, *, to_learners: bool) -> bool:
    """Tell whether the session is enough for a page, which is open to learners or not."""
    if not row.is_learner:
        return True
    own = None if row.only_path is None else prefix() + row.only_path
    return to_learners and (own is None or path == own or path.startswith(own + "/"))


def keep_alive(session: Transaction, row: Session) -> None:
    """Let the session go on from now, unless it has a fixed end."""
    now = clock.now()
    if now - row.seen_at > SEEN_STEP:
        until = row.expires_at if row.is_remembered else now + _lifetime(row)
        session.execute(update(Session).where(Session.id == row.id).values(seen_at=now, expires_at=until))


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


def _lifetime(row: Session) -> timedelta:
    return LINK_LIFETIME if row.kind == Kind.LINK else timedelta(minutes=settings().session_minutes)
