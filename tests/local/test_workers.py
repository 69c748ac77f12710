"""The workers of one machine: what they do first after a kill."""

from __future__ import annotations

from sqlalchemy.orm import Session

from chalicelib.schedules import jobs, service
from chalicelib.schedules.models import DONE
from local import workers
from tests.conftest import Clock


@jobs.job("test.nothing")
def do_nothing(_task: jobs.Task) -> None:
    """Work that is done at once."""


def test_the_job_of_a_killed_worker_is_done_by_the_next_one(session: Session, frozen_clock: Clock) -> None:
    job_id = service.enqueue(session, "test.nothing", {}).id
    session.commit()
    assert service.claim(session, job_id) is not None  # and then the worker is killed
    session.commit()
    jobs.run(job_id)
    assert service.state(session, job_id) != DONE  # somebody might still work on it
    workers.take_over()
    frozen_clock.advance(seconds=1)
    assert job_id in service.due_jobs(session)
    jobs.run(job_id)
    session.expire_all()
    assert service.state(session, job_id) == DONE
