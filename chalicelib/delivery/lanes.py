"""What happens to a lane as a whole: closed, opened, made to wait, told its limits."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from chalicelib import clock, database, errors, metrics
from chalicelib.audit import service as audit
from chalicelib.delivery import throttle, wakeups
from chalicelib.delivery.carriers import Carrier
from chalicelib.delivery.models import BY_LANE, PAUSED, PUSH, RUNNING, Lane, Run
from chalicelib.schedules import service as schedules

#: One helper after the other, so that the first has begun before there is a next.
HELP_EVERY = timedelta(seconds=0.5)


def is_push(lane: str) -> bool:
    """Tell whether the lane is one of a host that JSON goes to."""
    return lane.startswith(PUSH)


def closed_reason(session: Session, lane: str) -> str:
    """Return why the lane takes no mail; "" when it does."""
    return session.scalar(select(Lane.closed_reason).where(Lane.name == lane, Lane.is_closed)) or ""


def close(session: Session, lane: str, reason: str, seconds: float | None) -> None:
    """Take no more mail and pause the lane's runs: the account is refused, nobody's message failed.

    It opens by itself after `seconds`; without them when somebody resumes a run.
    """
    until = None if seconds is None else clock.now() + timedelta(seconds=seconds)
    session.execute(
        update(Lane)
        .where(Lane.name == lane)
        .values(is_closed=True, closed_until=until, closed_reason=reason, wake_at=None)
    )
    paused = session.execute(
        update(Run)
        .where(Run.lane == lane, Run.state == RUNNING)
        .values(state=PAUSED, paused_by=BY_LANE, pause_reason=reason)
        .returning(Run.id, Run.workflow_id, Run.action_id)
    )
    for run_id, workflow_id, action_id in paused:
        audit.record(
            session, "run_paused", workflow_id=workflow_id, action_id=action_id, run_id=run_id, reason=reason
        )  # fmt: skip
    database.after_commit(session, lambda: metrics.put({metrics.LANES_CLOSED: 1}, lane=lane))
    if until is not None:
        schedules.alarm(session, until)


def open_again(session: Session, lane: str) -> None:
    """Take mail again and go on with the runs that the lane had paused."""
    session.execute(update(Lane).where(Lane.name == lane).values(is_closed=False, closed_until=None, closed_reason=""))
    session.execute(
        update(Run)
        .where(Run.lane == lane, Run.state == PAUSED, Run.paused_by == BY_LANE)
        .values(state=RUNNING, paused_by="", pause_reason="")
    )
    wakeups.wake(session, lane)


def wait(session: Session, lane: str, seconds: float) -> None:
    """Have the lane served again after `seconds`, unless a wake-up is under way that comes no later."""
    now = clock.now()
    expected = session.scalar(select(Lane.wake_at).where(Lane.name == lane))
    if expected is None or not now < expected <= now + timedelta(seconds=max(seconds, 1)):
        wakeups.wake(session, lane, max(seconds, 1))


def call_helper(session: Session, lane: str) -> bool:
    """Have one more worker serve the lane; tell whether it was called, as another was not just before."""
    now = clock.now()
    called = session.execute(
        update(Lane)
        .where(Lane.name == lane, or_(Lane.helped_at.is_(None), Lane.helped_at < now - HELP_EVERY))
        .values(helped_at=now)
        .returning(Lane.name)
    ).first()
    if called is not None:
        wakeups.wake(session, lane)
    return called is not None


def refresh_limits(lane: str, mailer: Carrier) -> None:
    """Ask for the limits when they were last asked for long ago; without an answer the old ones stay."""
    with database.scope() as session:
        throttle.ensure(session, lane)
        known = session.scalar(select(Lane.limits_at).where(Lane.name == lane))
    if known is not None and clock.now() - known < mailer.limits_age:
        return
    try:
        found = mailer.limits()
    except errors.Unavailable:
        return
    with database.scope() as session:
        throttle.set_limits(session, lane, rate=found.rate, quota=found.quota, sent_24h=found.sent_24h)
