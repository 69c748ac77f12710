"""Wake-ups of the senders. They name a lane, never a message: a lost, doubled or stale one changes nothing."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.aws.queue import MAX_DELAY_SECONDS
from chalicelib.delivery.models import Lane
from chalicelib.schedules import service as schedules
from chalicelib.settings import settings

ENDED = "delivery.ended"


def wake(session: Session, lane: str, delay_seconds: float = 0) -> None:
    """Have the lane served after the commit, or after a delay: by the queue up to 15 minutes, else by an alarm."""
    at = clock.now() + timedelta(seconds=delay_seconds)
    if delay_seconds < MAX_DELAY_SECONDS:
        # Rounded up: a wake-up that comes a moment early would have to be sent again.
        schedules.wake(session, settings().outbox_queue, {"lane": lane}, delay_seconds=-int(-delay_seconds // 1))
    else:
        schedules.alarm(session, at)
    session.execute(
        update(Lane)
        .where(Lane.name == lane, or_(Lane.wake_at.is_(None), Lane.wake_at < clock.now(), Lane.wake_at > at))
        .values(wake_at=at)
    )


def run_ended(session: Session, run_id: int, workflow_id: int) -> None:
    """Have the schedule that has begun the run told that it is over."""
    schedules.enqueue(session, ENDED, {"run": run_id}, workflow_id=workflow_id)
