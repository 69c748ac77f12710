"""Write to the event log."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from chalicelib import clock, errors, logs
from chalicelib.accounts.models import User
from chalicelib.audit import origins, personal, words
from chalicelib.audit.models import Event


def record(
    session: Session,
    event_type: str,
    *,
    workflow_id: int | None = None,
    user_id: int | None = None,
    action_id: int | None = None,
    run_id: int | None = None,
    message_id: int | None = None,
    **detail: Any,
) -> Event:
    """Add an event in the caller's transaction, so that the log says exactly what was committed.

    Of the details `row_id` is the learner it is about; those that `personal` lists for the type are kept apart.
    """
    own = personal.NAMES.get(event_type, frozenset())
    event = Event(
        at=clock.now(), type=event_type, workflow_id=workflow_id, user_id=user_id,
        action_id=action_id, run_id=run_id, row_id=detail.get("row_id"), message_id=message_id,
        origin=origins.current(), outcome=words.outcome(event_type, detail), correlation_id=logs.correlation_id(),
        detail={name: value for name, value in detail.items() if name not in own},
        personal={name: value for name, value in detail.items() if name in own},
    )  # fmt: skip
    session.add(event)
    return event


def record_daily(session: Session, event_type: str, workflow_id: int, user_id: int, **detail: Any) -> None:
    """Add an event of what happens again and again, unless there is one of the same person since yesterday."""
    query = select(Event.id).where(
        Event.type == event_type, Event.workflow_id == workflow_id, Event.user_id == user_id,
        Event.at > clock.now() - timedelta(days=1),
    )  # fmt: skip
    if session.scalar(query.limit(1)) is None:
        record(session, event_type, workflow_id=workflow_id, user_id=user_id, **detail)


def forget_learners(session: Session, workflow_id: int, row_ids: Collection[int] | None = None) -> int:
    """Take what is the learners' own out of the events about these rows (None: all); return how many events it was."""
    query = """
        UPDATE ontask.event SET personal = '{}', row_id = NULL, detail = detail - 'row_id'
        WHERE workflow_id = :workflow_id AND (row_id = ANY(CAST(:row_ids AS bigint[]))
              OR CAST(:row_ids AS bigint[]) IS NULL AND (row_id IS NOT NULL OR personal <> '{}'))
        RETURNING id
    """
    values = {"workflow_id": workflow_id, "row_ids": None if row_ids is None else list(row_ids)}
    return len(session.execute(text(query), values).all())


def forget_person(session: Session, workflow_id: int, user_ids: Collection[int]) -> None:
    """Have the events of the workflow not say any more that these people caused them."""
    session.execute(
        update(Event).where(Event.workflow_id == workflow_id, Event.user_id.in_(user_ids)).values(user_id=None),
        execution_options={"synchronize_session": False},
    )


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
