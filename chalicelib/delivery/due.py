"""What is due in delivery: the safety net behind lost wake-ups, and the moments that nobody else wakes for."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.delivery import doubt, lanes, outbox, plan, wakeups
from chalicelib.delivery.jobs import RESOLVE
from chalicelib.delivery.models import QUEUED, RUNNING, Lane, Message, Run
from chalicelib.delivery.notices import service as notices
from chalicelib.schedules import service as schedules

#: A lane with work that nobody has served for so long lost its wake-up.
LOST_AFTER = timedelta(minutes=2)


def look(session: Session) -> None:
    """Wake lanes whose wake-up was lost, open lanes, have doubts judged, set the alarm for what comes next.

    Runs that ended by late news, which can ask for nothing, get their notices here.
    """
    for lane in session.scalars(select(Lane).order_by(Lane.name)).all():
        outbox.finish(session, lane.name)  # the worker that would have seen the end was not woken
        moments = [
            _closed(session, lane), _waiting(session, lane), _releasable(session, lane), _doubtful(session, lane),
            _pausing(session, lane),
        ]  # fmt: skip
        if known := [moment for moment in moments if moment is not None]:
            schedules.alarm(session, min(known))
    notices.ask(session)


def _closed(session: Session, lane: Lane) -> datetime | None:
    if not lane.is_closed or lane.closed_until is None:
        return None
    if lane.closed_until > clock.now():
        return lane.closed_until
    lanes.open_again(session, lane.name)
    return clock.now()


def _waiting(session: Session, lane: Lane) -> datetime | None:
    """Look for running runs with messages in the queue."""
    queued = select(Message.id).where(
        Message.lane == lane.name, Message.state == QUEUED, Message.run_id == Run.id
    ).exists()  # fmt: skip
    running = select(Run.id).where(Run.lane == lane.name, Run.state == RUNNING, queued).limit(1)
    if lane.is_closed or session.scalar(running) is None:
        return None
    return _wake_if_lost(session, lane)


def _releasable(session: Session, lane: Lane) -> datetime | None:
    """Look for planned runs whose undo window is over, or will be."""
    first = plan.next_release(session, lane.name)
    if first is None or first > clock.now():
        return first
    return _wake_if_lost(session, lane)


def _pausing(session: Session, lane: Lane) -> datetime | None:
    """Look for messages that the other system wanted later."""
    first = outbox.next_retry(session, lane.name)
    if first is None or lane.is_closed or first > clock.now():
        return None if lane.is_closed else first
    return _wake_if_lost(session, lane)


def _wake_if_lost(session: Session, lane: Lane) -> datetime:
    """Wake the lane, unless somebody serves it or is on the way; return when to look again.

    A lane that waits for hours, as for its quota, is left alone until then: the database can sleep.
    """
    now = clock.now()
    if lane.wake_at is not None and lane.wake_at > now:
        return lane.wake_at + LOST_AFTER
    if lane.served_at is None or lane.served_at <= now - LOST_AFTER:
        wakeups.wake(session, lane.name)
    return now + LOST_AFTER


def _doubtful(session: Session, lane: Lane) -> datetime | None:
    due = doubt.next_judgement(session, lane.name)
    if due is None or due > clock.now():
        return due
    schedules.enqueue(session, RESOLVE, {"lane": lane.name})
    return clock.now() + LOST_AFTER
