"""A column that a sending needs is deleted before its time: nobody gets it, least of all everybody."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib import clock, database
from chalicelib.actions.models import Action
from chalicelib.delivery.models import FAILED, Run
from chalicelib.tables import queries
from chalicelib.tables.columns import remove, uses
from chalicelib.workflows.models import Workflow
from tests.delivery.cloud import Cloud, FakeSes, run_state
from tests.delivery.conftest import Course, MakeCourse


def delete(course: Course, name: str) -> list[tuple[str, str]]:
    """Delete a column; return what was said to use it."""
    with database.scope() as session:
        workflow = session.get_one(Workflow, course.workflow.id)
        column = queries.column(session, workflow.id, course.columns[name])
        said = [(line.words, line.outcome) for line in uses.of_column(session, workflow, column)]
        remove.delete(session, workflow, course.user.id, column)
        return said


@pytest.mark.parametrize("name", ["mark", "email", "name"])
def test_a_scheduled_sending_fails_with_the_reason(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, name: str
) -> None:
    course = make_course(5)
    with database.scope() as session:
        action = session.get_one(Action, course.action.id)
        action.filter = {"all": [{"column": course.columns["mark"], "op": "less", "value": "3"}]}
    run = course.confirm(due_at=clock.now() + timedelta(hours=1))
    said = delete(course, name)
    assert ("the sending of “Reminder”", "fails with this reason when its time comes; nobody gets it") in said
    cloud.run(hours=2)
    assert run_state(run.id) == FAILED
    assert not ses.mails()


def test_a_planned_sending_goes_on_and_so_does_its_counting(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    course = make_course(2)
    run = course.confirm(track_opens=True, opens_column="new")
    cloud.run(hours=1 / 240)
    with database.scope() as session:
        course.columns["opens"] = session.get_one(Run, run.id).opens_column_id or 0
    said = delete(course, "opens")
    assert [words for words, _ in said] in ([], ["the sending of “Reminder”"])
    cloud.run(hours=1)
    assert sum(ses.mails().values()) == 2
