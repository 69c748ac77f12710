"""Write to the event log."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock, errors, logs
from chalicelib.accounts.models import User
from chalicelib.audit import origins
from chalicelib.audit.models import Event


def record(
    session: Session,
    event_type: str,
    *,
    workflow_id: int | None = None,
    user_id: int | None = None,
    action_id: int | None = None,
    run_id: int | None = None,
    **detail: Any,
) -> Event:
    """Add an event in the caller's transaction, so that the log says exactly what was committed."""
    event = Event(
        at=clock.now(), type=event_type, workflow_id=workflow_id, user_id=user_id,
        action_id=action_id, run_id=run_id, origin=origins.current(), correlation_id=logs.correlation_id(),
        detail=detail,
    )  # fmt: skip
    session.add(event)
    return event


def get(session: Session, workflow_id: int, event_id: int) -> Event:
    """Return one event of the workflow.

    Raises errors.NotFound when there is none with this id.
    """
    event = session.get(Event, event_id)
    if event is None or event.workflow_id != workflow_id:
        raise errors.NotFound
    return event


def who_last(
    session: Session, workflow_id: int, types: Collection[str], *, time_zone: str = "UTC", action_id: int | None = None,
    **detail: Any,
) -> str:  # fmt: skip
    """Return who did the latest of these events, and when, as the beginning of a sentence: "Olaf, at 14:03,"."""
    query = (
        select(Event.at, User.name, User.email)
        .outerjoin(User, User.id == Event.user_id)
        .where(Event.workflow_id == workflow_id, Event.type.in_(types))
    )
    if action_id is not None:
        query = query.where(Event.action_id == action_id)
    if detail:
        query = query.where(Event.detail.contains(detail))
    row = session.execute(query.order_by(Event.at.desc(), Event.id.desc()).limit(1)).one_or_none()
    if row is None:
        return "Somebody else"
    return f"{row.name or row.email or 'Somebody'}, at {row.at.astimezone(ZoneInfo(time_zone)):%H:%M},"
