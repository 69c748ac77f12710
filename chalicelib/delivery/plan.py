"""Planning: from a confirmed run to one message row per learner, in one INSERT … SELECT."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import clock, database, errors, logs, metrics
from chalicelib.audit import service as audit
from chalicelib.delivery import copies, outbox, sources, wakeups
from chalicelib.delivery.audience import Audience, only_new, rows
from chalicelib.delivery.models import (
    HELD,
    MAIL,
    PAUSED,
    QUEUED,
    RANKS,
    RUNNING,
    SCHEDULED,
    SKIPPED,
    Message,
    Run,
)
from chalicelib.delivery.order import ONE
from chalicelib.logs import logger

#: Planning a million rows takes a minute; a page's time-out would be too short.
TIMEOUT_SECONDS = 600


def tally(session: Session, audience: Audience) -> dict[str, int]:
    """Return how many rows of the filter get a mail (key "") and how many do not, by reason."""
    found = rows(audience)
    counted = session.execute(sa.select(found.c.reason, sa.func.count()).group_by(found.c.reason))
    return {row[0]: row[1] for row in counted}


def plan(session: Session, run_id: int) -> int | None:
    """Write the run's messages, ready to be taken once the run has started; return how many will be sent.

    None when the run was undone, or is planned already: doing it twice makes nothing twice. Raises as `fill` does.
    """
    run = unplanned(session, run_id)
    return ready(session, run, fill(session, run)) if run is not None else None


def unplanned(session: Session, run_id: int) -> Run | None:
    """Return the run, locked, if it still waits to be planned."""
    run = session.scalar(sa.select(Run).where(Run.id == run_id).with_for_update())
    return run if run is not None and run.state in {HELD, SCHEDULED} and run.planned_at is None else None


def fill(session: Session, run: Run) -> int:
    """Write the run's messages, ready to be taken once it has started; return how many will be sent, copies aside.

    Raises errors.Invalid when a column that the run needs was deleted, although its values may still be there.
    """
    found = sources.read(session, run.workflow_id, run.action_id)
    if not needed(run) <= found.columns.keys():
        raise errors.Invalid("A column that this message needs was deleted, so nobody gets it.")
    session.execute(_insert(run, rows(audience_of(run, found))))
    waiting = sa.select(sa.func.count()).where(Message.run_id == run.id, Message.state == QUEUED)
    count = session.scalar(waiting) or 0
    if count and run.copies == ONE:
        copies.add(session, run)
    return count


def ready(session: Session, run: Run, count: int) -> int:
    """Note that the run's messages are written, and have them sent when its time has come."""
    run.planned, run.planned_at, run.state = count, clock.now(), HELD
    wait = (run.release_at - clock.now()).total_seconds() if run.release_at else 0
    # Rounded down: the worker waits for the rest of the second.
    wakeups.wake(session, run.lane, max(0, int(wait)))
    return count


def needed(run: Run) -> set[int]:
    """Return the ids of the columns of addresses and of values in the text; formulas are looked at when they run."""
    return {run.to_column_id, *(int(name[1:]) for name in run.value_types)}


def audience_of(run: Run, found: sources.Sources) -> Audience:
    """Return who the run is for, with the formulas it was confirmed with and today's columns."""
    return Audience(
        workflow_id=run.workflow_id, to_column_id=run.to_column_id, columns=found.columns, filter=run.filter,
        conditions=run.conditions, values=sorted(int(name[1:]) for name in run.value_types), skip_rows=run.skip_rows,
        left_out=run.left_out, leave_out_duplicates=run.leave_out_duplicates, time_zone=run.time_zone,
        not_reached_by=only_new(run, run.action_id), addresses=run.lane == MAIL,
    )  # fmt: skip


def _insert(run: Run, found: sa.Subquery) -> Any:
    sends = found.c.reason == ""
    return sa.insert(Message).from_select(
        ["run_id", "lane", "row_id", "recipient", "values", "flags", "state", "rank", "reason", "cost", "ended_at"],
        sa.select(
            sa.literal(run.id, sa.BigInteger), sa.literal(run.lane), found.c.row_id, found.c.address,
            found.c["values"], found.c.flags,
            sa.case((sends, QUEUED), else_=SKIPPED),
            sa.case((sends, RANKS[QUEUED]), else_=RANKS[SKIPPED]),
            found.c.reason, sa.literal(run.cost, sa.BigInteger),
            sa.case((sends, sa.null()), else_=sa.literal(clock.now(), sa.DateTime(timezone=True))),
        ),
        include_defaults=False,
    )  # fmt: skip


def release(session: Session, lane: str, closed_reason: str = "") -> int:
    """Start the lane's planned runs whose undo window is over; return how many. A closed lane pauses them.

    Messages are queued from the beginning, but for single ones: to change 100,000 would keep the first waiting.
    """
    now = clock.now()
    over = (Run.state == HELD) & (Run.release_at <= now) & Run.planned_at.is_not(None)
    runs = session.scalars(sa.select(Run).where(Run.lane == lane, over).with_for_update(skip_locked=True)).all()
    for run in runs:
        session.execute(
            sa.update(Message)
            .where(Message.lane == lane, Message.run_id == run.id, Message.state == HELD)
            .values(state=QUEUED, rank=RANKS[QUEUED]),
            execution_options={"synchronize_session": False},
        )
        run.state, run.started_at = (PAUSED if closed_reason else RUNNING), now
        run.paused_by, run.pause_reason = ("lane" if closed_reason else ""), closed_reason
        audit.record(
            session, "run_started", workflow_id=run.workflow_id, user_id=run.user_id, action_id=run.action_id,
            run_id=run.id, count=run.planned, left_out=outbox.left_out(session, run.id),
        )  # fmt: skip
        if run.release_at is not None:
            database.after_commit(session, partial(_tell_start, run, (now - run.release_at).total_seconds()))
    return len(runs)


def next_release(session: Session, lane: str) -> datetime | None:
    """Return when the undo window of the lane's next planned run is over; None when there is none."""
    held = (Run.lane == lane) & (Run.state == HELD) & Run.planned_at.is_not(None)
    return session.scalar(sa.select(sa.func.min(Run.release_at)).where(held))


def _tell_start(run: Run, lateness: float) -> None:
    with logs.follow(run.correlation_id):
        metrics.put({metrics.LATENESS: lateness}, run=run.id)
        logger().info("run started", extra={"run": run.id, "mails": run.planned})
