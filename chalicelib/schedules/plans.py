"""Schedules: make, change, switch, delete; begin what is due. Rows only: an alarm merely says when to look.

A moment that was missed, because everything was down or the schedule was off, is not made up: a schedule that is found
late is done once, and then at its next moment to come.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.audit import service as audit
from chalicelib.schedules import crontab, service
from chalicelib.schedules.models import (
    ACTIVE,
    BLOCKED,
    DONE,
    FAILED,
    OFF,
    OVER,
    RUNNING,
    SKIPPED,
    Occurrence,
    Schedule,
)
from chalicelib.settings import settings

#: What other domains need of the rows.
__all__ = ["ACTIVE", "BLOCKED", "DONE", "FAILED", "SKIPPED", "Occurrence", "Schedule"]

#: After so many failures in a row a schedule rests until somebody has looked at it.
MAX_FAILURES = 3
MAX_NAME_LENGTH = 200
#: Whom to tell what became of an occurrence.
NEVER, ON_ERROR, ALWAYS = "never", "error", "always"
NOTIFY = {ON_ERROR: "when something goes wrong", ALWAYS: "each time", NEVER: "never"}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody filled in: when it happens, from when on and until when, and whom to tell."""

    name: str
    crontab: str
    time_zone: str
    start: datetime | None = None
    until: datetime | None = None
    notify: str = ON_ERROR


def create(
    session: Session, user_id: int, *, workflow_id: int, action_id: int, kind: str, payload: dict[str, Any], wish: Wish
) -> Schedule:  # fmt: skip
    """Add a schedule and set its first alarm.

    Raises errors.Invalid with a message for each field that can't stay.
    """
    now = clock.now()
    checked = _checked(session, workflow_id, wish)
    schedule = Schedule(
        workflow_id=workflow_id, action_id=action_id, user_id=user_id, kind=kind, name=wish.name.strip(),
        payload=payload, crontab=checked, time_zone=wish.time_zone, until=wish.until, notify=wish.notify,
        state=ACTIVE, created_at=now,
    )  # fmt: skip
    session.add(schedule)
    _set_next(session, schedule, max(wish.start or now, now))
    session.flush()
    _record(session, "schedule_created", user_id, schedule, words=crontab.words(checked))
    return schedule


def change(session: Session, user_id: int, schedule: Schedule, wish: Wish, *, version: int) -> None:
    """Change when it happens and whom to tell; `schedule` must be locked.

    Raises errors.Invalid as `create` does, errors.Conflict when somebody else changed it since `version`.
    """
    if version != schedule.version:
        raise errors.Conflict("Somebody else changed this schedule meanwhile. Here it is as it is now.")
    checked = _checked(session, schedule.workflow_id, wish, but=schedule.id)
    old = {"crontab": schedule.crontab, "until": _text(schedule.until), "name": schedule.name}
    schedule.name, schedule.crontab, schedule.time_zone = wish.name.strip(), checked, wish.time_zone
    schedule.until, schedule.notify, schedule.version = wish.until, wish.notify, schedule.version + 1
    if schedule.state in {ACTIVE, OVER}:
        schedule.state = ACTIVE
        _set_next(session, schedule, max(wish.start or clock.now(), clock.now()))
    new = {"crontab": checked, "until": _text(wish.until), "name": schedule.name}
    _record(session, "schedule_changed", user_id, schedule, old=old, new=new)


def switch(session: Session, user_id: int, schedule: Schedule, *, on: bool) -> None:
    """Let a locked schedule rest, or go on; moments that passed meanwhile are not made up."""
    if on == (schedule.state == ACTIVE):
        return
    schedule.state, schedule.problem = (ACTIVE if on else OFF), ""
    schedule.next_at = None
    if on:
        _set_next(session, schedule, clock.now())
    _record(session, "schedule_switched_on" if on else "schedule_switched_off", user_id, schedule)


def delete(session: Session, user_id: int, schedule: Schedule) -> None:
    """Put a locked schedule aside; `restore` takes it back. What it has begun goes on."""
    schedule.deleted_at, schedule.next_at = clock.now(), None
    _record(session, "schedule_deleted", user_id, schedule)


def restore(session: Session, user_id: int, schedule: Schedule) -> None:
    """Take a deleted schedule back."""
    schedule.deleted_at = None
    if schedule.state == ACTIVE:
        _set_next(session, schedule, clock.now())
    _record(session, "schedule_restored", user_id, schedule)


def get(
    session: Session, workflow_id: int, schedule_id: int, *, lock: bool = False, in_trash: bool = False
) -> Schedule:  # fmt: skip
    """Return the workflow's schedule.

    Raises errors.NotFound when there is none.
    """
    query = select(Schedule).where(Schedule.id == schedule_id, Schedule.workflow_id == workflow_id)
    query = query.where(Schedule.deleted_at.is_not(None) if in_trash else Schedule.deleted_at.is_(None))
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise errors.NotFound
    return found


def of_workflow(session: Session, workflow_id: int) -> list[Schedule]:
    """Return the workflow's schedules, the next one first."""
    query = select(Schedule).where(Schedule.workflow_id == workflow_id, Schedule.deleted_at.is_(None))
    return list(session.scalars(query.order_by(Schedule.next_at.asc().nulls_last(), Schedule.id)))


