"""The moments of schedules: begin what is due, once a moment, and write down what came of it.

A moment that was missed because everything was down is not made up: a schedule that is found late is done once, and
then at its next moment to come.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.schedules import plans, service
from chalicelib.schedules.models import ACTIVE, DONE, FAILED, RUNNING, SKIPPED, Occurrence, Schedule

#: What other domains need of the rows.
__all__ = ["DONE", "FAILED", "RUNNING", "SKIPPED", "Occurrence"]

BEGIN = "schedules.begin"


def begin_due(session: Session) -> None:
    """Have everything done that is due, and set each schedule's next moment and alarm; once a moment, whoever asks."""
    due = select(Schedule).where(Schedule.next_at <= clock.now()).order_by(Schedule.next_at).limit(200)
    for schedule in session.scalars(due.with_for_update(skip_locked=True)).all():
        assert schedule.next_at is not None, "it was looked for by it"
        made = session.scalar(
            insert(Occurrence)
            .values(schedule_id=schedule.id, due_at=schedule.next_at, state=RUNNING)
            .on_conflict_do_nothing()
            .returning(Occurrence.id)
        )
        if made is not None:
            ask(session, schedule, made)
        plans.set_next(session, schedule)
    upcoming = session.scalar(select(func.min(Schedule.next_at)))
    if upcoming is not None:
        service.alarm(session, upcoming)


def ask(session: Session, schedule: Schedule, occurrence_id: int) -> None:
    """Have an occurrence begun, or its next step, by a job."""
    service.enqueue(
        session, BEGIN, {"occurrence": occurrence_id}, workflow_id=schedule.workflow_id, user_id=schedule.user_id
    )  # fmt: skip


def now(session: Session, schedule: Schedule) -> None:
    """Do a locked schedule at once, beside its own times; a second wish in the same minute is the same."""
    moment = clock.now().replace(second=0, microsecond=0)
    made = session.scalar(
        insert(Occurrence)
        .values(schedule_id=schedule.id, due_at=moment, state=RUNNING)
        .on_conflict_do_nothing()
        .returning(Occurrence.id)
    )
    if made is not None:
        ask(session, schedule, made)


def open_one(session: Session, occurrence_id: int) -> tuple[Occurrence, Schedule] | None:
    """Return an occurrence that is to be done, both rows locked; None when it has begun or the schedule is gone."""
    occurrence = session.get(Occurrence, occurrence_id, with_for_update=True)
    if occurrence is None or occurrence.state != RUNNING or occurrence.run_id is not None:
        return None
    schedule = session.get(Schedule, occurrence.schedule_id, with_for_update=True)
    return None if schedule is None or schedule.deleted_at is not None else (occurrence, schedule)


def of_run(session: Session, run_id: int) -> tuple[Occurrence, Schedule] | None:
    """Return the occurrence that has begun the run and its schedule, locked; None when no schedule did."""
    occurrence = session.scalar(select(Occurrence).where(Occurrence.run_id == run_id).with_for_update())
    if occurrence is None:
        return None
    return occurrence, session.get_one(Schedule, occurrence.schedule_id, with_for_update=True)


def close(
    session: Session, occurrence: Occurrence, schedule: Schedule, state: str, message: str = "",
    run_id: int | None = None,
) -> None:  # fmt: skip
    """Write down how an occurrence ended; the last of too many failures in a row blocks the schedule."""
    occurrence.state, occurrence.message, occurrence.run_id = state, message, run_id or occurrence.run_id
    occurrence.ended_at = clock.now()
    if state != FAILED:
        return
    plans.record(session, "schedule_failed", None, schedule, reason=message)
    last = [one.state for one in of_schedule(session, schedule.id, schedule.max_failures)]
    if schedule.state == ACTIVE and last == [FAILED] * schedule.max_failures:
        plans.block(session, schedule, message)


def of_schedule(session: Session, schedule_id: int, limit: int = 30) -> list[Occurrence]:
    """Return what came of the schedule's last moments, newest first."""
    query = select(Occurrence).where(Occurrence.schedule_id == schedule_id)
    return list(session.scalars(query.order_by(Occurrence.due_at.desc()).limit(limit)))


def between(
    session: Session, schedule_ids: Sequence[int], begin: datetime, end: datetime
) -> dict[int, list[Occurrence]]:  # fmt: skip
    """Return what came of the schedules' moments from `begin` on and before `end`, by the schedule's id."""
    query = select(Occurrence).where(Occurrence.schedule_id.in_(schedule_ids))
    found: dict[int, list[Occurrence]] = {}
    for one in session.scalars(query.where(Occurrence.due_at >= begin, Occurrence.due_at < end)):
        found.setdefault(one.schedule_id, []).append(one)
    return found


def newest(session: Session, schedule_ids: Sequence[int]) -> dict[int, Occurrence]:
    """Return the newest occurrence of each schedule, by the schedule's id."""
    last = select(Occurrence.schedule_id, func.max(Occurrence.due_at)).where(Occurrence.schedule_id.in_(schedule_ids))
    is_last = tuple_(Occurrence.schedule_id, Occurrence.due_at).in_(last.group_by(Occurrence.schedule_id))
    return {one.schedule_id: one for one in session.scalars(select(Occurrence).where(is_last))}
