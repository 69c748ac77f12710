"""Write to the event log."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from chalicelib import clock, errors
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
        action_id=action_id, run_id=run_id, detail=detail,
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
