"""What became of a text: its last versions, by whom and when; and drafts, which nobody could store yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.accounts.models import User
from chalicelib.actions.models import Action, TextDraft, TextVersion

MAX_KEPT = 20
#: Saves come every second while somebody types: what one person saved for this long is one version.
ONE_SITTING = timedelta(minutes=10)


@dataclass(frozen=True)
class Version:
    """A version in the list; `author` is empty for a text that came with a copy or from a file."""

    id: int
    author: str
    saved_at: datetime
    text: str


def keep(session: Session, user_id: int, action: Action, before: str, *, apart: bool = False) -> None:
    """Note the action's text as the newest version; `before` is the one it took the place of.

    With `apart` it is a version of its own, however short the while since the last one. The action must be locked.
    """
    now = clock.now()
    newest = session.scalar(_of(action.id).limit(1))
    if before and (newest is None or newest.text != before):  # written before there were versions, or by a copy
        newest = _add(session, action.id, None, before, action.created_at)
    if newest and not apart and newest.user_id == user_id and now - newest.began_at < ONE_SITTING:
        newest.text, newest.saved_at = action.text, now
        return
    _add(session, action.id, user_id, action.text, now)
    old = _of(action.id).with_only_columns(TextVersion.id).offset(MAX_KEPT)
    session.execute(sa.delete(TextVersion).where(TextVersion.id.in_(old.scalar_subquery())))


def _of(action_id: int) -> sa.Select[TextVersion]:
    return sa.select(TextVersion).where(TextVersion.action_id == action_id).order_by(TextVersion.id.desc())


def _add(session: Session, action_id: int, user_id: int | None, text: str, at: datetime) -> TextVersion:
    made = TextVersion(action_id=action_id, user_id=user_id, text=text, began_at=at, saved_at=at)
    session.add(made)
    session.flush()
    return made


def kept(session: Session, action: Action) -> list[Version]:
    """Return the versions of a text, the newest first: the one that is stored now."""
    query = (
        sa.select(TextVersion.id, TextVersion.text, TextVersion.saved_at, User.name, User.email)
        .outerjoin(User, User.id == TextVersion.user_id)
        .where(TextVersion.action_id == action.id)
        .order_by(TextVersion.id.desc())
    )
    rows = session.execute(query).all()
    found = [Version(row.id, row.name or row.email or "", row.saved_at, row.text) for row in rows]
    if action.text and (not found or found[0].text != action.text):
        found.insert(0, Version(0, "", action.updated_at, action.text))
    return found


def get(session: Session, action: Action, version_id: int) -> TextVersion:
    """Return a version of the action's text.

    Raises errors.NotFound when there is none, or when newer ones have taken its place.
    """
    found = next((one for one in session.scalars(_of(action.id)) if one.id == version_id), None)
    if found is None:
        raise errors.NotFound("This version is not kept any more.")
    return found


def find(session: Session, action: Action, text: str) -> int | None:
    """Return the newest version that has this text; None when none is kept."""
    return next((one.id for one in session.scalars(_of(action.id)) if one.text == text), None)


# -- drafts


def draft(session: Session, user_id: int, action: Action) -> TextDraft | None:
    """Return what this person wrote and could not store."""
    return session.get(TextDraft, (action.id, user_id))


def put_aside(session: Session, user_id: int, action: Action, text: str, version: int) -> None:
    """Keep a text that can't be stored as this person's draft, in place of an older one."""
    known = version if 0 < version <= action.version else 0  # of a text that never was: always overtaken
    values = {"text": text, "version": known, "saved_at": clock.now()}
    query = insert(TextDraft).values(action_id=action.id, user_id=user_id, **values)
    session.execute(query.on_conflict_do_update(index_elements=["action_id", "user_id"], set_=values))


def drop_draft(session: Session, user_id: int, action: Action) -> None:
    """Forget this person's draft."""
    session.execute(sa.delete(TextDraft).where(TextDraft.action_id == action.id, TextDraft.user_id == user_id))
