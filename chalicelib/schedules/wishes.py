"""What somebody fills in to have something done later: when, and whom to tell; and what of that can't be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.delivery.order import bad_addresses
from chalicelib.schedules import crontab
from chalicelib.schedules.models import Schedule
from chalicelib.settings import settings

MAX_NAME_LENGTH, MAX_DESCRIPTION_LENGTH, MAX_ADDRESSES = 1024, 2048, 20
#: After how many failures in a row a schedule rests until somebody has looked at it; the form begins with the first.
MAX_FAILURES, MOST_FAILURES = 3, 20
#: When to tell what became of an occurrence.
NEVER, ON_ERROR, ALWAYS = "never", "error", "always"
NOTIFY = {ON_ERROR: "when something goes wrong", ALWAYS: "each time", NEVER: "never"}
OUTAGE = (
    "Should everything be down at a time, it is done once, late, as soon as it is up again; of several missed times "
    "only one. Times that pass while a schedule is switched off are not made up."
)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody filled in: when it happens, from when on and until when, and whom to tell.

    Without a crontab it happens once, at `start`.
    """

    name: str
    crontab: str
    time_zone: str
    start: datetime | None = None
    until: datetime | None = None
    notify: str = ON_ERROR
    description: str = ""
    addresses: tuple[str, ...] = ()
    max_failures: int | None = MAX_FAILURES


def preview(wish: Wish, count: int = 5) -> list[datetime]:
    """Return the first moments of what somebody is filling in.

    Raises errors.Invalid when it is no crontab.
    """
    if not wish.crontab.strip():
        return [wish.start] if wish.start and wish.start > clock.now() else []
    expression = crontab.check(wish.crontab, min_minutes=settings().min_repeat_minutes)
    return list(islice(crontab.moments(expression, beginning(wish.start), wish.time_zone, wish.until), count))


def beginning(start: datetime | None) -> datetime:
    """Return the instant after which moments count: one at `start` itself does."""
    now = clock.now()
    return max(start - timedelta(seconds=1), now) if start else now


def free_name(session: Session, workflow_id: int, name: str) -> str:
    """Return the name, with a number when another schedule of the workflow has it."""
    base, number = name[: MAX_NAME_LENGTH - 5], 1
    while is_name_used(session, workflow_id, name, 0):
        number += 1
        name = f"{base} ({number})"
    return name


def checked(session: Session, workflow_id: int, wish: Wish, now: Schedule | None = None) -> str:
    """Return the crontab as it is stored; `now` is the schedule that is changed.

    Raises errors.Invalid with a message for each field that can't stay.
    """
    problems = _about_problems(session, workflow_id, wish, now.id if now else 0)
    expression = ""
    try:
        expression = _checked_time(wish, now)
    except errors.Invalid as error:
        problems |= error.fields
    if problems:
        raise errors.Invalid("Some fields need another look.", problems)
    return expression


def _about_problems(session: Session, workflow_id: int, wish: Wish, but: int) -> dict[str, str]:
    problems: dict[str, str] = {}
    name = wish.name.strip()
    if not name:
        problems["name"] = "Type a name, such as “Weekly reminder”."
    elif len(name) > MAX_NAME_LENGTH:
        problems["name"] = f"Use at most {MAX_NAME_LENGTH} characters; this has {len(name):,}."
    elif is_name_used(session, workflow_id, name, but):
        problems["name"] = "Another schedule of this workflow has this name."
    if len(wish.description) > MAX_DESCRIPTION_LENGTH:
        problems["description"] = f"Use at most {MAX_DESCRIPTION_LENGTH:,} characters."
    if wish.notify not in NOTIFY:
        problems["notify"] = "Choose one of these."
    if bad := bad_addresses(wish.addresses):
        problems["addresses"] = "Not an e-mail address: " + ", ".join(bad)
    elif len(wish.addresses) > MAX_ADDRESSES:
        problems["addresses"] = f"At most {MAX_ADDRESSES} addresses can be told."
    if wish.max_failures is None or not 1 <= wish.max_failures <= MOST_FAILURES:
        problems["max_failures"] = f"Write a number from 1 to {MOST_FAILURES}."
    return problems


def _checked_time(wish: Wish, schedule: Schedule | None) -> str:
    """Return the crontab as it is stored; raise errors.Invalid with fields for a combination that can't be."""
    now, has_crontab = clock.now(), bool(wish.crontab.strip())
    if not has_crontab and wish.start is None:
        message = "An end alone says nothing: say when, or how often." if wish.until else "Say when, or how often."
        raise errors.Invalid(message, {"start": message})
    if not has_crontab and wish.until is not None:
        message = "What happens once has no end. Say how often, or leave the end empty."
        raise errors.Invalid(message, {"until": message})
    if not has_crontab:
        is_kept = schedule is not None and not schedule.crontab and schedule.starts_at == wish.start
        if wish.start is not None and wish.start <= now and not is_kept:
            message = "This time is over. Choose one that is still to come."
            raise errors.Invalid(message, {"start": message})
        return ""
    try:
        expression = crontab.check(wish.crontab, min_minutes=settings().min_repeat_minutes)
    except errors.Invalid as error:
        raise errors.Invalid(error.message, {"crontab": error.message}) from error
    message = ""
    if wish.until is not None and wish.until <= now:
        message = "This end is over already."
    elif wish.until is not None and wish.start is not None and wish.until <= wish.start:
        message = "The end lies before the beginning."
    elif not preview(wish, 1):
        message = "It would end before it happens for the first time."
    if message:
        raise errors.Invalid(message, {"until": message})
    return expression


def is_name_used(session: Session, workflow_id: int, name: str, but: int) -> bool:
    """Tell whether another schedule of the workflow has the name."""
    query = select(Schedule.id).where(Schedule.workflow_id == workflow_id, Schedule.name == name, Schedule.id != but)
    return session.scalar(query.where(Schedule.deleted_at.is_(None)).limit(1)) is not None
