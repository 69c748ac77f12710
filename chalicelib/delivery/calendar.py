"""A month of everything that is planned in a person's workflows, and the weeks in which some learners get too much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.actions import service as actions
from chalicelib.delivery import repeats, sources
from chalicelib.delivery.audience import NEVER_SENT, Audience, rows
from chalicelib.delivery.models import MAIL, Message, Run
from chalicelib.delivery.order import SendOrder
from chalicelib.schedules import occurrences, operations, plans
from chalicelib.schedules.plans import Schedule
from chalicelib.workflows.models import Workflow

#: More times of one schedule than these are not drawn; so many are possible in six weeks of every 15 minutes.
MAX_MOMENTS = 5000
#: Addresses that are named of those who get too much.
NAMED = 5
#: More mails to a learner in a week are too much, unless somebody says otherwise.
AT_MOST = 3


@dataclass
class Entry:
    """What one schedule does on one day: the times, and what came of those that are over."""

    schedule: Schedule
    times: list[datetime] = field(default_factory=list)
    states: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Collision:
    """Learners who get more mails in a week than they should, and the first of them."""

    learners: int
    first: list[str]


@dataclass(frozen=True)
class Month:
    """Whole weeks, Monday first; `days` has the entries of each day, `collisions` is by the Monday of a week."""

    first: date
    weeks: list[list[date]]
    days: dict[date, list[Entry]]
    collisions: dict[date, Collision]

    @property
    def before(self) -> str:
        """The month before, as it is written in an address."""
        return f"{self.first - timedelta(days=1):%Y-%m}"

    @property
    def after(self) -> str:
        """The month after, as it is written in an address."""
        return f"{self.first + timedelta(days=31):%Y-%m}"


def read(session: Session, workflow_ids: Sequence[int], first: date, time_zone: str, at_most: int) -> Month:
    """Return the month that begins on `first`; more mails to a learner in a week than `at_most` are a collision."""
    zone = ZoneInfo(time_zone)
    weeks = _weeks(first)
    begin, end = (_midnight(day, zone) for day in (weeks[0][0], weeks[-1][-1] + timedelta(days=1)))
    schedules = [one for key in workflow_ids for one in plans.of_workflow(session, key)]
    days: dict[date, list[Entry]] = {}
    to_come: dict[int, list[datetime]] = {}
    past = occurrences.between(session, [one.id for one in schedules], begin, end)
    for schedule in schedules:
        done = past.get(schedule.id, [])
        to_come[schedule.id] = _to_come(schedule, end)
        moments = [(one.due_at, one.state) for one in done]
        moments += [(moment, "") for moment in to_come[schedule.id] if moment >= begin]
        _enter(days, schedule, moments, zone)
    for entries in days.values():
        entries.sort(key=lambda entry: entry.times[0])
    found = _collisions(session, workflow_ids, schedules, to_come, (begin, end), zone, at_most)
    return Month(first, weeks, days, found)


def _weeks(first: date) -> list[list[date]]:
    monday = first - timedelta(days=first.weekday())
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    count = (last - monday).days // 7 + 1
    return [[monday + timedelta(days=7 * week + day) for day in range(7)] for week in range(count)]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _to_come(schedule: Schedule, end: datetime) -> list[datetime]:
    moments = plans.following(schedule, MAX_MOMENTS)
    return list(islice(takewhile(lambda moment: moment < end, moments), MAX_MOMENTS))


def _enter(
    days: dict[date, list[Entry]], schedule: Schedule, moments: Iterable[tuple[datetime, str]], zone: ZoneInfo
) -> None:  # fmt: skip
    entries: dict[date, Entry] = {}
    for moment, state in sorted(moments):
        day = moment.astimezone(zone).date()
        if day not in entries:
            entries[day] = Entry(schedule)
            days.setdefault(day, []).append(entries[day])
        entries[day].times.append(moment)
        if state:
            entries[day].states.append(state)


# -- learners who get too much


def _collisions(
    session: Session, workflow_ids: Sequence[int], schedules: Sequence[Schedule],
    to_come: dict[int, list[datetime]], period: tuple[datetime, datetime], zone: ZoneInfo, at_most: int,
) -> dict[date, Collision]:  # fmt: skip
    """Count the mails of each week for each address: those that left, and those that would by today's data."""
    parts = [_left(workflow_ids, period, zone)]
    for schedule in schedules:
        weeks = _by_week([moment for moment in to_come[schedule.id] if moment >= period[0]], zone)
        parts += [part for stage in operations.stages(schedule) if weeks
                  and (part := _would(session, schedule, stage, weeks)) is not None]  # fmt: skip
    mails = sa.union_all(*parts).subquery("mails")
    times = sa.func.sum(mails.c.times)
    much = sa.select(mails.c.week, mails.c.address, times.label("times")).group_by(mails.c.week, mails.c.address)
    much_ = much.having(times > at_most).subquery("much")
    first = sa.func.array_agg(aggregate_order_by(much_.c.address, much_.c.times.desc(), much_.c.address))
    query = sa.select(much_.c.week, sa.func.count(), first).group_by(much_.c.week)
    return {week: Collision(count, list(addresses)[:NAMED]) for week, count, addresses in session.execute(query)}


