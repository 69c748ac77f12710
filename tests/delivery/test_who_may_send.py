"""Who a run is of: somebody who may send at its confirmation and when it begins; their name is on its page."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete, update

from chalicelib import clock, database
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.delivery.models import DONE, FAILED
from chalicelib.workflows.models import Member
from tests.conftest import make_user, signed_in
from tests.delivery.cloud import Cloud, FakeSes, run_state
from tests.delivery.conftest import Course, MakeCourse


@pytest.fixture
def helper(make_course: MakeCourse) -> tuple[Course, User]:
    """A class and a colleague who may send, but owns nothing."""
    course = make_course(2)
    with database.scope() as session:
        colleague = make_user(session, "cleo@uni.example")
        colleague.name = "Cleo"
        session.add(
            Member(
                workflow_id=course.workflow.id, user_id=colleague.id, role=WorkflowRole.SENDER, created_at=clock.now()
            )
        )  # fmt: skip
    course.user = colleague
    return course, colleague


def test_a_colleague_sends_and_the_run_says_who_it_was(helper: tuple[Course, User], cloud: Cloud, ses: FakeSes) -> None:
    course, colleague = helper
    run = course.confirm()
    cloud.run(hours=1)
    assert run_state(run.id) == DONE
    assert sum(ses.mails().values()) == 2
    with database.scope() as session:
        browser = signed_in(session, session.get_one(User, colleague.id))
    assert "by Cleo" in browser.get(f"/workflows/{run.workflow_id}/runs/{run.id}").body


@pytest.mark.parametrize("lost", ["the membership", "the right to send", "the account"])
def test_who_lost_access_before_the_time_sends_nothing(
    helper: tuple[Course, User], cloud: Cloud, ses: FakeSes, lost: str
) -> None:
    course, colleague = helper
    run = course.confirm(due_at=clock.now() + timedelta(hours=1))
    with database.scope() as session:
        own = (Member.workflow_id == course.workflow.id) & (Member.user_id == colleague.id)
        session.execute(
            {
                "the membership": delete(Member).where(own),
                "the right to send": update(Member).where(own).values(role=WorkflowRole.EDITOR),
                "the account": update(User).where(User.id == colleague.id).values(is_active=False),
            }[lost]
        )
    cloud.run(hours=2)
    assert run_state(run.id) == FAILED
    assert not ses.mails()
    with database.scope() as session:
        owner = session.query(User).filter(User.email == "ines@uni.example").one()
        browser = signed_in(session, owner)
    page = browser.get(f"/workflows/{run.workflow_id}/runs/{run.id}")
    assert "Whoever started this may not send in this workflow any more." in page.body
