"""Write to the event log."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from chalicelib import clock
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
) -> None:
    """Add an event in the caller's transaction, so that the log says exactly what was committed."""
    session.add(
        Event(
            at=clock.now(), type=event_type, workflow_id=workflow_id, user_id=user_id,
            action_id=action_id, run_id=run_id, detail=detail,
        )
    )  # fmt: skip