def occurrences(session: Session, schedule_id: int, limit: int = 30) -> list[Occurrence]:
    """Return what came of the schedule's last moments, newest first."""
    query = select(Occurrence).where(Occurrence.schedule_id == schedule_id)
    return list(session.scalars(query.order_by(Occurrence.due_at.desc()).limit(limit)))


def following(schedule: Schedule, count: int = 5) -> list[datetime]:
    """Return the next moments of a schedule that does not rest."""
    if schedule.next_at is None:
        return []
    later = crontab.moments(schedule.crontab, schedule.next_at, schedule.time_zone, schedule.until)
    return [schedule.next_at, *islice(later, count - 1)]


def preview(wish: Wish, count: int = 5) -> list[datetime]:
    """Return the first moments of what somebody is filling in.

    Raises errors.Invalid when it is no crontab.
    """
    expression = crontab.check(wish.crontab, min_minutes=settings().min_repeat_minutes)
    begin = max(wish.start or clock.now(), clock.now())
    return list(islice(crontab.moments(expression, begin, wish.time_zone, wish.until), count))


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
            service.enqueue(
                session, schedule.kind, {"occurrence": made}, workflow_id=schedule.workflow_id, user_id=schedule.user_id
            )  # fmt: skip
        _set_next(session, schedule, clock.now())
    upcoming = session.scalar(select(func.min(Schedule.next_at)))
    if upcoming is not None:
        service.alarm(session, upcoming)


def open_occurrence(session: Session, occurrence_id: int) -> tuple[Occurrence, Schedule] | None:
    """Return an occurrence that is to be done, both rows locked; None when it has ended or the schedule is gone."""
    occurrence = session.get(Occurrence, occurrence_id, with_for_update=True)
    if occurrence is None or occurrence.state != RUNNING or occurrence.run_id is not None:
        return None
    schedule = session.get(Schedule, occurrence.schedule_id, with_for_update=True)
    return None if schedule is None or schedule.deleted_at is not None else (occurrence, schedule)


def of_run(session: Session, run_id: int) -> tuple[Occurrence, Schedule] | None:
    """Return the occurrence that began the run and its schedule, locked; None when no schedule did."""
    occurrence = session.scalar(select(Occurrence).where(Occurrence.run_id == run_id).with_for_update())
    if occurrence is None:
        return None
    return occurrence, session.get_one(Schedule, occurrence.schedule_id, with_for_update=True)


def close(
    session: Session, occurrence: Occurrence, schedule: Schedule, state: str, message: str = "",
    run_id: int | None = None,
) -> bool:  # fmt: skip
    """Write down how an occurrence ended; tell whether the owner has to hear of it.

    The third failure in a row blocks the schedule until somebody switches it on again.
    """
    occurrence.state, occurrence.message, occurrence.run_id = state, message, run_id
    occurrence.ended_at = clock.now()
    if state == FAILED:
        _record(session, "schedule_failed", None, schedule, reason=message)
        last = [one.state for one in occurrences(session, schedule.id, MAX_FAILURES)]
        if schedule.state == ACTIVE and last == [FAILED] * MAX_FAILURES:
            schedule.state, schedule.problem, schedule.next_at = BLOCKED, message, None
    return schedule.notify == ALWAYS or (schedule.notify == ON_ERROR and state in {FAILED, SKIPPED})


def _set_next(session: Session, schedule: Schedule, after: datetime) -> None:
    schedule.next_at = next(crontab.moments(schedule.crontab, after, schedule.time_zone, schedule.until), None)
    if schedule.next_at is None:
        schedule.state = OVER
    else:
        service.alarm(session, schedule.next_at)


def _checked(session: Session, workflow_id: int, wish: Wish, but: int = 0) -> str:
    problems: dict[str, str] = {}
    name, expression = wish.name.strip(), ""
    if not name:
        problems["name"] = "Type a name, such as “Weekly reminder”."
    elif len(name) > MAX_NAME_LENGTH:
        problems["name"] = f"Use at most {MAX_NAME_LENGTH} characters; this has {len(name):,}."
    elif _is_used(session, workflow_id, name, but):
        problems["name"] = "Another schedule of this workflow has this name."
    try:
        expression = crontab.check(wish.crontab, min_minutes=settings().min_repeat_minutes)
    except errors.Invalid as error:
        problems["crontab"] = error.message
    if wish.until is not None and wish.until <= max(clock.now(), wish.start or clock.now()):
        problems["until"] = "The end lies before the beginning."
    elif expression and not preview(wish, 1):
        problems["until"] = "It would end before it happens for the first time."
    if wish.notify not in NOTIFY:
        problems["notify"] = "Choose one of these."
    if problems:
        raise errors.Invalid("Some fields need another look.", problems)
    return expression


def _is_used(session: Session, workflow_id: int, name: str, but: int) -> bool:
    query = select(Schedule.id).where(Schedule.workflow_id == workflow_id, Schedule.name == name, Schedule.id != but)
    return session.scalar(query.where(Schedule.deleted_at.is_(None)).limit(1)) is not None


def _record(session: Session, event_type: str, user_id: int | None, schedule: Schedule, **detail: Any) -> None:
    audit.record(
        session, event_type, workflow_id=schedule.workflow_id, user_id=user_id, action_id=schedule.action_id,
        name=schedule.name, schedule=schedule.id, **detail,
    )  # fmt: skip


def _text(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""
