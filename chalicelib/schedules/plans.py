"""Schedules: make, change, switch, delete, find. Rows only: an alarm merely says when to look.

What comes of them is in `occurrences`. A moment that passes while a schedule rests is not made up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.audit import service as audit
from chalicelib.schedules import crontab, service
from chalicelib.schedules.models import ACTIVE, BLOCKED, OFF, OVER, Schedule
from chalicelib.schedules.wishes import (
    ALWAYS,
    MAX_FAILURES,
    NEVER,
    NOTIFY,
    ON_ERROR,
    OUTAGE,
    Wish,
    beginning,
    checked,
    free_name,
    is_name_used,
    preview,
)

#: What other domains need of the rows and of what is filled in.
__all__ = [
    "ACTIVE", "ALWAYS", "BLOCKED", "MAX_FAILURES", "NEVER", "NOTIFY", "OFF", "ON_ERROR", "OUTAGE", "OVER", "Schedule",
    "Wish", "checked", "free_name", "is_name_used", "preview",
]  # fmt: skip


def create(
    session: Session, user_id: int, *, workflow_id: int, action_id: int | None, kind: str, payload: dict[str, Any],
    wish: Wish,
) -> Schedule:  # fmt: skip
    """Add a schedule and set its first alarm.

    Raises errors.Invalid with a message for each field that can't stay.
    """
    expression = checked(session, workflow_id, wish)
    schedule = Schedule(
        workflow_id=workflow_id, action_id=action_id, user_id=user_id, kind=kind, payload=payload, steps=[],
        state=ACTIVE, created_at=clock.now(),
    )  # fmt: skip
    _fill(schedule, wish, expression)
    session.add(schedule)
    set_next(session, schedule)
    session.flush()
    record(session, "schedule_created", user_id, schedule, **shown(schedule))
    return schedule


def change(
    session: Session, user_id: int, schedule: Schedule, wish: Wish, *, version: int,
    payload: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """Change when it happens and whom to tell; `schedule` must be locked. One that was over goes on.

    Raises errors.Invalid as `create` does, errors.Conflict when somebody else changed it since `version`.
    """
    check_version(schedule, version)
    expression = checked(session, schedule.workflow_id, wish, schedule)
    old = shown(schedule)
    _fill(schedule, wish, expression)
    schedule.payload = schedule.payload if payload is None else payload
    if schedule.state in {ACTIVE, OVER}:
        schedule.state = ACTIVE
        set_next(session, schedule)
    _record_change(session, user_id, schedule, old)


def change_work(
    session: Session, user_id: int, schedule: Schedule, payload: dict[str, Any], *, version: int, steps: Any = None
) -> None:  # fmt: skip
    """Change what a locked schedule does, and its steps when they are given.

    Raises errors.Conflict when somebody else changed it since `version`.
    """
    check_version(schedule, version)
    old = shown(schedule)
    schedule.payload = payload
    schedule.steps = schedule.steps if steps is None else steps
    schedule.version += 1
    _record_change(session, user_id, schedule, old)


def check_version(schedule: Schedule, version: int) -> None:
    """Raise errors.Conflict when somebody else changed it since `version`."""
    if version != schedule.version:
        raise errors.Conflict("Somebody else changed this schedule meanwhile. Here it is as it is now.")


def _fill(schedule: Schedule, wish: Wish, expression: str) -> None:
    schedule.name, schedule.description = wish.name.strip(), wish.description.strip()
    schedule.crontab, schedule.time_zone = expression, wish.time_zone
    schedule.starts_at, schedule.until = wish.start, wish.until
    schedule.notify, schedule.addresses = wish.notify, list(wish.addresses)
    schedule.max_failures = wish.max_failures or MAX_FAILURES
    schedule.version = (schedule.version or 0) + 1


def shown(schedule: Schedule) -> dict[str, Any]:
    """Return what events tell of a schedule; columns are by id, and there are no secrets in it."""
    return {
        "crontab": schedule.crontab, "time_zone": schedule.time_zone, "starts_at": _text(schedule.starts_at),
        "until": _text(schedule.until), "called": schedule.name, "description": schedule.description,
        "notify": schedule.notify, "addresses": schedule.addresses, "max_failures": schedule.max_failures,
        "does": _told(schedule.payload),
        "steps": [one | {"payload": _told(one["payload"])} for one in schedule.steps],
        "words": crontab.words(schedule.crontab),
    }  # fmt: skip


def _told(payload: dict[str, Any]) -> dict[str, Any]:
    """Return what events tell of what is done: learners who are left out are counted, not named."""
    return payload | {name: len(payload[name]) for name in ("left_out", "skip_rows") if name in payload}


def _record_change(session: Session, user_id: int, schedule: Schedule, old: dict[str, Any]) -> None:
    new = shown(schedule)
    differ = [name for name in new if new[name] != old[name]]
    record(
        session, "schedule_changed", user_id, schedule, old={name: old[name] for name in differ},
        new={name: new[name] for name in differ},
    )  # fmt: skip


def switch(session: Session, user_id: int, schedule: Schedule, *, on: bool) -> None:
    """Let a locked schedule rest, or go on; moments that passed meanwhile are not made up."""
    if on == (schedule.state == ACTIVE):
        return
    schedule.state, schedule.problem = (ACTIVE if on else OFF), ""
    schedule.next_at = None
    if on:
        set_next(session, schedule)
    record(session, "schedule_switched_on" if on else "schedule_switched_off", user_id, schedule)


def block(session: Session, schedule: Schedule, problem: str) -> None:
    """Let a locked schedule rest because it can't be done; somebody has to look at it."""
    schedule.state, schedule.problem, schedule.next_at = BLOCKED, problem, None
    record(session, "schedule_blocked", None, schedule, reason=problem)


