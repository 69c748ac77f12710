"""Whoever begins what is planned dies, each day at another statement: every moment and every step happens once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, update

from chalicelib import database
from chalicelib.actions.models import Action
from chalicelib.delivery import repeats
from chalicelib.delivery.models import Run
from chalicelib.delivery.reporting.forms import ReportOrder
from chalicelib.schedules import due, plans
from chalicelib.schedules.models import Occurrence, Schedule
from chalicelib.settings import settings
from chalicelib.workflows.models import Workflow
from tests.delivery.cloud import Cloud, FakeSes, Killed
from tests.delivery.conftest import Course, MakeCourse

pytestmark = pytest.mark.faults

LEARNERS, DEAN = 3, "dean@uni.example"


def plan(course: Course, order: Any, **wish: Any) -> int:
    """Plan a sending each evening, or as the wish says; return the schedule's id."""
    with database.scope() as session:
        workflow = session.get_one(Workflow, course.workflow.id)
        action = session.get_one(Action, course.action.id)
        wanted = {"name": "Daily", "crontab": "0 18 * * *", "time_zone": "UTC", **wish}
        return repeats.create(session, course.user.id, workflow, action, order, plans.Wish(**wanted)).id


class Killer:
    """Kills, once a day, whoever looks at alarms or does a job, before the statement or commit of a number."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.die_at, self.count, self.is_on = cloud, 0, 0, False
        self.invoke = cloud._invoke
        event.listen(database.engine(), "before_cursor_execute", self.step)
        event.listen(database.engine(), "commit", self.step)

    def __call__(self, kind: str, body: Any) -> None:
        """Invoke a function; what the alarms wake is invoked again by Lambda when it dies."""
        self.is_on = kind in {"alarm", settings().jobs_queue}
        try:
            self.invoke(kind, body)
        except Killed:
            if kind == "alarm":
                self.cloud.put(self.cloud.time.time + timedelta(minutes=1), kind, body)
            raise
        finally:
            self.is_on = False

    def step(self, *_: Any) -> None:
        """Count what is done, and die when it is time."""
        if self.is_on and self.die_at:
            self.count += 1
            if self.count == self.die_at:
                raise Killed


def test_each_moment_and_step_happens_once_wherever_somebody_dies(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = make_course(LEARNERS)
    schedule = plan(course, course.order())
    with database.scope() as session:
        row = session.get_one(Schedule, schedule)
        row.steps = [{"kind": row.kind, "action_id": row.action_id, "payload": row.payload}]
    killer = Killer(cloud)
    monkeypatch.setattr(cloud, "_invoke", killer)
    days = 0
    while killer.count >= killer.die_at:  # until a whole day has fewer statements than that
        days += 1
        killer.die_at, killer.count = days * 7 - 6, 0
        cloud.run(hours=24)
    assert cloud.kills == days - 1 > 10
    learners = {to: count for to, count in ses.mails().items() if to.startswith("s")}
    assert learners == {f"s{n}@uni.example": 2 * days for n in range(1, LEARNERS + 1)}
    with database.scope() as session:
        assert Counter(session.scalars(select(Occurrence.state))) == {"done": days}
        assert Counter(session.scalars(select(Run.state))) == {"done": 2 * days}


@pytest.mark.parametrize("kind", ["report", "once"])
def test_what_was_missed_while_everything_was_down_is_done_once(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, kind: str
) -> None:
    course = make_course(LEARNERS)
    if kind == "report":
        with database.scope() as session:
            text = f"<p>{{% table @c{course.columns['name']} %}}</p>"
            session.execute(update(Action).values(kind="email_report", text=text))
        plan(course, ReportOrder(to=(DEAN,), subject="Names"))
    else:
        plan(course, course.order(cc=(DEAN,)), crontab="", start=cloud.time.time + timedelta(hours=5))
    cloud.forget()
    cloud.time.advance(days=4)
    due.tidy()
    cloud.run(hours=1)
    sent = [one["Destination"]["ToAddresses"][0] for one in ses.accepted]
    assert Counter(sent) == ({DEAN: 1} if kind == "report" else {f"s{n}@uni.example": 1 for n in range(1, 4)})
    with database.scope() as session:
        assert list(session.scalars(select(Occurrence.state))) == ["done"]
        assert session.scalars(select(Schedule.state)).one() == ("active" if kind == "report" else "over")
