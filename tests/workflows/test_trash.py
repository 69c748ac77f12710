"""Deleted workflows: there for 30 days, then gone with all that was theirs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from chalicelib import database
from chalicelib.schedules import due, jobs
from chalicelib.schedules import service as schedules
from chalicelib.tables import store
from chalicelib.tables.history import versions
from chalicelib.workflows import flushing, service
from chalicelib.workflows.models import Workflow
from tests.conftest import Clock, make_user
from tests.factories import make_action, make_table


@pytest.fixture
def deleted(fresh_database: str, frozen_clock: Clock) -> int:
    """A workflow in the trash that has a table, an earlier one and a message; another one stays."""
    with database.scope() as session:
        user = make_user(session)
        service.create(session, user.id, "Physics")
        workflow = service.create(session, user.id, "Biology 101")
        make_table(session, workflow, {"sid": "text"}, [("s1",), ("s2",)])
        make_action(session, workflow)
        flushing.flush(session, user, workflow, flushing.ROWS)
        service.delete(session, user.id, workflow)
        return workflow.id


def do_daily_round() -> None:
    due.tidy()
    with database.scope() as session:
        waiting = schedules.due_jobs(session)
    for job_id in waiting:
        jobs.run(job_id)


def tables() -> list[str]:
    with database.scope() as session:
        return list(session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'learners'")))


def test_a_deleted_workflow_stays_for_thirty_days(deleted: int, frozen_clock: Clock) -> None:
    frozen_clock.advance(seconds=timedelta(days=29).total_seconds())
    do_daily_round()
    assert len(tables()) == 2
    with database.scope() as session:
        workflow = session.get_one(Workflow, deleted)
        service.restore(session, 1, workflow)
        (version,) = versions.listed(session, deleted)
        versions.restore(session, workflow, version.id, None)
        assert workflow.row_count == 2


def test_then_it_goes_with_its_tables_and_only_its_events_are_left(deleted: int, frozen_clock: Clock) -> None:
    frozen_clock.advance(seconds=timedelta(days=31).total_seconds())
    do_daily_round()
    assert tables() == []
    with database.scope() as session:
        assert session.scalars(text("SELECT name FROM ontask.workflow")).all() == ["Physics"]
        kept = session.execute(
            text("SELECT detail->>'name', workflow_id FROM ontask.event WHERE type = 'workflow_purged'")
        )
        assert [tuple(row) for row in kept] == [("Biology 101", deleted)]
        assert not store.exists(session, store.table(deleted))
