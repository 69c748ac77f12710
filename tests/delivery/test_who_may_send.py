"""Who a run is of: somebody who may send at its confirmation and when it begins; their name is on its page."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import delete, update

from chalicelib import clock, database
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.delivery.models import DONE, FAILED
from chalicelib.workflows.models import Member
from tests.conftest import make_user, signed_in
from tests.delivery.cloud import Cloud, FakeSes, run_state
from tests.delivery.conftest import Course, MakeCourse


def colleague(course: Course, name: str) -> Course:
    """The same class, seen by a colleague who may send, but owns nothing."""
    with database.scope() as session:
        user = make_user(session, f"{name}@uni.example")
        session.add(
            Member(workflow_id=course.workflow.id, user_id=user.id, role=WorkflowRole.SENDER, created_at=clock.now())
        )
    return replace(course, user=user)


def test_a_colleague_sends_and_the_run_says_who_it_was(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    cleo = colleague(make_course(2), "cleo")
    run = cleo.confirm()
    cloud.run(hours=1)
    assert run_state(run.id) == DONE
    assert sum(ses.mails().values()) == 2
    with database.scope() as session:
        browser = signed_in(session, cleo.user)
    assert "by Cleo" in browser.get(f"/workflows/{run.workflow_id}/runs/{run.id}").body


def test_who_lost_access_before_the_time_sends_nothing(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    course = make_course(2)
    due_at = clock.now() + timedelta(hours=1)
    out, lower, gone = (colleague(course, name) for name in ("out", "lower", "gone"))
    runs = [one.confirm(due_at=due_at) for one in (out, lower, gone)]
    with database.scope() as session:
        session.execute(delete(Member).where(Member.user_id == out.user.id))
        session.execute(update(Member).where(Member.user_id == lower.user.id).values(role=WorkflowRole.EDITOR))
        session.execute(update(User).where(User.id == gone.user.id).values(is_active=False))
    cloud.run(hours=2)
    assert [run_state(run.id) for run in runs] == [FAILED] * 3
    assert not ses.mails()
    with database.scope() as session:
        browser = signed_in(session, course.user)
    page = browser.get(f"/workflows/{course.workflow.id}/runs/{runs[0].id}")
    assert "Whoever started this may not send in this workflow any more." in page.body