def _by_week(moments: Iterable[datetime], zone: ZoneInfo) -> Counter[date]:
    days = (moment.astimezone(zone).date() for moment in moments)
    return Counter(day - timedelta(days=day.weekday()) for day in days)


def _left(workflow_ids: Sequence[int], period: tuple[datetime, datetime], zone: ZoneInfo) -> sa.Select[Any]:
    """Return the mails to learners that have left."""
    week = sa.cast(sa.func.date_trunc("week", sa.func.timezone(zone.key, Message.sent_at)), sa.Date)
    return (
        sa.select(
            sa.func.lower(Message.recipient).label("address"), week.label("week"),
            sa.cast(sa.literal(1), sa.BigInteger).label("times"),
        )
        .join(Run, Run.id == Message.run_id)
        .where(Run.workflow_id.in_(workflow_ids), Message.lane == MAIL, Message.row_id != 0)
        .where(Message.sent_at >= period[0], Message.sent_at < period[1], Message.state.not_in(NEVER_SENT))
    )  # fmt: skip


def _would(
    session: Session, schedule: Schedule, stage: operations.Stage, weeks: Counter[date]
) -> sa.Select[Any] | None:  # fmt: skip
    """Return the mails that a schedule would send by the data of today; None when it sends none to learners."""
    if stage.kind != repeats.MAIL:
        return None
    try:
        workflow = session.get_one(Workflow, schedule.workflow_id)
        action = actions.get(session, workflow.id, stage.action_id or 0)
        found = sources.read(session, workflow.id, action.id)
        order = repeats.order_of(found, stage)
        assert isinstance(order, SendOrder), "that is how mails are kept"
        chosen = rows(
            Audience(
                workflow_id=workflow.id, time_zone=workflow.time_zone, to_column_id=order.to_column_id,
                columns=found.columns, filter=action.filter, skip_rows=order.skip_rows, left_out=order.left_out,
                leave_out_duplicates=order.leave_out_duplicates,
                not_reached_by=(schedule.id, action.id) if order.only_new else None,
            )
        )  # fmt: skip
    except (errors.Invalid, errors.NotFound):
        return None
    pairs = [(min(weeks), 1)] if order.only_new else sorted(weeks.items())
    times = sa.values(sa.column("week", sa.Date), sa.column("times", sa.BigInteger), name="weeks").data(pairs)
    return sa.select(
        sa.func.lower(chosen.c.address).label("address"), sa.cast(times.c.week, sa.Date).label("week"), times.c.times
    ).where(chosen.c.reason == "").select_from(chosen.join(times, sa.true()))  # fmt: skip


def month_of(written: str, time_zone: str) -> date:
    """Return the first day of a month that is written "2026-03"; of the present one when it is not."""
    try:
        found = date.fromisoformat(f"{written}-01")
    except ValueError:
        found = date.min
    if not 1970 <= found.year <= 2100:
        return clock.now().astimezone(ZoneInfo(time_zone)).date().replace(day=1)
    return found
