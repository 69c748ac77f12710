"""The functions without a page: what they do with a batch, and what an alarm finds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

import app
from chalicelib import clock, database, functions
from chalicelib.aws.mailer import Mailer
from chalicelib.delivery import due as delivery
from chalicelib.delivery.models import Lane, LaneMinute, Message, Run
from chalicelib.schedules import due, jobs
from chalicelib.schedules import service as schedules
from chalicelib.schedules.models import Job
from tests.delivery.cloud import Cloud, FakeSes, run_state, states
from tests.delivery.conftest import MakeCourse
from tests.handlers import Context, batch


@jobs.job("test.break")
def break_down(task: jobs.Task) -> None:
    raise RuntimeError("broken")


def test_only_the_records_that_failed_go_back(cloud: Cloud) -> None:
    with database.scope() as session:
        job = schedules.enqueue(session, "test.break", {})
    answer = app.work_job(batch({"job": job.id}, {"job": 987}, "no json"), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m2"}]}


def test_a_stale_wakeup_finds_nothing_to_do(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functions, "carrier", lambda: Mailer(ses))
    make_course(2).confirm()
    cloud.run(hours=1)
    before = len(ses.accepted)
    assert app.send_batch(batch({"lane": "ses"}), Context()) == {"batchItemFailures": []}
    assert len(ses.accepted) == before == 2


def test_an_alarm_with_nothing_due_is_harmless(cloud: Cloud) -> None:
    app.run_due({"due": "20260302T1200"}, None)
    due.run_due()


def test_an_alarm_finds_a_job_whose_wakeup_was_lost(cloud: Cloud) -> None:
    with database.scope() as session:
        session.add(Job(kind="x", payload={}, due_at=clock.now(), created_at=clock.now(), state="queued"))
    cloud.forget()
    due.run_due()
    kinds = cloud.waiting()
    assert "ontask-jobs" in kinds
    assert "alarm" in kinds


def test_a_lane_that_is_served_is_not_woken_twice(make_course: MakeCourse, cloud: Cloud) -> None:
    make_course(60).confirm()
    cloud.run(hours=12 / 3600)
    with database.scope() as session:
        lane = session.get_one(Lane, "ses")
        lane.served_at, lane.wake_at = clock.now(), None
    cloud.forget()
    with database.scope() as session:
        delivery.look(session)
    assert cloud.waiting() == ["alarm"]
    cloud.time.advance(minutes=3)
    with database.scope() as session:
        delivery.look(session)
    assert "ontask-outbox" in cloud.waiting()


def test_a_run_that_can_not_be_planned_fails_with_the_reason(make_course: MakeCourse, cloud: Cloud) -> None:
    course = make_course(3)
    run = course.confirm(due_at=clock.now() + timedelta(hours=1))
    with database.scope() as session:
        session.execute(text(f"ALTER TABLE learners.w{course.workflow.id} DROP c{course.columns['name']}"))
    cloud.run(hours=2)
    assert (run_state(run.id), states(run.id)) == ("failed", {})
    with database.scope() as session:
        assert "a column that this message needs is gone" in session.get_one(Run, run.id).pause_reason


def test_the_daily_round_forgets_old_counts_and_jobs(cloud: Cloud) -> None:
    old = clock.now() - timedelta(days=100)
    with database.scope() as session:
        session.add(LaneMinute(lane="ses", minute=old, sent=3))
        session.add(Job(kind="x", payload={}, due_at=old, created_at=old, ended_at=old, state="done"))
        session.add(Job(kind="y", payload={}, due_at=old, created_at=old, ended_at=clock.now(), state="done"))
    due.tidy()
    with database.scope() as session:
        assert session.query(LaneMinute).count() == 0
        assert {"x", "y"} & {job.kind for job in session.query(Job)} == {"y"}


def test_a_message_that_can_not_be_rendered_fails_alone(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    course = make_course(3)
    run = course.confirm()
    cloud.run(hours=5 / 3600)
    with database.scope() as session:
        message = session.query(Message).filter_by(row_id=2).one()
        message.values = dict.fromkeys(message.values, "x" * 2000000)
    cloud.run(hours=1)
    assert states(run.id) == {"delivered": 2, "failed": 1}
    assert run_state(run.id) == "done"