def unblock(session: Session, schedule: Schedule) -> None:
    """Let a locked schedule go on by itself: what it needs is back."""
    schedule.state, schedule.problem = ACTIVE, ""
    set_next(session, schedule)
    record(session, "schedule_switched_on", None, schedule)


def delete(session: Session, user_id: int | None, schedule: Schedule, *, at: datetime | None = None) -> None:
    """Put a locked schedule aside, at the instant of what it went with; `restore` takes it back.

    What it has begun goes on.
    """
    schedule.deleted_at, schedule.next_at = at or clock.now(), None
    record(session, "schedule_deleted", user_id, schedule)


def restore(session: Session, user_id: int | None, schedule: Schedule) -> None:
    """Take a deleted schedule back, under another name when its own is in use by now."""
    schedule.name = free_name(session, schedule.workflow_id, schedule.name)
    schedule.deleted_at = None
    if schedule.state == ACTIVE:
        set_next(session, schedule)
    record(session, "schedule_restored", user_id, schedule)


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


def of_workflow(
    session: Session, workflow_id: int, *, lock: bool = False, gone_at: datetime | None = None
) -> list[Schedule]:  # fmt: skip
    """Return the workflow's schedules, the next one first; with `gone_at` those that were deleted at that instant."""
    query = select(Schedule).where(
        Schedule.workflow_id == workflow_id, Schedule.deleted_at.is_not_distinct_from(gone_at)
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return list(session.scalars(query.order_by(Schedule.next_at.asc().nulls_last(), Schedule.id)))


def go_with(
    session: Session, user_id: int, workflow_id: int, at: datetime, *, action_id: int | None = None
) -> list[Schedule]:  # fmt: skip
    """Delete the schedules of an action, or all of the workflow, which was deleted at this instant; return them."""
    gone = [
        one for one in of_workflow(session, workflow_id, lock=True) if action_id in {None, one.action_id}
    ]  # fmt: skip
    for schedule in gone:
        delete(session, user_id, schedule, at=at)
    return gone


def come_back(
    session: Session, user_id: int, workflow_id: int, at: datetime | None, *, action_id: int | None = None
) -> None:  # fmt: skip
    """Bring the schedules back that went with what was deleted at this instant."""
    if at is None:
        return
    for schedule in of_workflow(session, workflow_id, lock=True, gone_at=at):
        if action_id in {None, schedule.action_id}:
            restore(session, user_id, schedule)


def named(schedules: Sequence[Schedule]) -> str:
    """Name the schedules in a sentence: "“Weekly” and “Once”"; empty when there are none."""
    names = [f"“{one.name}”" for one in schedules]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def workflow_of(session: Session, schedule_id: int) -> int | None:
    """Return the workflow of a schedule; None when there is no such schedule."""
    return session.scalar(select(Schedule.workflow_id).where(Schedule.id == schedule_id, Schedule.deleted_at.is_(None)))


def following(schedule: Schedule, count: int = 5) -> list[datetime]:
    """Return the next moments of a schedule that does not rest."""
    if schedule.next_at is None:
        return []
    if not schedule.crontab:
        return [schedule.next_at]
    later = crontab.moments(schedule.crontab, schedule.next_at, schedule.time_zone, schedule.until)
    return [schedule.next_at, *islice(later, count - 1)]


def set_next(session: Session, schedule: Schedule) -> None:
    """Set the next moment to come, and its alarm; without one the schedule is over."""
    if schedule.crontab:
        later = crontab.moments(schedule.crontab, beginning(schedule.starts_at), schedule.time_zone, schedule.until)
        schedule.next_at = next(later, None)
    else:
        is_to_come = schedule.starts_at is not None and schedule.starts_at > clock.now()
        schedule.next_at = schedule.starts_at if is_to_come else None
    if schedule.next_at is None:
        schedule.state = OVER
    else:
        service.alarm(session, schedule.next_at)


def record(session: Session, event_type: str, user_id: int | None, schedule: Schedule, **detail: Any) -> None:
    """Write down what happened to a schedule."""
    audit.record(
        session, event_type, workflow_id=schedule.workflow_id, user_id=user_id, action_id=schedule.action_id,
        name=schedule.name, schedule=schedule.id, **detail,
    )  # fmt: skip


def _text(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""
